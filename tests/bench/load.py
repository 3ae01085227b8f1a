"""The load on a relay: many calls whose both ends are ours, driven by `load.c`; pages are set up with aiortc."""

from __future__ import annotations

import asyncio
import ctypes
import glob
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import aioice.ice
import pylibsrtp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCCertificate
from pylibsrtp._binding import ffi

from ..rig.process import ROOT
from .proc import cpu_ns_of_family

Address = tuple[str, int]
SOURCE = Path(__file__).with_name("load.c")
SAMPLES = 2_000_000
SETTLE_SECONDS = 1.0
"""Of voice before it is counted."""


class Peer(Protocol):
    """What carries the voice: the bridge's media room, or one of those it is measured against."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int: ...

    async def call(self, offer: str, pbx: Address) -> tuple[str, Any]:
        """The answer to a page's offer, and what `reached` wants to have."""

    async def reached(self, call: Any) -> Address:
        """Where the PBX's voice goes; asked when the page is connected and has spoken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run: `calls` at once for `seconds`."""

    calls: int
    seconds: float
    cpu: float
    """Of the peer, kernel's share included: cores."""
    sent: int
    lost: int
    lateness: list[float]
    """Milliseconds from one end's socket to the other's, ours included; both directions."""
    behind: float
    """Milliseconds that the load itself was late at worst."""

    @property
    def calls_per_core(self) -> float:
        return self.calls / self.cpu


class _Result(ctypes.Structure):
    _fields_ = [
        ("sent", ctypes.c_int64 * 2),
        ("arrived", ctypes.c_int64 * 2),
        ("refused", ctypes.c_int64),
        ("others", ctypes.c_int64),
        ("behind_ns", ctypes.c_int64),
        ("samples", ctypes.c_int64 * 2),
    ]


def compiled(source: Path = SOURCE) -> ctypes.CDLL:
    """`load.c` or what includes it, linked against the libsrtp inside pylibsrtp."""
    library = ROOT / "build" / f"{source.stem}.so"
    library.parent.mkdir(exist_ok=True)
    if not library.exists() or library.stat().st_mtime < max(each.stat().st_mtime for each in (SOURCE, source)):
        flags = ["-O2", "-shared", "-fPIC", "-pthread", "-Wall", "-Werror"]
        subprocess.run([os.environ.get("CC", "cc"), *flags, str(source), "-o", str(library)], check=True)
    (binding,) = glob.glob(str(Path(pylibsrtp.__file__).parent / "_binding*.so"))
    ctypes.CDLL(binding, ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(library))


@contextmanager
def pages_at(host: str) -> Iterator[None]:
    """Pages of this process have this address, and share one certificate: making them is no part of any figure."""
    certificate = RTCCertificate.generateCertificate()
    with (
        patch.object(aioice.ice, "get_host_addresses", lambda **_: [host]),
        patch.object(RTCCertificate, "generateCertificate", lambda: certificate),
    ):
        yield


class PageVoice:
    """A page's end of a call, made by aiortc; once it is connected the load speaks."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.transceiver: Any = self.pc.addTransceiver("audio", direction="sendrecv")
        codecs = [c for c in RTCRtpSender.getCapabilities("audio").codecs if c.mimeType == "audio/PCMU"]
        self.transceiver.setCodecPreferences(codecs)
        for part, name in ((self.transceiver.sender, "send"), (self.transceiver.receiver, "receive")):
            setattr(part, name, _nothing)  # the load speaks itself
        self.connected = asyncio.Event()
        self.pc.on("connectionstatechange", self._changed)

    def _changed(self) -> None:
        if self.pc.connectionState == "connected":
            self.connected.set()

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp: str = self.pc.localDescription.sdp
        return sdp

    async def accept(self, answer: str) -> None:
        """Returns once it is connected; TimeoutError if that does not come about."""
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.wait_for(self.connected.wait(), 20)

    @property
    def dtls(self) -> Any:
        return self.transceiver.receiver.transport

    @property
    def ice(self) -> Any:
        """aioice's connection."""
        return self.dtls.transport._connection

    @property
    def payload_type(self) -> int:
        number: int = self.transceiver._codecs[0].payloadType
        return number

    @property
    def ssrc(self) -> int:
        ssrc: int = self.transceiver.sender._ssrc
        return ssrc

    def handed_over(self) -> tuple[Any, ...]:
        """What `load.c` has to know of it, from descriptor to SRTP sessions; asyncio reads its socket no more."""
        pair = self.ice._nominated[1]
        sock = pair.protocol.transport.get_extra_info("socket")
        asyncio.get_running_loop()._remove_reader(sock.fileno())  # type: ignore[attr-defined]
        return (
            sock.fileno(), pair.remote_addr[0].encode(), pair.remote_addr[1], self.payload_type,
            ctypes.c_uint32(self.ssrc), _pointer(self.dtls._tx_srtp), _pointer(self.dtls._rx_srtp),
        )  # fmt: skip

    async def close(self) -> None:
        await self.pc.close()


class Pair:
    """One call's two ends."""

    def __init__(self) -> None:
        self.page = PageVoice()
        self.pbx = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.pbx.bind(("127.0.0.1", 0))
        self.answered: Any = None

    async def set_up(self, peer: Peer) -> None:
        answer, self.answered = await peer.call(await self.page.offer(), self.pbx.getsockname())
        await self.page.accept(answer)
        if (consent := self.page.ice._query_consent_task) is not None:
            consent.cancel()  # whose answers the load takes off the socket

    async def reach(self, peer: Peer) -> Address:
        """Where the PBX's voice goes; the page speaks until it is known, its first packets may come before the peer's keys."""
        asked = asyncio.ensure_future(peer.reached(self.answered))
        for sequence in range(900, 1000):
            head = struct.pack("!BBHII", 0x80, self.page.payload_type, sequence, 160 * sequence, self.page.ssrc)
            await self.page.dtls._send_rtp(head + b"\xff" * 160)
            if (await asyncio.wait([asked], timeout=0.02))[0]:
                break
        return await asked

    def join(self, load: ctypes.CDLL, reached: Address) -> None:
        """Hand both sockets to the load."""
        number: int = load.load_add(
            *self.page.handed_over(), self.pbx.fileno(), reached[0].encode(), reached[1], 0
        )  # fmt: skip
        assert number >= 0, number

    async def close(self) -> None:
        self.pbx.close()
        await self.page.close()


async def _nothing(parameters: object) -> None:
    pass


def _pointer(session: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(int(ffi.cast("uintptr_t", session._srtp[0])))


async def run(peer: Peer, calls: int, seconds: float, say: Callable[[str], None]) -> Outcome:
    """Set up that many calls, let them speak, and close them."""
    load = compiled()
    load.load_begin(calls)
    pairs: list[Pair] = []
    try:
        for _ in range(calls):
            pairs.append(Pair())
            await pairs[-1].set_up(peer)
        for pair in pairs:
            pair.join(load, await pair.reach(peer))
        outcome = await _speak(load, peer, calls, seconds)
    finally:
        await asyncio.gather(*(pair.close() for pair in pairs), return_exceptions=True)
    ordered = sorted(outcome.lateness)
    p50, p99 = (ordered[int(len(ordered) * share)] if ordered else float("nan") for share in (0.5, 0.99))
    say(
        f"{peer.name}: {calls} calls for {seconds:.0f} s: {outcome.cpu * 100:.1f} % of a core, "
        f"{outcome.calls_per_core:.0f} calls a core, {outcome.lost} of {outcome.sent} packets lost, "
        f"p50 {p50:.2f} p99 {p99:.2f} ms, the load late by {outcome.behind:.1f} ms at worst"
    )
    return outcome


async def _speak(load: ctypes.CDLL, peer: Peer, calls: int, seconds: float) -> Outcome:
    phase, result = ctypes.c_int(0), _Result()
    arrays = [(ctypes.c_float * SAMPLES)() for _ in range(2)]
    arguments = (
        ctypes.c_double(SETTLE_SECONDS), ctypes.c_double(seconds), arrays[0], arrays[1], ctypes.c_int64(SAMPLES),
        ctypes.byref(phase), ctypes.byref(result),
    )  # fmt: skip
    running = asyncio.get_running_loop().run_in_executor(None, lambda: load.load_run(*arguments))
    marks = []
    for wanted in (1, 2):
        while phase.value < wanted:
            await asyncio.sleep(0.005)
        marks.append(cpu_ns_of_family(peer.pid))
    await running
    sent, arrived = sum(result.sent), sum(result.arrived)
    lateness = [value for array, count in zip(arrays, result.samples, strict=True) for value in array[:count]]
    return Outcome(
        calls=calls,
        seconds=seconds,
        cpu=(marks[1] - marks[0]) / 1e9 / seconds,
        sent=sent,
        lost=sent - arrived,
        lateness=lateness,
        behind=result.behind_ns / 1e6,
    )
