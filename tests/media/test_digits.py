"""Keys and hold on the stream to the PBX, in a time of the test's own."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

import pytest

from bridge.media.comfort import QUIET
from bridge.media.digits import EVENTS, MAX_WAITING, DigitsError, HeardKeys
from bridge.media.packet import BUFFER_BYTES
from bridge.media.relay import Relay
from bridge.media.stream import Stream

from .stage import Packet, rtp

EVENT_TYPE = 101
VOICE = bytes(range(160))
FRAME = 0.02


class Outlet:
    def __init__(self, buffer: bytearray) -> None:
        self.buffer, self.sent = buffer, list[Packet]()

    def send(self, length: int) -> None:
        self.sent.append(Packet.read(bytes(self.buffer[:length])))

    def exit(self) -> None:
        """Each packet is seen."""


class Line:
    """A relay between a page and a PBX that both speak every 20 ms."""

    def __init__(self, clock_rate: int = 8000, event_type: int | None = EVENT_TYPE) -> None:
        self.buffer = bytearray(BUFFER_BYTES)
        self.pbx, self.page = Outlet(self.buffer), Outlet(self.buffer)
        self.step, self.now, self.count = clock_rate // 50, 100.0, 65_400
        codec = "opus" if clock_rate == 48_000 else "PCMU"
        self.silence = QUIET[codec]
        self.relay = Relay(self.pbx, self._stream(0, clock_rate), codec)
        self.relay.tune(codec, 0, clock_rate, event_type)
        self.relay.attach(self.page, self._stream(111, clock_rate))
        self.open()

    def _stream(self, payload_type: int, clock_rate: int) -> Stream:
        return Stream(
            memoryview(self.buffer),
            ssrc=7,
            sequence=65_500,
            timestamp=2**32 - 5000,
            payload_type=payload_type,
            clock_rate=clock_rate,
        )

    def open(self, *, sending: bool = True, held: bool = False, tuned: bool = True) -> None:
        self.relay.open(sending=sending, held=held, tuned=tuned)

    def run(self, frames: int, *, page: bool = True, pbx: bool = True, jitter: random.Random | None = None) -> None:
        for _ in range(frames):
            self.count += 1
            self.now += FRAME
            late = jitter.uniform(-0.004, 0.004) if jitter else 0.0
            raw = rtp(0, self.count, self.count * self.step, VOICE)
            for speaks, hear in ((page, self.relay.from_browser), (pbx, self.relay.from_pbx)):
                if speaks:
                    self.buffer[: len(raw)] = raw
                    hear(len(raw), self.now + late)
            if not (page and self.relay.talking):
                self.relay.frame(self.now - late)


def ahead(a: int, b: int, bits: int) -> int:
    return (b - a) % (1 << bits)


class StrictReader:
    """Reads telephone-events as RFC 4733 says, and accepts nothing that it forbids."""

    def __init__(self, step: int) -> None:
        self._step = step

    def keys(self, packets: Iterable[Packet]) -> str:
        """One key per timestamp, from whichever of its packets arrived."""
        names = {number: key for key, number in EVENTS.items()}
        arrived = list(packets)
        self._one_stream(arrived)
        groups = groupby(arrived, lambda packet: (packet.payload_type == EVENT_TYPE, packet.timestamp))
        events = [list(group) for (is_event, _), group in groups if is_event]
        stamps = [group[0].timestamp for group in events]
        assert len(set(stamps)) == len(stamps), "an event was interrupted"
        return "".join(names[self._event(group)] for group in events)

    def _one_stream(self, packets: list[Packet]) -> None:
        assert len({packet.ssrc for packet in packets}) <= 1
        for a, b in pairwise(packets):
            assert 0 < ahead(a.sequence, b.sequence, 16) < 0x8000
            assert 0 <= ahead(a.timestamp, b.timestamp, 32) < 1 << 31
            if a.payload_type == EVENT_TYPE and b.timestamp != a.timestamp:
                duration = struct.unpack("!BBH", a.payload)[2]
                assert ahead(a.timestamp, b.timestamp, 32) >= duration, "what follows begins before the event ends"

    def _event(self, packets: list[Packet]) -> int:
        read = [struct.unpack("!BBH", packet.payload) for packet in packets]
        assert len({number for number, _, _ in read}) == 1
        assert {flags & 0x40 for _, flags, _ in read} == {0}, "the reserved bit"
        durations = [duration for _, _, duration in read]
        assert durations == sorted(durations)
        assert all(duration % self._step == 0 and duration for duration in durations)
        ends = [bool(flags & 0x80) for _, flags, _ in read]
        assert ends == sorted(ends), "nothing but repetitions after the end"
        assert len({duration for duration, end in zip(durations, ends, strict=True) if end}) <= 1
        assert not any(packet.marker for packet in packets[1:])
        return int(read[0][0])


def lossy(packets: list[Packet], share: float, seed: int) -> Iterator[Packet]:
    rng = random.Random(seed)
    return (packet for packet in packets if rng.random() >= share)


ALL_KEYS = "0123456789*#ABCD"


@pytest.mark.parametrize("clock_rate", [8000, 48_000])
def test_one_key_is_100_ms_long_marked_at_its_start_and_its_end_is_said_three_times(clock_rate: int) -> None:
    line = Line(clock_rate)
    line.run(3)
    line.relay.press("5")
    line.run(12)
    events = [packet for packet in line.pbx.sent if packet.payload_type == EVENT_TYPE]
    step = line.step
    assert [struct.unpack("!BBH", packet.payload) for packet in events] == [
        (5, 10, step),
        (5, 10, 2 * step),
        (5, 10, 3 * step),
        (5, 10, 4 * step),
        *[(5, 0x80 | 10, 5 * step)] * 3,
    ]
    assert [packet.marker for packet in events] == [True] + [False] * 6
    assert len({packet.timestamp for packet in events}) == 1


def test_the_stream_has_no_gap_before_under_and_behind_keys() -> None:
    line = Line()
    line.run(5)
    line.relay.press("12")
    line.run(30)
    sent = line.pbx.sent
    assert all(ahead(a.sequence, b.sequence, 16) == 1 for a, b in pairwise(sent))
    assert len(sent) == 35, "a packet every 20 ms"
    assert ahead(sent[0].timestamp, sent[-1].timestamp, 32) == 34 * 160
    voiced = [packet.payload == VOICE for packet in sent]
    assert voiced == [True] * 5 + [False] * 16 + [True] * 14, (
        "8 frames per key, pause included, without the operator's voice"
    )
    assert sent[21].marker, "voice begins anew"


@pytest.mark.parametrize("seed", range(5))
def test_all_keys_arrive_though_every_third_packet_is_lost(seed: int) -> None:
    line = Line()
    line.run(10)
    line.relay.press(ALL_KEYS)
    line.relay.press("0000")
    line.run(20 * 8 + 10, jitter=random.Random(seed))
    assert line.relay.keypad is None
    assert StrictReader(160).keys(line.pbx.sent) == ALL_KEYS + "0000"
    assert StrictReader(160).keys(lossy(line.pbx.sent, 0.33, seed)) == ALL_KEYS + "0000"


def test_keys_are_heard_on_hold_and_while_the_operator_changes_pages() -> None:
    line = Line()
    line.run(5)
    line.open(held=True)
    line.relay.press("12")
    line.run(25)
    line.open()
    line.relay.detach()
    line.relay.press("34")
    line.run(25, page=False)
    assert StrictReader(160).keys(line.pbx.sent) == "1234"
    assert {packet.payload for packet in line.pbx.sent if packet.payload_type == 0} <= {VOICE, *line.silence}


def test_keys_pressed_while_one_sounds_wait_for_their_turn() -> None:
    line = Line()
    for key in "*31#":
        line.relay.press(key)
        line.run(3)
    line.run(30)
    assert StrictReader(160).keys(line.pbx.sent) == "*31#"


def test_a_standstill_of_the_process_makes_a_key_longer_and_not_wrong() -> None:
    line = Line()
    line.run(5)
    line.relay.press("78")
    for standstill in (0.3, 0.05, 0.0, 0.0, 1.0):
        line.run(2)
        line.now += standstill
    line.run(30)
    assert StrictReader(160).keys(line.pbx.sent) == "78"


def test_the_queue_of_keys_is_bounded_and_nothing_of_what_is_too_much_is_sent() -> None:
    line = Line()
    line.relay.press("1" * MAX_WAITING)
    with pytest.raises(DigitsError, match="waiting"):
        line.relay.press("2")
    line.run(MAX_WAITING * 8 + 5)
    assert StrictReader(160).keys(line.pbx.sent) == "1" * MAX_WAITING
    line.relay.press("2")


def test_what_is_no_key_is_refused_whole() -> None:
    line = Line()
    with pytest.raises(DigitsError):
        line.relay.press("1x2")
    line.run(10)
    assert {packet.payload_type for packet in line.pbx.sent} == {0}


def test_a_pbx_that_holds_gets_no_keys_and_those_that_waited_are_given_up() -> None:
    line = Line()
    line.relay.press("123")
    line.run(3)
    line.open(sending=False)
    with pytest.raises(DigitsError, match="does not listen"):
        line.relay.press("4")
    line.open()
    line.run(20)
    assert StrictReader(160).keys(line.pbx.sent) == "1"


def test_a_change_of_clock_gives_up_the_keys_that_wait() -> None:
    line = Line()
    line.relay.press("12")
    line.run(3)
    line.relay.tune("opus", 107, 48_000, EVENT_TYPE)
    line.run(3)
    assert line.pbx.sent[-1].payload_type == 107
    assert line.relay.talking


# ---- hold


def test_after_eleven_minutes_of_hold_both_streams_go_on_where_time_stands() -> None:
    """33,000 frames are more than half the sequence space: what is not relayed must not look late afterwards."""
    line = Line()
    line.run(50)
    line.open(held=True)
    minutes = 11 * 60 * 50
    line.run(minutes, jitter=random.Random(1))
    assert len(line.page.sent) == 50, "nothing of the PBX reaches the page"
    line.open()
    line.run(50)
    sent = line.pbx.sent
    assert [packet.payload == VOICE for packet in sent] == [True] * 50 + [False] * minutes + [True] * 50
    assert {packet.ssrc for packet in sent} == {7}
    assert all(ahead(a.sequence, b.sequence, 16) == 1 for a, b in pairwise(sent))
    assert all(ahead(a.timestamp, b.timestamp, 32) == 160 for a, b in pairwise(sent))
    heard = line.page.sent
    assert len(heard) == 100
    assert all(ahead(a.sequence, b.sequence, 16) == 1 for a, b in pairwise(heard))
    assert ahead(heard[49].timestamp, heard[50].timestamp, 32) == (minutes + 1) * 160


@pytest.mark.parametrize("frames", [65_436, 65_500, 65_536])
def test_a_pbx_whose_numbers_went_round_during_the_hold_is_heard_at_once(frames: int) -> None:
    line = Line()
    line.run(5)
    line.open(held=True)
    line.count += frames
    line.now += frames * FRAME
    line.open()
    line.run(5)
    assert len(line.page.sent) == 10


def test_while_the_page_speaks_another_codec_neither_hears_the_other_and_the_pbx_hears_silence() -> None:
    line = Line()
    line.open(tuned=False)
    line.run(5)
    assert line.page.sent == []
    assert len(line.pbx.sent) == 5
    assert {packet.payload for packet in line.pbx.sent} <= set(line.silence)


def test_section_16_a_key_is_heard_once_at_the_first_of_its_packets_that_arrives() -> None:
    line, heard = Line(), HeardKeys()
    line.relay.press("1#9D")
    line.run(40)
    events = [packet for packet in line.pbx.sent if packet.payload_type != 0]
    keys = "".join(heard.take(packet.timestamp, packet.payload) for packet in events)
    assert keys == "1#9D"
    ends = [packet for packet in events if packet.payload[1] & 0x80]
    alone = HeardKeys()
    assert "".join(alone.take(packet.timestamp, packet.payload) for packet in ends) == "1#9D"


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x10\x0a\x00\xa0", b"\xff\x0a\x00\xa0"])
def test_what_is_no_key_is_not_heard(payload: bytes) -> None:
    assert HeardKeys().take(1, payload) == ""
