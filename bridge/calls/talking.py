"""What both sides do while they talk: keys, the PBX's new offers, the end."""

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
