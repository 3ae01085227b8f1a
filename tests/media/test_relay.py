"""What the PBX hears, whoever speaks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.media.relay import Relay

from .stage import Packet, rtp
from .wire import Wire, steps

VOICE = bytes(range(160))


class Outlet:
    def __init__(self, buffer: bytearray) -> None:
        self.buffer, self.sent = buffer, list[bytes]()

    def send(self, length: int) -> None:
        self.sent.append(bytes(self.buffer[:length]))

    def exit(self) -> None:
        """Each packet is seen."""


def test_while_the_pbx_holds_nothing_is_sent_and_afterwards_no_gap_in_numbers() -> None:
    wire = Wire()
    pbx = Outlet(wire.buffer)
    relay = Relay(pbx, wire.stream, "PCMA")
    for number, held in enumerate([False, True, True, False], 1):
        relay.open(sending=not held, held=False, tuned=True)
        raw = rtp(0, number, number * 160, VOICE)
        wire.buffer[: len(raw)] = raw
        relay.from_browser(len(raw), number * 0.02)
        relay.frame(number * 0.02)
    assert steps([Packet.read(raw) for raw in pbx.sent]) == [(1, 480)]


def test_of_what_is_played_no_frame_is_left_out_however_often_it_is_looked_at() -> None:
    wire = Wire()
    pbx = Outlet(wire.buffer)
    relay = Relay(pbx, wire.stream, "PCMA")
    relay.fill((b"one", b"two", b"three"))
    for now in (0.02, 0.021, 0.025, 0.04, 0.041, 0.06, 0.08):
        relay.frame(now)
    assert [Packet.read(raw).payload for raw in pbx.sent] == [b"one", b"two", b"three", b"one"]


CODECS = {"PCMU": (0, 8000), "PCMA": (8, 8000), "G722": (9, 8000), "opus": (107, 48_000)}
DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("page"), st.sampled_from([0.0, 0.02, 0.3, 4.0]), st.integers(1, 3)),
        st.tuples(st.just("tune"), st.just(0.02), st.sampled_from(sorted(CODECS))),
        st.tuples(st.just("hold"), st.just(0.02), st.booleans()),
        st.tuples(st.just("quiet"), st.just(0.02), st.integers(1, 20)),
        st.tuples(st.just("keys"), st.just(0.02), st.sampled_from(["5", "12#"])),
    ),
    max_size=60,
)


@given(DOINGS)
def test_the_pbx_hears_one_stream_through_hold_keys_rejoin_take_over_and_change_of_codec(
    doings: list[tuple[str, float, object]],
) -> None:
    """One SSRC, each number once and none left out, and time that never stands still or goes back between its packets."""
    wire = Wire()
    pbx, now, page, number = Outlet(wire.buffer), 100.0, 1, 0
    relay = Relay(pbx, wire.stream, "PCMA")
    relay.tune("PCMA", 8, 8000, 101)
    for kind, pause, wish in doings:
        now += pause
        if kind == "page":
            page, number = wish if isinstance(wish, int) else 0, number + 1
            raw = rtp(relay.up.payload_type, number, number * relay.up.frame, VOICE, page)
            wire.buffer[: len(raw)] = raw
            relay.from_browser(len(raw), now)
        elif kind == "tune":
            relay.tune(str(wish), *CODECS[str(wish)], 101)
        elif kind == "hold":
            relay.open(sending=True, held=bool(wish), tuned=True)
        elif kind == "keys":
            relay.press(str(wish))
        else:
            for _ in range(wish if isinstance(wish, int) else 0):
                now += 0.02
                relay.frame(now)
    packets = [Packet.read(raw) for raw in pbx.sent]
    assert {packet.ssrc for packet in packets} <= {wire.stream.ssrc}
    voice = [packet for packet in packets if packet.payload_type != 101]
    assert all(0 < step < 100 for step, _ in steps(packets))
    assert all(0 < leap < 2**31 for _, leap in steps(voice))
