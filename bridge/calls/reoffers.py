"""What the PBX is offered anew while a call stands: hold, resume, another address of ours; one at a time.

    nothing open ─hold_to→ hold_wish ─PbxRefusedReoffer→ returning ─MediaReoffered─┐
       ▲   └──────moved──→ following ─┐                                            │
       │                      └───────┴──PbxReanswered─────────────────────────────┤
       └─ what came up meanwhile: hold_next, then moved ───────────────────────────┘

Where the PBX is not asked, MediaHeld stands for its word. Every description tells all that is so when it was made, and so the
newest is the one that counts.
"""

from __future__ import annotations

from . import commands as do
from . import events as on
from .call import Call, State, Step, World
from .change import changed
from .events import Event


def hold_wished(call: Call, event: on.OperatorHeld, world: World) -> Step:
    """One wish at a time: a second click while the PBX thinks changes nothing."""
    if event.operator != call.answered_by or call.hold_wish is not None or event.held == call.will_be_held:
        return call, []
    return hold_to(changed(call, transfer_failed=None, conference_failed=False), event.held)


def hold_to(call: Call, held: bool) -> Step:
    """Hold or resume, as soon as the PBX has said its word about what it was asked before."""
    if is_open(call):
        return changed(call, hold_next=held), []
    if held == call.held:
        return call, []
    return changed(call, hold_wish=held), [do.HoldMedia(call=call.id, held=held)]


def hold_offered(call: Call, event: on.MediaReoffered, world: World) -> Step:
    after = changed(call, moved=event.sdp) if call.moved else call
    if call.hold_wish is not None:
        return after, [do.ReofferPbx(call=call.id, sdp=event.sdp)]
    return next_one(changed(after, returning=False)) if call.returning else (call, [])


def moved(call: Call, event: on.PbxLegMoved, world: World) -> Step:
    """The PBX sends its voice to where nobody hears it any more, or soon will not."""
    return (changed(call, moved=event.sdp), []) if is_open(call) else _follow(call, event.sdp)


def moved_early(call: Call, event: on.PbxLegMoved, world: World) -> Step:
    """Nothing can be offered before the answer, and after it `next_one` does."""
    return changed(call, moved=event.sdp), []


def agreed(call: Call, event: on.PbxReanswered, world: World) -> Step:
    after, commands = next_one(changed(call, following=False)) if call.following else _hold_done(call)
    return after, [do.AcceptPbxAnswer(call=call.id, sdp=event.sdp, knows_address=not call.moved), *commands]


def hold_kept(call: Call, event: on.MediaHeld, world: World) -> Step:
    """The PBX does not know of it."""
    return next_one(changed(call, returning=False)) if call.returning else _hold_done(call)


def refused(call: Call, event: Event, world: World) -> Step:
    """What was shown before still holds; the media goes back to it."""
    if call.following:
        after, commands = next_one(changed(call, following=False))
        return after, [do.KeepAddress(call=call.id), *commands]
    if call.hold_wish is None:
        return call, [do.KeepAddress(call=call.id)]
    return changed(call, hold_wish=None, returning=True), [do.HoldMedia(call=call.id, held=call.held)]


def impossible(call: Call) -> Step:
    """Our own voice room can't describe the hold."""
    if call.following:
        return call, []
    return next_one(changed(call, hold_wish=None, hold_next=None, returning=False))


def next_one(call: Call) -> Step:
    """Nothing is open: what has waited is offered."""
    if call.hold_next is not None:
        after, commands = hold_to(changed(call, hold_next=None), call.hold_next)
        if commands:
            return after, commands
        call = after
    return _follow(call, call.moved) if call.moved else (call, [])


def is_open(call: Call) -> bool:
    return call.hold_wish is not None or call.following or call.returning


def _follow(call: Call, sdp: bytes) -> Step:
    after = changed(call, following=True, moved=b"")
    return after, [do.ReofferPbx(call=call.id, sdp=sdp, tentative=True)]


def _hold_done(call: Call) -> Step:
    if call.hold_wish is None:
        return call, []
    state = State.HELD if call.hold_wish else State.TALKING
    settled = changed(call, hold_wish=None)
    return next_one(changed(settled, resume=state) if call.state is State.REJOINING else changed(settled, state=state))
