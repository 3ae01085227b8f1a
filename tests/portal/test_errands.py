"""What portals report is done in order, for each portal by itself."""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import RefusedError
from bridge.portal import errands as errands_module
from bridge.portal.errands import Errand, Errands


def _noting(done: list[str], name: str) -> Errand:
    async def errand() -> None:
        await asyncio.sleep(0)
        done.append(name)

    return errand


async def test_a_portal_that_hangs_holds_up_no_other() -> None:
    errands, done, hanging = Errands(), list[str](), asyncio.Event()
    async with errands.running():
        errands.put("a", hanging.wait)
        errands.put("a", _noting(done, "a"))
        errands.put("b", _noting(done, "b"))
        while done != ["b"]:
            await asyncio.sleep(0)
        hanging.set()
        await errands.settled()
    assert done == ["b", "a"]


async def test_they_are_done_in_order_and_one_that_fails_harms_none() -> None:
    errands, done = Errands(), list[str]()

    async def refused() -> None:
        raise RefusedError("no")

    async def broken() -> None:
        raise ZeroDivisionError

    errands.put("a", _noting(done, "before"))
    async with errands.running():
        for errand in (refused, broken, _noting(done, "1"), _noting(done, "2")):
            errands.put("a", errand)
        await errands.settled()
    assert done == ["before", "1", "2"]


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands_module, "LONGEST_QUEUE", 3)
    errands, done = Errands(), list[str]()
    for number in range(9):
        errands.put("a", _noting(done, str(number)))
    async with errands.running():
        await errands.settled()
    assert done == ["0", "1", "2"]
