"""One worker for everybody, or one for each of a few: repeated, changed and interrupted, under both readings of the rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.portal.placement import EVENTS

from .fake import Error, FakePortal, refuse
from .house import Clock, House, enrolled, house

EVERYBODY: list[int] = []


def bound(fake: FakePortal) -> list[int]:
    return sorted(row["userId"] for row in fake.placements)


@pytest.mark.parametrize("apart", [False, True], ids=["the code's rule", "the documents' rule"])
@pytest.mark.parametrize(
    ("before", "after", "users"),
    [
        (EVERYBODY, [5, 6], [5, 6]),
        ([5, 6], EVERYBODY, [0]),
        ([5, 6], [6, 7], [6, 7]),
        ([5], [5, 6], [5, 6]),
        (EVERYBODY, EVERYBODY, [0]),
    ],
)
async def test_a_roll_out_may_be_begun_widened_and_ended(
    fake: FakePortal, clock: Clock, tmp_path: Path, apart: bool, before: list[int], after: list[int], users: list[int]
) -> None:
    fake.counts_apart = apart
    for roll_out in (before, after):
        async with house(fake, tmp_path / "bridge.db", clock=clock, roll_out=roll_out) as built:
            await built.store.portals.save(enrolled(fake))
            await built.placement.bind_worker(built.portal)
            assert not await built.placement.bind_worker(built.portal), "a second time changes nothing"
            assert await built.placement.missing(built.portal) == frozenset()
    assert bound(fake) == users


async def test_one_personal_worker_that_is_gone_is_bound_again_alone(
    fake: FakePortal, clock: Clock, tmp_path: Path
) -> None:
    async with house(fake, tmp_path / "bridge.db", clock=clock, roll_out=[5, 6]) as built:
        await built.store.portals.save(enrolled(fake))
        await built.placement.bind_worker(built.portal)
        fake.placements = [row for row in fake.placements if row["userId"] == 6]
        assert await built.placement.missing(built.portal) == {5}
        fake.asked.clear()
        assert await built.placement.bind_worker(built.portal)
        assert fake.methods() == ["placement.get", "placement.bind"]
    assert bound(fake) == [5, 6]


async def test_a_change_that_broke_off_is_finished(fake: FakePortal, clock: Clock, tmp_path: Path) -> None:
    async with house(fake, tmp_path / "bridge.db", clock=clock, roll_out=[5, 6]) as built:
        await built.store.portals.save(enrolled(fake))
        fake.placements.append({"placement": "PAGE_BACKGROUND_WORKER", "userId": 0, "handler": "old", "options": []})
        fake.fail("placement.bind", refuse("INTERNAL_SERVER_ERROR", 500))
        with pytest.raises(Exception, match="INTERNAL_SERVER_ERROR"):
            await built.placement.bind_worker(built.portal)
        await built.placement.bind_worker(built.portal)
    assert bound(fake) == [5, 6]


async def test_workers_of_other_placements_are_let_be(fake: FakePortal, clock: Clock, tmp_path: Path) -> None:
    other = {"placement": "CALL_CARD", "userId": 0, "handler": "https://other.example/", "options": []}
    async with house(fake, tmp_path / "bridge.db", clock=clock) as built:
        await built.store.portals.save(enrolled(fake))
        await built.placement.bind_worker(built.portal)
        fake.placements.append(other)
        assert not await built.placement.bind_worker(built.portal)
    assert other in fake.placements


@pytest.mark.parametrize("refusal", [("ERROR_EVENT_NOT_FOUND", 400), ("insufficient_scope", 403)])
async def test_a_portal_that_does_not_tell_of_new_colleagues_is_installed_all_the_same(
    room: House, refusal: tuple[str, int]
) -> None:
    """ONUSERADD is the last of the events that are bound."""
    ask = room.fake.do

    def do(method: str, params: dict[str, Any], token: str) -> Any:
        if method == "event.bind" and params["event"] == "ONUSERADD":
            raise Error(refusal[0], status=refusal[1])
        return ask(method, params, token)

    room.fake.do = do  # type: ignore[method-assign]
    assert await room.placement.bind_events(room.portal) == len(EVENTS) - 1
    assert await room.placement.bind_events(room.portal) == 0
