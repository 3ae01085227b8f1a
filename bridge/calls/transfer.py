"""A call is passed on: held, put to the PBX, and gone; or it failed, and the operator has it back."""

from __future__ import annotations

from dataclasses import replace

from . import commands as do
from . import ending, reoffers
from . import events as on
from . import voice as speak
from .call import TRANSFER_SECONDS, Call, State, Step, Transfer, World
from .change import changed
from .commands import Command
from .events import Event
from .outcome import Ending, TransferFailure, transfer_failure
from .routing import number_of

RINGS = {180, 183}


def wished(call: Call, event: on.OperatorTransferred, world: World) -> Step:
    """Blind: to a number, or to wherever the colleague is reached at this PBX."""
    if event.operator != call.answered_by:
        return call, []
    if event.to:
        number = number_of(world.directory, call.trunk, event.to)
    else:
        wanted = world.directory.numbers.dialled(event.operator.portal, call.trunk, event.number)
        if broken := world.toll_breach(event.operator, wanted, adds=False):
            alarm = do.RaiseTollAlarm(call=call.id, operator=event.operator, number=wanted.number, breach=broken)
            return changed(call, transfer_failed=TransferFailure.FORBIDDEN), [alarm]
        number = wanted.dial
    if not number:
        return changed(call, transfer_failed=TransferFailure.UNKNOWN_NUMBER), []
    return _begin(call, Transfer(to=number, was_held=call.held), world)


def connect_wished(call: Call, event: on.OperatorConnected, world: World) -> Step:
    if event.operator != call.answered_by or event.other == call.id:
        return call, []
    return _begin(call, Transfer(to=event.number, other=event.other, was_held=call.held), world)


def hold_settled(call: Call, event: on.PbxReanswered | on.PbxRefusedReoffer | on.MediaHeld, world: World) -> Step:
    """A PBX that does not let itself be held may transfer all the same."""
    if isinstance(event, on.MediaHeld) and call.hold_wish is None:
        return call, []
    commands: list[Command] = []
    if isinstance(event, on.PbxReanswered):
        commands.append(do.AcceptPbxAnswer(call=call.id, sdp=event.sdp, knows_address=not call.moved))
    elif call.hold_wish is None:
        commands.append(do.KeepAddress(call=call.id))
    after, more = _settled(call)
    return after, [*commands, *more]


def hold_impossible(call: Call) -> Step:
    """Our own voice room can't describe a hold: the PBX is asked without."""
    return _settled(call)


def _settled(call: Call) -> Step:
    """The PBX has said its word: now the hold that waited for it, or the transfer that waited for the hold."""
    free = changed(call, hold_wish=None, following=False)
    if call.hold_next:
        return _hold(free)
    if not call.hold_wish:
        return reoffers.next_one(free)
    asked, commands = _ask(free)
    after, more = reoffers.next_one(asked)
    return after, [*commands, *more]


def progressed(call: Call, event: on.PbxTransferProgressed, world: World) -> Step:
    assert call.transfer is not None, "whoever transfers knows whereto"
    return changed(call, transfer=replace(call.transfer, rings=call.transfer.rings or event.status in RINGS)), []


def done(call: Call, event: Event, world: World) -> Step:
    """The far end talks to somebody else; whoever of the two has not hung up yet does so now."""
    return ending.end(call, Ending.TRANSFERRED, world)


def pbx_left(call: Call, event: on.PbxHungUp, world: World) -> Step:
    """Many PBXs say BYE as soon as they took the wish, and nothing else."""
    assert call.transfer is not None, "whoever transfers knows whereto"
    how = Ending.TRANSFERRED if call.transfer.asked else Ending.CALLER_HUNG_UP
    return ending.end(call, how, world, pbx_knows=True)


def failed(call: Call, event: on.PbxTransferFailed, world: World) -> Step:
    return give_back(call, transfer_failure(event.status, refused=event.refused), world)


def late(call: Call, event: Event, world: World) -> Step:
    return give_back(call, TransferFailure.UNTOLD, world)


def give_back(call: Call, why: TransferFailure, world: World) -> Step:
    """As it was before the wish: held if it was, else talking as soon as the PBX has resumed."""
    assert call.transfer is not None, "whoever transfers knows whereto"
    resumes = not call.transfer.was_held and (call.held or call.hold_wish is True)
    back = State.HELD if call.held else State.TALKING
    waits = resumes and (call.following or call.returning)
    commands: list[Command] = [do.HoldMedia(call=call.id, held=False)] if resumes and not waits else []
    after = changed(
        call,
        state=back,
        transfer=None,
        transfer_failed=why,
        hold_wish=False if commands else None,
        hold_next=False if waits else None,
        deadline=None,
    )
    if call.voice is None:
        deadline = world.now + world.directory.rejoin_seconds
        after = changed(after, state=State.REJOINING, resume=back, deadline=deadline)
    return after, commands


def voice_lost(call: Call, event: on.TabLeft | on.BrowserLost, world: World) -> Step:
    """The far end needs no voice of ours any more; should the transfer fail, the call waits for one."""
    return (changed(call, voice=None) if event.tab == call.voice else call), []


def voice_offered(call: Call, event: on.MediaOffered, world: World) -> Step:
    return speak.rejoin_offered(call, event, world) if call.voice in {None, event.tab} else (call, [])


def _begin(call: Call, transfer: Transfer, world: World) -> Step:
    after = changed(
        call,
        state=State.TRANSFERRING,
        transfer=transfer,
        transfer_failed=None,
        hold_next=None,
        deadline=world.now + TRANSFER_SECONDS,
    )
    if call.held and call.hold_wish is None:
        return _ask(after)
    if call.hold_wish:  # the PBX thinks about it already
        return after, []
    if reoffers.is_open(call):
        return changed(after, hold_next=True), []
    return _hold(after)


def _hold(call: Call) -> Step:
    return changed(call, hold_wish=True, hold_next=None), [do.HoldMedia(call=call.id, held=True)]


def _ask(call: Call) -> Step:
    assert call.transfer is not None, "whoever transfers knows whereto"
    after = changed(call, transfer=replace(call.transfer, asked=True))
    if call.transfer.other is not None:
        return after, [do.ConnectPbx(call=call.id, other=call.transfer.other)]
    return after, [do.TransferPbx(call=call.id, number=call.transfer.to)]
