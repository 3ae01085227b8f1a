"""A call comes in: it rings, and somebody answers or nobody does."""

from __future__ import annotations

from . import callback, ending, reoffers, turns, voice
from . import commands as do
from . import events as on
from .call import JOIN_SECONDS, Call, State, Step, World
from .change import changed
from .commands import Direction
from .events import Event, Operator
from .outcome import Ending
from .routing import Route, route


def invited(call: Call, event: on.PbxInvited, world: World) -> Step:
    way = route(world.directory, event.trunk, event.account, event.line)
    if way is None:
        ended = changed(call, state=State.ENDED, ended=world.now, ending=Ending.NOBODY_ONLINE)
        return ended, [do.RefusePbx(call=call.id, status=404, phrase="Not Found")]
    caller = world.directory.numbers.caller(way.portal, event.trunk, event.caller)
    present = tuple(operator for operator in way.operators if operator in world.online)
    early = _early(call, event, way)
    ringing = changed(
        call,
        state=State.RINGING,
        media_open=bool(early),
        trunk=event.trunk,
        account=event.account,
        number=caller.number,
        name=event.caller_name,
        line=event.line,
        referrer=event.referrer,
        diverter=event.diverter,
        pbx_offer=event.offer,
        operators=present or way.operators,
        registered_for=(present or way.operators)[0],
        policy=way.policy,
        started=world.now,
        ring_until=world.now + way.ring_seconds,
        deadline=world.now + way.ring_seconds,
    )
    if way.prefers_responsible and caller.is_known_to_crm and _colleagues(way.portal, world):
        waiting, commands = _in_turns(ringing, way, world)
        return waiting, [*commands, *early]
    register = _registration(ringing, show=bool(present))
    if not present:
        ended, commands = ending.end(changed(ringing, media_open=False), Ending.NOBODY_ONLINE, world)
        return ended, [register, *commands]
    looking = [_look_up(ringing)] if caller.is_known_to_crm else []
    return ringing, [
        do.RingPbx(call=call.id),
        register,
        do.RingOperators(call=call.id, operators=present),
        *looking,
        *early,
    ]


def _early(call: Call, event: on.PbxInvited, way: Route) -> list[do.Command]:
    """What the caller is to hear from us; a call that asks for our offer hears its PBX."""
    if not way.early or not event.offer:
        return []
    policy = way.policy
    return [
        do.SpeakEarly(call=call.id, pbx_offer=event.offer, codecs=policy.codecs, policy=policy.media, sound=way.early)
    ]


def early_media(call: Call, event: on.EarlyMediaReady, world: World) -> Step:
    return call, [do.ProgressPbx(call=call.id, sdp=event.sdp)]


def _in_turns(call: Call, way: Route, world: World) -> Step:
    """Nobody rings until the CRM has said whose client this is, or had its time to say so."""
    until = min(world.now + world.directory.lookup_seconds, call.ring_until)
    waiting = changed(call, operators=(), reserve=way.operators, in_turns=True, turn_until=until, deadline=until)
    return waiting, [do.RingPbx(call=call.id), _registration(call, show=False), _look_up(call)]


def _colleagues(portal: str, world: World) -> bool:
    """Somebody of this portal could take a call."""
    return any(operator.portal == portal for operator in world.online)


def _registration(call: Call, *, show: bool) -> do.RegisterCall:
    return do.RegisterCall(
        call=call.id,
        operator=call.owner,
        direction=Direction.INBOUND,
        number=call.number,
        line=call.line,
        started=call.started,
        show=show,
    )


def _look_up(call: Call) -> do.LookUpCaller:
    return do.LookUpCaller(call=call.id, portal=call.owner.portal, number=call.number)


def cancelled(call: Call, event: on.PbxCancelled, world: World) -> Step:
    return ending.end(call, Ending.ANSWERED_ELSEWHERE if event.elsewhere else Ending.CALLER_GAVE_UP, world)


def declined(call: Call, event: on.OperatorDeclined | on.OperatorHungUp, world: World) -> Step:
    if event.operator not in (call.operators or call.reserve):
        return call, []
    others = tuple(operator for operator in call.operators if operator != event.operator)
    if others and call.answered_by in {None, *others}:
        return changed(call, operators=others), [_declined_by(call, event.operator)]
    if call.operators and call.reserve and call.answered_by is None:
        after, commands = turns.group(changed(call, operators=()), world, otherwise=Ending.DECLINED)
        return after, [_declined_by(call, event.operator), *commands]
    return ending.end(call, Ending.DECLINED, world)


def _declined_by(call: Call, operator: Operator) -> do.ShowCall:
    view = changed(call, state=State.ENDED, ending=Ending.DECLINED).view
    return do.ShowCall(call=call.id, operators=(operator,), view=view)


def answered(call: Call, event: on.OperatorAnswered, world: World) -> Step:
    if event.operator not in call.operators:
        return call, []
    if call.callback:
        return callback.taken(call, event, world)
    joining = changed(
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
    answered = changed(call, state=State.TALKING, answered=world.now, deadline=None, notice="")
    talking, reoffer = reoffers.next_one(answered)
    return talking, [
        do.RecordAnswer(call=call.id, operator=call.answered_by, answered=world.now),
        do.AnswerPbx(call=call.id, sdp=event.sdp),
        *reoffer,
    ]


def join_failed(call: Call, event: on.VoiceFailed | on.TabLeft | on.BrowserLost, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return _back_to_ringing(call, event.why if isinstance(event, on.VoiceFailed) else "", world)


def leg_lost(call: Call, event: on.BrowserLost, world: World) -> Step:
    """The page whose turn it was may answer again, with another leg."""
    after, commands = join_failed(call, event, world)
    _, asked = voice.warm_leg_lost(call, event, world)
    return after, commands if after.state is State.ENDED else [*commands, *asked]


def answer_failed(call: Call, event: on.VoiceFailed, world: World) -> Step:
    """The page's reason came after its leg was lost: it is worth telling all the same."""
    return (changed(call, notice=event.why) if event.operator in call.operators else call), []


def join_late(call: Call, event: Event, world: World) -> Step:
    return _back_to_ringing(call, "timeout", world)


def _back_to_ringing(call: Call, notice: str, world: World) -> Step:
    if call.ring_until <= world.now:
        return ending.end(call, Ending.NOBODY_ANSWERED, world)
    deadline = call.ring_until if call.turn_until is None else call.turn_until
    ringing = changed(call, state=State.RINGING, answered_by=None, voice=None, notice=notice, deadline=deadline)
    # The legs stay: those of other pages are warm, and a dead one ends by its own deadline.
    return ringing, []
