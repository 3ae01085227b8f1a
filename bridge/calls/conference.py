"""Two calls of an operator become one conversation, and part again.

Each call knows the other and keeps its own record. Whoever leaves, for whatever reason, the other one hears of it
(`ConferenceOver`); hold, mute and the operator's way to another page concern both, which the operators' room sees to.
"""

from __future__ import annotations

from dataclasses import replace

from . import commands as do
from . import events as on
from . import reoffers
from .call import Call, Conference, State, Step, World
from .change import changed
from .events import CallId, Event


def merged(call: Call, event: on.OperatorMerged, world: World) -> Step:
    """Both calls are asked, and both look at both: either both say yes, or neither does."""
    other = world.calls.get(event.other)
    if other is None or not (_can(call, event, other.id) and _can(other, event, call.id)):
        return call, []
    begun = changed(
        call,
        conference=Conference(other=other.id, was_held=call.will_be_held),
        conference_failed=False,
        transfer_failed=None,
    )
    after, commands = reoffers.hold_to(begun, False)
    return after, [do.JoinConference(call=call.id, other=other.id), *commands]


def _can(call: Call, event: on.OperatorMerged, other: CallId) -> bool:
    free = call.conference is None or (call.id != event.call and call.conference.other == other)
    stands = call.state in {State.TALKING, State.HELD}
    return free and stands and call.id != other and call.answered_by == event.operator


def split(call: Call, event: on.OperatorSplit, world: World) -> Step:
    return _parted(call) if event.operator == call.answered_by else (call, [])


def over(call: Call, event: on.ConferenceOver, world: World) -> Step:
    """With nobody left to wait for, the call goes on as it is."""
    if call.conference is None or call.conference.other != event.other:
        return call, []
    return _parted(call, hung_up=event.hung_up)


def failed(call: Call) -> Step:
    """The voice room can't do it."""
    return _parted(changed(call, conference_failed=call.conference is not None))


def hold_refused(call: Call, event: Event, world: World) -> Step:
    """A call that can't be resumed is in no conversation."""
    after, commands = reoffers.refused(call, event, world)
    if call.hold_wish is not False:
        return after, commands
    after, more = failed(after)
    return after, [*commands, *more]


def hold_impossible(call: Call) -> Step:
    """Our own voice room can't describe it."""
    after, commands = reoffers.impossible(call)
    if call.hold_wish is not False:
        return after, commands
    after, more = failed(after)
    return after, [*commands, *more]


def _parted(call: Call, *, hung_up: bool = False) -> Step:
    if call.conference is None:
        return call, []
    alone, leave = changed(call, conference=None), do.LeaveConference(call=call.id)
    if hung_up:
        return alone, [leave]
    if call.transfer is not None:  # held meanwhile, and so it stays if it comes back
        return changed(alone, transfer=replace(call.transfer, was_held=call.conference.was_held)), [leave]
    after, commands = reoffers.hold_to(alone, call.conference.was_held)
    return after, [leave, *commands]
