"""One call and its state; `step` (step.py) is the only function that changes it, with a module for each part of its life.

  inbound            nobody online
    NEW ───────────────────────────────────────────────────────────► ENDED
     │ PbxInvited                                                      ▲
     ▼          OperatorAnswered           MediaReady                  │ hang-up of either side,
  RINGING ─────────────────────► JOINING ─────────────► TALKING ⇄ HELD ┤ deadline, decline,
     ▲ │                           │  ▲                  │ ▲  │  ▲      │ cancel, loss
     │ │  page or microphone lost  │  │   wished, failed │ │  │  │      │
     │ └───────────────────────────┘  │                  ▼ │  │  │      │
     └────────────────────────────────┘         TRANSFERRING ─┼──┼──────┤ PbxTransferred, PbxHungUp
                                                   voice lost ▼  │ MediaReady
                                                        REJOINING ─────┘

  outbound
    NEW ──OperatorDialled──► DIALLING ──PbxAnswered──► TALKING          (refused, cancelled, no voice: ENDED)

  callback
    NEW ──CallbackAsked──► RINGING ──OperatorAnswered──► DIALLING

DIALLING brings up the operator's voice first, then sends the INVITE. TRANSFERRING holds, asks the PBX, and hears how it goes on;
a failure gives the call back to the operator. HELD follows our own hold, once the PBX has confirmed it; what the PBX does is a
fact beside it (`pbx_holds`), and so is the conference that it is in with another call of its operator. A call finishes
once, is answered at most once, closes the media it opened, and promises exactly one record to the CRM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from ..tones import Tone, plan_of, reminder
from .commands import CallView, Command, Direction
from .events import CallId, Client, Operator, Quality, TabId, Verdict
from .numbering import PhoneNumber
from .outcome import Ending, TransferFailure, failure_tone
from .recording import Recording, RecordingRules
from .routing import Directory, TrunkPolicy
from .tolls import Dialled, TollBreach, TollRules, breach

JOIN_SECONDS = 25.0
"""From the click on Answer to the first voice packet: long enough for a person to read a microphone prompt."""
DIAL_SECONDS = 120.0
"""How long a number of ours may ring."""
TRANSFER_SECONDS = 120.0
"""How long the PBX may take to say what became of a transfer; the new party's telephone rings meanwhile."""


class State(Enum):
    NEW = "new"
    RINGING = "ringing"
    DIALLING = "dialling"
    JOINING = "joining"
    TALKING = "talking"
    HELD = "held"
    REJOINING = "rejoining"
    TRANSFERRING = "transferring"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Passing the call on."""

    to: str
    """The number of the new party."""
    other: CallId | None = None
    """Attended: the call with the new party."""
    was_held: bool
    """It was held before, and stays so if the transfer fails."""
    asked: bool = False
    """The REFER is out; before that the PBX has to confirm the hold."""
    rings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conference:
    """One conversation with another call of the operator."""

    other: CallId
    was_held: bool
    """It was held before, and is so again when the two part."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """Both legs of one call and what becomes of them. Without slots: `changed` (change.py) copies what is known at once."""

    id: CallId
    state: State = State.NEW
    direction: Direction = Direction.INBOUND
    trunk: str = ""
    account: str = ""
    number: str = ""
    name: str = ""
    line: str = ""
    referrer: str = ""
    diverter: str = ""
    pbx_offer: bytes = b""
    policy: TrunkPolicy = field(default_factory=TrunkPolicy)
    operators: tuple[Operator, ...] = ()
    """Who hears it ring; the first one answers for it until somebody takes it."""
    reserve: tuple[Operator, ...] = ()
    """Whose turn to hear it is still to come."""
    turn_until: float | None = None
    """Unix seconds at which the turn passes on; None when there is no other turn."""
    in_turns: bool = False
    """It rings in turns: the card is raised when somebody's turn begins, not by the registration."""
    registered_for: Operator | None = None
    """Of those who ring together, the one whose card the registration raises; the others' are raised after it."""
    client: Client | None = None
    dial: str = ""
    """Outbound: the number as the PBX wants it."""
    extension: str = ""
    answered_by: Operator | None = None
    voice: TabId | None = None
    """The tab that holds or shall hold the microphone."""
    media_open: bool = False
    dialled: bool = False
    """Outbound: our INVITE is out."""
    callback: bool = False
    """Asked for by the client in a form."""
    progress: str = ""
    """Outbound before the answer: "", `ringing`, `early`."""
    moved: bytes = b""
    """What the PBX has to be offered as soon as that can be, since our address has changed."""
    following: bool = False
    """The PBX was offered our new address and has not said its word."""
    returning: bool = False
    """It refused a hold or resume, and the voice room takes it back."""
    hold_wish: bool | None = None
    """Hold or resume that waits for the PBX's word …"""
    hold_next: bool | None = None
    """… and what is to be asked for after it."""
    muted: bool = False
    pbx_holds: bool = False
    notice: str = ""
    quality: Quality | None = None
    verdicts: tuple[Verdict, ...] = ()
    recording: Recording = Recording.NONE
    recording_rules: RecordingRules = field(default_factory=RecordingRules)
    """From the answer on."""
    card: str = ""
    consults: CallId | None = None
    transfer: Transfer | None = None
    """While the state is TRANSFERRING."""
    transfer_failed: TransferFailure | None = None
    conference: Conference | None = None
    conference_failed: bool = False
    resume: State = State.TALKING
    """Where REJOINING goes back to."""
    started: float = 0
    ring_until: float = 0
    answered: float | None = None
    """Unix seconds; talk time counts from here."""
    ended: float | None = None
    ending: Ending | None = None
    deadline: float | None = None
    """Unix seconds at which the call wants `DeadlinePassed`."""

    @property
    def owner(self) -> Operator:
        """Who answers for it in the CRM."""
        return self.answered_by or (self.operators or self.reserve)[0]

    @property
    def held(self) -> bool:
        if self.transfer is not None:
            return self.transfer.asked or self.transfer.was_held
        return self.state is State.HELD or (self.state is State.REJOINING and self.resume is State.HELD)

    @property
    def will_be_held(self) -> bool:
        """Once the PBX has said its word about all that it is asked."""
        return next((wish for wish in (self.hold_next, self.hold_wish) if wish is not None), self.held)

    @property
    def tone(self) -> Tone | None:
        """What the operator is to hear in place of a voice."""
        plan = plan_of(self.policy.tones)
        if self.state is State.DIALLING:
            return plan.ringback if self.progress == "ringing" else None
        if self.state is State.HELD:
            return reminder(self.policy.reminder) if self.policy.reminder else None
        if self.state is State.ENDED and self.direction is Direction.OUTBOUND and self.ending and not self.answered:
            return failure_tone(self.ending, plan)
        return None

    @cached_property
    def view(self) -> CallView:
        return CallView(
            id=self.id,
            state=self.state.value,
            direction=self.direction,
            number=self.number,
            name=(self.client.name if self.client else "") or self.name,
            client=self.client,
            extension=self.extension,
            line=self.line,
            referrer=self.referrer,
            diverter=self.diverter,
            card=self.card,
            answered_by=self.answered_by,
            voice=self.voice,
            muted=self.muted,
            held=self.held,
            pbx_holds=self.pbx_holds,
            progress=self.progress,
            started=self.started,
            answered=self.answered,
            ended=self.ended,
            ending=self.ending.value if self.ending else "",
            notice=self.notice,
            quality=self.quality,
            conference=self.conference.other if self.conference else None,
            conference_failed=self.conference_failed,
            recording=self.recording.value,
            recording_pausable=self.recording_rules.pausable,
            tone=self.tone,
            consults=self.consults,
            transfer_to=self.transfer.to if self.transfer else "",
            transfer_rings=self.transfer is not None and self.transfer.rings,
            transfer_failed=self.transfer_failed.value if self.transfer_failed else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a call may know beyond itself."""

    now: float
    """Unix seconds."""
    online: frozenset[Operator]
    directory: Directory
    busy: Set[Operator] = frozenset()
    """Who is in a call, this one included."""
    dialled: Iterable[Dialled] = ()
    """What went to the PBXs within the last minute."""
    outgoing: Mapping[str, int] = field(default_factory=dict)
    """Portal -> its calls that were dialled and live."""
    calls: Mapping[CallId, Call] = field(default_factory=dict)
    """All that are live."""

    def toll_breach(self, operator: Operator, number: PhoneNumber, *, adds: bool) -> TollBreach | None:
        """Which of the portal's rules forbids to dial this. `adds`: it is a call more, not one that is passed on."""
        rules = self.directory.tolls.get(operator.portal, TollRules())
        at_once = self.outgoing.get(operator.portal, 0) if adds else 0
        return breach(rules, operator, number, self.dialled, at_once, self.now)


Step = tuple[Call, list[Command]]
