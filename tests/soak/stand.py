"""What the endurance run stands on: one bridge, one PBX, several portals with their operators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_STREAM
from typing import Any

import aiohttp

from bridge.demo.portal import Portal
from bridge.tickets import new_key

from ..bench import portal as sim
from ..bench.pbx import Pbx
from ..bench.site import FIRST_ACCOUNT, Site
from ..rig.ports import free_port, free_sip_port
from ..rig.process import BridgeProcess
from ..rig.waiting import wait_for
from .portals import address, portals, process

PORTALS = 4
CARRIED = 500
"""Calls at once that are let in: the default, whatever the run asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One operator's place."""

    site: Site
    user: int
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    bridge: BridgeProcess
    pbx: Pbx
    desks: Sequence[Desk]
    portals: Sequence[str]
    """Where scripts reach them."""
    portals_pid: int

    @property
    def state_dir(self) -> Path:
        return self.desks[0].site.state_dir


@asynccontextmanager
async def stand(directory: Path, *, operators: int, ring_seconds: float = 60) -> AsyncIterator[Stand]:
    """Everything up, nobody's page open."""
    each = -(-operators // PORTALS)
    http, pbx_port, sip = free_port(SOCK_STREAM), free_port(), free_sip_port()
    made = portals(http, each, [free_port(SOCK_STREAM) for _ in range(PORTALS)])
    settings = _settings(made, http, sip, pbx_port, each, ring_seconds)
    secrets = {"BRIDGE_SECRET_KEYS": new_key(), "PORTAL_SECRET": sim.CLIENT_SECRET, "PASSWORD": "never-asked-for"}
    bridge = BridgeProcess(directory, settings=settings, secrets=secrets)
    ports = [portal.world.port for portal in made]
    async with process(http, each, ports) as pid, Pbx(pbx_port, sip).running() as pbx, bridge:
        async with aiohttp.ClientSession() as client:
            for portal in made:
                async with client.post(f"{address(portal)}/sim/install") as answer:
                    assert answer.status == 200, await answer.text()
        await wait_for(lambda: len(pbx.registered) == each * PORTALS, 60, "all accounts to register")
        sites = [Site(bridge=bridge, pbx=pbx, portal_url=portal.url, portal_address=address(portal)) for portal in made]
        desks = [
            Desk(site=site, user=user, account=_account(number, user, each))
            for user in range(1, each + 1)
            for number, site in enumerate(sites)
        ]
        yield Stand(
            bridge=bridge, pbx=pbx, desks=desks[:operators], portals=[address(p) for p in made], portals_pid=pid
        )


def _account(portal: int, user: int, each: int) -> str:
    return str(FIRST_ACCOUNT + portal * each + user - 1)


def _settings(made: Sequence[Portal], http: int, sip: int, pbx: int, each: int, ring_seconds: float) -> dict[str, Any]:
    return {
        "oauth_hosts": [portal.oauth_url for portal in made],
        "http": {"port": http, "public_url": f"http://bridge.localhost:{http}"},
        "sip": {"port": sip},
        "media": {"browser_port": free_port(), "pbx_ports": [30000, 32699]},
        "calls": {"ring_seconds": ring_seconds, "most": CARRIED},
        "portal": [
            {
                "url": portal.url,
                "client_id": sim.CLIENT_ID,
                "client_secret_env": "PORTAL_SECRET",
                "region": "DE",
                "plan": "enterprise",
            }
            for portal in made
        ],
        "trunk": [{"name": "pbx", "server": f"127.0.0.1:{pbx}", "expires": 3600, "codecs": ["PCMU"]}],
        "operator": [
            {
                "portal": portal.url,
                "user_id": user,
                "extension": _account(number, user, each),
                "trunk": "pbx",
                "sip_user": _account(number, user, each),
                "password_env": "PASSWORD",
            }
            for number, portal in enumerate(made)
            for user in range(1, each + 1)
        ],
    }
