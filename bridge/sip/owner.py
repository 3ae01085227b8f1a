"""Between the user agent and whoever owns it: what it reports, and what only the owner can know (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .address import Uri
from .flow import Flow
from .message import Request, Response
from .output import Fact, Output
from .usage import Usage


@dataclass(frozen=True, slots=True)
class Invited(Fact):
    """A call came in; it was answered with 100."""

    invite: Request
    source: Flow
    replaces: Usage | None = None
    """The session whose place it takes (RFC 3891)."""


@dataclass(frozen=True, slots=True)
class Gone(Fact):
    """Nothing is left of this call."""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened to which call or registration."""

    user: User
    fact: Fact


class Standing(Enum):
    """How far a source is trusted."""

    STRANGER = "stranger"
    """Gets silence."""
    UNPROVEN = "unproven"
    """May prove who it is; until then nothing is remembered of it, and no answer is longer than what it sent."""
    KNOWN = "known"


class Owner(Protocol):
    """What the user agent can't know by itself."""

    def standing(self, source: Flow) -> Standing:
        """Who sends from there."""

    def hears(self, source: Flow, now: float) -> bool:
        """Whether one more message from there is read at all."""

    def vet(self, request: Request, source: Flow, now: float) -> Flow | Response:
        """Of a request that begins something: the flow, with whose it is, or the refusal."""

    def is_ours(self, uri: Uri, source: Flow) -> bool:
        """Whether a Request-URI names us."""

    def outside(self, request: Request, source: Flow, now: float) -> Response | None:
        """The answer to a request that belongs to no call; None for the usual one."""


class User(Protocol):
    """A transaction user: usage or registration."""

    def __hash__(self) -> int: ...
    @property
    def deadline(self) -> float | None: ...
    @property
    def over(self) -> bool: ...
    def wake(self, now: float) -> list[Output]: ...
    def responded(self, request: Request, response: Response, now: float) -> list[Output]: ...
    def unanswered(self, request: Request, status: int, now: float) -> list[Output]: ...
