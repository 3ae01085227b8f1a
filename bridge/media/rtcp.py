"""RTCP (RFC 3550, 6): reports, the name of a source, and its goodbye; pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from ..errors import TheirsError

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203

_HEAD: Final = struct.Struct("!BBH")
_SENDER: Final = struct.Struct("!QIII")
_BLOCK: Final = struct.Struct("!IIIIII")
_CNAME: Final = 1
MAX_BLOCKS: Final = 31


class RtcpError(TheirsError):
    """A compound packet that breaks the rules of RFC 3550, A.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What a receiver says of one stream that it hears (RFC 3550, 6.4.1)."""

    ssrc: int
    fraction: int
    """Lost since the report before, in 256ths."""
    lost: int
    """Since the stream began; repetitions make it negative."""
    highest: int
    """The highest sequence number, with its cycles above."""
    jitter: int
    """Clock units."""
    last_report: int
    """The middle 32 bits of the sender report heard last, 0 if none was."""
    delay: int
    """Since that one was heard, in 65536ths of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What a sender says of its stream."""

    ntp: int
    """64 bits: seconds since 1900 and their fraction."""
    timestamp: int
    """The same moment on the stream's clock."""
    packets: int
    octets: int
    """Of payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A sender report, or a receiver report of one that does not send."""

    ssrc: int
    sender: Sender | None = None
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """What of a compound packet matters here."""

    reports: tuple[Report, ...]
    goodbyes: tuple[int, ...]
    """SSRCs that leave."""


def parse(data: bytes) -> Compound:
    """Read a compound packet, or RtcpError; kinds that we don't know are passed over."""
    reports: list[Report] = []
    goodbyes: list[int] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise RtcpError("RTCP ends within a header")
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first & 0xC0 != 0x80 or end > len(data):
            raise RtcpError("RTCP of another version, or longer than its datagram")
        count = first & 0x1F
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            reports.append(_report(data[at + 4 : end], count, sends=kind == SENDER_REPORT))
        elif kind == GOODBYE and 4 * count <= end - at - 4:
            goodbyes.extend(struct.unpack_from(f"!{count}I", data, at + 4))
        at = end
    return Compound(reports=tuple(reports), goodbyes=tuple(goodbyes))


def _report(body: bytes, count: int, *, sends: bool) -> Report:
    start = 4 + (_SENDER.size if sends else 0)
    if start + count * _BLOCK.size > len(body):
        raise RtcpError("a report is shorter than it says")
    sender = None
    if sends:
        ntp, timestamp, packets, octets = _SENDER.unpack_from(body, 4)
        sender = Sender(ntp=ntp, timestamp=timestamp, packets=packets, octets=octets)
    blocks = tuple(_block(*_BLOCK.unpack_from(body, start + number * _BLOCK.size)) for number in range(count))
    return Report(ssrc=int.from_bytes(body[:4], "big"), sender=sender, blocks=blocks)


def _block(ssrc: int, loss: int, highest: int, jitter: int, last_report: int, delay: int) -> Block:
    lost = loss & 0xFFFFFF
    return Block(
        ssrc=ssrc,
        fraction=loss >> 24,
        lost=lost - 0x1000000 if lost & 0x800000 else lost,
        highest=highest,
        jitter=jitter,
        last_report=last_report,
        delay=delay,
    )


def write(report: Report, cname: str, *, goodbye: bool = False) -> bytes:
    """A compound packet: the report, who we are, and a goodbye."""
    ssrc = report.ssrc.to_bytes(4, "big")
    body = ssrc
    if sender := report.sender:
        body += _SENDER.pack(sender.ntp, sender.timestamp, sender.packets & 0xFFFFFFFF, sender.octets & 0xFFFFFFFF)
    for block in report.blocks[:MAX_BLOCKS]:
        lost = max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF
        loss = block.fraction << 24 | lost
        body += _BLOCK.pack(
            block.ssrc, loss, block.highest & 0xFFFFFFFF, block.jitter, block.last_report, block.delay & 0xFFFFFFFF
        )
    kind = SENDER_REPORT if report.sender else RECEIVER_REPORT
    packet = _packet(len(report.blocks[:MAX_BLOCKS]), kind, body) + _packet(1, SOURCE_DESCRIPTION, ssrc + _named(cname))
    return packet + _packet(1, GOODBYE, ssrc) if goodbye else packet


def _named(cname: str) -> bytes:
    """The items of one source: its name, then zeros up to a whole word (RFC 3550, 6.5)."""
    name = cname.encode()[:255]
    items = bytes([_CNAME, len(name)]) + name + b"\0"
    return items + bytes(-len(items) % 4)


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body
