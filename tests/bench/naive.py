"""`python -m tests.bench.naive HOST`: a bridge as one would write it first, on aiortc's tracks, decoding and encoding all."""

from __future__ import annotations

import asyncio
import fractions
import json
import secrets
import struct
import sys
from typing import Any
from unittest.mock import patch

import aioice.ice
import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.g711 import PcmuDecoder, PcmuEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError

_HEAD = struct.Struct("!BBHII")


class PbxTrack(MediaStreamTrack):
    """What the PBX says, decoded."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.packets: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self._decoder, self._start = PcmuDecoder(), -1

    async def recv(self) -> av.AudioFrame:
        timestamp, payload = await self.packets.get()
        self._start = timestamp if self._start < 0 else self._start
        (frame,) = self._decoder.decode(JitterFrame(data=payload, timestamp=timestamp - self._start))
        assert isinstance(frame, av.AudioFrame)
        frame.pts, frame.time_base = timestamp - self._start, fractions.Fraction(1, 8000)
        return frame


class Pbx(asyncio.DatagramProtocol):
    def __init__(self, track: PbxTrack) -> None:
        self._track = track

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not 191 < data[1] < 224:
            self._track.packets.put_nowait((_HEAD.unpack_from(data)[3], data[12:]))


class Naive:
    def __init__(self) -> None:
        self._calls: list[tuple[RTCPeerConnection, asyncio.DatagramTransport]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        if order["do"] == "call":
            return await self._call(order["offer"], tuple(order["pbx"]))
        return {"port": order["call"]}

    async def _call(self, offer: str, pbx: tuple[str, int]) -> dict[str, Any]:
        pc, track = RTCPeerConnection(RTCConfiguration(iceServers=[])), PbxTrack()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Pbx(track), local_addr=("127.0.0.1", 0))
        pc.on("track", lambda heard: self._spawn(_to_pbx(heard, transport, pbx)))
        pc.addTrack(track)
        await pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        self._calls.append((pc, transport))
        return {"call": transport.get_extra_info("sockname")[1], "sdp": pc.localDescription.sdp}

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _to_pbx(heard: MediaStreamTrack, transport: asyncio.DatagramTransport, pbx: tuple[str, int]) -> None:
    encoder, sequence, ssrc = PcmuEncoder(), secrets.randbits(15), secrets.randbits(32)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=8000)
    try:
        while True:
            frame = await heard.recv()
            assert isinstance(frame, av.AudioFrame)
            for part in [frame] if frame.sample_rate == 8000 else resampler.resample(frame):
                payloads, timestamp = encoder.encode(part)
                for payload in payloads:
                    sequence = (sequence + 1) & 0xFFFF
                    head = _HEAD.pack(0x80, 0, sequence, timestamp & 0xFFFFFFFF, ssrc)
                    transport.sendto(head + payload, pbx)
    except MediaStreamError:
        return


async def main() -> None:
    naive = Naive()
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with patch.object(aioice.ice, "get_host_addresses", lambda **_: [sys.argv[1]]):
        while line := await reader.readline():
            print(json.dumps(await naive.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
