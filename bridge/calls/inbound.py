"""A call comes in: it rings, and somebody answers or nobody does."""

from __future__ import annotations

from dataclasses import replace

from . import commands as do
from . import ending
from . import events as on
from .call import JOIN_SECONDS, Call, State, Step, World
from .commands import Direction
from .events import Event
from .outcome import Ending
from .routing import route


def invited(call: Call, event: on.PbxInvited, world: World) -> Step:
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
        ended, commands = ending.end(ringing, Ending.NOBODY_ONLINE, world)
        return ended, [register, *commands]
    return ringing, [do.RingPbx(call=call.id), register, do.RingOperators(call=call.id, operators=present)]


def cancelled(call: Call, event: on.PbxCancelled, world: World) -> Step:
    return ending.end(call, Ending.ANSWERED_ELSEWHERE if event.elsewhere else Ending.CALLER_GAVE_UP, world)


def declined(call: Call, event: on.OperatorDeclined | on.OperatorHungUp, world: World) -> Step:
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
    return ending.end(call, Ending.DECLINED, world)


def rang_out(call: Call, event: Event, world: World) -> Step:
    return ending.end(call, Ending.NOBODY_ANSWERED, world)


def answered(call: Call, event: on.OperatorAnswered, world: World) -> Step:
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


def joined(call: Call, event: on.MediaReady, world: World) -> Step:
    if event.tab != call.voice or call.answered_by is None:
        return call, []
    talking = replace(call, state=State.TALKING, answered=world.now, deadline=None, notice="")
    return talking, [
        do.AnswerPbx(call=call.id, sdp=event.sdp),
        do.RecordAnswer(call=call.id, operator=call.answered_by, answered=world.now),
    ]


def join_failed(call: Call, event: on.VoiceFailed | on.TabLeft | on.BrowserLost, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return _back_to_ringing(call, event.why if isinstance(event, on.VoiceFailed) else "", world)


def answer_failed(call: Call, event: on.VoiceFailed, world: World) -> Step:
    """The page's reason came after its leg was lost: it is worth telling all the same."""
    return (replace(call, notice=event.why) if event.operator in call.operators else call), []


def join_late(call: Call, event: Event, world: World) -> Step:
    return _back_to_ringing(call, "timeout", world)


def _back_to_ringing(call: Call, notice: str, world: World) -> Step:
    if call.ring_until <= world.now:
        return ending.end(call, Ending.NOBODY_ANSWERED, world)
    ringing = replace(call, state=State.RINGING, answered_by=None, voice=None, notice=notice, deadline=call.ring_until)
    # The legs stay: those of other pages are warm, and a dead one ends by its own deadline.
    return ringing, []
