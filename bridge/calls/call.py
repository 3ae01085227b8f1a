"""One call: its state, and the only function that changes it.

  inbound            nobody online
    NEW ───────────────────────────────────────────────────────────► ENDED
     │ PbxInvited                                                      ▲
     ▼          OperatorAnswered           MediaReady                  │ hang-up of either side,
  RINGING ─────────────────────► JOINING ─────────────► TALKING ⇄ HELD ┤ deadline, decline,
     ▲ │                           │  ▲                    │  ▲        │ cancel, loss
     │ │  page or microphone lost  │  │         voice lost │  │        │
     │ └───────────────────────────┘  │                    ▼  │ MediaReady
     └────────────────────────────────┘                 REJOINING ─────┘

  outbound
    NEW ──OperatorDialled──► DIALLING ──PbxAnswered──► TALKING          (refused, cancelled, no voice: ENDED)

DIALLING brings up the operator's voice first, then sends the INVITE. TRANSFERRING will hang below TALKING and HELD. HELD follows
our own hold, once the PBX has confirmed it; what the PBX does is a fact beside it (`pbx_holds`). A call finishes once, is answered at most once,
closes the media it opened, and promises exactly one record to the CRM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from . import commands as do
from . import events as on
from .commands import CallView, Command, Direction
from .events import CallId, Event, Operator, TabId
from .outcome import ANSWERED, INBOUND, OUTBOUND, Ending, Outcome, refusal
from .routing import Directory, TrunkPolicy, account_of, route

JOIN_SECONDS = 25.0
"""From the click on Answer to the first voice packet: long enough for a person to read a microphone prompt."""
DIAL_SECONDS = 120.0
"""How long a number of ours may ring."""


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


DECLINE_PHRASES = {486: "Busy Here", 603: "Decline"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Both legs of one call and what becomes of them."""

    id: CallId
    state: State = State.NEW
    direction: Direction = Direction.INBOUND
    trunk: str = ""
    account: str = ""
    number: str = ""
    name: str = ""
    line: str = ""
    pbx_offer: bytes = b""
    policy: TrunkPolicy = field(default_factory=TrunkPolicy)
    operators: tuple[Operator, ...] = ()
    """Who hears it ring; the first one answers for it until somebody takes it."""
    answered_by: Operator | None = None
    voice: TabId | None = None
    """The tab that holds or shall hold the microphone."""
    media_open: bool = False
    dialled: bool = False
    """Outbound: our INVITE is out."""
    progress: str = ""
    """Outbound before the answer: "", `ringing`, `early`."""
    hold_wish: bool | None = None
    """Hold or resume that waits for the PBX's word."""
    muted: bool = False
    pbx_holds: bool = False
    notice: str = ""
    card: str = ""
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
    def held(self) -> bool:
        return self.state is State.HELD or (self.state is State.REJOINING and self.resume is State.HELD)

    @property
    def view(self) -> CallView:
        return CallView(
            id=self.id,
            state=self.state.value,
            direction=self.direction,
            number=self.number,
            name=self.name,
            line=self.line,
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
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a call may know beyond itself."""

    now: float
    """Unix seconds."""
    online: frozenset[Operator]
    directory: Directory


Step = tuple[Call, list[Command]]


def step(call: Call, event: Event, world: World) -> Step:
    """The call after a fact, and what has to be done. Facts that came too late change nothing."""
    if call.state is State.ENDED:
        return call, []
    handler = _TABLE.get(call.state, {}).get(type(event))
    if handler is None and call.state is not State.NEW:
        handler = _IN_ANY_STATE.get(type(event))
    if handler is None:
        return call, []
    after, commands = handler(call, event, world)
    if after.operators and (call.state is State.NEW or after.view != call.view):
        commands.append(do.ShowCall(call=call.id, operators=after.operators, view=after.view))
    return after, commands


# ---- a call comes in


def _invited(call: Call, event: on.PbxInvited, world: World) -> Step:
    way = route(world.directory, event.trunk, event.account, event.line)
    if way is None:
        ended = replace(call, state=State.ENDED, ended=world.now, ending=Ending.NOBODY_ONLINE)
        return ended, [do.RefusePbx(call=call.id, status=404, phrase="Not Found")]
    present = tuple(operator for operator in way.operators if operator in world.online)
    ringing = replace(
        call,
        state=State.RINGING,
        trunk=event.trunk,
        account=event.account,
        number=event.caller,
        name=event.caller_name,
        line=event.line,
        pbx_offer=event.offer,
        operators=present or way.operators,
        policy=way.policy,
        started=world.now,
        ring_until=world.now + way.ring_seconds,
        deadline=world.now + way.ring_seconds,
    )
    register = do.RegisterCall(
        call=call.id,
        operator=ringing.operators[0],
        direction=Direction.INBOUND,
        number=event.caller,
        line=event.line,
        started=world.now,
        show=bool(present),
    )
    if not present:
        ended, commands = _end(ringing, Ending.NOBODY_ONLINE, world)
        return ended, [register, *commands]
    return ringing, [do.RingPbx(call=call.id), register, do.RingOperators(call=call.id, operators=present)]


def _cancelled(call: Call, event: on.PbxCancelled, world: World) -> Step:
    return _end(call, Ending.ANSWERED_ELSEWHERE if event.elsewhere else Ending.CALLER_GAVE_UP, world)


def _declined(call: Call, event: on.OperatorDeclined | on.OperatorHungUp, world: World) -> Step:
    others = tuple(operator for operator in call.operators if operator != event.operator)
    if event.operator not in call.operators:
        return call, []
    if others and call.answered_by in {None, *others}:
        shown = do.ShowCall(
            call=call.id,
            operators=(event.operator,),
            view=replace(call, state=State.ENDED, ending=Ending.DECLINED).view,
        )
        return replace(call, operators=others), [shown]
    return _end(call, Ending.DECLINED, world)


def _rang_out(call: Call, event: Event, world: World) -> Step:
    return _end(call, Ending.NOBODY_ANSWERED, world)


# ---- somebody answers


def _offered(call: Call, event: on.MediaOffered, world: World) -> Step:
    if event.operator not in call.operators or call.answered_by not in {None, event.operator}:
        return call, []
    connect = do.ConnectBrowser(
        call=call.id,
        tab=event.tab,
        offer=event.offer,
        sdp=event.sdp,
        pbx_offer=call.pbx_offer,
        codecs=call.policy.codecs,
    )
    return replace(call, media_open=True), [connect]


def _browser_answered(call: Call, event: on.BrowserAnswered, world: World) -> Step:
    return call, [do.SendMediaAnswer(call=call.id, tab=event.tab, offer=event.offer, sdp=event.sdp)]


def _answered(call: Call, event: on.OperatorAnswered, world: World) -> Step:
    if event.operator not in call.operators:
        return call, []
    joining = replace(
        call,
        state=State.JOINING,
        answered_by=event.operator,
        voice=event.voice,
        media_open=True,
        notice="",
        deadline=world.now + JOIN_SECONDS,
    )
    return joining, [do.JoinMedia(call=call.id, tab=event.voice)]


def _joined(call: Call, event: on.MediaReady, world: World) -> Step:
    if event.tab != call.voice or call.answered_by is None:
        return call, []
    talking = replace(call, state=State.TALKING, answered=world.now, deadline=None, notice="")
    return talking, [
        do.AnswerPbx(call=call.id, sdp=event.sdp),
        do.RecordAnswer(call=call.id, operator=call.answered_by, answered=world.now),
    ]


def _join_failed(call: Call, event: on.VoiceFailed | on.TabLeft | on.BrowserLost, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return _back_to_ringing(call, event.why if isinstance(event, on.VoiceFailed) else "", world)


def _answer_failed(call: Call, event: on.VoiceFailed, world: World) -> Step:
    """The page's reason came after its leg was lost: it is worth telling all the same."""
    return (replace(call, notice=event.why) if event.operator in call.operators else call), []


def _join_late(call: Call, event: Event, world: World) -> Step:
    return _back_to_ringing(call, "timeout", world)


def _back_to_ringing(call: Call, notice: str, world: World) -> Step:
    if call.ring_until <= world.now:
        return _end(call, Ending.NOBODY_ANSWERED, world)
    ringing = replace(call, state=State.RINGING, answered_by=None, voice=None, notice=notice, deadline=call.ring_until)
    # The legs stay: those of other pages are warm, and a dead one ends by its own deadline.
    return ringing, []


# ---- an operator calls somebody


def _dialled(call: Call, event: on.OperatorDialled, world: World) -> Step:
    dialling = replace(
        call,
        state=State.DIALLING,
        direction=Direction.OUTBOUND,
        number=event.number,
        operators=(event.operator,),
        answered_by=event.operator,
        voice=event.voice,
        media_open=event.voice is not None,
        card=event.card,
        started=world.now,
        deadline=world.now + JOIN_SECONDS,
    )
    register = do.RegisterCall(
        call=call.id,
        operator=event.operator,
        direction=Direction.OUTBOUND,
        number=event.number,
        line="",
        started=world.now,
        show=True,
        card=event.card,
    )
    account = account_of(world.directory, event.operator)
    if account is None:
        ended, commands = _end(dialling, Ending.FAILED, world, reason="This user has no account at a PBX")
        return ended, [register, *commands]
    trunk, name = account
    policy = world.directory.trunks.get(trunk, TrunkPolicy())
    after = replace(dialling, trunk=trunk, account=name, line=name, policy=policy)
    return after, [register, *([do.JoinMedia(call=call.id, tab=event.voice)] if event.voice else [])]


def _voice_up(call: Call, event: on.MediaReady, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    if call.dialled:
        return replace(call, deadline=call.ring_until), []
    until = world.now + DIAL_SECONDS
    dial = do.DialPbx(call=call.id, trunk=call.trunk, account=call.account, number=call.number, sdp=event.sdp)
    return replace(call, dialled=True, ring_until=until, deadline=until, notice=""), [dial]


def _dial_voice_offered(call: Call, event: on.MediaOffered, world: World) -> Step:
    if call.voice not in {None, event.tab}:
        return call, []
    return _rejoin_offered(call, event, world)


def _dial_voice_lost(call: Call, event: on.TabLeft | on.BrowserLost, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return replace(call, voice=None, deadline=world.now + world.directory.rejoin_seconds), []


def _dial_voice_failed(call: Call, event: on.VoiceFailed, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return _end(replace(call, notice=event.why), Ending.VOICE_LOST, world, reason="The browser gave no microphone")


def _far_end_rings(call: Call, event: on.PbxRang, world: World) -> Step:
    return (call if call.progress == "early" else replace(call, progress="ringing")), []


def _early_media(call: Call, event: on.PbxProgressed, world: World) -> Step:
    return replace(call, progress="early"), [do.AcceptPbxAnswer(call=call.id, sdp=event.sdp)]


def _far_end_answered(call: Call, event: on.PbxAnswered, world: World) -> Step:
    assert call.answered_by is not None, "whoever dialled"
    talking = replace(call, state=State.TALKING, answered=world.now, deadline=None, progress="")
    commands: list[Command] = [
        do.AcceptPbxAnswer(call=call.id, sdp=event.sdp),
        do.RecordAnswer(call=call.id, operator=call.answered_by, answered=world.now),
    ]
    if call.voice is None:  # the page is on its way to the next one
        talking = replace(
            talking, state=State.REJOINING, resume=State.TALKING, deadline=world.now + world.directory.rejoin_seconds
        )
    return talking, commands


def _far_end_refused(call: Call, event: on.PbxRefused, world: World) -> Step:
    ending, outcome = refusal(event.status, event.phrase, event.cause, provisional=event.provisional)
    return _end(call, ending, world, pbx_knows=True, outcome=outcome)


def _given_up(call: Call, event: on.OperatorHungUp | on.OperatorDeclined, world: World) -> Step:
    return _end(call, Ending.CANCELLED, world) if event.operator == call.answered_by else (call, [])


def _dial_late(call: Call, event: Event, world: World) -> Step:
    return _end(call, Ending.NO_ANSWER if call.dialled and call.voice else Ending.VOICE_LOST, world)


# ---- talking


def _hung_up(call: Call, event: on.OperatorHungUp, world: World) -> Step:
    if event.operator != call.answered_by:
        return call, []
    return _end(call, Ending.OPERATOR_HUNG_UP, world)


def _pbx_hung_up(call: Call, event: on.PbxHungUp, world: World) -> Step:
    if call.answered:
        return _end(call, Ending.CALLER_HUNG_UP, world, pbx_knows=True)
    lost = Ending.CALLER_GAVE_UP if call.direction is Direction.INBOUND else Ending.PBX_LOST
    return _end(call, lost, world, pbx_knows=True)


def _pbx_silent(call: Call, event: Event, world: World) -> Step:
    return _end(call, Ending.PBX_LOST, world)


def _muted(call: Call, event: on.OperatorMuted, world: World) -> Step:
    return (replace(call, muted=event.muted) if event.operator == call.answered_by else call), []


def _voice_trouble(call: Call, event: on.VoiceFailed, world: World) -> Step:
    return (replace(call, notice=event.why) if event.tab == call.voice else call), []


def _voice_lost(call: Call, event: on.TabLeft | on.BrowserLost, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    deadline = world.now + world.directory.rejoin_seconds
    return replace(call, state=State.REJOINING, resume=call.state, voice=None, deadline=deadline), []


def _reconnected(call: Call, event: on.MediaOffered, world: World) -> Step:
    """The page that speaks found its own leg broken before we did, and offers a new one."""
    return _rejoin_offered(call, event, world) if event.tab == call.voice else (call, [])


def _rejoin_broken(call: Call, event: on.TabLeft | on.BrowserLost, world: World) -> Step:
    """The page that was about to take the voice is gone too; the deadline goes on."""
    return (replace(call, voice=None) if event.tab == call.voice else call), []


def _rejoin_offered(call: Call, event: on.MediaOffered, world: World) -> Step:
    if event.operator != call.answered_by:
        return call, []
    after, commands = _offered(call, event, world)
    return replace(after, voice=event.tab), [*commands, do.JoinMedia(call=call.id, tab=event.tab)]


def _rejoined(call: Call, event: on.MediaReady, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return replace(call, state=call.resume, deadline=None, notice=""), []


def _rejoin_late(call: Call, event: Event, world: World) -> Step:
    return _end(call, Ending.VOICE_LOST, world)


def _reoffered(call: Call, event: on.PbxReoffered, world: World) -> Step:
    if call.answered is None:
        return call, [do.RefusePbxReoffer(call=call.id, status=491, phrase="Request Pending")]
    return call, [do.ReofferMedia(call=call.id, sdp=event.offer)]


def _hold_wished(call: Call, event: on.OperatorHeld, world: World) -> Step:
    """One wish at a time: a second click while the PBX thinks changes nothing."""
    if event.operator != call.answered_by or call.hold_wish is not None or event.held == call.held:
        return call, []
    return replace(call, hold_wish=event.held), [do.HoldMedia(call=call.id, held=event.held)]


def _hold_offered(call: Call, event: on.MediaReoffered, world: World) -> Step:
    return call, ([] if call.hold_wish is None else [do.ReofferPbx(call=call.id, sdp=event.sdp)])


def _hold_confirmed(call: Call, event: on.PbxReanswered, world: World) -> Step:
    accept = do.AcceptPbxAnswer(call=call.id, sdp=event.sdp)
    if call.hold_wish is None:
        return call, [accept]
    state = State.HELD if call.hold_wish else State.TALKING
    if call.state is State.REJOINING:
        return replace(call, hold_wish=None, resume=state), [accept]
    return replace(call, hold_wish=None, state=state), [accept]


def _hold_refused(call: Call, event: Event, world: World) -> Step:
    """What was shown before still holds; the media goes back to it."""
    if call.hold_wish is None:
        return call, []
    return replace(call, hold_wish=None), [do.HoldMedia(call=call.id, held=call.held)]


def _pressed(call: Call, event: on.OperatorPressed, world: World) -> Step:
    if event.operator != call.answered_by:
        return call, []
    return call, [do.SendDigits(call=call.id, digits=event.digits)]


def _took(call: Call, event: on.OperatorTook, world: World) -> Step:
    """The old leg speaks on until the new one does."""
    if event.operator != call.answered_by or event.voice == call.voice:
        return call, []
    return replace(call, voice=event.voice, notice=""), [do.JoinMedia(call=call.id, tab=event.voice)]


def _codec_changed(call: Call, event: on.CodecChanged, world: World) -> Step:
    return call, [do.AskReoffer(call=call.id, tab=event.tab)]


def _reanswered(call: Call, event: on.MediaReanswered, world: World) -> Step:
    return replace(call, pbx_holds=event.held), [do.AnswerPbxReoffer(call=call.id, sdp=event.sdp)]


# ---- things that happen in any state


def _registered(call: Call, event: on.CallRegistered, world: World) -> Step:
    return replace(call, card=event.card), []


def _failed(call: Call, event: on.CommandFailed, world: World) -> Step:
    """A neighbour could not do what it was told; what matters is whether the call can go on without it."""
    if event.command == "ReofferMedia":
        return call, [do.RefusePbxReoffer(call=call.id, status=488, phrase="Not Acceptable Here")]
    if event.command == "HoldMedia":
        return replace(call, hold_wish=None), []
    if event.command == "ReofferPbx":
        return _hold_refused(call, event, world)
    if event.command in {"AnswerPbx", "RingPbx", "DialPbx"}:
        return _end(call, Ending.PBX_LOST, world)
    if event.command == "AcceptPbxAnswer":
        return _end(call, Ending.MEDIA_FAILED, world)
    if event.command in {"ConnectBrowser", "JoinMedia"} and call.state in {State.JOINING, State.DIALLING}:
        return _end(call, Ending.MEDIA_FAILED, world)
    return call, []


def _stopped(call: Call, event: Event, world: World) -> Step:
    return _end(call, Ending.BRIDGE_STOPPED, world)


def _end(
    call: Call,
    ending: Ending,
    world: World,
    *,
    pbx_knows: bool = False,
    outcome: Outcome | None = None,
    reason: str = "",
) -> Step:
    """The one way out: tell the PBX, close the media, promise the record."""
    commands: list[Command] = []
    outcome = outcome or _outcome(call, ending)
    if not pbx_knows:
        commands += _tell_pbx(call, ending, outcome)
    if call.media_open:
        commands.append(do.CloseMedia(call=call.id))
    commands.append(
        do.FinishCall(
            call=call.id,
            operator=call.answered_by or call.operators[0],
            status=outcome.status,
            duration=round(world.now - call.answered) if call.answered else 0,
            reason=reason or outcome.reason,
            ended=world.now,
        )
    )
    ended = replace(call, state=State.ENDED, ending=ending, ended=world.now, media_open=False, deadline=None)
    return ended, commands


def _outcome(call: Call, ending: Ending) -> Outcome:
    if call.answered:
        return ANSWERED
    return INBOUND[ending] if call.direction is Direction.INBOUND else Outcome(None, OUTBOUND[ending], "")


def _tell_pbx(call: Call, ending: Ending, outcome: Outcome) -> list[Command]:
    if call.answered:
        return [do.HangUpPbx(call=call.id)]
    if call.direction is Direction.OUTBOUND:
        return [do.CancelPbx(call=call.id)] if call.dialled else []
    if outcome.refusal is None:
        return []
    status, phrase = outcome.refusal
    if ending is Ending.DECLINED:
        status = call.policy.decline_status
        phrase = DECLINE_PHRASES.get(status, phrase)
    return [do.RefusePbx(call=call.id, status=status, phrase=phrase)]


_Handler = Callable[[Call, Any, World], Step]

_BEFORE_THE_ANSWER: dict[type[Event], _Handler] = {
    on.PbxCancelled: _cancelled,
    on.OperatorDeclined: _declined,
    on.OperatorHungUp: _declined,
    on.MediaOffered: _offered,
}
_AFTER_THE_ANSWER: dict[type[Event], _Handler] = {
    on.OperatorHungUp: _hung_up,
    on.PbxFellSilent: _pbx_silent,
    on.OperatorMuted: _muted,
    on.OperatorHeld: _hold_wished,
    on.OperatorPressed: _pressed,
    on.OperatorTook: _took,
    on.VoiceFailed: _voice_trouble,
    on.MediaReoffered: _hold_offered,
    on.PbxReanswered: _hold_confirmed,
    on.PbxRefusedReoffer: _hold_refused,
}
_WITH_VOICE: dict[type[Event], _Handler] = {
    **_AFTER_THE_ANSWER,
    on.TabLeft: _voice_lost,
    on.BrowserLost: _voice_lost,
    on.MediaOffered: _reconnected,
}
_TABLE: dict[State, dict[type[Event], _Handler]] = {
    State.NEW: {on.PbxInvited: _invited, on.OperatorDialled: _dialled},
    State.DIALLING: {
        on.MediaOffered: _dial_voice_offered,
        on.MediaReady: _voice_up,
        on.VoiceFailed: _dial_voice_failed,
        on.TabLeft: _dial_voice_lost,
        on.BrowserLost: _dial_voice_lost,
        on.PbxRang: _far_end_rings,
        on.PbxProgressed: _early_media,
        on.PbxAnswered: _far_end_answered,
        on.PbxRefused: _far_end_refused,
        on.OperatorHungUp: _given_up,
        on.OperatorDeclined: _given_up,
        on.OperatorMuted: _muted,
        on.OperatorPressed: _pressed,
        on.DeadlinePassed: _dial_late,
    },
    State.RINGING: {
        **_BEFORE_THE_ANSWER,
        on.OperatorAnswered: _answered,
        on.VoiceFailed: _answer_failed,
        on.DeadlinePassed: _rang_out,
    },
    State.JOINING: {
        **_BEFORE_THE_ANSWER,
        on.MediaReady: _joined,
        on.VoiceFailed: _join_failed,
        on.TabLeft: _join_failed,
        on.BrowserLost: _join_failed,
        on.DeadlinePassed: _join_late,
    },
    State.TALKING: _WITH_VOICE,
    State.HELD: _WITH_VOICE,
    State.REJOINING: {
        **_AFTER_THE_ANSWER,
        on.TabLeft: _rejoin_broken,
        on.BrowserLost: _rejoin_broken,
        on.MediaOffered: _rejoin_offered,
        on.MediaReady: _rejoined,
        on.DeadlinePassed: _rejoin_late,
    },
}
_IN_ANY_STATE: dict[type[Event], _Handler] = {
    on.BrowserAnswered: _browser_answered,
    on.CodecChanged: _codec_changed,
    on.PbxHungUp: _pbx_hung_up,
    on.PbxReoffered: _reoffered,
    on.MediaReanswered: _reanswered,
    on.CallRegistered: _registered,
    on.CommandFailed: _failed,
    on.BridgeStopped: _stopped,
}
