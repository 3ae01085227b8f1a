"""Every message between a page and the bridge. `widget_static/src/protocol.ts` is generated from this module.

The page opens one socket.io connection (WebSocket only, default namespace, path `/socket.io`) with `Hello` as its `auth`.
The bridge answers with `welcome` and `state`, and sends a whole new `state` whenever anything in it changes: a page that
comes back is right after one message. Every message of the page is acknowledged with an `Ack`; repeating one does no harm.

Python names are snake_case, on the wire they are camelCase.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.:-]+$")]
Sdp = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
Dialled = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^\+?[0-9*#]+$")]
Ticket = Annotated[str, StringConstraints(max_length=8_192)]
CardId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.:-]+$")]
"""Bitrix24's CALL_ID."""


class Message(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


# ---- what a page is


class PageKind(StrEnum):
    WORKER = "worker"
    """The hidden frame: rings, speaks, drives the call card."""
    PHONE = "phone"
    """The application's page: shows the call, has buttons."""


class Capture(StrEnum):
    """May this page use the microphone, as far as it can know without asking?"""

    YES = "yes"
    ASK = "ask"
    NO = "no"
    UNKNOWN = "unknown"


class Presence(Message):
    """Sent as `presence` whenever one of these changes."""

    visible: bool
    capture: Capture
    card: bool
    """The portal's page offers the call card to this worker (absent in slider documents)."""


class Hello(Message):
    """The `auth` of the socket."""

    ticket: Ticket
    """The page ticket of the document."""
    session: Ticket = ""
    """The session ticket of an earlier connection, "" if there is none."""
    tab: Id
    """A random UUID, made when the document was loaded and kept for its life."""
    browser: Id
    """A random UUID shared by all pages of one browser at one portal (partitioned localStorage)."""
    page: PageKind
    presence: Presence


class Refusal(StrEnum):
    """`message` of the connect_error; `data.text` holds a sentence for people."""

    TICKET_EXPIRED = "ticket-expired"
    TICKET_INVALID = "ticket-invalid"
    NOT_AN_OPERATOR = "not-an-operator"
    PORTAL_UNREACHABLE = "portal-unreachable"
    BAD_MESSAGE = "bad-message"
    BUSY = "busy"


# ---- from the page


class CallCommand(Message):
    """`answer`, `decline`, `hangUp`, `take` (the voice of a running call to this page or its browser); of a call that
    consults about another one: `complete` (bring the two far ends together and leave), `back` (hang up, resume the other).
    `merge` makes one conversation of a held call and the one that is talked on, `split` takes it apart, `drop` hangs up one of
    its parties and goes on with the other. In a conference `hangUp` is for both, as are `mute`, `hold` and `take`; `complete`
    leaves the two others with one another; keys go to the call that they are pressed for.
    `record` records the call, `pauseRecording` interrupts that: repeating them does no harm, how it stands is in `state`.
    `notifyAdmin` tells the portal's administrators about a call that could not be made; it comes when that has ended."""

    call: Id


class Mute(Message):
    """`mute`: an absolute state, so repeating it is harmless."""

    call: Id
    muted: bool


class Dial(Message):
    """`dial`: call this number. `dial` is the page's random name for the wish: repeating it makes no second call."""

    dial: Id
    number: Dialled


class Transfer(Message):
    """`transfer`: pass the call on without a word (blind), to a number or to a colleague. How it goes on is in `state`."""

    call: Id
    number: Dialled | Literal[""] = ""
    user: Annotated[int, Field(ge=0)] = 0
    """Bitrix24's id of the colleague, 0 where `number` says it. With both, the number is for a user without a telephone."""


class Consult(Message):
    """`consult`: hold this call and dial a number, or a colleague, to ask about it; `dial` as in `dial`."""

    call: Id
    dial: Id
    number: Dialled | Literal[""] = ""
    user: Annotated[int, Field(ge=0)] = 0


class Hold(Message):
    """`hold`: an absolute state. Holding is shown once the PBX has confirmed it (`state` held)."""

    call: Id
    held: bool


class Digits(Message):
    """`digits`: keys of the keypad; `press` is the page's random name for this press: repeating it sends nothing twice."""

    call: Id
    press: Id
    digits: Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[0-9*#A-D]+$")]


class CardShown(Message):
    """`card`: the portal has drawn the card of this CALL_ID in this page's document.

    An outgoing card that nobody here has caused is a click on a number in the portal: the bridge makes the call, unless the
    portal's own event was first.
    """

    card: CardId
    outgoing: bool
    number: Annotated[str, StringConstraints(max_length=255)]
    line: Annotated[str, StringConstraints(max_length=64)]


class Rate(Message):
    """`rate`: how the operator finds the quality of the call, 5 is best."""

    call: Id
    mark: Annotated[int, Field(ge=1, le=5)]


class Comment(Message):
    """`comment`: what the operator noted on the call card, which the portal keeps by itself."""

    call: Id
    text: Annotated[str, StringConstraints(max_length=10_000)]


class Offer(Message):
    """`offer`: the page's voice for a call, without candidates; answered by `mediaAnswer` with the same `offer`."""

    call: Id
    offer: Id
    sdp: Sdp


class Speaking(Message):
    """`speaking`: the microphone runs and this page's leg for the call sends it; the first packet is on its way."""

    call: Id


class VoiceFailure(StrEnum):
    DENIED = "denied"
    NOT_DELEGATED = "not-delegated"
    NO_DEVICE = "no-device"
    TIMEOUT = "timeout"
    OTHER = "other"


class VoiceFailed(Message):
    """`voiceFailed`: this page was to speak and can't."""

    call: Id
    why: VoiceFailure


Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Loaded(Message):
    """`loaded`: when what happened while the frame was loaded, in milliseconds since that began (Navigation Timing).

    Sent once by each document. It is the browser's own record, whose other fields are of no interest.
    """

    model_config = ConfigDict(extra="ignore")

    fetch_start: Milliseconds
    request_start: Milliseconds
    response_start: Milliseconds
    response_end: Milliseconds
    duration: Milliseconds
    """Until the end of the `load` event; 0 before it."""


class Nothing(Message):
    """`bye`: the page goes away now. `renew`: a new session ticket, please (comes as `welcome`). `colleagues`: who can be passed a call
    (comes as `colleagues`)."""


class Ack(Message):
    ok: bool
    error: str = ""
    """A sentence for people, "" when ok."""


# ---- from the bridge


class Welcome(Message):
    """`welcome`: who you are. Keep `session` in localStorage and show it with the next `Hello`."""

    session: Ticket
    renew_in: int
    """Seconds until a `renew` is due."""
    user: int
    name: str


class CallState(StrEnum):
    RINGING = "ringing"
    DIALLING = "dialling"
    JOINING = "joining"
    TALKING = "talking"
    HELD = "held"
    REJOINING = "rejoining"
    TRANSFERRING = "transferring"
    ENDED = "ended"


class Ended(StrEnum):
    OPERATOR_HUNG_UP = "operator-hung-up"
    CALLER_HUNG_UP = "caller-hung-up"
    CALLER_GAVE_UP = "caller-gave-up"
    ANSWERED_ELSEWHERE = "answered-elsewhere"
    DECLINED = "declined"
    NOBODY_ONLINE = "nobody-online"
    NOBODY_ANSWERED = "nobody-answered"
    VOICE_LOST = "voice-lost"
    MEDIA_FAILED = "media-failed"
    PBX_LOST = "pbx-lost"
    BRIDGE_STOPPED = "bridge-stopped"
    CANCELLED = "cancelled"
    BUSY = "busy"
    UNKNOWN_NUMBER = "unknown-number"
    INCOMPLETE_NUMBER = "incomplete-number"
    NO_ANSWER = "no-answer"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    FORBIDDEN = "forbidden"
    NO_FUNDS = "no-funds"
    FAILED = "failed"
    TRANSFERRED = "transferred"
    NONE = ""


class Trouble(StrEnum):
    """Which leg makes the voice bad, and how."""

    OPERATOR_LOSS = "operator-loss"
    OPERATOR_JITTER = "operator-jitter"
    OPERATOR_DELAY = "operator-delay"
    PBX_LOSS = "pbx-loss"
    PBX_JITTER = "pbx-jitter"
    PBX_DELAY = "pbx-delay"
    NONE = ""


class Recording(StrEnum):
    """`off`: the operator may ask for it; `failed`: nothing more is recorded, the call goes on; "": there is none."""

    OFF = "off"
    ON = "on"
    PAUSED = "paused"
    FAILED = "failed"
    NONE = ""


class Quality(Message):
    """How a call sounds: mean opinion scores, 1 to 4.5."""

    heard: float
    """What the operator hears."""
    said: float
    """What the other side hears of the operator."""
    trouble: Trouble


class TransferFailure(StrEnum):
    """Why a transfer came to nothing; `unsupported`: the PBX does none for us, `untold`: it never said."""

    BUSY = "busy"
    NO_ANSWER = "no-answer"
    UNKNOWN_NUMBER = "unknown-number"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    FORBIDDEN = "forbidden"
    UNSUPPORTED = "unsupported"
    UNTOLD = "untold"
    FAILED = "failed"


class ClientKind(StrEnum):
    CONTACT = "CONTACT"
    COMPANY = "COMPANY"
    LEAD = "LEAD"


class Client(Message):
    """Who it is in the CRM; the name stands in the call."""

    kind: ClientKind
    id: int
    responsible: str
    """The name of whoever looks after them, "" if nobody does."""
    mine: bool
    """That is this operator."""


class TonePart(Message):
    hertz: list[int]
    """What sounds together; nothing: a pause."""
    seconds: float


class Tone(Message):
    """Sounds and pauses in turn."""

    parts: list[TonePart]
    times: int
    """How often they are heard; 0: until somebody stops it."""
    volume: float
    """0 to 1, of each frequency."""


class Call(Message):
    """One call as this page sees it."""

    id: Id
    state: CallState
    direction: Literal["inbound", "outbound"]
    number: str
    name: str
    client: Client | None
    """None until the CRM has said who it is, or if it knows nobody."""
    extension: str
    """Of the number that was called, to be keyed in once somebody has answered; "" for none."""
    line: str
    referrer: str
    """The number of whoever passed the call on to this operator, "" for nobody."""
    diverter: str
    """The number that was called before and forwards its calls here, "" for none."""
    card: str
    """Bitrix24's CALL_ID, "" until it is known: matches `initialized` of the call card."""
    voice: str
    """The tab that holds or shall hold the microphone. The page whose `tab` this is captures and speaks.

    "" while nobody answered; "" in `rejoining` and `dialling` calls the lead to offer its voice unasked.
    """
    sound: bool
    """This page makes the noise for a call that rings: one page of the operator does."""
    elsewhere: bool
    """Answered by somebody, or on a page of this operator, in another browser."""
    muted: bool
    held: bool
    """Held by the operator, confirmed by the PBX."""
    pbx_holds: bool
    """The other side holds."""
    progress: Literal["", "ringing", "early"]
    """Outbound before the answer: `ringing` – the page that speaks plays `tone`; `early` – the PBX plays its own."""
    talk_seconds: float | None
    """Seconds of talk when this message was sent; None before the answer."""
    ended: Ended
    notice: Literal[""] | VoiceFailure  # what is so nearly always stands first: it is tried first
    """Why the last attempt to answer failed."""
    quality: Quality | None
    """None before the first verdict."""
    recording: Recording
    recording_pausable: bool
    """The operator may interrupt it."""
    consults: str
    """The held call that this one asks about: `complete` and `back` are for it. "" for an ordinary call."""
    conference: str
    """The call that is one conversation with this one, "" for none."""
    conference_failed: bool
    """The last attempt at a conference came to nothing."""
    transfer_to: str
    """While `transferring`: the new party's number."""
    transfer_rings: bool
    """The new party's telephone rings."""
    transfer_failed: Literal[""] | TransferFailure
    """Why the last transfer came to nothing; the operator has the call back."""
    tone: Tone | None
    """What this page plays in place of a voice: that it rings at the far end, why nobody was reached, that somebody is on hold."""


class IceServer(Message):
    """What RTCPeerConnection takes in `iceServers`: a TURN server, and credentials that soon expire."""

    urls: list[str]
    username: str
    credential: str


class State(Message):
    """`state`: everything a page may know."""

    lead: bool
    """This page is the operator's lead: it rings, prepares the voice while it rings, opens the application."""
    desktop: bool
    """No page draws the cards of this operator's calls: Bitrix24's desktop application does."""
    voicemail: int
    """New voice messages that wait at the PBX."""
    ice_servers: list[IceServer]
    """For the legs that this page makes from now on; none where it has none to make, or the bridge knows no TURN server."""
    calls: list[Call]


class Open(Message):
    """`open`: call openApplication now; sent to one page, once per call."""

    call: Id
    card: str
    """Bitrix24's CALL_ID, "" while it is not known: the ring does not wait for it."""
    number: str
    name: str
    line: str
    width: int
    """Pixels (bx24_width)."""


class ColleagueState(StrEnum):
    FREE = "free"
    RINGING = "ringing"
    BUSY = "busy"
    AWAY = "away"
    """No page of theirs is open: a telephone of the PBX may ring all the same."""


class Colleague(Message):
    """Somebody whom a call can be passed to."""

    user: int
    name: str
    """"" until they were seen."""
    number: str
    """What one dials to reach them."""
    state: ColleagueState


class Colleagues(Message):
    """`colleagues`: everybody at this portal with an account at the same PBX."""

    colleagues: list[Colleague]


class Reoffer(Message):
    """`reoffer`: the codec has changed, offer again on the running connection, or `anew` on another one: it is lost."""

    call: Id
    anew: bool


class MediaAnswer(Message):
    """`mediaAnswer`: the bridge's description for the page's `offer`."""

    call: Id
    offer: Id
    sdp: str


FROM_PAGE: dict[str, type[Message]] = {
    "presence": Presence,
    "offer": Offer,
    "speaking": Speaking,
    "answer": CallCommand,
    "decline": CallCommand,
    "hangUp": CallCommand,
    "mute": Mute,
    "take": CallCommand,
    "dial": Dial,
    "transfer": Transfer,
    "consult": Consult,
    "complete": CallCommand,
    "back": CallCommand,
    "merge": CallCommand,
    "split": CallCommand,
    "drop": CallCommand,
    "hold": Hold,
    "record": CallCommand,
    "pauseRecording": CallCommand,
    "digits": Digits,
    "card": CardShown,
    "rate": Rate,
    "comment": Comment,
    "notifyAdmin": CallCommand,
    "voiceFailed": VoiceFailed,
    "loaded": Loaded,
    "colleagues": Nothing,
    "renew": Nothing,
    "bye": Nothing,
}

TO_PAGE: dict[str, type[Message]] = {
    "welcome": Welcome,
    "state": State,
    "open": Open,
    "mediaAnswer": MediaAnswer,
    "reoffer": Reoffer,
    "colleagues": Colleagues,
}
