"""A PBX that speaks DTLS-SRTP: the bridge's own leg and session, played from the other side."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from bridge.calls.commands import Latch, Secrecy
from bridge.media.dtls import Certificate
from bridge.media.dtls_leg import DtlsLeg
from bridge.media.pbx_session import PbxSession
from bridge.media.ports import PortPairs
from bridge.media.sdp import Address

from .stage import SOON, Packet, Stage, rtp

Change = Callable[[bytes], bytes]


def unchanged(sdp: bytes) -> bytes:
    return sdp


def no_ice(sdp: bytes) -> bytes:
    """What a PBX says, or understands, that knows no ICE."""
    return re.sub(rb"a=(ice|candidate).*\r\n", b"", sdp)


class DtlsPbx:
    """One session. `says` changes what it sends, `reads` what it understands."""

    def __init__(
        self,
        here: Stage,
        *,
        says: Change = unchanged,
        reads: Change = unchanged,
        forged: str = "",
        certificate: Certificate | None = None,
        ipv6: bool = False,
    ) -> None:
        assert here.voice._equipment is not None
        self._certificate = certificate or Certificate.generateCertificate()
        equipment, pair = here.voice._equipment, PortPairs((24_000, 24_999)).bind("::1" if ipv6 else "127.0.0.1")
        self.heard: asyncio.Queue[Packet] = asyncio.Queue()
        self.failures: list[str] = []
        self._buffer, self._says, self._reads = equipment.buffer, says, reads
        self._said, self._ssrc = 0, secrets.randbits(32)
        self.leg = DtlsLeg(equipment, self._certificate, pair, voice=self._keep, failed=self.failures.append)
        self.session = PbxSession(77, secrets.token_bytes)
        self.session.begin(forged or self._certificate.fingerprint)
        self.session.secrecy, self.session.ipv6 = Secrecy.WEBRTC, ipv6

    def _keep(self, length: int, now: float) -> None:
        self.heard.put_nowait(Packet.read(bytes(self._buffer[:length])))

    def offer(self) -> bytes:
        text = self.session.offer(["PCMU"], self.leg.address)
        self.leg.expect(self.session.our_end)
        return self._says(text)

    def offer_again(self, *, held: bool = False) -> bytes:
        return self._says(self.session.hold(held, self.leg.address))

    def restart(self) -> bytes:
        """An ICE restart: another association for the same session."""
        text = self.session.offered_anew(self.leg.address, ())
        self.leg.expect(self.session.our_end)
        return self._says(text)

    def answered(self, sdp: bytes) -> None:
        self.session.answered(self._reads(sdp))
        self.leg.follow(self.session.terms, Latch.PORT)

    def answer(self, sdp: bytes) -> bytes:
        if self.session.codec is None:
            self.session.invited(self._reads(sdp))
            text = self.session.answer("PCMU", self.leg.address)
        else:
            text = self.session.reoffered(self._reads(sdp), self.leg.address)
        self.leg.follow(self.session.terms, Latch.PORT)
        return self._says(text)

    def say(self, payload: bytes) -> None:
        self._said += 1
        type_ = self.session.codec.payload_type if self.session.codec else 0
        packet = rtp(type_, self._said, 160 * self._said, payload, self._ssrc)
        self._buffer[: len(packet)] = packet
        self.leg.send(len(packet))

    async def next_with(self, payload: bytes) -> Packet:
        async with asyncio.timeout(SOON):
            while (packet := await self.heard.get()).payload != payload:
                pass
        return packet

    async def connected(self, seconds: float = SOON) -> None:
        """Both ends have their keys; polled, since the leg tells nobody."""
        async with asyncio.timeout(seconds):
            while not self.leg.connected:
                await asyncio.sleep(0.002)


@asynccontextmanager
async def dtls_pbx(here: Stage, **how: Any) -> AsyncIterator[DtlsPbx]:
    pbx = DtlsPbx(here, **how)
    try:
        yield pbx
    finally:
        pbx.leg.close()


class LossyWay:
    """Loses, delays and reorders what a leg sends, from a seed."""

    def __init__(self, leg: DtlsLeg, *, seed: int, loss: float, jitter: float) -> None:
        self._rng, self._loss, self._jitter = Random(seed), loss, jitter
        self._hub = leg._hub
        self._through = self._hub.sendto
        for way in ("sendto", "send"):
            setattr(self._hub, way, self.send)
        self.lost = self.carried = 0

    def send(self, data: bytes | memoryview, address: Address) -> None:
        self.carried += 1
        if self._rng.random() < self._loss:
            self.lost += 1
            return
        delay = self._rng.random() * self._jitter
        asyncio.get_running_loop().call_later(delay, self._deliver, bytes(data), address)

    def _deliver(self, data: bytes, address: Address) -> None:
        if self._hub._socket.fileno() >= 0:
            self._through(data, address)
