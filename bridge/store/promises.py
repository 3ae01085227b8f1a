"""What the outbox keeps: calls, and what was promised to their portals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from ..calls.commands import Direction
from ..calls.events import CallId


class Kind(StrEnum):
    REGISTER = "register"
    FINISH = "finish"
    RECORD = "record"
    """A recording, attached once the call is finished."""
    TRANSCRIPT = "transcript"


class State(StrEnum):
    PENDING = "pending"
    SET_ASIDE = "set_aside"
    """Can't be kept by trying again; waits for a person."""


class Slot(Enum):
    """Promises of different slots never wait for one another at the bridge."""

    RING = "ring"
    """The register of a call that lives: somebody waits for its card."""
    REGISTER = "register"
    """That of a call which is over."""
    FINISH = "finish"
    SLOW = "slow"
    """What may take its time: recordings, transcripts, registers that have to be looked up first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What a crash must not take with it."""

    id: CallId
    portal: str
    user: int
    direction: Direction
    number: str
    line: str
    started: float
    seen: float
    """The bridge was alive with this call at this time."""
    answered: float | None = None
    answered_by: int | None = None
    ended: float | None = None
    status: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    id: int
    call: CallId
    portal: str
    kind: Kind
    payload: Mapping[str, Any]
    attempts: int
    next_at: float
    first_sent: float | None
    """When it was first sent without us learning the outcome; None while we know that it was not carried out."""
    state: State
    last_error: str
    card: str
    """The call's CALL_ID, "" until it is registered."""
    number: str
    ended: bool
    """The call is over."""
