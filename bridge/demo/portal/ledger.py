"""The calls that the CRM knows: registered, finished, never twice (pure; time is an argument)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

DEDUP_SECONDS = 30 * 60
_KEPT = 2_000

STATUS_WORDS = {
    "200": "success",
    "304": "missed",
    "603": "declined",
    "603-S": "cancelled",
    "486": "busy",
    "480": "temporarily unavailable",
    "404": "invalid number",
    "484": "direction unavailable",
    "503": "direction unavailable",
    "403": "forbidden",
    "402": "no funds",
    "423": "blocked",
    "OTHER": "undefined",
}
DIRECTIONS = {1: "outgoing", 2: "incoming", 3: "redirected", 4: "callback", 5: "info"}


class CallError(Exception):
    """Bitrix24 answers this text with ERROR_CORE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What makes two registers the same call."""

    user: int
    number: str
    type: int
    line: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the CRM. `duration` in seconds, times in Unix seconds; `finished` is None while it lasts."""

    id: str
    registration: Registration
    registered: float
    started: str
    entity_kind: str = ""
    entity_id: int = 0
    entity_name: str = ""
    activity: int = 0
    user: int = 0
    finished: float | None = None
    duration: int = 0
    status_code: str = ""
    failed_reason: str = ""
    comment: str = ""

    @property
    def number(self) -> str:
        return self.registration.number

    @property
    def external_id(self) -> str:
        return self.registration.external_id

    @property
    def direction(self) -> str:
        return DIRECTIONS.get(self.registration.type, "incoming")

    @property
    def status(self) -> str:
        """The status code in words, "in progress" while the call lasts."""
        return "in progress" if self.finished is None else STATUS_WORDS.get(self.status_code, "undefined")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    id: int
    number: str
    name: str
    crm_auto_create: str = "Y"


class Ledger:
    """All calls, newest last; old ones are forgotten."""

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._calls: dict[str, Call] = {}
        self._made = 0

    @property
    def calls(self) -> list[Call]:
        return list(self._calls.values())

    def get(self, call_id: str) -> Call | None:
        return self._calls.get(call_id)

    def same(self, registration: Registration, now: float) -> Call | None:
        """The unfinished call that an equal register of the last 30 minutes made."""
        return next(
            (
                call
                for call in reversed(self._calls.values())
                if call.registration == registration and call.finished is None and now - call.registered < DEDUP_SECONDS
            ),
            None,
        )

    def add(self, registration: Registration, now: float, *, started: str) -> Call:
        self._made += 1
        digest = hashlib.md5(f"{self._salt}:{self._made}:{now}".encode(), usedforsecurity=False).hexdigest()
        call = Call(
            id=f"externalCall.{digest}.{int(now)}",
            registration=registration,
            registered=now,
            started=started,
            user=registration.user,
        )
        self._calls[call.id] = call
        self._forget()
        return call

    def attach(self, call_id: str, *, kind: str, id: int, name: str) -> Call:
        return self._put(replace(self._calls[call_id], entity_kind=kind, entity_id=id, entity_name=name))

    def note(self, call_id: str, comment: str) -> None:
        if call := self._calls.get(call_id):
            self._put(replace(call, comment=comment))

    def finish(
        self, call_id: str, now: float, *, user: int, duration: int, status_code: str, failed_reason: str = ""
    ) -> Call:
        """The statistics record; CallError if there is no such live call, so also the second time."""
        call = self._calls.get(call_id)
        if call is None or call.finished is not None:
            raise CallError(f"Call is not found (call id: {call_id})")
        code = status_code or ("200" if duration > 0 else "304")
        finished = sum(other.finished is not None for other in self._calls.values())
        return self._put(
            replace(
                call,
                user=user,
                finished=now,
                duration=duration,
                status_code=code,
                failed_reason=failed_reason,
                activity=1000 + finished,
            )
        )

    def load(self, calls: Iterable[Call]) -> None:
        self._calls = {call.id: call for call in calls}

    def clear(self) -> None:
        self._calls.clear()

    def _put(self, call: Call) -> Call:
        self._calls[call.id] = call
        return call

    def _forget(self) -> None:
        while len(self._calls) > _KEPT:
            del self._calls[next(iter(self._calls))]


class Lines:
    """The application's telephone lines."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._made = 0

    @property
    def all(self) -> list[Line]:
        return list(self._lines.values())

    def add(self, number: str, name: str, crm_auto_create: str) -> Line:
        if number in self._lines:
            raise CallError("Line already exists")
        if len(self._lines) >= _KEPT:
            raise CallError("Too many lines")
        self._made += 1
        line = Line(id=self._made, number=number, name=name or number, crm_auto_create=crm_auto_create)
        self._lines[number] = line
        return line

    def update(self, number: str, *, name: str, crm_auto_create: str) -> Line:
        line = self.get(number)
        if not name and not crm_auto_create:
            raise CallError("There is nothing to update")
        line = replace(line, name=name or line.name, crm_auto_create=crm_auto_create or line.crm_auto_create)
        self._lines[number] = line
        return line

    def get(self, number: str) -> Line:
        if number not in self._lines:
            raise CallError(f"Could not find line with number {number}")
        return self._lines[number]

    def delete(self, number: str) -> None:
        self.get(number)
        del self._lines[number]

    def load(self, lines: Iterable[Line]) -> None:
        self._lines = {line.number: line for line in lines}
        self._made = max((line.id for line in self._lines.values()), default=0)


def telephone(text: str) -> str:
    """A number as Bitrix24 keeps it: letters and punctuation go, a leading plus stays."""
    cleaned = re.sub(r"[^\d+*#]", "", text)
    return cleaned[:1] + cleaned[1:].replace("+", "") if cleaned.strip("+") else ""
