"""worker.*: the page that Bitrix24 loads everywhere, and throws out when it is slow.

`posts_per_s` posts the handler's form over kept connections as fast as one client process can, for some seconds, and counts
whole answers. `load_ms` runs from the submission of the form to the iframe's `load` in Chromium, frame after frame in one page
of the portal, while 200 such posts are in flight at every moment. `before_load_kb` is what the answer to the post weighs with its
headers, `bundle_kb` the script that the page adds in its `load` handler, gzipped; KB are 1,000 bytes.
"""

from __future__ import annotations

import asyncio
import gzip
import html
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp

from ..rig.chromium import Chromium, find_chromium
from .figure import Figure, spread
from .proc import cpu_seconds
from .site import Say, Site, site

CONNECTIONS = 200
WARM_UP_SECONDS, SECONDS = 1.0, 6.0
LOADS = 100
LOADS_AT_ONCE = 10
"""In one script, whose answer has a deadline."""
_ACTION, _INPUT = re.compile(r'action="([^"]+)"'), re.compile(r'name="([^"]+)" value="([^"]*)"')
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)

LOAD = """(async count => {
  const form = document.querySelector('.app-frame form');
  const times = [];
  for (let n = 0; n < count; n++) {
    const frame = document.createElement('iframe');
    frame.name = 'bench' + n;
    frame.allow = 'microphone *; autoplay *';
    frame.style.display = 'none';
    document.body.append(frame);
    const copy = form.cloneNode(true);
    copy.target = frame.name;
    document.body.append(copy);
    const start = performance.now();
    await new Promise(loaded => { frame.addEventListener('load', loaded, { once: true }); copy.submit(); });
    times.push(performance.now() - start);
    copy.remove();
    frame.remove();
  }
  return times;
})"""
"""The frames are removed at once, or they would reach the limit of pages an operator may have."""


class Poster(asyncio.Protocol):
    """One kept connection that posts again as soon as it is answered."""

    def __init__(self, request: bytes, counts: Counts) -> None:
        self._request = request
        self._counts = counts
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if end else None
        if length is None or len(body) < int(length[1]):
            return
        self._counts.take(head.startswith(b"HTTP/1.1 200 "), len(self._buffer))
        self._buffer = b""
        if self._transport and not self._transport.is_closing():
            self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._counts.lost += 1

    def close(self) -> None:
        if self._transport:
            self._transport.close()


class Counts:
    """What the posters have got so far."""

    def __init__(self) -> None:
        self.done = 0
        self.refused = 0
        self.lost = 0
        self.size = 0
        """Of one whole answer, in bytes."""

    def take(self, ok: bool, size: int) -> None:
        self.done += ok
        self.refused += not ok
        self.size = size


async def measure(directory: Path, say: Say) -> list[Figure]:
    async with site(directory) as stage:
        request = await _request(stage)
        say(f"{CONNECTIONS} connections post for {SECONDS:.0f} s")
        figures = await _throughput(stage, request)
        if find_chromium() is None:
            say("load_ms left out: Chromium is not installed (Debian package chromium)")
        else:
            say(f"{LOADS} frames are loaded beside them")
            figures += await _loads(stage, request)
        return [*figures, await _bundle(stage)]


async def _request(stage: Site) -> bytes:
    """The bytes of one post, with the fields that the portal puts into its form."""
    url = f"{stage.portal_address}/bitrix/components/bitrix/app.layout/lazyload.ajax.php?user=1"
    fields = {"PLACEMENT": "PAGE_BACKGROUND_WORKER", "URI": "/"}
    host = {"Host": urlsplit(stage.portal_url).netloc}
    async with aiohttp.ClientSession() as http, http.post(url, data=fields, headers=host) as answer:
        form = await answer.text()
    action = _ACTION.search(form)
    assert action, f"the portal gave no frame: {form[:200]}"
    target = urlsplit(html.unescape(action[1]))
    body = urlencode([(name, html.unescape(value)) for name, value in _INPUT.findall(form)]).encode()
    head = (
        f"POST {target.path}?{target.query} HTTP/1.1\r\nHost: {target.netloc}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@asynccontextmanager
async def _posting(stage: Site, request: bytes) -> AsyncIterator[Counts]:
    loop, counts = asyncio.get_running_loop(), Counts()
    posters = [Poster(request, counts) for _ in range(CONNECTIONS)]
    for poster in posters:
        await loop.create_connection(lambda poster=poster: poster, "127.0.0.1", stage.http_port)  # type: ignore[misc]
    try:
        yield counts
        assert not counts.refused, f"{counts.refused} posts were refused"
        assert not counts.lost, f"{counts.lost} connections were lost"
    finally:
        for poster in posters:
            poster.close()


async def _throughput(stage: Site, request: bytes) -> list[Figure]:
    async with _posting(stage, request) as counts:
        await asyncio.sleep(WARM_UP_SECONDS)
        done, begin, cpu = counts.done, time.monotonic(), cpu_seconds(stage.bridge.pid)
        await asyncio.sleep(SECONDS)
        passed = time.monotonic() - begin
        rate = (counts.done - done) / passed
        busy = (cpu_seconds(stage.bridge.pid) - cpu) / passed
        size = counts.size
    note = f"bridge at {busy * 100:.0f} % of a core: {rate / busy:,.0f}/s of a whole one"
    return [
        Figure(name="worker.posts_per_s", value=rate, unit="1/s", note=note),
        Figure(name="worker.before_load_kb", value=size / 1000, unit="KB", note="the answer with its headers"),
    ]


async def _loads(stage: Site, request: bytes) -> list[Figure]:
    async with Chromium() as browser:
        page = await browser.page(f"{stage.portal_url}/?user=1")
        await page.wait_for("document.querySelector('.app-frame form')")
        alone = await page.evaluate(f"{LOAD}(20)")
        async with _posting(stage, request):
            times = [
                milliseconds
                for _ in range(LOADS // LOADS_AT_ONCE)
                for milliseconds in await page.evaluate(f"{LOAD}({LOADS_AT_ONCE})")
            ]
    note = f"{CONNECTIONS} posts in flight; p50 without them {sorted(alone)[len(alone) // 2]:.0f}"
    return spread("worker.load_ms", times, 50, 99, note=note)


async def _bundle(stage: Site) -> Figure:
    url = f"http://127.0.0.1:{stage.http_port}"
    request = await _request(stage)
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.http_port)
    writer.write(request.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1))
    page = (await reader.read()).decode()
    writer.close()
    script = re.search(r'"(/static/worker[^"]+\.js)"', page)
    assert script, "the worker page names no script"
    async with aiohttp.ClientSession() as http, http.get(url + script[1]) as answer:
        plain = await answer.read()
    note = f"{len(plain) / 1000:.1f} KB plain"
    return Figure(name="worker.bundle_kb", value=len(gzip.compress(plain, 9)) / 1000, unit="KB", note=note)
