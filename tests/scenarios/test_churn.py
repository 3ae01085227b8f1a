"""The short, seeded version of `make soak`."""

from __future__ import annotations

from ..soak.churn import churn
from .conftest import Stages


async def test_calls_come_and_go_and_the_bridge_is_killed_and_both_ledgers_agree(stages: Stages) -> None:
    stage = await stages(browser=False)
    stage.portal.faults.rate_limit = False
    report = await churn(stage, seconds=12, kill_every=4, seed=1, kills=2, margin=1.0)
    assert report.is_clean, f"{report}\nlost {report.lost}\ndoubled {report.doubled}\nwrong {report.wrong}"
    assert report.heard[200], "some calls were answered"
