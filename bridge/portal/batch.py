"""Bitrix24's `batch`: up to 50 commands in one request, which counts as one in the leaky bucket (pure).

Each command has a result or an error of its own; with `halt` 0 an error does not stop the others. They run one after the
other inside the 60 seconds that a request may take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

LARGEST = 50
SMALLEST = 8
SECONDS = 20.0
"""How long a batch should take: far below the portal's limit, so that its answer is not lost to it."""


@dataclass(frozen=True, slots=True)
class Command:
    method: str
    params: Mapping[str, Any]

    @property
    def may_be_batched(self) -> bool:
        """A value such as `$result[x]` would be replaced by an earlier command's result, and nested ones are not written."""
        return all(
            isinstance(value, str | int | float) and "$result" not in str(value) for value in self.params.values()
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """What one command was answered instead of a result."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    result: Any


class Missing:
    """The answer does not say what became of the command."""


Outcome = Done | Refusal | Missing


def encoded(commands: Sequence[Command]) -> dict[str, Any]:
    """The parameters of `batch`; in a JSON body a command is encoded once."""
    return {"halt": 0, "cmd": {_name(n): f"{one.method}?{urlencode(one.params)}" for n, one in enumerate(commands)}}


def outcomes(commands: Sequence[Command], answer: Any) -> list[Outcome]:
    """What became of each command. PHP writes an empty map as an empty list."""
    done, failed = _part(answer, "result"), _part(answer, "result_error")
    return [_outcome(_name(number), done, failed) for number in range(len(commands))]


def spent(commands: Sequence[Command], answer: Any) -> Iterator[tuple[str, Any]]:
    """The `time` block of each command that has one, with its method."""
    times = _part(answer, "result_time")
    return ((one.method, times[_name(n)]) for n, one in enumerate(commands) if _name(n) in times)


def _outcome(name: str, done: Mapping[str, Any], failed: Mapping[str, Any]) -> Outcome:
    if name in failed:
        error = failed[name] if isinstance(failed[name], dict) else {"error": failed[name]}
        code, text = error.get("error"), error.get("error_description")
        return Refusal(str(code or "")[:100].upper(), str(text or "")[:300])
    return Done(done[name]) if name in done else Missing()


def _part(answer: Any, name: str) -> Mapping[str, Any]:
    part = answer.get(name) if isinstance(answer, dict) else None
    return part if isinstance(part, dict) else {}


def _name(number: int) -> str:
    return f"c{number}"


@dataclass(slots=True)
class Size:
    """How many commands the next batch has: it doubles with every answer, as far as the portal's pace allows."""

    most: int = LARGEST
    next: int = SMALLEST

    def answered(self, commands: int, seconds: float) -> None:
        in_time = int(SECONDS / max(seconds / max(commands, 1), 0.001))
        self.next = max(SMALLEST, min(self.next * 2, self.most, in_time))

    def failed(self) -> None:
        self.next = SMALLEST
