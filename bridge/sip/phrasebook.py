"""Commands of a call in the words of SIP, and what happened there in the words of a call (pure)."""

from __future__ import annotations

from ..calls.commands import (
    AnswerPbx,
    AnswerPbxReoffer,
    CancelPbx,
    HangUpPbx,
    PbxCommand,
    PressPbx,
    ProgressPbx,
    RefusePbx,
    RefusePbxReoffer,
    ReofferPbx,
    RingPbx,
)
from ..calls.events import (
    CallId,
    Event,
    PbxAnswered,
    PbxCancelled,
    PbxConfirmed,
    PbxHungUp,
    PbxPartyChanged,
    PbxPressed,
    PbxProgressed,
    PbxRang,
    PbxReanswered,
    PbxRefused,
    PbxRefusedReoffer,
    PbxReoffered,
    PbxTransferFailed,
    PbxTransferProgressed,
    PbxTransferred,
)
from .address import NameAddr
from .callee import Inbound
from .message import Request, SipError
from .output import (
    Accepted,
    Cancelled,
    Confirmed,
    Fact,
    HungUp,
    Output,
    PartyChanged,
    Pressed,
    Progressed,
    Rang,
    Reanswered,
    Refused,
    Reoffered,
    ReofferRefused,
    TransferFailed,
    TransferProgressed,
    Transferred,
)
from .usage import Usage

NORMAL_CLEARING = 16
"""Q.850."""


def carried_out(command: PbxCommand, usage: Usage, now: float) -> list[Output]:
    """What a command means to a call of ours; TypeError if it means nothing to this kind of call."""
    match command:
        case RingPbx() if isinstance(usage, Inbound):
            return usage.ring(now)
        case ProgressPbx(sdp=sdp) if isinstance(usage, Inbound):
            return usage.progress(sdp, now)
        case AnswerPbx(sdp=sdp) if isinstance(usage, Inbound):
            return usage.answer(sdp, now)
        case RefusePbx(status=status, phrase=phrase) if isinstance(usage, Inbound):
            return usage.refuse(status, phrase, now)
        case HangUpPbx(cause=cause):
            return usage.hang_up(cause, now)
        case CancelPbx():
            return usage.hang_up(NORMAL_CLEARING, now)
        case ReofferPbx(sdp=sdp, tentative=tentative):
            return usage.reoffer(sdp, now, tentative=tentative)
        case PressPbx(digits=digits):
            return usage.press(digits, now)
        case AnswerPbxReoffer(sdp=sdp):
            return usage.answer_reoffer(sdp, now)
        case RefusePbxReoffer(status=status, phrase=phrase):
            return usage.refuse_reoffer(status, phrase, now)
        case _:
            raise TypeError(f"not a command for a {type(usage).__name__} call: {type(command).__name__}")


def told(call: CallId, fact: Fact) -> Event | None:
    """What a fact means to the call; None for what only concerns this room."""
    match fact:
        case Cancelled(elsewhere):
            return PbxCancelled(call=call, elsewhere=elsewhere)
        case Confirmed(answer):
            return PbxConfirmed(call=call, answer=answer)
        case Pressed(key):
            return PbxPressed(call=call, digits=key)
        case PartyChanged(number, name):
            return PbxPartyChanged(call=call, number=number, name=name)
        case Reoffered(offer):
            return PbxReoffered(call=call, offer=offer)
        case HungUp(why):
            return PbxHungUp(call=call, why=why)
        case Rang():
            return PbxRang(call=call)
        case Progressed(sdp):
            return PbxProgressed(call=call, sdp=sdp)
        case Accepted(sdp):
            return PbxAnswered(call=call, sdp=sdp)
        case Refused(status, phrase, cause, provisional):
            return PbxRefused(call=call, status=status, phrase=phrase, cause=cause, provisional=provisional)
        case Reanswered(sdp):
            return PbxReanswered(call=call, sdp=sdp)
        case ReofferRefused(status):
            return PbxRefusedReoffer(call=call, status=status)
        case TransferProgressed(status):
            return PbxTransferProgressed(call=call, status=status)
        case Transferred():
            return PbxTransferred(call=call)
        case TransferFailed(status, phrase, refused):
            return PbxTransferFailed(call=call, status=status, phrase=phrase, refused=refused)
        case _:
            return None


def dialled_line(invite: Request, account: str) -> str:
    """What the caller dialled: as the PBX says it, before it was turned into our account."""
    for header in ("P-Called-Party-ID", "Diversion", "To"):
        try:
            value = invite.headers.get(header)
            number = NameAddr.parse(value).uri.number if value else ""
        except SipError:
            continue  # a wish for more precision, nothing that a call depends on
        if number and number != account:
            return number
    return account
