"""What is said about a worker is a hint; the portal is asked, the worker bound again, its administrators told."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.portal.guardian import Load
from bridge.portal.notices import Notice, Notices
from bridge.portal.standing import remembered
from bridge.portal.trouble import Trouble

from .fake import FakePortal, refuse
from .house import Clock, House, enrolled, house, spare


def slow(seconds: float = 6.0) -> Load:
    return Load(total=seconds, waiting=0, connecting=seconds - 1, answering=0.5, transferring=0)


async def history(built: House) -> list[str]:
    await built.caretaker.written()
    return [row.what for row in await built.store.worker_history.since(built.portal, 0)]


async def test_a_hint_that_is_true_brings_the_worker_back_and_tells_the_administrators(room: House) -> None:
    await room.caretaker.tend()
    assert len(room.fake.placements) == 1, "bound at the start, if it is missing"
    assert room.notices == [], "nobody was harmed"
    room.fake.placements.clear()
    room.clock.now += 61
    room.caretaker.thrown_out(room.portal)
    await room.caretaker.tend()
    assert len(room.fake.placements) == 1
    assert ["too slowly" in notice.text for notice in room.notices] == [True]
    assert await history(room) == ["bound", "hinted", "bound"]


async def test_a_hint_that_is_false_changes_nothing_and_is_remembered(room: House) -> None:
    await room.placement.bind_worker(room.portal)
    for _ in range(50):
        room.caretaker.thrown_out(room.portal)
    await room.caretaker.tend()
    await room.caretaker.tend()
    assert room.fake.methods().count("placement.get") == 3, "to bind it, and for one look"
    assert room.fake.methods().count("placement.bind") == 1
    assert room.notices == []
    assert await history(room) == ["hinted", "stands"]


async def test_a_hint_about_a_portal_that_is_not_ours_is_nothing(room: House) -> None:
    room.caretaker.thrown_out("stranger.example")
    await room.caretaker.tend()
    assert await history(room) == ["bound"]


async def test_a_worker_that_disappears_without_a_word_is_found_missing(room: House) -> None:
    """Bitrix24 reports a removal once and does not repeat it."""
    await room.placement.bind_worker(room.portal)
    await room.caretaker.tend()
    room.fake.placements.clear()
    room.clock.now += 3601
    await room.caretaker.tend()
    assert len(room.fake.placements) == 1
    assert len(room.notices) == 1


async def test_again_and_again_it_is_bound_with_growing_patience(room: House) -> None:
    await room.caretaker.tend()
    room.fake.placements.clear()
    room.caretaker.thrown_out(room.portal)
    await room.caretaker.tend()
    assert room.fake.placements == [], "the last binding is too fresh"
    room.clock.now += 60
    await room.caretaker.tend()
    assert len(room.fake.placements) == 1
    room.fake.placements.clear()
    room.caretaker.thrown_out(room.portal)
    room.clock.now += 599
    await room.caretaker.tend()
    assert room.fake.placements == []
    room.clock.now += 1
    await room.caretaker.tend()
    assert len(room.fake.placements) == 1


async def test_a_portal_that_refuses_is_asked_again_and_others_are_served(room: House) -> None:
    room.fake.fail("placement.get", refuse("INTERNAL_SERVER_ERROR", 500))
    room.caretaker.thrown_out(room.portal)
    await room.caretaker.tend()
    assert room.fake.placements == []
    room.clock.now += 61
    await room.caretaker.tend()
    assert len(room.fake.placements) == 1


async def test_who_can_not_be_told_is_left_out(room: House) -> None:
    await room.store.portals.keep_spare(spare(room.fake))
    room.fake.fail("im.notify.system.add", refuse("INSUFFICIENT_SCOPE", 403))
    notices = Notices(portals=room.store.portals, rest=room.rest)
    async with notices.running():
        notices.tell(Notice(portal="stranger", text="text", tag="tag"))
        notices.tell(Notice(portal=room.portal, text="text", tag="tag"))
        await notices.delivered()
    assert [words["USER_ID"] for words in room.fake.notices] == [2]


async def test_slow_loads_are_counted_and_the_provider_is_warned_before_the_limit(room: House) -> None:
    with capture_logs() as logs:
        for _ in range(4):
            room.caretaker.loaded(room.portal, 7, slow())
        room.caretaker.loaded(room.portal, 7, slow(0.2))
        assert "worker_in_danger" not in {line["event"] for line in logs}
        room.caretaker.loaded(room.portal, 7, slow())
    danger = [line for line in logs if line["event"] == "worker_in_danger"]
    assert [(line["count"], line["of"]) for line in danger] == [(5, 10)]
    assert "connecting to the bridge" in danger[0]["cause"]
    assert await history(room) == ["slow"] * 5
    worker = next(check for check in await room.caretaker.state(room.portal) if check.name == "worker")
    assert not worker.ok
    assert worker.text.startswith("5 of 10 slow loads")
    assert "connecting to the bridge" in worker.text


async def test_the_count_survives_a_restart(room: House, fake: FakePortal, clock: Clock) -> None:
    for _ in range(5):
        room.caretaker.loaded(room.portal, 7, slow())
    await history(room)
    await room.placement.bind_worker(room.portal)
    async with house(fake, room.path, clock=clock) as again, again.caretaker.running():
        again.caretaker.loaded(again.portal, 7, slow())
        await again.caretaker.written()
        rows = await again.store.worker_history.since(again.portal, 0)
    assert rows[-1].text.startswith("slow load 6 of 10")


async def test_more_slow_loads_than_the_portal_bears_call_for_a_look(room: House) -> None:
    await room.caretaker.tend()
    room.clock.now += 61
    room.fake.placements.clear()
    for _ in range(100):
        room.caretaker.loaded(room.portal, 7, slow())
    await room.caretaker.tend()
    assert len(room.fake.placements) == 1
    assert (await history(room)).count("slow") == 30, "the history is bounded whatever a page claims"


async def test_a_portal_of_the_older_rule_is_counted_by_it(fake: FakePortal, clock: Clock, tmp_path: Path) -> None:
    async with house(fake, tmp_path / "bridge.db", clock=clock, worker={"slow_seconds": 3, "slow_loads": 3}) as built:
        await built.store.portals.save(enrolled(fake))
        with capture_logs() as logs:
            built.caretaker.loaded(built.portal, 7, slow(3.5))
    assert [(line["count"], line["of"]) for line in logs if line["event"] == "worker_in_danger"] == [(1, 3)]


async def test_personal_workers_are_counted_apart(fake: FakePortal, clock: Clock, tmp_path: Path) -> None:
    async with house(fake, tmp_path / "bridge.db", clock=clock, roll_out=[7, 8]) as built:
        await built.store.portals.save(enrolled(fake))
        for user in (7, 7, 8):
            built.caretaker.loaded(built.portal, user, slow())
        await built.caretaker.written()
        watch = remembered(await built.store.worker_history.since(built.portal, 0), built.rule)
    assert watch.counts == {7: 2, 8: 1}


async def test_trouble_that_is_over_is_noticed_and_promises_go_out(room: House) -> None:
    await room.keyring.troubled(room.portal, Trouble.UNPAID)
    await room.caretaker.tend()
    stored = room.store.portals.get(room.portal)
    assert stored is not None
    assert stored.trouble == ""


async def test_the_person_whose_tokens_died_is_named_to_the_others(room: House) -> None:
    room.caretaker.administrator_lost(room.portal, 9)
    assert ["user 9" in notice.text for notice in room.notices] == [True]


@pytest.mark.parametrize("changes", [{"installed": False}, {"needs_login": True}, {"access": ""}])
async def test_a_portal_that_can_not_be_used_is_left_in_peace(room: House, changes: dict[str, object]) -> None:
    await room.store.portals.save(enrolled(room.fake, **changes))
    room.caretaker.thrown_out(room.portal)
    await room.caretaker.tend()
    assert room.fake.asked == []
