"""How a call ended, and what the two neighbours are told of it: two tables that must not be mixed up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..tones import LASTS, SHORT, Plan, Tone


class Ending(Enum):
    OPERATOR_HUNG_UP = "operator-hung-up"
    CALLER_HUNG_UP = "caller-hung-up"
    CALLER_GAVE_UP = "caller-gave-up"
    ANSWERED_ELSEWHERE = "answered-elsewhere"
    DECLINED = "declined"
    NOBODY_ONLINE = "nobody-online"
    NOBODY_ANSWERED = "nobody-answered"
    VOICE_LOST = "voice-lost"
    MEDIA_FAILED = "media-failed"
    PBX_LOST = "pbx-lost"
    BRIDGE_STOPPED = "bridge-stopped"
    CANCELLED = "cancelled"
    BUSY = "busy"
    UNKNOWN_NUMBER = "unknown-number"
    INCOMPLETE_NUMBER = "incomplete-number"
    NO_ANSWER = "no-answer"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    FORBIDDEN = "forbidden"
    NO_FUNDS = "no-funds"
    FAILED = "failed"
    TRANSFERRED = "transferred"


class TransferFailure(Enum):
    """Why a transfer came to nothing."""

    BUSY = "busy"
    NO_ANSWER = "no-answer"
    UNKNOWN_NUMBER = "unknown-number"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    FORBIDDEN = "forbidden"
    UNSUPPORTED = "unsupported"
    """The PBX does not transfer calls for us at all."""
    UNTOLD = "untold"
    """The PBX never said what became of it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is told of a call that ended before its answer."""

    refusal: tuple[int, str] | None
    """Final status for the PBX that called us; None where it knows already."""
    status: str
    """Bitrix24's STATUS_CODE."""
    reason: str
    """Bitrix24's FAILED_REASON."""


ANSWERED = Outcome(None, "200", "")

INBOUND: dict[Ending, Outcome] = {
    Ending.CALLER_GAVE_UP: Outcome(None, "304", "The caller hung up before anybody answered"),
    # The record of the branch that was answered counts; this one must not look like a missed call.
    Ending.ANSWERED_ELSEWHERE: Outcome(None, "200", "Answered on another telephone of the PBX"),
    Ending.DECLINED: Outcome((486, "Busy Here"), "603", "Declined by the operator"),
    Ending.NOBODY_ONLINE: Outcome((480, "Temporarily Unavailable"), "304", "No operator had a portal page open"),
    Ending.NOBODY_ANSWERED: Outcome((480, "Temporarily Unavailable"), "304", "Nobody answered in time"),
    Ending.MEDIA_FAILED: Outcome((488, "Not Acceptable Here"), "503", "PBX and browser have no audio codec in common"),
    Ending.PBX_LOST: Outcome((503, "Service Unavailable"), "304", "The connection to the PBX was lost"),
    Ending.BRIDGE_STOPPED: Outcome((503, "Service Unavailable"), "304", "The bridge was shut down"),
}

OUTBOUND: dict[Ending, str] = {
    Ending.CANCELLED: "603-S",
    Ending.BUSY: "486",
    Ending.UNKNOWN_NUMBER: "404",
    Ending.INCOMPLETE_NUMBER: "484",
    Ending.NO_ANSWER: "480",
    Ending.UNAVAILABLE: "480",
    Ending.REJECTED: "603",
    Ending.FORBIDDEN: "403",
    Ending.NO_FUNDS: "402",
    Ending.FAILED: "503",
    Ending.MEDIA_FAILED: "503",
    Ending.PBX_LOST: "503",
    Ending.VOICE_LOST: "503",
    Ending.BRIDGE_STOPPED: "503",
}

_CAUSES: dict[int, Ending] = {
    **dict.fromkeys((17,), Ending.BUSY),
    **dict.fromkeys((1, 22), Ending.UNKNOWN_NUMBER),
    **dict.fromkeys((28,), Ending.INCOMPLETE_NUMBER),
    **dict.fromkeys((18, 19), Ending.NO_ANSWER),
    **dict.fromkeys((20,), Ending.UNAVAILABLE),
    **dict.fromkeys((21, 55, 57), Ending.FORBIDDEN),
    **dict.fromkeys((27, 34, 38, 41, 42, 58, 65, 88, 102, 127), Ending.FAILED),
}
_STATUSES: dict[int, Ending] = {
    **dict.fromkeys((486, 600), Ending.BUSY),
    **dict.fromkeys((404, 410, 604, 485, 416), Ending.UNKNOWN_NUMBER),
    **dict.fromkeys((484,), Ending.INCOMPLETE_NUMBER),
    **dict.fromkeys((480, 487), Ending.UNAVAILABLE),
    **dict.fromkeys((401, 403, 407, 423), Ending.FORBIDDEN),
    **dict.fromkeys((402,), Ending.NO_FUNDS),
    **dict.fromkeys((603, 607, 608), Ending.REJECTED),
}
_VAGUE = {480, 500, 503, 603}
"""Statuses that say less than a Q.850 cause beside them."""
_OWN_CODES = {423: "423"}


def refusal(status: int, phrase: str, cause: int, *, provisional: bool) -> tuple[Ending, Outcome]:
    """What the far end's refusal of our INVITE means (SIP status, Q.850 cause or 0, whether it had been ringing)."""
    if cause in _CAUSES and status in _VAGUE:
        ending = _CAUSES[cause]
    elif status == 408 and provisional:
        ending = Ending.NO_ANSWER
    else:
        ending = _STATUSES.get(status, Ending.FAILED)
    known = status in _STATUSES or status >= 500 or status in {408, 415, 488, 606} or cause in _CAUSES
    code = _OWN_CODES.get(status) or (OUTBOUND[ending] if known else "OTHER")
    return ending, Outcome(None, code, f"{status} {phrase}".strip())


_UNHEARD = {Ending.CANCELLED, Ending.VOICE_LOST, Ending.BRIDGE_STOPPED}
"""Ends of a call nobody has answered at which the operator needs no tone, or has no page to hear it on."""


def failure_tone(ending: Ending, plan: Plan) -> Tone | None:
    """What an operator hears of a call that reached nobody; for a few seconds only."""
    if ending in _UNHEARD:
        return None
    if ending is Ending.REJECTED:
        return plan.busy.lasting(SHORT)
    if ending is Ending.BUSY:
        return plan.busy.lasting(LASTS)
    if ending in {Ending.UNKNOWN_NUMBER, Ending.INCOMPLETE_NUMBER}:
        return plan.unobtainable.lasting(LASTS)
    return plan.congestion.lasting(LASTS)


_TRANSFER_FAILURES = {failure.value: failure for failure in TransferFailure}


def transfer_failure(status: int, *, refused: bool) -> TransferFailure:
    """What the end of a transfer means: the status of the new party's call, or that of the REFER itself if `refused`."""
    if status == 0:
        return TransferFailure.UNTOLD
    if refused and status in {405, 420, 501, 603}:
        return TransferFailure.UNSUPPORTED
    if status == 487:
        return TransferFailure.NO_ANSWER
    ending, _ = refusal(status, "", 0, provisional=True)
    return _TRANSFER_FAILURES.get(ending.value, TransferFailure.FAILED)
