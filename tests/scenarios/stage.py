"""The whole path on real parts: an Asterisk, the bridge as a process, a simulated portal, Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from socket import SOCK_STREAM
from typing import Any

from bridge.control import ask
from bridge.demo.portal import App, Call, Portal
from bridge.errors import BridgeError
from bridge.tickets import new_key

from ..rig.asterisk import TONE_HZ, Asterisk, PhoneCall
from ..rig.chromium import MICROPHONE_HZ, Chromium
from ..rig.lossy import PbxWay
from ..rig.page import Frame, Page, PageError
from ..rig.phone_call import OutboundCall
from ..rig.ports import free_port, free_sip_port, lane_of
from ..rig.process import BridgeProcess
from ..rig.router import Router
from ..rig.waiting import PATIENCE, wait_for

WORKER = "/b24/worker"
PHONE = "/b24/app"
ANSWER, STOP = "[data-do=answer]", "[data-do=decline], [data-do=hangUp]"
CLIENT_ID, CLIENT_SECRET = "local.test", "test-client-secret"
ANNA, BORIS = 1, 2
AGENTS = {ANNA: "1001", BORIS: "1002"}


@dataclass
class Stage:
    """What a story is told on. Anna (user 1, an administrator) is agent 1001, Boris (user 2) is agent 1002."""

    asterisk: Asterisk
    portal: Portal
    bridge: BridgeProcess
    visible: Chromium | None = None
    router: Router | None = None
    """The way of the browser to the bridge, where the story needs one that changes."""
    to_pbx: PbxWay | None = None
    """The way of the voice to the PBX, likewise."""
    calls: list[PhoneCall] = field(default_factory=list)

    @property
    def browser(self) -> Chromium:
        assert self.visible is not None, "this story has no browser"
        return self.visible

    @property
    def state_dir(self) -> Path:
        return self.bridge.directory / "var"

    async def sign_in(self, user: int = ANNA, path: str = "/", browser: Chromium | None = None) -> Page:
        """A portal page of this user, clicked once as people do, its worker connected."""
        before = {tab["tab"] for tab in await self.workers(user)}  # some of which may just be going
        page = await (browser or self.browser).page(f"{self.portal.url}{path}?user={user}")
        await page.click("h1")

        async def come() -> bool:
            return any(tab["tab"] not in before for tab in await self.workers(user))

        await wait_for(come, what=f"a new worker page of user {user} at the bridge")
        return page

    async def online(self, user: int = ANNA) -> None:
        await wait_for(lambda: self.workers(user), what=f"a worker page of user {user} at the bridge")

    async def workers(self, user: int = ANNA) -> list[dict[str, Any]]:
        mine = [tab for tab in await self.tabs() if tab["operator"].startswith(f"{user}@")]
        return [tab for tab in mine if tab["kind"] == "worker"]

    async def tabs(self) -> list[dict[str, Any]]:
        try:
            answer = await ask(self.state_dir, do="status")
        except BridgeError:
            return []
        tabs: list[dict[str, Any]] = answer["tabs"]
        return tabs

    async def live(self) -> list[dict[str, Any]]:
        """The bridge's own list of calls."""
        calls: list[dict[str, Any]] = (await ask(self.state_dir, do="calls"))["calls"]
        return calls

    async def voice(self) -> str:
        """The tab that holds the microphone of the one live call."""
        (live,) = await self.live()
        return str(live["voice"])

    async def bridge_hangs_up(self) -> None:
        """As `bridge calls --hang-up all` does."""
        await ask(self.state_dir, do="hang-up", call="all")

    def clear(self) -> None:
        for call in self.calls:
            call.hang_up()

    def ring(self, user: int = ANNA, **how: Any) -> PhoneCall:
        call = self.asterisk.call(AGENTS[user], **how)
        self.calls.append(call)
        return call

    async def telephone(self, user: int = ANNA, browser: Chromium | None = None) -> Page:
        """The application's own page, as opened from the portal's menu."""
        page = await self.sign_in(user, "/marketplace/app/1/", browser)
        await page.wait_for("!!document.querySelector('[data-do=dial]')", frame=PHONE, what="the dialpad")
        return page

    async def dial(self, page: Page, number: str, user: int = ANNA) -> OutboundCall:
        """Types the number, presses Enter; the call as the PBX sees it."""
        before = self.asterisk.outbound(AGENTS[user])
        await page.click("input[type=tel]", frame=PHONE)
        await page.type(number)
        await page.key("Enter")
        return await self.asterisk.dialled(AGENTS[user], before)

    async def says(self, page: Page, text: str, timeout: float = PATIENCE) -> None:
        """The telephone shows this."""
        await page.wait_for(
            f"document.body.innerText.includes({json.dumps(text)})", frame=PHONE, timeout=timeout, what=f"“{text}”"
        )

    async def ended(self) -> None:
        """The bridge has no call any more."""

        async def none() -> bool:
            return not await self.live()

        await wait_for(none, what="the end of every call")

    async def answer(self, page: Page) -> None:
        await page.click(ANSWER, frame=PHONE)

    async def hang_up(self, page: Page) -> None:
        """The red button: declines while it rings, hangs up in a call."""
        await page.click(STOP, frame=PHONE)

    async def talking(self, page: Page, call: PhoneCall | OutboundCall) -> None:
        """Both sides hear each other's tone."""
        assert await call.is_answered() == 200
        await self.heard(page)
        await wait_for(lambda: call.hears(MICROPHONE_HZ), what="the operator's tone at the PBX")

    async def silent(self, call: PhoneCall | OutboundCall) -> None:
        """The PBX hears nothing of the operator's tone any more."""
        await wait_for(lambda: not call.hears(MICROPHONE_HZ, share=0.05), what="the operator's tone to stop")

    async def heard(self, page: Page, hz: float = TONE_HZ, frames: str = WORKER) -> None:
        """The page plays that tone aloud."""

        async def loud() -> bool:
            return any([await self.plays(page, frame, hz) for frame in await page.frames(frames)])

        await wait_for(loud, what=f"{hz:g} Hz in the page")

    async def plays_nothing(self, page: Page) -> bool:
        return not any([await self.plays(page, frame, TONE_HZ) for frame in await page.frames(WORKER)])

    async def plays(self, page: Page, frame: Frame, hz: float) -> bool:
        try:
            return await page.heard(hz, frame=frame) > 0.5
        except PageError:  # the frame is on its way out, or in
            return False

    async def record_of(self, direction: str, timeout: float = PATIENCE) -> Call:
        """The one finished CRM record of this direction."""

        def finished() -> list[Call]:
            return [entry for entry in self.portal.calls if entry.direction == direction and entry.finished is not None]

        await wait_for(finished, timeout, f"the CRM record of the {direction} call")
        (record,) = [entry for entry in self.portal.calls if entry.direction == direction]
        return record

    async def record(self, call: PhoneCall | None = None, timeout: float = PATIENCE) -> Call:
        """The one CRM record, finished; fails if there is a second one."""

        def finished() -> list[Call]:
            return [entry for entry in self.portal.calls if entry.finished is not None]

        await wait_for(finished, timeout, "the CRM record")
        assert len(self.portal.calls) == 1, "one call, one record"
        return self.portal.calls[0]


def portal_for(bridge_port: int) -> Portal:
    from bridge.demo.portal import User

    bridge_url = f"http://bridge.localhost:{bridge_port}"
    app = App(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        app_url=f"{bridge_url}/b24/app",
        install_url=f"{bridge_url}/b24/install",
    )
    users = (User(id=ANNA, name="Anna Petrova", admin=True), User(id=BORIS, name="Boris Lang"))
    return Portal(port=0, app=app, users=users)


def settings_for(bridge_port: int, portal: Portal, pbx: str, **calls: Any) -> dict[str, Any]:
    return {
        "oauth_hosts": [portal.oauth_url],
        "http": {"port": bridge_port, "public_url": f"http://bridge.localhost:{bridge_port}"},
        "metrics": {"port": free_port(SOCK_STREAM)},
        "sip": {"port": free_sip_port()},
        "media": {"browser_port": free_port(), "pbx_ports": lane_of(21_000, 21_999)},
        # A machine that is busy with a browser makes the bridge late: it would take no call.
        "calls": {"ring_seconds": 30, "card_seconds": 0.5, "late_seconds": 60, "most_cpu": 4, **calls},
        "portal": [{"url": portal.url, "client_id": CLIENT_ID, "client_secret_env": "PORTAL_SECRET", "region": "DE"}],
        "trunk": [{"name": "pbx", "server": pbx, "expires": 60}],
        "operator": [
            {
                "portal": portal.url,
                "user_id": user,
                "extension": agent,
                "trunk": "pbx",
                "sip_user": agent,
                "password_env": f"PASSWORD_{agent}",
            }
            for user, agent in AGENTS.items()
        ],
    }


def add_pbx(settings: dict[str, Any], port: int) -> None:
    """A second PBX on this machine, which calls Anna by her address and registers nobody."""
    anna = settings["operator"][0]
    settings["trunk"].append({"name": "second", "server": f"127.0.0.1:{port}", "register": False, "codecs": ["PCMU"]})
    settings["operator"].append({**anna, "trunk": "second"})


def secrets_for(agents: Iterable[str] = AGENTS.values()) -> dict[str, str]:
    passwords = {f"PASSWORD_{agent}": f"pw-{agent}" for agent in agents}
    return {"BRIDGE_SECRET_KEYS": new_key(), "PORTAL_SECRET": CLIENT_SECRET, **passwords}
