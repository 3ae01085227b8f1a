"""The databases that the store's tests run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..rig.postgres import Postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.scenario)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/sub/bridge.db"
    server: Postgres = request.getfixturevalue("postgres")
    return await server.database()
