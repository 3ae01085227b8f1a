"""Intents for one call, in the imperative. `call.step` returns them, the switchboard carries each to its room.

Every room obeys a command at most once, in the order given within a call, and is harmless when the call is unknown to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final

from ..tones import Tone
from .events import CallId, Client, Operator, Quality, TabId, Verdict
from .tolls import TollBreach


class Direction(Enum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Latch(Enum):
    """Whom a PBX's voice may come from, beside the address that its description gives."""

    NEVER = "never"
    """Nobody: its media addresses are fixed."""
    PORT = "port"
    """Another port of the same host."""
    ADDRESS = "address"
    """Any host: the PBX, or its callers, stand behind NAT."""


class Secrecy(Enum):
    """Whether the voice towards a PBX is encrypted (SRTP)."""

    NEVER = "never"
    ALLOWED = "allowed"
    """If the PBX offers it; our own offers are plain."""
    REQUIRED = "required"
    """No call without; our own offers bear the keys (SDES)."""
    DTLS = "dtls"
    """No call without DTLS-SRTP; our own offers are without ICE."""
    WEBRTC = "webrtc"
    """No call without DTLS-SRTP; our own offers are those of a WebRTC endpoint."""


class Transcode(Enum):
    """When the voice is decoded and encoded again, which costs much and helps nobody's ears."""

    WHEN_NEEDED = "when-needed"
    """Page and PBX have no codec in common."""
    OPUS_TO_BROWSER = "opus-to-browser"
    """Pages speak opus, whatever the PBX speaks: for bad networks between bridge and operators."""


PBX_MUSIC: Final = "pbx"
"""The PBX is told that we hold, and plays what it likes."""
NO_MUSIC: Final = "none"
"""Comfort noise; the PBX is told nothing, or it would play its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPolicy:
    """How the voice towards a PBX is carried, by its trunk."""

    latch: Latch = Latch.PORT
    srtp: Secrecy = Secrecy.ALLOWED
    towards: str = ""
    """The PBX's address for signalling, "" while that is not known: where its voice is likely to be."""
    ipv6_first: bool = False
    """Our own offers are for voice over IPv6, where the bridge has an address for it."""
    transcode: Transcode = Transcode.WHEN_NEEDED
    music: str = PBX_MUSIC
    """What the other side hears while we hold: PBX_MUSIC, NO_MUSIC, or the file of ours at this path."""
    rejoin_music: bool = False
    """And while the call waits for the operator's next page, if it is a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """A call as the operators' pages may see it: always the whole of it, never a difference."""

    id: CallId
    state: str
    """`State.value`: ringing, joining, talking, held, rejoining, ended, …"""
    direction: Direction
    number: str
    """The other party's number, "" when withheld."""
    name: str
    """As the CRM knows them, else as the PBX shows them."""
    line: str
    card: str
    """Bitrix24's CALL_ID, "" until it is registered."""
    answered_by: Operator | None
    voice: TabId | None
    """The tab that holds, or is about to hold, the microphone."""
    muted: bool
    held: bool
    """Our hold was confirmed by the PBX."""
    pbx_holds: bool
    progress: str
    """Outbound before the answer: "", `ringing` (let the operator hear a ringback tone), `early` (the PBX plays its own)."""
    started: float
    """Unix seconds."""
    answered: float | None
    ended: float | None
    ending: str
    """`Ending.value` once the state is ended, else ""."""
    notice: str
    """Why the last attempt to answer failed: a `VoiceFailed.why`, or ""."""
    quality: Quality | None = None
    """How it sounds; None before the first verdict."""
    consults: CallId | None
    """The call about which this one asks."""
    transfer_to: str
    """While it is `transferring`: the number of the new party."""
    transfer_rings: bool
    """The new party's telephone rings."""
    transfer_failed: str
    """Why the last transfer came to nothing: a `TransferFailure.value`, or ""."""
    client: Client | None = None
    """Who it is in the CRM, once that was found."""
    extension: str = ""
    """Outbound: to be keyed in once somebody has answered, "" for nothing."""
    referrer: str = ""
    """The number of whoever passed the call on to us."""
    diverter: str = ""
    """The number that forwards its calls to us."""
    conference: CallId | None = None
    """The call that is one conversation with this one."""
    conference_failed: bool = False
    """The last attempt at a conference came to nothing."""
    recording: str = ""
    """A `Recording.value`."""
    recording_pausable: bool = False
    """The operator may interrupt it."""
    tone: Tone | None = None
    """What the operator is to hear in place of a voice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An intent for one call."""

    after_record: ClassVar[float] = 0.0
    """Seconds that the promises to the CRM which were ordered by then get to become durable before it is carried out."""
    call: CallId


class PbxCommand(Command):
    """For `sip/trunk`."""

    __slots__ = ()


class MediaCommand(Command):
    """For `media/session`."""

    __slots__ = ()


class OperatorsCommand(Command):
    """For `operators/channel`."""

    __slots__ = ()


class PortalCommand(Command):
    """For `portal/telephony`."""

    __slots__ = ()


class CallerCommand(Command):
    """For `portal/callers`."""

    __slots__ = ()


class CardCommand(Command):
    """For `portal/cards`."""

    __slots__ = ()


class NoticeCommand(Command):
    """For `portal/notices`."""

    __slots__ = ()


# ---- the PBX


@dataclass(frozen=True, slots=True, kw_only=True)
class RingPbx(PbxCommand):
    """180, repeated while it rings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressPbx(PbxCommand):
    """183 with our description, repeated while it rings: the caller hears what we send."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPbx(PbxCommand):
    """200 with our description, repeated until the ACK. That somebody answered is on record before the PBX hears it."""

    after_record: ClassVar[float] = 0.1
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusePbx(PbxCommand):
    """One final status to the INVITE. What the PBX takes for over has its record, whatever happens to us then."""

    after_record: ClassVar[float] = 0.5
    status: int
    phrase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpPbx(PbxCommand):
    """BYE; if the ACK has not come yet, as soon as the standard allows it."""

    cause: int = 16
    """Q.850, for the Reason header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPbxReoffer(PbxCommand):
    """200 to the re-INVITE that waits."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusePbxReoffer(PbxCommand):
    """A refusal of the re-INVITE that waits; the session stays as it was."""

    status: int
    phrase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DialPbx(PbxCommand):
    """INVITE from this account of this trunk to the number, with our offer."""

    trunk: str
    account: str
    number: str
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPbx(PbxCommand):
    """Give up our INVITE: CANCEL as soon as the standard allows it; a 200 that crosses it gets ACK and BYE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferPbx(PbxCommand):
    """re-INVITE with a new offer of ours; glare (491) is waited out and tried again."""

    sdp: bytes
    tentative: bool = False
    """A PBX that does not answer it has refused it; without this, the call is over then (RFC 3261, 14.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PressPbx(PbxCommand):
    """Keys in INFO, one after the other."""

    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPbx(PbxCommand):
    """REFER: the PBX shall call this number and put it through to the other party."""

    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectPbx(PbxCommand):
    """REFER with Replaces: the PBX shall put the far ends of this call and of `other` together (RFC 3891)."""

    other: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowPbxReferral(PbxCommand):
    """Call whom the PBX wants us to call, with this offer; whoever answers takes the PBX's place in the call."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusePbxReferral(PbxCommand):
    """A refusal of the REFER that waits; the session stays as it was."""

    status: int


# ---- the voice


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectBrowser(MediaCommand):
    """Set up the leg of `tab` from the page's offer.

    Inbound: with the PBX's first codec that the page has. Outbound (`pbx_offer` is empty): with the first of `codecs`.
    """

    tab: TabId
    offer: str
    sdp: str
    pbx_offer: bytes
    codecs: tuple[str, ...]
    """Names of the codecs that this PBX's trunk allows."""
    policy: MediaPolicy = MediaPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakEarly(MediaCommand):
    """Answer the PBX's offer and let the caller hear something until an operator speaks; `EarlyMediaReady` says what to tell."""

    pbx_offer: bytes
    codecs: tuple[str, ...]
    policy: MediaPolicy
    sound: Tone | str
    """A tone, or the path of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinMedia(MediaCommand):
    """Join the leg of `tab` with the PBX leg as soon as it speaks; legs of other tabs are closed then.

    Outbound, the description in the first `MediaReady` is our offer to the PBX.
    """

    tab: TabId
    speaks: bool = False
    """The page says that its voice is on its way: a connected leg is joined without waiting for the first packet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferMedia(MediaCommand):
    """Follow the PBX's new offer."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptPbxAnswer(MediaCommand):
    """The PBX's description for our offer: early (1xx), final (200), or to a re-INVITE."""

    sdp: bytes
    knows_address: bool = True
    """The offer told where we are now; False if that has changed since, and another offer tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldMedia(MediaCommand):
    """Hold (the PBX hears nothing of the operator, and may play its music) or resume; `MediaReoffered` says what to offer.

    Where the other side hears what we play, the PBX is offered nothing: `MediaHeld` says that it is done.
    """

    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAddress(MediaCommand):
    """The PBX refuses to follow the voice to another address of ours: it stays where it was, as long as that works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConference(MediaCommand):
    """Let this call's PBX hear the far end of `other` beside the operator. Of both calls, each hears the other."""

    other: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveConference(MediaCommand):
    """This call's PBX hears its operator alone again, and the other call hears nothing of it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferMedia(MediaCommand):
    """Describe everything we can, for a session that is to take the place of the one that stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigits(MediaCommand):
    """Keys as RFC 4733 telephone-events towards the PBX, one after the other."""

    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseMedia(MediaCommand):
    """Close every leg of the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecording(MediaCommand):
    """Announce it if that is wished, then record what both hear of one another until `CloseMedia`."""

    portal: str
    announcement: str = ""
    """What both hear first: "" for nothing, `beep`, or the absolute path of a sound file."""
    beep_seconds: float = 0
    """Both hear a beep so often; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRecording(MediaCommand):
    """Record silence until `ResumeRecording`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRecording(MediaCommand):
    """Record again what both hear."""


# ---- the operators


@dataclass(frozen=True, slots=True, kw_only=True)
class RingOperators(OperatorsCommand):
    """Open the application on the lead tab of each operator, once per call and operator."""

    operators: tuple[Operator, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowCall(OperatorsCommand):
    """Show the call to every page of these operators, and to the pages that come later. An ended call is shown once more, then forgotten."""

    operators: tuple[Operator, ...]
    view: CallView


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMediaAnswer(OperatorsCommand):
    tab: TabId
    offer: str
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskReoffer(OperatorsCommand):
    """Ask the page for a new offer: the codec has changed."""

    tab: TabId
    anew: bool = False
    """Its transport is lost at our end: it has to make another one, instead of going on with what it has."""


# ---- Bitrix24


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterCall(PortalCommand):
    """Promise to register the call: durable at once, carried out beside the ringing (telephony.externalCall.register)."""

    operator: Operator
    direction: Direction
    number: str
    line: str
    started: float
    show: bool
    """Raise the call card: somebody is there to see it."""
    card: str = ""
    """The CALL_ID of a call that the portal registered itself: nothing is left to register."""
    callback: bool = False
    """Asked for by the client, in a form."""
    call_list: int = 0
    """Bitrix24's CALL_LIST_ID of a call list that is being worked off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer(PortalCommand):
    """Remember who answered and when, for the record of a call that outlives a crash of the bridge."""

    operator: Operator
    answered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishCall(PortalCommand):
    """Promise to write the call's one record (telephony.externalCall.finish); closes the card as well."""

    operator: Operator
    status: str
    """Bitrix24's STATUS_CODE."""
    duration: int
    """Seconds of talk."""
    reason: str
    """FAILED_REASON; of an answered call how badly it sounded, "" if it did not."""
    ended: float
    verdicts: tuple[Verdict, ...] = ()
    """How it sounded."""
    card_stays: float = 0.0
    """Seconds until it is sent: meanwhile the card tells the operator why nobody was reached, and offers to dial again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpCaller(CallerCommand):
    """Ask the CRM who has this number; whatever comes of it is a `CallerFound`, or nothing if the CRM hangs."""

    portal: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowCard(CardCommand):
    """Raise the call card of a registered call in these operators' pages as well (telephony.externalCall.show)."""

    card: str
    operators: tuple[Operator, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRecord(PortalCommand):
    """Promise to attach a recording to the call's record, once that is written (telephony.externalCall.attachRecord)."""

    path: str
    """WAV or MP3; absolute, and left alone until it is attached."""
    name: str
    """What the portal shall call it."""
    delete: bool = False
    """Delete the file when the portal has it."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one side said; seconds from the start of the call."""

    by_operator: bool
    start: int
    stop: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachTranscript(PortalCommand):
    """Promise to attach what was said to the call's record, once that is written (telephony.call.attachTranscription)."""

    utterances: tuple[Utterance, ...]
    cost: float | None = None
    currency: str = ""


# ---- the administrators


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseTollAlarm(NoticeCommand):
    """An operator, or a PBX through them, wanted a number dialled that the portal's rules forbid."""

    operator: Operator
    number: str
    breach: TollBreach


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseRecordingAlarm(NoticeCommand):
    """A call that should be recorded is not, or not any more."""

    operator: Operator
    why: str
