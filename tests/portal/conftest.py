from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .fake import CLIENT_SECRET, FakePortal
from .house import SECRET_ENV, Clock, House, enrolled, house


@pytest.fixture(autouse=True)
def client_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_ENV, CLIENT_SECRET)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def fake(clock: Clock) -> AsyncIterator[FakePortal]:
    async with FakePortal(clock=clock).running() as portal:
        yield portal


@pytest.fixture
async def room(fake: FakePortal, clock: Clock, tmp_path: Path) -> AsyncIterator[House]:
    """An enrolled portal; the telephony is not running yet."""
    async with house(fake, tmp_path / "bridge.db", clock=clock) as built:
        await built.store.portals.save(enrolled(fake))
        yield built
