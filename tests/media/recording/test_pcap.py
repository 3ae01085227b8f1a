"""pcap files: rtpengine's are read, torn ones up to the tear, and hostile ones harm nobody."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.recording import pcap
from bridge.media.recording.pcap import PcapError

from . import pcaps


def cut(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def payloads(raw: bytes, size: int = 1 << 16) -> list[bytes]:
    return [each.payload for each in pcap.read(cut(raw, size))]


WHOLE = pcaps.file(pcaps.datagram(1000.5 + n, 24_000 + n, b"packet %d" % n) for n in range(3))


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_datagrams_come_with_time_and_port_however_the_bytes_are_cut(size: int) -> None:
    read = list(pcap.read(cut(WHOLE, size)))
    assert [(round(each.at, 6), each.port, each.payload) for each in read] == [
        (1000.5 + n, 24_000 + n, b"packet %d" % n) for n in range(3)
    ]


def test_ethernet_heads_and_the_other_byte_order_are_read_too() -> None:
    ether = pcaps.file([pcaps.datagram(1.0, 9, b"in a frame", before=bytes(14))], link=pcap.ETHERNET)
    assert payloads(ether) == [b"in a frame"]
    turned = pcaps.head(order=">") + pcaps.datagram(1.0, 9, b"turned", order=">")
    assert payloads(turned) == [b"turned"]


@pytest.mark.parametrize("length", range(24, len(WHOLE)))
def test_a_file_that_a_crash_has_torn_is_read_up_to_the_tear(length: int) -> None:
    each = (len(WHOLE) - 24) // 3
    assert len(payloads(WHOLE[:length])) == (length - 24) // each


def test_an_empty_file_holds_nothing() -> None:
    assert payloads(b"") == []


def test_a_length_that_no_packet_has_ends_the_reading() -> None:
    huge = struct.pack("<IIII", 1, 0, 0xFFFF_FFFF, 0xFFFF_FFFF)
    assert payloads(WHOLE + huge + bytes(100)) == [b"packet 0", b"packet 1", b"packet 2"]


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x45",
        b"\x45" + bytes(27),  # no UDP
        b"\x41" + bytes(8) + b"\x11" + bytes(18),  # an IP head of four bytes
        b"\x45" + bytes(5) + b"\x20\x00\x40\x11" + bytes(18),  # a fragment
        b"\x45" + bytes(8) + b"\x11" + bytes(16) + b"\xff\xff",
        b"\x75" + bytes(60),
    ],
)
def test_what_is_no_udp_is_passed_over(packet: bytes) -> None:
    strange = struct.pack("<IIII", 1, 0, len(packet), len(packet)) + packet
    assert payloads(pcaps.head() + strange + pcaps.datagram(1.0, 9, b"after"))[-1] == b"after"


@pytest.mark.parametrize("raw", [b"RIFF" + bytes(40), bytes(24), pcaps.head(link=113)])
def test_another_file_is_refused_with_the_reason(raw: bytes) -> None:
    with pytest.raises(PcapError, match="pcap file"):
        payloads(raw)


@given(st.binary(max_size=300))
def test_no_bytes_after_the_head_do_harm(rest: bytes) -> None:
    for each in pcap.read([pcaps.head(), rest]):
        assert len(each.payload) <= len(rest)
