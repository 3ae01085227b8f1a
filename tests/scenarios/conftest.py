"""The stage of the scenarios."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path
from socket import SOCK_STREAM
from typing import Any

import pytest

from bridge.robot import Orders

from ..conftest import HasLog, needs
from ..rig import contract
from ..rig.asterisk import Asterisk
from ..rig.headset import headset
from ..rig.lossy import PbxWay
from ..rig.ports import free_port
from ..rig.router import Router
from ..rig.rtpengine import rtpengine
from .desk import Desk
from .stage import AGENTS, ANNA, Stage, add_pbx, portal_for, secrets_for, settings_for

Stages = Callable[..., Awaitable[Stage]]
Desks = Callable[..., Awaitable[Desk]]
Values = dict[str, Any]
WIFI, MOBILE = "127.0.0.2", "127.0.0.3"
"""Addresses of one operator's machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "scenarios" in item.path.parts:
            item.add_marker("scenario")


@pytest.fixture
async def stages(
    asterisk: Asterisk, browsers: Callable[..., Any], bridges: Callable[..., Any]
) -> AsyncIterator[Stages]:
    """Sets a stage; arguments are settings of [calls] and `installed`, `browser`, `trunk`, `portal`, `worker`, `recordings`, `media`, `router`, `operators`, the port of a
    `second_pbx`, the url of a `store`, and `secrets` for its environment."""
    async with AsyncExitStack() as stack:

        async def set_stage(
            *,
            installed: bool = True,
            browser: bool = True,
            trunk: dict[str, Any] | None = None,
            portal: dict[str, Any] | None = None,
            router: bool = False,
            pbx_way: bool = False,
            second_pbx: int = 0,
            worker: dict[str, Any] | None = None,
            recordings: dict[str, Any] | None = None,
            media: dict[str, Any] | None = None,
            secrets: dict[str, str] | None = None,
            operators: Collection[int] = tuple(AGENTS),
            store: str = "",
            **calls: Any,
        ) -> Stage:
            port, way, to_pbx = free_port(SOCK_STREAM), None, None
            if router:
                way = await stack.enter_async_context(Router(WIFI, tcp_to=port, udp_to=free_port()).running())
            simulated = portal_for(way.tcp if way else port)
            await stack.enter_async_context(simulated.running())
            stack.callback(lambda: contract.check(simulated.requests))
            settings = settings_for(port, simulated, asterisk.address, **calls)
            if second_pbx:
                add_pbx(settings, second_pbx)
            if way:
                settings["http"]["public_url"] = f"http://bridge.localhost:{way.tcp}"
                settings["media"] |= {"browser_port": way.udp_to, "browser_advertised": f"127.0.0.1:{way.udp}"}
            if pbx_way:
                between = PbxWay(bridge_port=settings["sip"]["port"], pbx_port=asterisk.sip_port)
                to_pbx = await stack.enter_async_context(between.running())
                settings["trunk"][0]["server"] = f"127.0.0.1:{to_pbx.port}"
            settings["media"].update(media or {})
            settings["trunk"][0].update(trunk or {})
            settings["portal"][0].update(portal or {})
            settings["worker"] = worker or {}
            settings["recordings"] = recordings or {}
            settings["store"] = {"url": store} if store else {}
            settings["operator"] = [each for each in settings["operator"] if each["user_id"] in operators]
            bridge = await bridges(settings, secrets_for(asterisk.passwords) | (secrets or {}))
            if installed:
                await simulated.auto_install()
            for agent in (AGENTS[user] for user in operators):
                await asterisk.wait_registered(agent)
            visible = await browsers() if browser else None
            stage = Stage(
                asterisk=asterisk, portal=simulated, bridge=bridge, visible=visible, router=way, to_pbx=to_pbx
            )
            stack.callback(stage.clear)
            return stage

        yield set_stage


@pytest.fixture
async def desks(bridges: Callable[..., Any]) -> AsyncIterator[Desks]:
    """Sets a desk; arguments are the address of its only PBX, settings of that [[trunk]], and of `sip`, `media`, `portal` and `calls`,
    and `agent`, whose account Anna has then."""
    async with AsyncExitStack() as stack:

        async def set_desk(
            pbx: str,
            *,
            trunk: Values,
            sip: Values | None = None,
            media: Values | None = None,
            agent: str = AGENTS[ANNA],
            portal: Values | None = None,
            calls: Values | None = None,
        ) -> Desk:
            port = free_port(SOCK_STREAM)
            simulated = portal_for(port)
            await stack.enter_async_context(simulated.running())
            stack.callback(lambda: contract.check(simulated.requests))
            settings = settings_for(port, simulated, pbx, **(calls or {}))
            settings["trunk"][0].update(trunk)
            settings["portal"][0].update(portal or {})
            settings["sip"].update(sip or {})
            settings["media"].update(media or {})
            anna = next(each for each in settings["operator"] if each["user_id"] == ANNA)
            anna.update(sip_user=agent, password_env=f"PASSWORD_{agent}")
            bridge = await bridges(settings, secrets_for({*AGENTS.values(), agent}))
            await simulated.auto_install()
            orders = Orders(answer_after=0)
            sits = await stack.enter_async_context(headset(bridge.directory / "var", simulated.url, ANNA, orders))
            return Desk(simulated, bridge, sits)

        yield set_desk


@pytest.fixture
async def stage(stages: Stages) -> Stage:
    return await stages()


@pytest.fixture(params=["bridge", "rtpengine"])
async def voice(request: pytest.FixtureRequest, tmp_path: Path, evidence: list[HasLog]) -> AsyncIterator[Values]:
    """Settings of [media]: a story is told once with each of those who can carry the voice."""
    if request.param == "bridge":
        yield {}
        return
    needs("rtpengine")
    async with rtpengine(tmp_path) as engine:
        evidence.append(engine)
        yield {"engine": "rtpengine", "rtpengine": engine.address, "rtpengine_recordings": str(engine.spool)}
