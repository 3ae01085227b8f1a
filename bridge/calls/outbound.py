"""An operator calls somebody: the voice comes up, the number is dialled, the far end answers or does not."""

from __future__ import annotations

from . import commands as do
from . import ending, reoffers, voice
from . import events as on
from .call import DIAL_SECONDS, JOIN_SECONDS, Call, State, Step, World
from .change import changed
from .commands import Command, Direction
from .events import Event
from .outcome import Ending, refusal
from .routing import account_of, policy_of
from .tolls import TollBreach


def dialled(call: Call, event: on.OperatorDialled, world: World) -> Step:
    account = account_of(world.directory, event.operator)
    number = world.directory.numbers.dialled(event.operator.portal, account[0] if account else "", event.number)
    dialling = changed(
        call,
        state=State.DIALLING,
        direction=Direction.OUTBOUND,
        number=number.number,
        dial=number.dial,
        extension=number.extension,
        operators=(event.operator,),
        answered_by=event.operator,
        voice=event.voice,
        media_open=event.voice is not None,
        card=event.card,
        consults=event.consults,
        started=world.now,
        deadline=world.now + JOIN_SECONDS,
    )
    register = do.RegisterCall(
        call=call.id,
        operator=event.operator,
        direction=Direction.OUTBOUND,
        number=number.number,
        line="",
        started=world.now,
        show=True,
        card=event.card,
        call_list=event.call_list,
    )
    if account is None:
        ended, commands = ending.end(dialling, Ending.FAILED, world, reason="This user has no account at a PBX")
        return ended, [register, *commands]
    trunk, name = account
    policy = policy_of(world.directory, event.operator.portal, trunk)
    after = changed(dialling, trunk=trunk, account=name, line=name, policy=policy)
    return after, [register, *([do.JoinMedia(call=call.id, tab=event.voice)] if event.voice else [])]


def voice_up(call: Call, event: on.MediaReady, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    if call.dialled:
        return changed(call, deadline=call.ring_until), []
    if call.answered_by and (broken := _breach(call, call.answered_by, world)):
        alarm = do.RaiseTollAlarm(call=call.id, operator=call.answered_by, number=call.number, breach=broken)
        ended, commands = ending.end(call, Ending.FORBIDDEN, world, reason=broken.value)
        return ended, [alarm, *commands]
    until = world.now + DIAL_SECONDS
    dial = do.DialPbx(call=call.id, trunk=call.trunk, account=call.account, number=call.dial, sdp=event.sdp)
    return changed(call, dialled=True, ring_until=until, deadline=until, notice=""), [dial]


def _breach(call: Call, operator: on.Operator, world: World) -> TollBreach | None:
    number = world.directory.numbers.dialled(operator.portal, call.trunk, call.number)
    return world.toll_breach(operator, number, adds=True)


def voice_offered(call: Call, event: on.MediaOffered, world: World) -> Step:
    if call.voice not in {None, event.tab}:
        return call, []
    return voice.rejoin_offered(call, event, world)


def voice_lost(call: Call, event: on.TabLeft | on.BrowserLost, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return changed(call, voice=None, deadline=world.now + world.directory.rejoin_seconds), []


def voice_failed(call: Call, event: on.VoiceFailed, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return ending.end(
        changed(call, notice=event.why), Ending.VOICE_LOST, world, reason="The browser gave no microphone"
    )


def far_end_rings(call: Call, event: on.PbxRang, world: World) -> Step:
    return (call if call.progress == "early" else changed(call, progress="ringing")), []


def early_media(call: Call, event: on.PbxProgressed, world: World) -> Step:
    accept = do.AcceptPbxAnswer(call=call.id, sdp=event.sdp, knows_address=not call.moved)
    return changed(call, progress="early"), [accept]


def moved(call: Call, event: on.PbxLegMoved, world: World) -> Step:
    """Nothing can be offered before the answer."""
    return changed(call, moved=event.sdp), []


def far_end_answered(call: Call, event: on.PbxAnswered, world: World) -> Step:
    assert call.answered_by is not None, "whoever dialled"
    answered = changed(call, state=State.TALKING, answered=world.now, deadline=None, progress="")
    talking, reoffer = reoffers.next_one(answered)
    commands: list[Command] = [
        *([do.AcceptPbxAnswer(call=call.id, sdp=event.sdp, knows_address=not call.moved)] if event.sdp else []),
        *reoffer,
        do.RecordAnswer(call=call.id, operator=call.answered_by, answered=world.now),
    ]
    if call.voice is None:  # the page is on its way to the next one
        talking = changed(
            talking, state=State.REJOINING, resume=State.TALKING, deadline=world.now + world.directory.rejoin_seconds
        )
    return talking, commands


def far_end_refused(call: Call, event: on.PbxRefused, world: World) -> Step:
    how, outcome = refusal(event.status, event.phrase, event.cause, provisional=event.provisional)
    return ending.end(call, how, world, pbx_knows=True, outcome=outcome)


def given_up(call: Call, event: on.OperatorHungUp | on.OperatorDeclined, world: World) -> Step:
    return ending.end(call, Ending.CANCELLED, world) if event.operator == call.answered_by else (call, [])


def late(call: Call, event: Event, world: World) -> Step:
    return ending.end(call, Ending.NO_ANSWER if call.dialled and call.voice else Ending.VOICE_LOST, world)
