"""`python -m tests.bench.room HOST [WORKERS [FOLDER]]`: the bridge's voice room in a process of its own, driven by lines of JSON.

With a folder for it every call is recorded.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bridge import config
from bridge.calls.commands import ConnectBrowser, JoinMedia, StartRecording
from bridge.calls.events import BrowserAnswered, CallId, Event, MediaReady, TabId
from bridge.media.recording.recorder import Shelf
from bridge.media.session import Voice
from bridge.media.workers.workers import Workers


class Room:
    """One line in, one line out: `call` answers a page's offer, `reached` tells the port towards the PBX."""

    def __init__(self, host: str, workers: int, recordings: str) -> None:
        media = config.Media(browser_address=host, browser_port=0, pbx_ports=(22_000, 25_999), workers=workers)
        self.voice: Voice | Workers = Voice(
            media=media, post=self._post, shelf=Shelf(directory=Path(recordings)) if recordings else None
        )
        self._records = recordings != ""
        if workers > 1:
            self.voice = Workers(media=media, post=self._post, most_cpu=4)
        self._waiting: dict[tuple[type[Event], CallId], asyncio.Future[Any]] = {}
        self._count = 0

    def _post(self, event: Event) -> None:
        if isinstance(event, BrowserAnswered | MediaReady):
            self._expect(type(event), event.call).set_result(event)

    def _expect(self, kind: type[Event], call: CallId) -> asyncio.Future[Any]:
        return self._waiting.setdefault((kind, call), asyncio.get_running_loop().create_future())

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        if order["do"] == "call":
            return await self._call(order["offer"], order["pbx"])
        ready = await self._expect(MediaReady, CallId(order["call"]))
        if self._records:
            await self.voice.perform(StartRecording(call=ready.call, portal="bench"))
        return {"port": _port(ready.sdp.decode())}

    async def _call(self, offer: str, pbx: tuple[str, int]) -> dict[str, Any]:
        self._count += 1
        call = CallId(f"call-{self._count}")
        command = ConnectBrowser(
            call=call, tab=TabId("tab"), offer="o", sdp=offer, pbx_offer=_description(*pbx), codecs=("PCMU",)
        )
        await self.voice.perform(command)
        await self.voice.perform(JoinMedia(call=call, tab=TabId("tab")))
        answered = await self._expect(BrowserAnswered, call)
        return {"call": call, "sdp": answered.sdp}


def _description(host: str, port: int) -> bytes:
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000"]
    return ("\r\n".join(lines) + "\r\n").encode()


def _port(sdp: str) -> int:
    return int(next(line for line in sdp.splitlines() if line.startswith("m=audio")).split()[1])


async def main() -> None:
    room = Room(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1, sys.argv[3] if len(sys.argv) > 3 else "")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with room.voice.running():
        while line := await reader.readline():
            print(json.dumps(await room.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
