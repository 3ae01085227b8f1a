"""What `bridge demo` starts: a simulated portal, a small PBX, and the bridge between them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..app import Bridge
from ..config import Settings
from ..tickets import new_key
from .pbx import DemoPbx
from .portal import App, Portal, User

USERS = (
    User(id=1, name="Anna Petrova", admin=True, extension="101"),
    User(id=2, name="Boris Lang", extension="102"),
)
ACCOUNTS = {1: "1001", 2: "1002"}
CALLER = ("+49 30 5550100", "Clara Caller")
SECRET, PASSWORD, KEYS = "BRIDGE_DEMO_CLIENT_SECRET", "BRIDGE_DEMO_SIP_PASSWORD", "BRIDGE_DEMO_KEYS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    http: int = 8090
    portal: int = 8091
    sip: int = 5080
    """The bridge's; the PBX takes the next one."""
    browser: int = 30000
    rtp: int = 21000
    """The bridge's towards the PBX; the PBX's own lie a thousand higher."""


@asynccontextmanager
async def running(ports: Ports) -> AsyncIterator[str]:
    """Everything up and the application installed; yields the address to open."""
    os.environ.update({SECRET: "demo-client-secret", PASSWORD: "demo-sip-password", KEYS: new_key()})
    bridge_url = f"http://bridge.localhost:{ports.http}"
    app = App(
        client_id="local.demo",
        client_secret=os.environ[SECRET],
        app_url=f"{bridge_url}/b24/app",
        install_url=f"{bridge_url}/b24/install",
    )
    accounts = dict.fromkeys(ACCOUNTS.values(), os.environ[PASSWORD])
    pbx = DemoPbx("127.0.0.1", ports.sip + 1, accounts, ports.rtp + 1000)

    async def call_me(user: int) -> None:
        number, name = CALLER
        await pbx.call(ACCOUNTS[user], number.replace(" ", ""), name)

    portal = Portal(port=ports.portal, app=app, users=USERS, call_me=call_me)
    with TemporaryDirectory(prefix="bridge-demo-") as folder:
        async with portal.running(), pbx.running(), Bridge(settings(ports, portal, Path(folder))).running():
            await portal.auto_install()
            yield portal.url


def settings(ports: Ports, portal: Portal, state_dir: Path) -> Settings:
    """The bridge's settings for this stage."""
    return Settings.model_validate(
        {
            "http": {"port": ports.http, "public_url": f"http://bridge.localhost:{ports.http}"},
            "sip": {"port": ports.sip},
            "media": {"browser_port": ports.browser, "pbx_ports": (ports.rtp, ports.rtp + 998)},
            "store": {"url": f"sqlite+aiosqlite:///{state_dir / 'bridge.db'}"},
            "keys": {"env": KEYS},
            "oauth_hosts": (portal.oauth_url,),
            "state_dir": state_dir,
            "portal": [{"url": portal.url, "client_id": "local.demo", "client_secret_env": SECRET, "region": "DE"}],
            "trunk": [{"name": "demo", "server": f"127.0.0.1:{ports.sip + 1}", "expires": 60}],
            "operator": [
                {
                    "portal": portal.url,
                    "user_id": user,
                    "extension": account,
                    "trunk": "demo",
                    "sip_user": account,
                    "password_env": PASSWORD,
                }
                for user, account in ACCOUNTS.items()
            ],
        }
    )
