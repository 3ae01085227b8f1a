"""Facts about one call, in the past tense. Rooms report them, `call.step` reads them.

SDP travels through here unread. Times are not part of a fact: `step` gets the time as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NewType

CallId = NewType("CallId", str)
"""Our own id of a call, unique for ever; Bitrix24's EXTERNAL_CALL_ID. Not the SIP Call-ID."""

TabId = NewType("TabId", str)
"""One loaded copy of the widget, named by the page itself with a random UUID."""


@dataclass(frozen=True, slots=True, order=True)
class Operator:
    """A human at a portal: the portal's id in our configuration and the Bitrix24 user id."""

    portal: str
    user: int

    def __str__(self) -> str:
        return f"{self.user}@{self.portal}"


class ClientKind(Enum):
    CONTACT = "CONTACT"
    COMPANY = "COMPANY"
    LEAD = "LEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Somebody whom the CRM knows."""

    kind: ClientKind
    id: int
    name: str
    """"" where the portal doesn't tell it."""
    responsible: Operator | None
    """Who looks after them: a user of the portal, not always one of our operators."""
    responsible_name: str
    at_work: bool
    """The responsible's working day is running, as far as the portal knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact about one call."""

    call: CallId


# ---- the PBX


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxInvited(Event):
    """An INVITE arrived and was answered with 100; nothing else was sent yet."""

    trunk: str
    account: str
    """Whom the PBX called: the user part of the Request-URI, one of our registered accounts."""
    line: str
    """The number that the caller dialled, as far as the PBX tells; else the account."""
    caller: str
    """The caller's number, "" when withheld."""
    caller_name: str
    offer: bytes
    """SDP, unread; b"" when the PBX wants the offer from us, and answers it in its ACK (late offer)."""
    referrer: str = ""
    """The number of whoever passed the call on to us, "" for nobody."""
    diverter: str = ""
    """The number that was called before and forwards its calls to us, "" for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxCancelled(Event):
    """The caller gave up, or another branch of the PBX answered. The INVITE was already answered with 487."""

    elsewhere: bool
    """Somebody else took the call: `Reason: SIP;cause=200` or `Q.850;cause=26` (RFC 3326)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxConfirmed(Event):
    """The ACK to our 200 arrived: the session stands, or the PBX's new offer is settled."""

    answer: bytes = b""
    """The PBX's description where ours was the offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxReoffered(Event):
    """A re-INVITE of the PBX waits for its answer. An empty offer asks for one of ours (RFC 3261, 14.2)."""

    offer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxPartyChanged(Event):
    """The PBX has put somebody else through, or says who it is by now (connected line); both "" when withheld."""

    number: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxReferred(Event):
    """The PBX wants us to call this number in its place (REFER), and waits for `FollowPbxReferral` or a refusal."""

    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxPressed(Event):
    """Keys that somebody at the other end pressed: told in SIP (INFO) or within the voice (RFC 4733)."""

    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxHungUp(Event):
    """The PBX ended the session (BYE), or it is lost (no ACK, 481, transport). Nothing is left to send."""

    why: str
    """For the log: "BYE", "no ACK in 32 s"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxRang(Event):
    """180 to our INVITE without a description: the far end rings, and it is for us to let the operator hear it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxProgressed(Event):
    """A 1xx with a description: the PBX speaks before the answer (early media)."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxAnswered(Event):
    """200 to our INVITE, acknowledged already; `sdp` answers our offer, b"" if an early answer stands."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxRefused(Event):
    """The final refusal of our INVITE, or its failure: 408 for silence, 503 for a transport error, 487 after our CANCEL."""

    status: int
    phrase: str
    cause: int
    """Q.850 of the Reason header, 0 if there was none."""
    provisional: bool
    """Any 1xx but 100 came before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxReanswered(Event):
    """200 to our re-INVITE, acknowledged already."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxRefusedReoffer(Event):
    """Our re-INVITE was refused for good (glare was waited out before); the session is as it was."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxTransferProgressed(Event):
    """The PBX works at a transfer of ours: it took the wish (100), or reports how the new party is called (RFC 3515, 2.4.5)."""

    status: int
    """SIP, 1xx; 180 and 183: it rings there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxTransferred(Event):
    """The other party talks to somebody else now. Of an attended transfer both calls hear it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxTransferFailed(Event):
    """The transfer came to nothing; the session is as it was."""

    status: int
    """SIP; 0 when the PBX never said what became of it."""
    phrase: str
    refused: bool
    """The PBX did not even try: it refused the REFER itself."""


# ---- the voice


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserAnswered(Event):
    """The browser leg of `tab` is being set up; `sdp` answers the page's offer named `offer`."""

    tab: TabId
    offer: str
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaReady(Event):
    """The leg of `tab` is connected, its voice has come or is on its way, and it is joined with the PBX leg.

    `sdp` is the bridge's description for the PBX.
    """

    tab: TabId
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyMediaReady(Event):
    """The caller can hear us before anybody answers; `sdp` is the bridge's description for the PBX."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaReanswered(Event):
    """The answer to the PBX's new offer; `held` says that the PBX holds the call now."""

    sdp: bytes
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaReoffered(Event):
    """What `HoldMedia` wants the PBX to be offered."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaHeld(Event):
    """What `HoldMedia` wanted is done, and the PBX need not know of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOfferMade(Event):
    """Our offer for a session that is to take the place of the one that stands."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxLegMoved(Event):
    """The voice towards the PBX has another address than the PBX was told: it has to be offered this."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecChanged(Event):
    """The PBX chose another codec than the leg of `tab` speaks: the page has to offer again on the same transport."""

    tab: TabId


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsUnsent(Event):
    """The PBX takes no telephone-events with this codec: the keys have to go another way."""

    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserLost(Event):
    """No voice from the browser any more: closed, silent for 2 s, or whatever carried it is gone."""

    tab: TabId
    why: str


class Trouble(Enum):
    """What is worst about a voice: which leg, and what it does."""

    NONE = ""
    OPERATOR_LOSS = "operator-loss"
    OPERATOR_JITTER = "operator-jitter"
    OPERATOR_DELAY = "operator-delay"
    PBX_LOSS = "pbx-loss"
    PBX_JITTER = "pbx-jitter"
    PBX_DELAY = "pbx-delay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How a call sounds: mean opinion scores, 1 (nothing to understand) to 4.5 (as good as a telephone gets)."""

    heard: float
    """What the operator hears."""
    said: float
    """What the other side hears of the operator."""
    trouble: Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a call sounds from a moment on."""

    at: float
    """Unix seconds."""
    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityChanged(Event):
    """The voice of the last seconds sounds noticeably different from before; the first verdict counts, too."""

    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxFellSilent(Event):
    """No RTP from the PBX for a minute although nobody holds the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFailed(Event):
    """Nothing more of the call can be recorded: the disk is full, or can't be written."""

    why: str


# ---- the operators


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOffered(Event):
    """A page offers its voice; sent while it rings (warm leg), on answering, or to rejoin."""

    operator: Operator
    tab: TabId
    offer: str
    """The page's name for this offer, returned with its answer."""
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAnswered(Event):
    """Somebody clicked Answer. `voice` is the tab that will hold the microphone, `tab` the one that was clicked."""

    operator: Operator
    tab: TabId
    voice: TabId


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDialled(Event):
    """An operator wants to call a number: from the dialpad, or by a click on a number in the portal."""

    operator: Operator
    number: str
    """Digits, `*`, `#`, a leading `+`."""
    voice: TabId | None
    """The tab that will hold the microphone; None leaves it to the lead."""
    card: str = ""
    """Bitrix24's CALL_ID where the portal registered the call itself (click-to-call)."""
    call_list: int = 0
    """Bitrix24's CALL_LIST_ID where the number comes from a call list."""
    consults: CallId | None = None
    """The held call about which this one asks: `OperatorConnected` brings its two far ends together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAsked(Event):
    """A client has asked in a form to be called; these operators may do it."""

    operators: tuple[Operator, ...]
    number: str
    """Digits, `*`, `#`, a leading `+`."""
    line: str
    """The line that the form belongs to, "" if none."""
    text: str
    """What the form says of it, "" if nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorHeld(Event):
    """Hold or resume was wished; an absolute state."""

    operator: Operator
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPressed(Event):
    """Keys of the keypad, in the order pressed: 0-9, `*`, `#`, A-D."""

    operator: Operator
    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTook(Event):
    """The operator wants the voice of a running call on another page; `voice` is the tab that will hold it."""

    operator: Operator
    voice: TabId


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTransferred(Event):
    """The operator passes the call on without a word to the new party (blind): to a number, or to a colleague."""

    operator: Operator
    number: str
    """Digits, `*`, `#`, a leading `+`; "" where `to` says it."""
    to: Operator | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConnected(Event):
    """The operator brings the far ends of two calls of theirs together and leaves (attended); `call` is the one that is held."""

    operator: Operator
    other: CallId
    number: str
    """Whom `other` is with, for the display."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorMerged(Event):
    """The operator makes one conversation of this call and `other`, which hears the same: each of the three hears both others."""

    operator: Operator
    other: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSplit(Event):
    """The operator takes a conference apart: each of its calls is as it was before."""

    operator: Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDeclined(Event):
    operator: Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorHungUp(Event):
    operator: Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorMuted(Event):
    operator: Operator
    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRecorded(Event):
    """The operator wants the call recorded, or its recording interrupted; an absolute state."""

    operator: Operator
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceStarted(Event):
    """The page's microphone runs and its leg has it: the first packet is on its way."""

    operator: Operator
    tab: TabId


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRated(Event):
    """How good the operator finds the voice, 1 to 5."""

    operator: Operator
    mark: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardNotDrawn(Event):
    """A page of the operator is there, but none has drawn the call's card."""

    operator: Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCommented(Event):
    """The operator noted something on the call card. The portal keeps it; the journal tells its length."""

    operator: Operator
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceFailed(Event):
    """The page that should speak can't: no microphone, permission refused."""

    operator: Operator
    tab: TabId
    why: str
    """One of `denied`, `not-delegated`, `no-device`, `timeout`, `other`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TabLeft(Event):
    """A page said goodbye or its socket closed. `online` says whether the operator has another one that can ring."""

    operator: Operator
    tab: TabId
    online: bool


# ---- Bitrix24


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRegistered(Event):
    """Bitrix24 knows the call; `card` is its CALL_ID."""

    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerFound(Event):
    """The CRM was asked who calls. None: nobody it knows, or it could not be asked."""

    client: Client | None


# ---- the bridge itself


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed(Event):
    """The deadline that the call had asked for is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceOver(Event):
    """`other` is in no conference with this call any more; `hung_up`: it is over altogether."""

    other: CallId
    hung_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailed(Event):
    """A room could not carry out a command; `command` is its class name."""

    command: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeStopped(Event):
    """The bridge is being shut down in an orderly way."""
