"""Churn: calls come and go without a pause while the bridge is killed now and then; in the end two ledgers must agree.

The PBX's log is one ledger, the portal's records are the other. Every call has a caller's number of its own, which both know.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bridge.robot import Orders, Robot, ticket_from_simulator

from ..rig.asterisk import PhoneCall
from ..rig.waiting import wait_for
from ..scenarios.stage import AGENTS, Stage

ANSWER_SECONDS = 0.3
STATUS = {200: {"200"}, 480: {"304"}, 487: {"304"}}
"""What the PBX heard -> what Bitrix24 may say of it."""
HARDLY_BEGUN = 0.25
"""Seconds between a call's origin at the PBX and a kill in which the bridge may not have promised anything yet: the promise
is written beside the ringing, within milliseconds, and never before it. A busy machine needs more of them."""
CUT = {"200", "304"}
"""For a call whose bridge was killed: answered or missed, as far as it had come."""


@dataclass
class Report:
    """Both ledgers, compared."""

    calls: int = 0
    kills: list[float] = field(default_factory=list)
    """When, on the loop's clock."""
    hardly_begun: int = 0
    """Calls without a record that a kill met within `margin` seconds."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    margin: float = HARDLY_BEGUN
    heard: Counter[int] = field(default_factory=Counter)
    """Final statuses at the PBX, 0 for a call that was cut by a kill."""

    def __str__(self) -> str:
        found = f"{len(self.lost)} lost, {len(self.doubled)} doubled, {len(self.wrong)} wrong"
        return f"{self.calls} calls, {len(self.kills)} kills, heard {dict(self.heard)}: {found}, {self.hardly_begun} hardly begun"

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


async def churn(
    stage: Stage, *, seconds: float, kill_every: float, seed: int, kills: int = 0, margin: float = HARDLY_BEGUN
) -> Report:
    """Two headless operators, a stream of calls to each, kill -9 about every `kill_every` seconds and `kills` times at least."""
    report, made = Report(margin=margin), list[tuple[float, PhoneCall]]()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    def goes_on() -> bool:
        return loop.time() < end or len(report.kills) < kills

    async with operators(stage):
        async with asyncio.TaskGroup() as tasks:
            for user in AGENTS:
                tasks.create_task(callers(stage, user, random.Random(f"{seed}-{user}"), goes_on, made))
            tasks.create_task(killer(stage, random.Random(seed), kill_every, goes_on, report))
        await settled(stage)
    compare(stage, made, report)
    return report


@asynccontextmanager
async def operators(stage: Stage) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        robots = []
        for user in AGENTS:
            url, _ = await ticket_from_simulator(stage.portal.url, user)
            orders = Orders(answer_after=ANSWER_SECONDS, early=True)
            robot = Robot(bridge_url=url, ticket=_tickets(stage, user), orders=orders, say=lambda line: None)
            robots.append(tasks.create_task(robot.run()))
            await stage.online(user)
        try:
            yield
        finally:
            for robot_task in robots:
                robot_task.cancel()


def _tickets(stage: Stage, user: int) -> Callable[[], Awaitable[str]]:
    async def fresh() -> str:
        return (await ticket_from_simulator(stage.portal.url, user))[1]

    return fresh


async def callers(
    stage: Stage, user: int, chance: random.Random, goes_on: Callable[[], bool], made: list[tuple[float, PhoneCall]]
) -> None:
    """One caller after the other: some give up at once, some talk for a while."""
    loop = asyncio.get_running_loop()
    number = 0
    while goes_on():
        number += 1
        call = stage.asterisk.call(AGENTS[user], caller=f"+49{user}{number:07d}", timeout=10)
        made.append((loop.time(), call))
        await asyncio.sleep(chance.choice([0.05, 0.2, 0.8, 1.5, 2.5]))
        call.hang_up()
        await wait_for(lambda: not call.is_up(), what="the call to end")  # noqa: B023 – awaited before the next turn


async def killer(
    stage: Stage, chance: random.Random, every: float, goes_on: Callable[[], bool], report: Report
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(chance.uniform(0.5, 1.5) * every)
        if not goes_on():
            return
        report.kills.append(loop.time())
        stage.bridge.kill()
        await stage.bridge.start()


async def settled(stage: Stage) -> None:
    """Every call the portal knows is finished, and the bridge has none."""
    await stage.ended()
    # Two requests a second is what Bitrix24 grants: a busy day's promises take their time.
    patience = 60 + 2 * len(stage.portal.calls)
    await wait_for(lambda: all(call.finished for call in stage.portal.calls), patience, "every record to be finished")


def compare(stage: Stage, made: list[tuple[float, PhoneCall]], report: Report) -> None:
    records = Counter(record.number for record in stage.portal.calls)
    status = {record.number: record.status_code for record in stage.portal.calls}
    messages = stage.asterisk.messages()
    ids = {message.header("X-Test-Call"): message.call_id for message in messages if message.header("X-Test-Call")}
    answers: dict[str, list[int]] = {}
    for message in messages:
        if message.status and not message.sent and message.method == "INVITE":
            answers.setdefault(message.call_id, []).append(message.status)
    report.calls = len(made)
    for at, call in made:
        heard = answers.get(ids.get(call.id, ""), [])
        final = next((code for code in heard if code >= 200), 0)
        report.heard[final] += 1
        if not {180, 200, 480} & set(heard):
            continue  # never got through to us: the bridge was down, or gone before it could promise anything
        if not records[call.caller] and not final and any(0 <= kill - at < report.margin for kill in report.kills):
            report.hardly_begun += 1
        elif not records[call.caller]:
            report.lost.append(f"{call.caller} heard {heard}")
        elif records[call.caller] > 1:
            report.doubled.append(call.caller)
        elif status[call.caller] not in STATUS.get(final, CUT):
            report.wrong.append(f"{call.caller} heard {heard}, Bitrix24 says {status[call.caller]}")
