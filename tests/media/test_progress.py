"""A stream that is gone on with in another process is one stream to the PBX, encrypted or not."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Session

from bridge.calls.commands import Latch
from bridge.media.packet import BUFFER_BYTES
from bridge.media.pbx_leg import PbxLeg
from bridge.media.poller import Poller
from bridge.media.ports import PortPairs
from bridge.media.progress import CIPHERED_SLACK, SLACK, Cycles, Progress
from bridge.media.rtp import RtpLeg
from bridge.media.sdes import SUITES, Crypto, Keys
from bridge.media.srtp import (
    go_on_hearing,
    go_on_reporting,
    go_on_sending,
    incoming_session,
    outgoing_session,
)
from bridge.media.stream import Stream
from bridge.media.terms import Terms

from .stage import Packet, rtp

OURS, THEIRS = 0x0A0B, 0x0C0D
PLACE = "127.0.0.1", 9
PROGRESS = Progress(
    at=10.0,
    ssrc=OURS,
    sequence=500,
    timestamp=80_000,
    spoke=9.99,
    packets=500,
    octets=80_000,
    reports=3,
    ciphered=False,
    remote=None,
    heard=None,
)


def stream(buffer: bytearray, sequence: int = 0) -> Stream:
    return Stream(memoryview(buffer), ssrc=OURS, sequence=sequence, timestamp=0, payload_type=0, clock_rate=8000)


def crypto(suite: str, fill: int = 7) -> Crypto:
    return Crypto(tag=1, suite=suite, key=bytes([fill]) * SUITES[suite])


# ---- counting


@given(newest=st.integers(0, 0xFFFF), steps=st.lists(st.integers(-90, 30_000), max_size=60))
def test_cycles_are_counted_from_the_start_of_a_key_whatever_was_lost_or_came_late(
    newest: int, steps: list[int]
) -> None:
    counted = Cycles.after(newest)
    index = counted.index
    assert -1 <= index <= 0xFFFE
    assert (index + 1) & 0xFFFF == (newest + 1) & 0xFFFF
    for step in steps:
        index += step
        assert counted.follow(index & 0xFFFF) == index


@given(
    elapsed=st.floats(0, 60),
    sent=st.integers(0, 3000),
    ptime=st.sampled_from([10, 20, 30]),
    ciphered=st.booleans(),
)
def test_no_number_is_used_twice_and_the_gap_is_no_longer_than_the_time_that_passed(
    elapsed: float, sent: int, ptime: int, *, ciphered: bool
) -> None:
    """`sent` packets left after the last look, as many as that time can have had at most."""
    sent = min(sent, int(elapsed * 1000 / ptime))
    buffer = bytearray(BUFFER_BYTES)
    progress, now = replace(PROGRESS, ciphered=ciphered), 10.0 + elapsed
    found = stream(buffer)
    found.resume(progress, progress.skipped(now, ptime))
    buffer[:13] = rtp(0, 7, 7, b"x")
    length = found.rewrite(13, now + 0.02)
    packet = Packet.read(bytes(buffer[:length]))
    gap = packet.sequence - (progress.sequence + sent)
    assert 0 < gap <= elapsed * 1000 / ptime + 2 + (CIPHERED_SLACK if ciphered else SLACK) + 1
    passed = (packet.timestamp - progress.timestamp) / 8000
    assert passed == pytest.approx(now + 0.02 - progress.spoke, abs=0.011)


def test_the_first_packet_may_have_left_after_the_last_look() -> None:
    buffer = bytearray(BUFFER_BYTES)
    never, found = replace(PROGRESS, packets=0, spoke=-1.0), stream(buffer)
    found.resume(never, never.skipped(10.1, 20))
    buffer[:13] = rtp(0, 7, 7, b"x")
    packet = Packet.read(bytes(buffer[: found.rewrite(13, 10.1)]))
    assert packet.sequence > never.sequence + 5
    assert packet.timestamp - never.timestamp == 800


# ---- keys that go on


def packet(ssrc: int, index: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, index & 0xFFFF, index * 160 & 0xFFFFFFFF, ssrc) + b"voice"


def said(sender: Session, receiver: Session, ssrc: int, first: int, last: int, step: int = 20_000) -> None:
    for index in (*range(first, last, step), last):
        assert receiver.unprotect(sender.protect(packet(ssrc, index))) == packet(ssrc, index)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("index", [-1, 0, 12, 40_000, 65_535, 65_536, 300_000])
def test_the_pbx_decrypts_what_another_process_sends_on_under_the_same_key(suite: str, index: int) -> None:
    pbx, before, after = incoming_session(crypto(suite)), *(outgoing_session(crypto(suite)) for _ in range(2))
    if index >= 0:
        said(before, pbx, OURS, 0, index)
    go_on_sending(after, OURS, index + 30)
    said(after, pbx, OURS, index + 31, index + 90_000)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("index", [-1, 0, 40_000, 65_535, 65_536, 300_000])
def test_another_process_decrypts_what_the_pbx_says_on_and_nothing_that_it_repeats(suite: str, index: int) -> None:
    pbx, before, after = outgoing_session(crypto(suite)), *(incoming_session(crypto(suite)) for _ in range(2))
    if index >= 0:
        said(pbx, before, THEIRS, 0, index)
    go_on_hearing(after, crypto(suite), THEIRS, index)
    said(pbx, after, THEIRS, index + 9, index + 90_000)


@pytest.mark.parametrize("suite", SUITES)
def test_reports_go_on_counting_too(suite: str) -> None:
    pbx, before, after = incoming_session(crypto(suite)), *(outgoing_session(crypto(suite)) for _ in range(2))
    report = struct.pack("!BBHI", 0x80, 201, 1, OURS)
    for _ in range(5):
        pbx.unprotect_rtcp(before.protect_rtcp(report))
    go_on_reporting(after, OURS, PROGRESS.skipped_reports(10.0) + 2)
    assert pbx.unprotect_rtcp(after.protect_rtcp(report)) == report


def leg(buffer: bytearray, poller: Poller, sent: Stream, suite: str) -> RtpLeg:
    found = RtpLeg(PortPairs((24_000, 24_999)).bind("127.0.0.1"), buffer, poller, voice=lambda length, now: None)
    found.sent = sent
    keys = Keys(incoming=crypto(suite, 1), outgoing=crypto(suite, 2))
    found.follow(Terms(address=PLACE, control=None, payload_type=0, clock_rate=8000, keys=keys), Latch.NEVER)
    return found


def hears(found: PbxLeg, buffer: bytearray, sender: Session, index: int) -> bool:
    """A packet of the PBX under this index, taken as it comes from the socket."""
    assert isinstance(found, RtpLeg)
    assert found._srtp is not None
    raw = sender.protect(packet(THEIRS, index))
    buffer[: len(raw)] = raw
    length = found._srtp.unprotect(found._slot, len(raw))
    if length:
        found._hear(0, index & 0xFFFF, index * 160 & 0xFFFFFFFF, THEIRS, length, 0.0)
    return length > 0


async def test_a_leg_tells_how_far_it_has_come_and_the_next_one_takes_it_up() -> None:
    suite = "AEAD_AES_256_GCM"
    buffer, poller = bytearray(BUFFER_BYTES), Poller()
    sender = outgoing_session(crypto(suite, 1))
    sent = stream(buffer, sequence=30_000)
    first = leg(buffer, poller, sent, suite)
    first.source.remember(("127.0.0.1", 10))
    for step in range(30):
        sent._sequence = (sent.sequence + 5_000) & 0xFFFF
        assert hears(first, buffer, sender, 65_000 + 5_000 * step)
        progress = first.progress(1.0)
    assert progress is not None
    assert progress.sequence == 180_000
    assert progress.heard == (THEIRS, 65_000 + 5_000 * 29)
    assert progress.remote == ("127.0.0.1", 10)
    second = leg(buffer, poller, stream(buffer, sequence=(180_000 + 60) & 0xFFFF), suite)
    second.go_on(progress, 2.0)
    assert hears(second, buffer, sender, 65_000 + 5_000 * 30)
    told = second.progress(2.0)
    assert told is not None
    assert (told.sequence, told.remote) == (180_060, ("127.0.0.1", 10))
    for one in (first, second):
        one.close()
    poller.close()
