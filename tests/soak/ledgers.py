"""Four ledgers of the same calls: PBX, journal, the bridge's table, the portals' records; they must agree (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STATUS = {"page": "200", "pbx": "200", "unanswered": "304", "declined": "603"}
"""How a call was to end -> what Bitrix24 must say of it."""
HEARD = {"page": {200}, "pbx": {200}, "unanswered": {487}, "declined": {486, 603}}
"""And what the PBX must have heard."""
FULL = 503
DURATION_SLACK = 2.0
"""Seconds between the operator's view of the talk and the record's, which is in whole seconds."""


@dataclass(slots=True)
class Made:
    """One call as the PBX knows it; the caller's number is its own."""

    caller: str
    end: str
    at: float
    """Unix seconds."""
    talked: float = 0.0
    heard: int = 0
    """The final status."""
    keys: str = ""
    """That were pressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    calls: int
    journal: int
    records: int
    lost: list[str] = field(default_factory=list)
    """In one ledger and missing in another."""
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    turned_away: list[str] = field(default_factory=list)
    """The PBX heard 503 and could call elsewhere: the bridge was full, and never took them."""

    def __str__(self) -> str:
        found = (
            f"{len(self.lost)} lost, {len(self.doubled)} doubled, {len(self.wrong)} wrong, "
            f"{len(self.turned_away)} turned away"
        )
        return f"{self.calls} calls at the PBX, {self.journal} in the journal, {self.records} records: {found}"

    @property
    def is_even(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.turned_away)


def balance(
    made: Sequence[Made], journal: Iterable[str], kept: Iterable[str], records: Sequence[Mapping[str, Any]]
) -> Balance:
    """`journal` and `kept`: the callers' numbers in the journal and in the bridge's table of calls, one for each call."""
    books = {
        "the journal": Counter(journal),
        "the table of calls": Counter(kept),
        "the portals": Counter(record["number"] for record in records),
    }
    turned_away = [call.caller for call in made if call.heard == FULL]
    ours = {call.caller for call in made} - set(turned_away)
    by_number = {record["number"]: record for record in records}
    lost, doubled, wrong = [], [], []
    for name, book in books.items():
        lost += [f"{number} is not in {name}" for number in ours if not book[number]]
        doubled += [f"{number} is {count} times in {name}" for number, count in book.items() if count > 1]
        wrong += [f"{number} in {name} was never called" for number in book if number not in ours]
    for call in made:
        if call.caller in ours and (record := by_number.get(call.caller)) and (what := _wrong(call, record)):
            wrong.append(f"{call.caller} ({call.end}): {what}")
    return Balance(
        calls=len(made),
        journal=books["the journal"].total(),
        records=len(records),
        lost=lost,
        doubled=doubled,
        wrong=wrong,
        turned_away=turned_away,
    )


def _wrong(call: Made, record: Mapping[str, Any]) -> str:
    if call.heard not in HEARD[call.end]:
        return f"the PBX heard {call.heard}"
    if record["finished"] is None:
        return "the record was never finished"
    if record["status_code"] != STATUS[call.end]:
        return f"the record says {record['status_code']}"
    if abs(record["duration"] - call.talked) > DURATION_SLACK:
        return f"{call.talked:.1f} s of talk, the record says {record['duration']} s"
    return ""
