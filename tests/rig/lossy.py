"""A bad way for datagrams, from a seed: some are lost, all are late, and late ones change places."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import Random
from typing import Any

LOOPBACK = "127.0.0.1"


class Faults:
    """What one direction does to datagrams; nothing until it is told otherwise."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self.loss = 0.0
        """Share."""
        self.jitter = 0.0
        """Seconds of delay at most, which also reorders."""
        self.lost = 0

    def pass_on(self, deliver: Callable[[], Any]) -> None:
        if self._rng.random() < self.loss:
            self.lost += 1
        elif self.jitter:
            asyncio.get_running_loop().call_later(self._rng.random() * self.jitter, deliver)
        else:
            deliver()


class Way:
    """Both directions of one way."""

    def __init__(self, seed: int = 1) -> None:
        self.there, self.back = Faults(seed), Faults(seed + 1)

    def worsen(self, *, loss: float, jitter: float) -> None:
        for faults in (self.there, self.back):
            faults.loss, faults.jitter = loss, jitter


class _Gate:
    """A UDP port of 127.0.0.1 that hands on what comes."""

    def __init__(self, came: Callable[[bytes], None], port: int = 0) -> None:
        self._came = came
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((LOOPBACK, port))
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def send(self, data: bytes, port: int) -> None:
        if port and self._socket.fileno() >= 0:
            with suppress(OSError):
                self._socket.sendto(data, (LOOPBACK, port))

    def _read(self) -> None:
        with suppress(OSError):
            while data := self._socket.recv(65_536):
                self._came(data)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


class _Voice:
    """The voice of one call: two ports that stand for the PBX's, and two for the bridge's (RTP, and RTCP beside it)."""

    def __init__(self, way: Way) -> None:
        self.bridge = self.pbx = 0
        """Their own RTP ports, as soon as they have told them."""
        self.heard: list[tuple[int, int, int]] = []
        """Sequence number, timestamp and SSRC of what the PBX got of the bridge's voice."""
        self.for_pbx = self._pair(lambda plus, data: way.there.pass_on(partial(self._to_pbx, plus, data)))
        self.for_bridge = self._pair(lambda plus, data: way.back.pass_on(partial(self._to_bridge, plus, data)))

    def _pair(self, came: Callable[[int, bytes], None]) -> list[_Gate]:
        while True:
            first = _Gate(partial(came, 0))
            try:
                return [first, _Gate(partial(came, 1), first.port + 1)]
            except OSError:
                first.close()

    def _to_pbx(self, plus: int, data: bytes) -> None:
        if not plus and not 191 < data[1] < 224:
            self.heard.append(struct.unpack_from("!xxHII", data))
        self.for_bridge[plus].send(data, self.pbx and self.pbx + plus)

    def _to_bridge(self, plus: int, data: bytes) -> None:
        self.for_pbx[plus].send(data, self.bridge and self.bridge + plus)


class PbxWay:
    """Stands between the bridge and a PBX on this machine: SIP passes as it is but for the ports of the voice."""

    def __init__(self, *, bridge_port: int, pbx_port: int, seed: int = 1) -> None:
        self._bridge_port, self._pbx_port = bridge_port, pbx_port
        self.way = Way(seed)
        """Of the voice; SIP is never worsened."""
        self.port = 0
        """Where the bridge finds the PBX."""
        self._voices: dict[bytes, _Voice] = {}

    @property
    def heard(self) -> list[tuple[int, int, int]]:
        """Sequence number, timestamp and SSRC of each packet of the one call's voice that the PBX got."""
        (voice,) = self._voices.values()
        return voice.heard

    @asynccontextmanager
    async def running(self) -> AsyncIterator[PbxWay]:
        near = _Gate(lambda data: far.send(self._rewritten(data, by_pbx=False), self._pbx_port))
        far = _Gate(lambda data: near.send(self._rewritten(data, by_pbx=True), self._bridge_port))
        self.port = near.port
        try:
            yield self
        finally:
            for gate in [near, far, *(g for v in self._voices.values() for g in (*v.for_pbx, *v.for_bridge))]:
                gate.close()

    def _rewritten(self, data: bytes, *, by_pbx: bool) -> bytes:
        head, gap, body = data.partition(b"\r\n\r\n")
        told = re.search(rb"^m=audio (\d+)", body, re.MULTILINE)
        call = re.search(rb"^(?:Call-ID|i): *(\S+)", head, re.MULTILINE | re.IGNORECASE)
        if told is None or call is None:
            return data
        if call[1] not in self._voices:
            self._voices[call[1]] = _Voice(self.way)
        voice = self._voices[call[1]]
        if by_pbx:
            voice.pbx, stands_in = int(told[1]), voice.for_pbx[0].port
        else:
            voice.bridge, stands_in = int(told[1]), voice.for_bridge[0].port
        body = body[: told.start(1)] + str(stands_in).encode() + body[told.end(1) :]
        length = re.compile(rb"^((?:Content-Length|l): *)\d+", re.MULTILINE | re.IGNORECASE)
        return length.sub(lambda found: found[1] + str(len(body)).encode(), head) + gap + body
