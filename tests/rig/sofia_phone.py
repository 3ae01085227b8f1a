"""A telephone made of Janus' SIP plugin and a WebRTC leg: it says 450 Hz and knows which tone it hears."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from aiortc import RTCSessionDescription

from bridge.robot.voice import Leg, Mouth, tone

from .headset import Listener
from .janus import Janus

TONE_HZ = 450


class SofiaPhone:
    """One user of the SIP plugin, who registers nowhere. `port`: where it takes SIP over UDP."""

    def __init__(self, janus: Janus, handle: int, port: int, tasks: asyncio.TaskGroup) -> None:
        self.port = port
        self._janus = janus
        self._handle = handle
        self._tasks = tasks
        self._ear = Listener()
        self._leg: Leg | None = None

    async def calls(self, uri: str, srtp: str) -> None:
        """Until it is answered."""
        leg = self._new_leg()
        await leg.offer()
        offer = _plain(leg._pc.localDescription.sdp)  # with its candidates: Janus trickles its own, which nobody reads
        secrecy: dict[str, Any] = {"srtp": srtp} if srtp else {}
        await self._janus.do(self._handle, "call", uri=uri, jsep={"type": "offer", "sdp": offer}, **secrecy)
        await leg.accept((await self._janus.until(self._handle, "accepted"))["jsep"]["sdp"])

    async def answers(self) -> None:
        """The call that comes next."""
        offer = (await self._janus.until(self._handle, "incomingcall"))["jsep"]["sdp"]
        leg = self._new_leg()
        await self._janus.do(self._handle, "accept", jsep={"type": "answer", "sdp": await _answer(leg, offer)})
        await self._janus.until(self._handle, "accepted")

    async def does(self, request: str, **words: Any) -> None:
        """One of the plugin's requests: hold, unhold, dtmf_info, hangup."""
        await self._janus.do(self._handle, request, **words)

    async def is_hung_up(self) -> None:
        await self._janus.until(self._handle, "hangup")

    def hears(self, hz: float) -> bool:
        return self._ear.hears(hz)

    async def close(self) -> None:
        if self._leg is not None:
            await self._leg.close()

    def _new_leg(self) -> Leg:
        self._ear = Listener()
        self._leg = Leg("call", Mouth(cycle([tone(TONE_HZ)])), self._ear, self._tasks, asyncio.Queue())
        self._leg.speak(True)
        return self._leg


async def _answer(leg: Leg, offer: str) -> str:
    page = leg._pc
    await page.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
    await page.setLocalDescription(await page.createAnswer())
    return _plain(page.localDescription.sdp)


def _plain(sdp: str) -> str:
    """Janus takes the last fingerprint for the only one, and knows sha-256."""
    return re.sub(r"^a=fingerprint:sha-(384|512) .*\r\n", "", sdp, flags=re.MULTILINE)


@asynccontextmanager
async def sofia_phones(directory: Path, host: str, *numbers: str) -> AsyncIterator[list[SofiaPhone]]:
    """One for each number. After a call a telephone is busy for a moment still, so have one for every call."""
    directory.mkdir()
    phones: list[SofiaPhone] = []
    async with Janus.running(directory, host) as janus, asyncio.TaskGroup() as tasks:
        for number in numbers:
            handle, before = await janus.handle(), _udp_ports(janus.pid)
            await janus.do(handle, "register", type="guest", username=f"sip:{number}@127.0.0.1")
            await janus.until(handle, "registered")
            (port,) = _udp_ports(janus.pid) - before
            phones.append(SofiaPhone(janus, handle, port, tasks))
        try:
            yield phones
        finally:
            for phone in phones:
                await phone.close()


def _udp_ports(pid: int) -> set[int]:
    """Of 127.0.0.1, held by that process: Sofia-SIP takes whichever is free and tells nobody."""
    links = (os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd") if entry.is_symlink())
    inodes = {found[1] for link in links if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[9] in inodes and row[1].startswith("0100007F")}
