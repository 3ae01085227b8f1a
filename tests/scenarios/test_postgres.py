"""The bridge on PostgreSQL: what was promised there outlives a kill, and a server that shows everybody out."""

from __future__ import annotations

from ..rig.postgres import Postgres
from .conftest import Stages


async def test_a_call_is_recorded_once_whatever_is_killed(stages: Stages, postgres: Postgres) -> None:
    url = await postgres.database()
    stage = await stages(browser=False, store=url)
    async with stage.portal.unplugged():
        call = stage.ring()
        await call.is_over()
        stage.bridge.kill()
        await stage.bridge.start()
        (waiting,) = await postgres.run(url, "SELECT count(*) FROM outbox WHERE state = 'pending'")
        assert waiting[0] > 0
        await postgres.run(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    record = await stage.record(timeout=100)  # a request cut off by the kill is waited out for a minute
    assert (record.status_code, record.duration) == ("304", 0)
