"""Installed, updated, renamed, unpaid, thrown out, uninstalled: the bridge as a process beside a portal, without a browser.

What an administrator reads is taken from `bridge portals`, which is a process of its own as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from socket import SOCK_STREAM
from typing import Any

import aiohttp
import pytest

from bridge.demo.portal import App, InstallError, Portal, User
from bridge.tickets import new_key

from ..rig.contract import check
from ..rig.ports import free_port, free_sip_port
from ..rig.process import ROOT, BridgeProcess
from ..rig.waiting import wait_for

WORKER = "PAGE_BACKGROUND_WORKER"
ANNA, BORIS, CARLA = 1, 2, 3
PEOPLE = (
    User(id=ANNA, name="Anna Petrova", admin=True),
    User(id=BORIS, name="Boris Lang"),
    User(id=CARLA, name="Carla Neri", admin=True),
)
LINE = "+4930123456"


@dataclass
class Life:
    portal: Portal
    bridge: BridgeProcess

    async def told(self) -> str:
        """What `bridge portals` says."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge", "portals", "--config", str(self.bridge.config),
            cwd=self.bridge.directory,
            env={**environment, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **self.bridge.secrets},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        text, _ = await process.communicate()
        return text.decode()

    async def until_told(self, *words: str) -> str:
        text = ""

        async def said() -> bool:
            nonlocal text
            text = await self.told()
            return all(word in text for word in words)

        await wait_for(said, what=f"bridge portals to say {words}")
        return text

    def workers(self) -> list[int]:
        """Whose handlers stand: 0 is everybody's."""
        return sorted(row.user for row in self.portal.world.placements.all if row.placement == WORKER)

    def events(self) -> set[str]:
        return {row.event for row in self.portal.world.handlers.all}

    def asked(self, method: str) -> int:
        return sum(entry.method == method.lower() and not entry.error for entry in self.portal.requests)

    async def worker_page(self, user: int, host: str = "") -> int:
        """The status with which the worker's page is answered for this user."""
        frame = next(iter(self._frames(user)))
        async with aiohttp.ClientSession() as http:
            action = frame.action.replace("bridge.localhost", "127.0.0.1")
            async with http.post(action, data=dict(frame.fields)) as response:
                return response.status

    def _frames(self, user: int) -> list[Any]:
        from bridge.demo.portal.frames import worker_frames

        person = self.portal.world.user(user)
        assert person is not None
        return worker_frames(self.portal.world, person, "/")


Lives = Callable[..., Awaitable[Life]]


@pytest.fixture
async def lives(bridges: Callable[..., Any]) -> AsyncIterator[Lives]:
    """Begins the life of a bridge; arguments are more settings of its [[portal]] and `worker`, its [worker]."""
    async with AsyncExitStack() as stack:

        async def begin(*, installed: bool = True, worker: dict[str, Any] | None = None, **settings: Any) -> Life:
            port = free_port(SOCK_STREAM)
            url = f"http://bridge.localhost:{port}"
            app = App(
                client_id="local.life",
                client_secret="a-secret-of-this-life",
                app_url=f"{url}/b24/app",
                install_url=f"{url}/b24/install",
            )
            portal = Portal(port=0, app=app, users=PEOPLE)
            await stack.enter_async_context(portal.running())
            described = {
                "url": portal.url,
                "client_id": app.client_id,
                "client_secret_env": "PORTAL_SECRET",
                **settings,
            }
            bridge = await bridges(
                {
                    "oauth_hosts": [portal.oauth_url],
                    "http": {"port": port, "public_url": url},
                    "sip": {"port": free_sip_port()},
                    "media": {"browser_port": free_port()},
                    "worker": worker or {},
                    "portal": [described],
                },
                {"BRIDGE_SECRET_KEYS": new_key(), "PORTAL_SECRET": app.client_secret},
            )
            if installed:
                await portal.auto_install()
            stack.callback(lambda: check(portal.requests))
            return Life(portal=portal, bridge=bridge)

        yield begin


async def test_it_is_installed_and_installed_again(lives: Lives) -> None:
    life = await lives(installed=False, line=LINE, line_name="Front desk")
    assert "not installed" in await life.told()
    await life.portal.auto_install()
    assert life.workers() == [0]
    assert {"ONAPPUPDATE", "ONAPPUNINSTALL", "ONAPPPAYMENT", "ONEXTERNALCALLSTART"} <= life.events()
    assert [(line.number, line.name) for line in life.portal.world.lines.all] == [(LINE, "Front desk")]
    await life.portal.auto_install(ANNA)
    for method in ("placement.bind", "telephony.externalLine.add"):
        assert life.asked(method) == 1, "the second time there was nothing to do"
    assert "installed" in await life.told()


@pytest.mark.parametrize("status", [200, 400], ids=["errors with status 200", "errors with status 400"])
@pytest.mark.parametrize("old", [False, True], ids=["new portal", "old portal"])
async def test_portals_old_and_new_are_installed(lives: Lives, old: bool, status: int) -> None:
    life = await lives(installed=False)
    life.portal.faults.old_portal, life.portal.faults.bind_error_status = old, status
    steps = await life.portal.auto_install()
    assert steps[-1].startswith("setInstallFinish")
    assert life.workers() == [0]


async def test_an_update_brings_a_new_token_and_loses_the_handlers(lives: Lives) -> None:
    life = await lives()
    for _ in range(2):
        life.portal.update()
        await wait_for(lambda: "ONEXTERNALCALLSTART" in life.events(), what="the handlers to be bound again")
    assert life.asked("placement.bind") == 1, "the worker stood there all the time"


async def test_a_new_colleague_is_known_without_waiting_for_the_next_reading(lives: Lives) -> None:
    life = await lives()
    assert "ONUSERADD" in life.events()
    await wait_for(lambda: life.asked("user.get") > 0, 20, "the people to be read")
    before = life.asked("user.get")
    life.portal.hire(User(id=12, name="Dora Ek", extension="112"))
    await wait_for(lambda: "ONUSERADD" in life.portal.delivered, 20, "the event")
    await wait_for(lambda: life.asked("user.get") > before, 20, "the people to be read again")


@pytest.mark.parametrize("clean", [False, True])
async def test_it_is_uninstalled_and_comes_back(lives: Lives, clean: bool) -> None:
    life = await lives()
    life.portal.uninstall(clean=clean)
    await life.until_told("uninstalled", "add the application there and open it")
    await life.portal.auto_install()
    assert life.workers() == [0]
    await life.until_told("installed")
    assert "uninstalled" not in await life.told()


async def test_a_second_administrator_stands_in_when_the_first_is_dismissed(lives: Lives) -> None:
    life = await lives()
    assert "let a second administrator open this page" not in await life.told(), "advice is no alarm"
    await life.portal.auto_install(CARLA)
    await life.until_told("1, spare 3")
    life.portal.dismiss(ANNA)
    life.portal.expire_tokens()
    life.portal.update()  # something to do for the bridge
    await life.until_told("3, lost 1", "The authorisation of user 1 is not valid any more")
    await wait_for(lambda: life.portal.world.notifications, what="the remaining administrator to be told")
    assert {note["user"] for note in life.portal.world.notifications} <= {ANNA, CARLA}
    life.portal.dismiss(CARLA)
    life.portal.expire_tokens()
    life.portal.rename("renamed.localhost")
    await life.worker_page(BORIS)  # makes the bridge ask the old address
    await life.until_told("needs login", "An administrator must open the application")


async def test_a_renamed_portal_is_found_again_and_no_redirect_is_followed(lives: Lives) -> None:
    life = await lives()
    assert await life.worker_page(BORIS) == 200
    life.portal.rename("renamed.localhost")
    assert await life.worker_page(BORIS) == 403, "a page under a strange name is only a hint"

    async def welcome() -> bool:
        return await life.worker_page(BORIS) == 200

    await wait_for(welcome, what="the bridge to learn the portal's new name")
    await life.until_told("installed", "renamed.localhost")
    assert life.asked("server.time") == 1, "the request itself was repeated at the new address"


async def test_an_unpaid_application_says_so_until_it_is_paid(lives: Lives) -> None:
    life = await lives()
    life.portal.faults.unpaid = True
    life.portal.expire_tokens()
    life.portal.update()
    await life.until_told("unpaid", "Renew it in Bitrix24")
    life.portal.faults.unpaid = False
    await life.bridge.restart()
    text = await life.until_told("installed")
    assert "Renew" not in text


async def test_a_free_plan_is_no_fault_of_the_administrator(lives: Lives) -> None:
    life = await lives(installed=False)
    life.portal.faults.plan_ended = True
    with pytest.raises(InstallError, match="Choose a commercial plan"):
        await life.portal.auto_install()
    life.portal.faults.plan_ended = False
    await life.portal.auto_install()
    life.portal.faults.plan_ended = True
    life.portal.update()
    await life.until_told("free plan", "Choose a commercial plan")


async def test_a_worker_that_bitrix24_threw_out_comes_back_and_the_administrators_hear_of_it(lives: Lives) -> None:
    life = await lives()
    # ONAPPINSTALL makes the bridge look at everything once more, which must not be what brings the worker back.
    await wait_for(lambda: life.asked("telephony.externalLine.get"), what="the installation's echo")
    life.portal.slow_load(BORIS, 11)
    assert life.workers() == [], "thrown out"
    await wait_for(lambda: life.workers() == [0], what="the worker to be bound again")
    await wait_for(lambda: life.portal.world.notifications, what="the administrator to be told")
    assert "too slowly" in life.portal.world.notifications[0]["message"]
    await life.until_told("was missing and was registered again")


@pytest.mark.parametrize("apart", [False, True], ids=["the code's rule", "the documents' rule"])
async def test_a_roll_out_gives_the_telephone_to_a_few_first(lives: Lives, apart: bool) -> None:
    life = await lives(roll_out=[BORIS, CARLA])
    life.portal.faults.personal_beside_general = apart
    assert life.workers() == [BORIS, CARLA]
    assert await life.worker_page(BORIS) == 200
    await life.bridge.stop()
    text = life.bridge.config.read_text().replace(f"roll_out = [{BORIS}, {CARLA}]", "")
    life.bridge.config.write_text(text)
    await life.bridge.start()
    await wait_for(lambda: life.workers() == [0], what="everybody to have it")
    assert not life.portal.world.notifications, "nobody was thrown out"
