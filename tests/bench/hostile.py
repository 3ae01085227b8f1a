"""sip.hostile_ms.max: what the worst message costs that a stranger can send, in CPU time of the loop's thread.

The set is seeded: messages up to the largest that is read, made of one sign or one piece repeated in every header that is
looked into, and real messages with bytes changed at random. Each goes through the whole user agent, three times; the
quickest counts, for the rest is the machine's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from bridge.sip.address import Uri
from bridge.sip.agent import UserAgent
from bridge.sip.dialog import Identity
from bridge.sip.flow import Flow
from bridge.sip.framer import Framer, Whole
from bridge.sip.message import MOST_BYTES, Request, Response
from bridge.sip.owner import Standing

from ..sip.samples import INVITES, RINGING
from .figure import Figure
from .site import Say

SEED = 4475
MUTATED = 3_000
RUNS = 3
HEADERS = (
    "Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Max-Forwards", "Require", "Supported",
    "Content-Type", "Content-Length", "Content-Disposition", "Accept", "Authorization", "Proxy-Authorization",
    "P-Asserted-Identity", "Remote-Party-ID", "Diversion", "Privacy", "Reason", "Replaces", "Session-Expires", "Unknown",
)  # fmt: skip
PIECES = (
    "a", "0", "9", '"', "\\", "<", ">", ",", ";", ":", "=", "@", "%", "%41", "?", "&", "/", "[", "]", ".", "-", " ", "\t",
    "\x00", "\x01", "é", "<a>", '"a"', "a,", ";a", ";a=b", "a@", '\\"', "<sip:a@b>,", "SIP/2.0/UDP a;branch=z9hG4bK1,",
    "\r\n ", "\n\t", "\r", "(", "(a)",
)  # fmt: skip
BEFORE = ("", "<sip:a@b>", '"', "<sip:", "SIP/2.0/UDP a;", "Digest ", "multipart/mixed;boundary=")
ME = Identity(place=lambda to: ("192.0.2.2", 5060), token=secrets.token_hex, fraction=lambda: 0.5)
SOURCE = Flow("192.0.2.9", 5060)


class _Owner:
    def standing(self, source: Flow) -> Standing:
        return Standing.KNOWN

    def hears(self, source: Flow, now: float) -> bool:
        return True

    def vet(self, request: Request, source: Flow, now: float) -> Flow | Response:
        return source

    def is_ours(self, uri: Uri, source: Flow) -> bool:
        return True

    def outside(self, request: Request, source: Flow, now: float) -> Response | None:
        return None


async def measure(directory: Path, say: Say) -> list[Figure]:
    worst, which, count = 0.0, "", 0
    for name, data in hostile(Random(SEED)):
        count += 1
        cost = cost_of(data)
        if cost > worst:
            worst, which = cost, name
    say(f"{count} messages; the worst: {which}")
    return [Figure(name="sip.hostile_ms.max", value=worst * 1000, unit="ms", note=f"{which}; n={count}, seed {SEED}")]


def hostile(random: Random) -> Iterator[tuple[str, bytes]]:
    """Names and messages."""
    for header in HEADERS:
        for piece in PIECES:
            before = random.choice(BEFORE)
            yield f"{header}: {before} {piece!r}…", _message(header, before, piece, 8_000)
    for piece in PIECES:
        yield f"all headers {piece!r}…", _everywhere(piece)
        yield f"Request-URI {piece!r}…", f"INVITE sip:{piece * (60_000 // len(piece))} SIP/2.0\r\n\r\n".encode()
        yield f"body {piece!r}…", _with_body(piece)
    yield "headers without a name", b"INVITE sip:a@b SIP/2.0\r\n" + b":\r\n" * 21_000
    yield "headers of one sign", b"INVITE sip:a@b SIP/2.0\r\n" + b"a:b\r\n" * 13_000 + b"\r\n"
    yield "folded lines", b"INVITE sip:a@b SIP/2.0\r\nVia: x" + b"\r\n x" * 16_000 + b"\r\n\r\n"
    yield "line ends", b"\r\n" * 32_000
    messages = [*INVITES.values(), RINGING]
    for number in range(MUTATED):
        yield f"mutated {number}", _mutated(random, random.choice(messages))


def cost_of(data: bytes) -> float:
    """CPU seconds, as a datagram and as it comes over a stream."""
    costs = []
    for _ in range(RUNS):
        agent, framer = UserAgent(me=ME, owner=_Owner()), Framer()
        begin = time.thread_time()
        agent.receive(data, SOURCE, 0.0)
        agent.drain()
        between = time.thread_time()
        for item in framer.feed(data, 0.0):
            if isinstance(item, Whole):
                agent.receive(item.data, SOURCE, 0.0)
        agent.drain()
        costs.append(max(between - begin, time.thread_time() - between))
    return min(costs)


def _message(header: str, before: str, piece: str, size: int) -> bytes:
    fields = {
        "Via": "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "From": "<sip:a@b>;tag=1", "To": "<sip:a@b>", "Call-ID": "1",
        "CSeq": "1 INVITE", "Contact": "<sip:a@b>",
    }  # fmt: skip
    fields[header] = before + piece * (size // len(piece))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"INVITE sip:a@b SIP/2.0\r\n{lines}\r\n".encode()


def _everywhere(piece: str) -> bytes:
    value = piece * (2_400 // len(piece))
    lines = "".join(f"{header}: {value}\r\n" for header in HEADERS)
    return f"INVITE sip:a@b SIP/2.0\r\n{lines}\r\n".encode()[:MOST_BYTES]


def _with_body(piece: str) -> bytes:
    head = _message("Content-Type", "multipart/mixed;boundary=", "b", 1)[:-2]
    return head + b"\r\n" + (f"--b{piece}" * (60_000 // (3 + len(piece)))).encode()[:60_000]


def _mutated(random: Random, message: bytes) -> bytes:
    data = bytearray(message)
    for _ in range(random.randint(1, 12)):
        place = random.randrange(len(data))
        kind = random.randrange(3)
        if kind == 0:
            data[place] = random.randrange(256)
        elif kind == 1:
            del data[place : place + random.randint(1, 8)]
        else:
            data[place:place] = data[place : place + random.randint(1, 40)] * random.randint(1, 200)
    return bytes(data[:MOST_BYTES])
