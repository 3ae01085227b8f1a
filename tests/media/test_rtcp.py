"""RTCP on the wire (RFC 3550, 6)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media import rtcp

BLOCK = rtcp.Block(ssrc=7, fraction=26, lost=-3, highest=0x1FFFF, jitter=40, last_report=0xABCD1234, delay=65_536)
SENDER = rtcp.Sender(ntp=0xE0000000_80000000, timestamp=2**32 - 1, packets=500, octets=80_000)


@pytest.mark.parametrize("sender", [SENDER, None], ids=["SR", "RR"])
@pytest.mark.parametrize("blocks", [(), (BLOCK,), (BLOCK, BLOCK)])
@pytest.mark.parametrize("goodbye", [False, True])
def test_what_is_written_is_read_again(
    sender: rtcp.Sender | None, blocks: tuple[rtcp.Block, ...], goodbye: bool
) -> None:
    report = rtcp.Report(ssrc=99, sender=sender, blocks=blocks)
    raw = rtcp.write(report, "name", goodbye=goodbye)
    assert rtcp.parse(raw) == rtcp.Compound(reports=(report,), goodbyes=(99,) if goodbye else ())
    assert len(raw) % 4 == 0


def test_a_report_comes_first_and_the_name_of_the_source_with_it() -> None:
    raw = rtcp.write(rtcp.Report(ssrc=1), "alice")
    assert raw[:8] == b"\x80\xc9\x00\x01\x00\x00\x00\x01"
    assert raw[8:12] == b"\x81\xca\x00\x03"
    assert raw[12:] == b"\x00\x00\x00\x01" + b"\x01\x05alice\x00"


def test_kinds_that_we_do_not_know_are_passed_over() -> None:
    extended = b"\x80\xcf\x00\x01\x00\x00\x00\x01"
    raw = extended + rtcp.write(rtcp.Report(ssrc=5), "n")
    assert rtcp.parse(raw).reports == (rtcp.Report(ssrc=5),)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\xc8",
        b"\x40\xc9\x00\x01\x00\x00\x00\x01",
        b"\x81\xc9\x00\x01\x00\x00\x00\x01",
        b"\x80\xc8\x00\x01\x00\x00\x00\x01",
        b"\x80\xc9\x00\x09\x00\x00\x00\x01",
    ],
    ids=["cut header", "version 1", "a block too few", "no sender", "longer than the datagram"],
)
def test_a_broken_compound_is_refused_as_a_whole(raw: bytes) -> None:
    with pytest.raises(rtcp.RtcpError):
        rtcp.parse(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_the_one_error(raw: bytes) -> None:
    with suppress(rtcp.RtcpError):
        rtcp.parse(raw)


@given(st.binary(max_size=120), st.integers(0, 31), st.sampled_from([200, 201, 202, 203, 205]))
def test_a_valid_header_over_any_body(body: bytes, count: int, kind: int) -> None:
    body += bytes(-len(body) % 4)
    with suppress(rtcp.RtcpError):
        rtcp.parse(bytes([0x80 | count, kind]) + (len(body) // 4).to_bytes(2, "big") + body)
