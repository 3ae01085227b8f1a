"""What a bench is run on: portal, PBX and bridge, the application installed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_STREAM
from typing import Any, NamedTuple

import aiohttp

from bridge.control import ask
from bridge.tickets import new_key

from ..rig.ports import free_port, free_sip_port
from ..rig.process import BridgeProcess
from ..rig.waiting import wait_for
from . import portal as sim
from .pbx import Pbx
from .tab import Listener, Tab

FIRST_ACCOUNT = 1001
CONNECTING_AT_ONCE = 40

Say = Callable[[str], None]
"""Takes a line for whoever waits."""


class Tickets(NamedTuple):
    """What lets a page in without a portal."""

    page: str
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """User n has account 1000 + n."""

    bridge: BridgeProcess
    pbx: Pbx
    portal_url: str
    """As browsers know it."""
    portal_address: str
    """As scripts reach it."""

    @property
    def state_dir(self) -> Path:
        return self.bridge.directory / "var"

    @property
    def http_port(self) -> int:
        port: int = self.bridge.settings["http"]["port"]
        return port

    @property
    def sip_port(self) -> int:
        port: int = self.bridge.settings["sip"]["port"]
        return port

    async def ticket(self, user: int) -> Tickets:
        answer = await ask(self.state_dir, do="ticket", portal=self.portal_url, user=user)
        return Tickets(page=answer["ticket"], session=answer["session"])

    async def tab(self, user: int, listener: Listener | None = None, ticket: Tickets | None = None) -> Tab:
        """A worker page of this user, without a browser, let in."""
        tickets = ticket or await self.ticket(user)
        hello = {
            "ticket": tickets.page,
            "session": tickets.session,
            "tab": str(uuid.uuid4()),
            "browser": f"browser-{user}",
            "page": "worker",
            "presence": {"visible": True, "capture": "yes", "card": True},
        }
        tab = Tab(hello, listener)
        await tab.connect("127.0.0.1", self.http_port)
        return tab

    async def tabs(self) -> list[dict[str, str]]:
        """The pages that the bridge knows."""
        found: list[dict[str, str]] = (await ask(self.state_dir, do="status"))["tabs"]
        return found

    async def calls_over(self, timeout: float = 20) -> None:
        """Returns when the bridge has no live call."""

        async def idle() -> bool:
            return not (await ask(self.state_dir, do="calls"))["calls"]

        await wait_for(idle, timeout, "every call to be over")


def account(user: int) -> str:
    return str(FIRST_ACCOUNT - 1 + user)


@asynccontextmanager
async def site(directory: Path, *, operators: int = 2) -> AsyncIterator[Site]:
    """Everything up; AssertionError with the last words of whatever did not come up."""
    http, portal_port, pbx_port, sip = free_port(SOCK_STREAM), free_port(SOCK_STREAM), free_port(), free_sip_port()
    portal = sim.make(portal_port, http, operators)
    settings = _settings(portal.url, portal.oauth_url, http, sip, pbx_port, operators)
    secrets = {
        "BRIDGE_SECRET_KEYS": new_key(),
        "PORTAL_SECRET": sim.CLIENT_SECRET,
        "PASSWORD": "never-asked-for",
    }
    bridge = BridgeProcess(directory, settings=settings, secrets=secrets)
    async with sim.process(portal_port, http, operators) as address, Pbx(pbx_port, sip).running() as pbx, bridge:
        await _install(address)
        await wait_for(lambda: len(pbx.registered) == operators, 20, "all accounts to register")
        try:
            yield Site(bridge=bridge, pbx=pbx, portal_url=portal.url, portal_address=address)
        finally:
            bridge.kill()  # the figures are taken: an orderly goodbye to thousands of pages would only take time


async def _install(portal: str) -> None:
    async with aiohttp.ClientSession() as http, http.post(f"{portal}/sim/install") as answer:
        assert answer.status == 200, await answer.text()


def _settings(portal: str, oauth: str, http: int, sip: int, pbx: int, operators: int) -> dict[str, Any]:
    return {
        "oauth_hosts": [oauth],
        "http": {"port": http, "public_url": f"http://bridge.localhost:{http}"},
        "sip": {"port": sip},
        "media": {"browser_port": free_port(), "pbx_ports": [30000, 32699]},
        "calls": {"ring_seconds": 120, "most": 4000, "most_cpu": 4},
        "portal": [{"url": portal, "client_id": sim.CLIENT_ID, "client_secret_env": "PORTAL_SECRET", "region": "DE"}],
        "trunk": [{"name": "pbx", "server": f"127.0.0.1:{pbx}", "expires": 3600, "codecs": ["PCMU"]}],
        "operator": [
            {
                "portal": portal,
                "user_id": user,
                "extension": account(user),
                "trunk": "pbx",
                "sip_user": account(user),
                "password_env": "PASSWORD",
            }
            for user in range(1, operators + 1)
        ],
    }


async def several(work: list[Callable[[], Any]]) -> list[Any]:
    """The results of these, in order; not too many at once."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(step: Callable[[], Any]) -> Any:
        async with gate:
            return await step()

    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(one(step)) for step in work]
    return [task.result() for task in started]
