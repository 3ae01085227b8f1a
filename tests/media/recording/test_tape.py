"""What is written on a tape is read again, wherever its bytes were cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.recording import tape
from bridge.media.recording.tape import Channel, Heard, Kind, Label, Mark, Record, Tuned

from ..stage import rtp

LABEL = Label(call="6a0-1", portal="acme.bitrix24.com", began=1_790_000_000.25)


def written(items: list[tuple[int, bytes]]) -> bytes:
    body = tape.label(LABEL) + tape.tuned(Tuned(channel=Channel.CALLER, payload_type=8, codec="PCMA"), 0.0)
    for number, (kind, payload) in enumerate(items):
        body += tape.packet(kind, number * 0.02, rtp(8, number, 160 * number, payload))
    return body + tape.mark(Kind.END, 9.5)


PACKETS = st.lists(st.tuples(st.sampled_from([0, 1]), st.binary(min_size=1, max_size=300)), max_size=20)


@given(items=PACKETS, cuts=st.lists(st.integers(1, 200), max_size=40))
def test_a_tape_is_read_as_it_was_written_whatever_pieces_it_comes_in(
    items: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    raw, pieces = written(items), []
    for cut in cuts:
        pieces.append(raw[:cut])
        raw = raw[cut:]
    records = list(tape.read([*pieces, raw]))
    expected: list[Record] = [LABEL, Tuned(channel=Channel.CALLER, payload_type=8, codec="PCMA")]
    expected += [
        Heard(
            channel=Channel(kind),
            at=round(number * 0.02 * tape.UNIT) / tape.UNIT,
            payload_type=8,
            sequence=number,
            timestamp=160 * number,
            ssrc=0x1234,
            payload=payload,
        )
        for number, (kind, payload) in enumerate(items)
    ]
    assert records == [*expected, Mark(kind=Kind.END, at=9.5)]


@given(items=PACKETS, left=st.integers(0, 5000))
def test_of_a_torn_tape_everything_up_to_the_tear_is_read(items: list[tuple[int, bytes]], left: int) -> None:
    whole = list(tape.read([written(items)]))
    torn = list(tape.read([written(items)[:left]]))
    assert torn == whole[: len(torn)]
    assert len(torn) >= min(len(whole), left // 340)


def test_csrcs_extension_and_padding_are_taken_out() -> None:
    plain = rtp(8, 1, 2, b"voice")
    raw = bytes([0x80 | 0x30 | 1]) + plain[1:12] + b"CSRC" + b"\xbe\xde\x00\x01exts" + b"voice" + b"\x00\x00\x03"
    (_, heard) = tape.read([tape.label(LABEL) + tape.packet(1, 0.0, raw)])
    assert isinstance(heard, Heard)
    assert (heard.payload, heard.sequence, heard.timestamp) == (b"voice", 1, 2)


@given(raw=st.binary(max_size=400))
def test_hostile_packets_are_passed_over(raw: bytes) -> None:
    records = list(tape.read([tape.label(LABEL) + tape.packet(0, 1.0, raw) + tape.mark(Kind.END, 2.0)]))
    assert records[0] == LABEL
    assert records[-1] == Mark(kind=Kind.END, at=2.0)


@given(raw=st.binary(min_size=7, max_size=400))
def test_what_is_no_tape_is_refused(raw: bytes) -> None:
    if raw[0] != Kind.LABEL:
        with pytest.raises(tape.TapeError):
            list(tape.read([raw]))
