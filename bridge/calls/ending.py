"""The one way out of a call."""

from __future__ import annotations

from . import commands as do
from .call import Call, State, Step, World
from .change import changed
from .commands import Command, Direction
from .hearing import complaint
from .outcome import ANSWERED, INBOUND, OUTBOUND, Ending, Outcome

DECLINE_PHRASES = {486: "Busy Here", 603: "Decline"}


def end(
    call: Call,
    ending: Ending,
    world: World,
    *,
    pbx_knows: bool = False,
    outcome: Outcome | None = None,
    reason: str = "",
) -> Step:
    """The one way out: tell the PBX, close the media, promise the record."""
    commands: list[Command] = []
    outcome = outcome or _outcome(call, ending)
    if not pbx_knows:
        commands += _tell_pbx(call, ending, outcome)
    if call.media_open:
        commands.append(do.CloseMedia(call=call.id))
    commands.append(
        do.FinishCall(
            call=call.id,
            operator=call.owner,
            status=outcome.status,
            duration=round(world.now - call.answered) if call.answered else 0,
            reason=reason or outcome.reason or complaint(call.verdicts, world.now),
            ended=world.now,
            verdicts=call.verdicts,
            card_stays=world.directory.card_seconds if _is_unreached(call, ending) else 0.0,
        )
    )
    ended = changed(
        call,
        state=State.ENDED,
        ending=ending,
        ended=world.now,
        media_open=False,
        deadline=None,
        transfer=None,
        conference=None,
    )
    return ended, commands


def _is_unreached(call: Call, ending: Ending) -> bool:
    """The operator wanted to reach somebody and could not."""
    own = {Ending.CANCELLED, Ending.BRIDGE_STOPPED}
    tried = call.dialled or ending is Ending.FORBIDDEN
    return call.direction is Direction.OUTBOUND and not call.answered and tried and ending not in own


def _outcome(call: Call, ending: Ending) -> Outcome:
    if call.answered:
        return ANSWERED
    return INBOUND[ending] if call.direction is Direction.INBOUND else Outcome(None, OUTBOUND[ending], "")


def _tell_pbx(call: Call, ending: Ending, outcome: Outcome) -> list[Command]:
    if call.answered:
        return [do.HangUpPbx(call=call.id)]
    if call.direction is Direction.OUTBOUND:
        return [do.CancelPbx(call=call.id)] if call.dialled else []
    if outcome.refusal is None or call.callback:
        return []
    status, phrase = outcome.refusal
    if ending is Ending.DECLINED:
        status = call.policy.decline_status
        phrase = DECLINE_PHRASES.get(status, phrase)
    return [do.RefusePbx(call=call.id, status=status, phrase=phrase)]
