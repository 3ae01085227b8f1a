"""Installs the application as an administrator's browser would, without one."""

from __future__ import annotations

import html
import re
from json import loads

from aiohttp import ClientError, ClientSession, ClientTimeout

from .desk import Desk
from .frames import install_frame
from .world import World

_TICKET = re.compile(r"""data-ticket=["']([^"']+)["']""")
_PATIENCE = ClientTimeout(total=30)


class InstallError(Exception):
    """The application's installer did not do its part; the text says what it answered."""


async def install(world: World, desk: Desk, http: ClientSession, user: int | None = None) -> list[str]:
    """The steps taken: the install frame's form, the page's own request, setInstallFinish.

    With a `user` it is done again by this administrator, whether it was done before or not.
    """
    if world.installed and user is None:
        return ["already installed"]
    administrator = world.admin() if user is None else world.user(user)
    if administrator is None or not administrator.admin:
        raise InstallError("none of the portal's users is this administrator")
    frame = install_frame(world, administrator)
    page = await _post(http, frame.action, form=dict(frame.fields))
    ticket = _TICKET.search(page)
    if ticket is None:
        raise InstallError(f"the install page carries no data-ticket: {page[:200]!r}")
    url = f"{world.app.origin}/b24/install"
    answer = await _post(http, url, json={"ticket": html.unescape(ticket[1])})
    if _unfinished(answer):
        raise InstallError(f"{url} did not finish: {answer[:1000]}")
    desk.finish_installation(administrator)
    return [
        f"opened the install frame {world.app.install_url} as {administrator.name}",
        f"POST {url}: {answer[:1000]}",
        "setInstallFinish: the application is installed",
    ]


def _unfinished(answer: str) -> bool:
    """An installer that reports `done: false` at its end would not call setInstallFinish."""
    try:
        report = loads(answer.strip().rpartition("\n")[2])
    except ValueError:
        return False
    return isinstance(report, dict) and report.get("done") is False


async def _post(
    http: ClientSession, url: str, *, form: dict[str, str] | None = None, json: dict[str, str] | None = None
) -> str:
    try:
        async with http.post(url, data=form, json=json, timeout=_PATIENCE, allow_redirects=False) as response:
            text = await response.text()
    except (ClientError, TimeoutError, ValueError) as error:
        raise InstallError(f"{url.split('?')[0]}: {error!r}") from None
    if response.status != 200:
        raise InstallError(f"{url.split('?')[0]} answered {response.status}: {text[:200]!r}")
    return text
