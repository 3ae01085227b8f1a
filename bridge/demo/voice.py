"""One RTP stream each way: what the demo PBX says and hears."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from itertools import count

from .melody import SILENCE, melody

FRAME_SECONDS = 0.02
FRAME = 160
"""Samples, and bytes of G.711, in a packet."""
ECHO_FRAMES = 25
"""Half a second: late enough to be told from one's own voice."""
CODECS = {0: "PCMU", 8: "PCMA"}
_PLACE = re.compile(rb"^c=IN IP4 ([0-9.]+)", re.MULTILINE)
_AUDIO = re.compile(rb"^m=audio (\d+) \S+ ([0-9 ]+)", re.MULTILINE)
_KEYS = re.compile(rb"^a=rtpmap:(\d+) telephone-event/8000", re.MULTILINE | re.IGNORECASE)
_DIRECTION = re.compile(rb"^a=(sendrecv|sendonly|recvonly|inactive)", re.MULTILINE)
_OPPOSITE = {"sendonly": "recvonly", "recvonly": "sendonly"}


class Voice(asyncio.DatagramProtocol):
    """Plays a melody, then echoes."""

    def __init__(self) -> None:
        self.heard = 0
        self.port = 0
        self._host = ""
        self._udp: asyncio.DatagramTransport | None = None
        self._kind = 0
        self._peer: tuple[str, int] | None = None
        self._is_held = False
        """Nobody over there wants to hear us."""
        self._echo: deque[bytes] = deque(maxlen=ECHO_FRAMES + 5)
        self._session = secrets.randbelow(2**31)
        self._version = 0

    @classmethod
    async def open(cls, host: str, port: int) -> Voice:
        """OSError if the port is taken."""
        udp, voice = await asyncio.get_running_loop().create_datagram_endpoint(cls, local_addr=(host, port))
        voice._udp, voice._host, voice.port = udp, host, port
        return voice

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr == self._peer and len(data) > 12 and data[0] >> 6 == 2 and data[1] & 0x7F == self._kind:
            self.heard += 1
            self._echo.append(data[12 + 4 * (data[0] & 15) :])

    # ---- descriptions

    def offer(self) -> bytes:
        return self._described(list(CODECS), 101, "sendrecv")

    def answer(self, offer: bytes) -> bytes:
        """Speak where and how an offer wants it; b"" if that is no G.711."""
        if not self.aim(offer):
            return b""
        keys, wish = _KEYS.search(offer), _direction(offer)
        return self._described([self._kind], int(keys[1]) if keys else None, _OPPOSITE.get(wish, wish))

    def aim(self, description: bytes) -> bool:
        """Speak to the place and with the codec of a description; False, and all stays as it is, if it has none."""
        place, audio = _PLACE.search(description), _AUDIO.search(description)
        kinds = [int(kind) for kind in audio[2].split() if int(kind) in CODECS] if audio else []
        if not (place and audio and kinds):
            return False
        self._peer, self._kind = (place[1].decode(), int(audio[1])), kinds[0]
        self._is_held = _direction(description) in {"sendonly", "inactive"}
        return True

    def _described(self, kinds: list[int], keys: int | None, direction: str) -> bytes:
        self._version += 1
        formats = [*map(str, kinds), *([str(keys)] if keys else [])]
        lines = [
            "v=0", f"o=- {self._session} {self._version} IN IP4 {self._host}", "s=-", f"c=IN IP4 {self._host}", "t=0 0",
            f"m=audio {self.port} RTP/AVP {' '.join(formats)}",
            *(f"a=rtpmap:{kind} {CODECS[kind]}/8000" for kind in kinds),
            *([f"a=rtpmap:{keys} telephone-event/8000", f"a=fmtp:{keys} 0-15"] if keys else []),
            "a=ptime:20", f"a={direction}", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode()

    # ---- sound

    async def speak(self) -> None:
        """Until cancelled: a packet every 20 ms by the clock, however late the last one was."""
        loop, source = asyncio.get_running_loop(), secrets.token_bytes(4)
        start, late = loop.time(), 0
        for number in count():
            tune = melody(self._kind, FRAME)
            payload = tune[number] if number < len(tune) else self._heard_before()
            head = bytes((0x80, self._kind | (0x80 if number == 0 else 0)))
            head += (number & 0xFFFF).to_bytes(2) + (number * FRAME & 0xFFFFFFFF).to_bytes(4) + source
            if self._udp and self._peer and not self._is_held:
                self._udp.sendto(head + payload, self._peer)
            wait = start + (number + 1 + late) * FRAME_SECONDS - loop.time()
            if wait < -0.2:  # the machine slept: no burst of what it missed
                late += int(-wait / FRAME_SECONDS)
            await asyncio.sleep(max(0.0, wait))

    def _heard_before(self) -> bytes:
        return self._echo.popleft() if len(self._echo) >= ECHO_FRAMES else SILENCE[self._kind] * FRAME

    def close(self) -> None:
        if self._udp:
            self._udp.close()


def _direction(description: bytes) -> str:
    found = _DIRECTION.search(description)
    return found[1].decode() if found else "sendrecv"
