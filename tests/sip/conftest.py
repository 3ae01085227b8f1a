from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.sip import trunk

from ..rig.unhurried import unhurried
from .wire import Room, WirePbx, a_room, wire_pbx


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNK_TEST_PASSWORD", "secret")
    monkeypatch.setattr(trunk, "GOODBYE_SECONDS", 0.05)


@pytest.fixture
async def pbx(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WirePbx]:
    unhurried(monkeypatch)
    async with wire_pbx() as pbx:
        yield pbx


@pytest.fixture
async def room(pbx: WirePbx) -> AsyncIterator[Room]:
    async with a_room(pbx) as room:
        yield room
