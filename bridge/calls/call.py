"""One call: its state, and the only function that changes it.

                     nobody online
    NEW ───────────────────────────────────────────────────────────► ENDED
     │ PbxInvited                                                      ▲
     ▼          OperatorAnswered           MediaReady                  │ hang-up of either side,
  RINGING ─────────────────────► JOINING ─────────────► TALKING ⇄ HELD ┤ deadline, decline,
     ▲ │                           │  ▲                    │  ▲        │ cancel, loss
     │ │  page or microphone lost  │  │         voice lost │  │        │
     │ └───────────────────────────┘  │                    ▼  │ MediaReady
     └────────────────────────────────┘                 REJOINING ─────┘

  DIALLING ──► JOINING is the way of a call that the operator starts, TRANSFERRING hangs below TALKING and HELD.

HELD follows our own hold; what the PBX does is a fact beside it (`pbx_holds`). A call finishes once, is answered at most once,
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
from .routing import Directory, TrunkPolicy, route

JOIN_SECONDS = 25.0
"""From the click on Answer to the first voice packet: long enough for a person to read a microphone prompt."""


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


class Ending(Enum):
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the two neighbours are told of an inbound call that ended before its answer."""

    refusal: tuple[int, str] | None
    """Final status for the PBX; None where it knows already."""
    status: str
    """Bitrix24's STATUS_CODE."""
    reason: str
    """Bitrix24's FAILED_REASON."""


UNANSWERED: dict[Ending, Outcome] = {
    Ending.CALLER_GAVE_UP: Outcome(None, "304", "The caller hung up before anybody answered"),
    # The record of the branch that was answered counts; this one must not look like a missed call.
    Ending.ANSWERED_ELSEWHERE: Outcome(None, "200", "Answered on another telephone of the PBX"),
    Ending.DECLINED: Outcome((486, "Busy Here"), "603", "Declined by the operator"),
    Ending.NOBODY_ONLINE: Outcome((480, "Temporarily Unavailable"), "304", "No operator had a portal page open"),
    Ending.NOBODY_ANSWERED: Outcome((480, "Temporarily Unavailable"), "304", "Nobody answered in time"),
    Ending.MEDIA_FAILED: Outcome((488, "Not Acceptable Here"), "503", "PBX and browser have no audio codec in common"),
    Ending.PBX_LOST: Outcome((503, "Service Unavailable"), "304", "The connection to the PBX was lost"),
    Ending.BRIDGE_STOPPED: Outcome((503, "Service Unavailable"), "304", "The bridge was shut down"),
}
DECLINE_PHRASES = {486: "Busy Here", 603: "Decline"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Both legs of one call and what becomes of them."""

    id: CallId
    state: State = State.NEW
    direction: Direction = Direction.INBOUND
    trunk: str = ""
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
            pbx_holds=self.pbx_holds,
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


def _join_late(call: Call, event: Event, world: World) -> Step:
    return _back_to_ringing(call, "timeout", world)


def _back_to_ringing(call: Call, notice: str, world: World) -> Step:
    if call.ring_until <= world.now:
        return _end(call, Ending.NOBODY_ANSWERED, world)
    ringing = replace(call, state=State.RINGING, answered_by=None, voice=None, notice=notice, deadline=call.ring_until)
    # The legs stay: those of other pages are warm, and a dead one ends by its own deadline.
    return ringing, []


# ---- talking


def _hung_up(call: Call, event: on.OperatorHungUp, world: World) -> Step:
    if event.operator != call.answered_by:
        return call, []
    return _end(call, Ending.OPERATOR_HUNG_UP, world)


def _pbx_hung_up(call: Call, event: on.PbxHungUp, world: World) -> Step:
    return _end(call, Ending.CALLER_HUNG_UP if call.answered else Ending.CALLER_GAVE_UP, world, pbx_knows=True)


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


def _reanswered(call: Call, event: on.MediaReanswered, world: World) -> Step:
    return replace(call, pbx_holds=event.held), [do.AnswerPbxReoffer(call=call.id, sdp=event.sdp)]


# ---- things that happen in any state


def _registered(call: Call, event: on.CallRegistered, world: World) -> Step:
    return replace(call, card=event.card), []


def _failed(call: Call, event: on.CommandFailed, world: World) -> Step:
    """A neighbour could not do what it was told; what matters is whether the call can go on without it."""
    if event.command == "ReofferMedia":
        return call, [do.RefusePbxReoffer(call=call.id, status=488, phrase="Not Acceptable Here")]
    if event.command in {"AnswerPbx", "RingPbx"}:
        return _end(call, Ending.PBX_LOST, world)
    if event.command in {"ConnectBrowser", "JoinMedia"} and call.state is State.JOINING:
        return _end(call, Ending.MEDIA_FAILED, world)
    return call, []


def _stopped(call: Call, event: Event, world: World) -> Step:
    return _end(call, Ending.BRIDGE_STOPPED, world)


def _end(call: Call, ending: Ending, world: World, *, pbx_knows: bool = False) -> Step:
    """The one way out: tell the PBX, close the media, promise the record."""
    commands: list[Command] = []
    outcome = Outcome(None, "200", "") if call.answered else UNANSWERED[ending]
    if call.answered and not pbx_knows:
        commands.append(do.HangUpPbx(call=call.id))
    elif outcome.refusal and not pbx_knows:
        status, phrase = outcome.refusal
        if ending is Ending.DECLINED:
            status = call.policy.decline_status
            phrase = DECLINE_PHRASES.get(status, phrase)
        commands.append(do.RefusePbx(call=call.id, status=status, phrase=phrase))
    if call.media_open:
        commands.append(do.CloseMedia(call=call.id))
    commands.append(
        do.FinishCall(
            call=call.id,
            operator=call.answered_by or call.operators[0],
            status=outcome.status,
            duration=round(world.now - call.answered) if call.answered else 0,
            reason=outcome.reason,
            ended=world.now,
        )
    )
    ended = replace(call, state=State.ENDED, ending=ending, ended=world.now, media_open=False, deadline=None)
    return ended, commands


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
    on.VoiceFailed: _voice_trouble,
}
_WITH_VOICE: dict[type[Event], _Handler] = {
    **_AFTER_THE_ANSWER,
    on.TabLeft: _voice_lost,
    on.BrowserLost: _voice_lost,
    on.MediaOffered: _reconnected,
}
_TABLE: dict[State, dict[type[Event], _Handler]] = {
    State.NEW: {on.PbxInvited: _invited},
    State.RINGING: {
        **_BEFORE_THE_ANSWER,
        on.OperatorAnswered: _answered,
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
    on.PbxHungUp: _pbx_hung_up,
    on.PbxReoffered: _reoffered,
    on.MediaReanswered: _reanswered,
    on.CallRegistered: _registered,
    on.CommandFailed: _failed,
    on.BridgeStopped: _stopped,
}
