"""A client asks to be called, in a form: operators ring, whoever takes it speaks from then on as with a call of their own.

Until somebody takes it, it looks like a call that comes in, from the client's number: that is what the operators wait for.
"""

from __future__ import annotations

from . import commands as do
from . import ending
from . import events as on
from .call import JOIN_SECONDS, Call, State, Step, World
from .change import changed
from .commands import Direction
from .outcome import Ending
from .routing import TrunkPolicy, account_of, policy_of

NOBODY = "A callback was asked for, and no operator who could make it had a portal page open"


def asked(call: Call, event: on.CallbackAsked, world: World) -> Step:
    able = tuple(operator for operator in event.operators if account_of(world.directory, operator))
    present = tuple(operator for operator in able if operator in world.online)
    first = (present or able or event.operators)[0]
    until = world.now + world.directory.ring_seconds
    ringing = changed(
        call,
        state=State.RINGING,
        callback=True,
        number=world.directory.numbers.dialled(first.portal, "", event.number).number,
        dial=event.number,
        name=event.text,
        line=event.line,
        operators=present or able or event.operators,
        registered_for=first,
        policy=_policy(world, first),
        started=world.now,
        ring_until=until,
        deadline=until,
    )
    register = do.RegisterCall(
        call=call.id,
        operator=first,
        direction=Direction.INBOUND,
        number=ringing.number,
        line=event.line,
        started=world.now,
        show=bool(present),
        callback=True,
    )
    if not present:
        ended, commands = ending.end(ringing, Ending.NOBODY_ONLINE, world, reason=NOBODY)
        return ended, [register, *commands]
    return ringing, [register, do.RingOperators(call=call.id, operators=present)]


def taken(call: Call, event: on.OperatorAnswered, world: World) -> Step:
    """The operator's voice comes up, then the client is dialled."""
    account = account_of(world.directory, event.operator)
    if account is None:
        return call, []
    trunk, name = account
    number = world.directory.numbers.dialled(event.operator.portal, trunk, call.dial)
    dialling = changed(
        call,
        state=State.DIALLING,
        direction=Direction.OUTBOUND,
        number=number.number,
        dial=number.dial,
        extension=number.extension,
        answered_by=event.operator,
        voice=event.voice,
        media_open=True,
        trunk=trunk,
        account=name,
        policy=_policy(world, event.operator),
        notice="",
        deadline=world.now + JOIN_SECONDS,
    )
    return dialling, [do.JoinMedia(call=call.id, tab=event.voice)]


def _policy(world: World, operator: on.Operator) -> TrunkPolicy:
    account = account_of(world.directory, operator)
    return policy_of(world.directory, operator.portal, account[0] if account else "")
