"""codec.messages_per_s: SIP messages read, asked for what a dialog needs, and written again, beside two other codecs.

All three take the INVITEs of three kinds of PBX, give Call-ID, CSeq, From, To and the top Via in their parts, and write the
message. They take turns, so that whatever else the machine does meets all of them. How many of RFC 4475's messages each takes
right is another matter.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path

from bridge.sip.message import parse

from ..sip.samples import ASTERISK, FREESWITCH, KAMAILIO
from .figure import Figure
from .site import Say

ROUNDS, TIMES = 15, 400
PEERS = ("sipmessage", "aiosipua")

Codec = Callable[[bytes], bytes]


async def measure(directory: Path, say: Say) -> list[Figure]:
    codecs: dict[str, Codec] = {"": _ours}
    for name in PEERS:
        try:
            codecs[name] = _peer(name)
        except ImportError:
            say(f"{name} is left out: make bench installs it")
    samples = [sample for sample in (ASTERISK, FREESWITCH, KAMAILIO) if all(_takes(c, sample) for c in codecs.values())]
    best = dict.fromkeys(codecs, 0.0)
    for _ in range(ROUNDS):
        for name, codec in codecs.items():
            best[name] = max(best[name], _rate(codec, samples))
    ours = best.pop("")
    note = f"{len(samples)} INVITEs of {sum(map(len, samples)) // len(samples)} bytes, the best of {ROUNDS} rounds"
    figures = [Figure(name="codec.messages_per_s", value=ours, unit="messages/s", note=note)]
    for name, rate in best.items():
        ratio = round(ours / rate, 2)
        figures.append(
            Figure(name="codec.messages_per_s", value=rate, unit="messages/s", against=name, ratio=ratio, note=name)
        )
    return figures


def _rate(codec: Codec, samples: list[bytes]) -> float:
    """Messages per second of CPU."""
    begin = time.process_time()
    for _ in range(TIMES):
        for sample in samples:
            codec(sample)
    return TIMES * len(samples) / (time.process_time() - begin)


def _takes(codec: Codec, sample: bytes) -> bool:
    try:
        return bool(codec(sample))
    except Exception:  # noqa: BLE001 - whatever a codec does not take is no part of the race
        return False


def _ours(data: bytes) -> bytes:
    message = parse(data)
    _ = message.call_id, message.cseq, message.from_tag, message.to_tag, message.via.branch
    return message.encode()


def _peer(name: str) -> Codec:
    module = importlib.import_module(name)

    def sipmessage(data: bytes) -> bytes:
        message = module.Message.parse(data)
        _ = (
            message.call_id,
            message.cseq,
            message.from_address.parameters,
            message.to_address.parameters,
            message.via[0],
        )
        return bytes(message)

    def aiosipua(data: bytes) -> bytes:
        message = module.SipMessage.parse(data)
        _ = message.call_id, message.cseq, message.from_addr, message.to_addr, message.via[0]
        return bytes(message.serialize(), "utf-8")

    return {"sipmessage": sipmessage, "aiosipua": aiosipua}[name]
