"""What both sides do while they talk: hold, keys, new offers, the end."""

from __future__ import annotations

from . import commands as do
from . import ending
from . import events as on
from .call import Call, State, Step, World
from .change import changed
from .commands import Direction
from .events import Event
from .hearing import noted
from .outcome import Ending


def hung_up(call: Call, event: on.OperatorHungUp, world: World) -> Step:
    if event.operator != call.answered_by:
        return call, []
    return ending.end(call, Ending.OPERATOR_HUNG_UP, world)


def pbx_hung_up(call: Call, event: on.PbxHungUp, world: World) -> Step:
    if call.answered:
        return ending.end(call, Ending.CALLER_HUNG_UP, world, pbx_knows=True)
    lost = Ending.CALLER_GAVE_UP if call.direction is Direction.INBOUND else Ending.PBX_LOST
    return ending.end(call, lost, world, pbx_knows=True)


def pbx_silent(call: Call, event: Event, world: World) -> Step:
    return ending.end(call, Ending.PBX_LOST, world)


def confirmed(call: Call, event: on.PbxConfirmed, world: World) -> Step:
    return call, ([do.AcceptPbxAnswer(call=call.id, sdp=event.answer)] if event.answer else [])


def party_changed(call: Call, event: on.PbxPartyChanged, world: World) -> Step:
    """For the eye: the record is about the one who called or was called."""
    return changed(call, number=event.number, name=event.name), []


def reoffered(call: Call, event: on.PbxReoffered, world: World) -> Step:
    if call.answered is None and call.progress != "early":
        return call, [do.RefusePbxReoffer(call=call.id, status=491, phrase="Request Pending")]
    return call, [do.ReofferMedia(call=call.id, sdp=event.offer)]


def reanswered(call: Call, event: on.MediaReanswered, world: World) -> Step:
    return changed(call, pbx_holds=event.held), [do.AnswerPbxReoffer(call=call.id, sdp=event.sdp)]


def hold_wished(call: Call, event: on.OperatorHeld, world: World) -> Step:
    """One wish at a time: a second click while the PBX thinks changes nothing."""
    if event.operator != call.answered_by or call.hold_wish is not None or event.held == call.held:
        return call, []
    return hold_to(changed(call, transfer_failed=None, conference_failed=False), event.held)


def hold_to(call: Call, held: bool) -> Step:
    """Hold or resume, as soon as the PBX has said its word about what it was asked before."""
    if call.hold_wish is not None:
        return changed(call, hold_next=held), []
    if held == call.held:
        return call, []
    return changed(call, hold_wish=held), [do.HoldMedia(call=call.id, held=held)]


def hold_offered(call: Call, event: on.MediaReoffered, world: World) -> Step:
    return call, ([] if call.hold_wish is None else [do.ReofferPbx(call=call.id, sdp=event.sdp)])


def hold_confirmed(call: Call, event: on.PbxReanswered, world: World) -> Step:
    after, commands = _hold_done(call)
    return after, [do.AcceptPbxAnswer(call=call.id, sdp=event.sdp), *commands]


def hold_kept(call: Call, event: on.MediaHeld, world: World) -> Step:
    """The PBX does not know of it."""
    return _hold_done(call)


def _hold_done(call: Call) -> Step:
    if call.hold_wish is None:
        return call, []
    state = State.HELD if call.hold_wish else State.TALKING
    return _next_hold(changed(call, resume=state) if call.state is State.REJOINING else changed(call, state=state))


def hold_refused(call: Call, event: Event, world: World) -> Step:
    """What was shown before still holds; the media goes back to it."""
    if call.hold_wish is None:
        return call, [do.KeepAddress(call=call.id)]
    after, commands = _next_hold(call)
    return after, [do.HoldMedia(call=call.id, held=call.held), *commands]


def _next_hold(call: Call) -> Step:
    settled = changed(call, hold_wish=None, hold_next=None)
    return (settled, []) if call.hold_next is None else hold_to(settled, call.hold_next)


def moved(call: Call, event: on.PbxLegMoved, world: World) -> Step:
    """The PBX sends its voice to where nobody hears it any more, or soon will not."""
    return call, [do.ReofferPbx(call=call.id, sdp=event.sdp, tentative=True)]


def sounded(call: Call, event: on.QualityChanged, world: World) -> Step:
    verdicts = noted(call.verdicts, on.Verdict(at=world.now, quality=event.quality))
    return changed(call, quality=event.quality, verdicts=verdicts), []


def pressed(call: Call, event: on.OperatorPressed, world: World) -> Step:
    if event.operator != call.answered_by:
        return call, []
    if call.policy.dtmf == "info":
        return call, [do.PressPbx(call=call.id, digits=event.digits)]
    return call, [do.SendDigits(call=call.id, digits=event.digits)]


def digits_unsent(call: Call, event: on.DigitsUnsent, world: World) -> Step:
    return call, [do.PressPbx(call=call.id, digits=event.digits)]


def referred(call: Call, event: on.PbxReferred, world: World) -> Step:
    """Whoever is on the other end may put the operator through, but not while the operator does so themselves."""
    if call.policy.follow_transfers and call.state in {State.TALKING, State.HELD, State.REJOINING}:
        number = world.directory.numbers.dialled(call.owner.portal, call.trunk, event.number)
        if broken := world.toll_breach(call.owner, number, adds=False):
            alarm = do.RaiseTollAlarm(call=call.id, operator=call.owner, number=number.number, breach=broken)
            return call, [alarm, do.RefusePbxReferral(call=call.id, status=403)]
        return call, [do.OfferMedia(call=call.id)]
    return call, [do.RefusePbxReferral(call=call.id, status=603)]


def offer_made(call: Call, event: on.MediaOfferMade, world: World) -> Step:
    return call, [do.FollowPbxReferral(call=call.id, sdp=event.sdp)]
