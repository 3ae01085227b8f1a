"""How a headless operator gets its ticket at a simulated portal: as a browser would."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

import aiohttp

from ..errors import NetworkError, RefusedError
from .http import http_client


async def ticket_from_simulator(portal_url: str, user: int) -> tuple[str, str]:
    """The bridge's url and a page ticket, fetched as a browser would that opened a page of the simulated portal."""
    lazyload = f"{portal_url.rstrip('/')}/bitrix/components/bitrix/app.layout/lazyload.ajax.php"
    async with http_client() as http:
        frame = _Page(await _post(http, f"{lazyload}?user={user}", {"PLACEMENT": "PAGE_BACKGROUND_WORKER", "URI": "/"}))
        if not frame.action:
            raise RefusedError(f"{portal_url} has no worker for user {user}: is the application installed?")
        worker = _Page(await _post(http, frame.action, frame.inputs))
    if not worker.ticket:
        raise RefusedError(f"{frame.action} answered without a ticket")
    parts = urlsplit(frame.action)
    return f"{parts.scheme}://{parts.netloc}", worker.ticket


async def _post(http: aiohttp.ClientSession, url: str, fields: dict[str, str]) -> str:
    try:
        async with http.post(url, data=fields) as answer:
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NetworkError(f"{url.partition('?')[0]} can't be reached: {error}") from None


class _Page(HTMLParser):
    """The first form of a page with its hidden inputs, and the ticket of its body."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action, self.ticket = "", ""
        self.inputs: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = given.get("action", "")
        elif tag == "input" and "name" in given:
            self.inputs[given["name"]] = given.get("value", "")
        elif tag == "body":
            self.ticket = given.get("data-ticket", "")
