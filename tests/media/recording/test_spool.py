"""What an rtpengine wrote down, as a tape names it: both sides in step, whatever the engine's clock says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge import sealed
from bridge.media.codecs import codec
from bridge.media.recording import mixdown, spool, tape
from bridge.media.recording.mixdown import EmptyTapeError
from bridge.media.recording.pcap import PcapError
from bridge.media.recording.tape import Channel, Label, Spooled, Tuned

from ..stage import rtp
from ..tones import loudness, tone
from . import pcaps
from .test_mixdown import SEAL, part, sides

BEGAN = 1_700_000_000.0


def said(port: int, hz: float, seconds: float, begin: float, first: int = 0) -> list[tuple[float, bytes]]:
    encoder, pcm = codec.encoder("PCMU", 8000), tone(hz, seconds, 8000)
    packets = [encoder.encode(pcm[at : at + 320]) for at in range(0, len(pcm) - 319, 320)]
    times = [begin + 0.02 * number for number in range(len(packets))]
    return [
        (at, pcaps.datagram(at, port, rtp(0, number, 160 * number, payload, port)))
        for number, (at, payload) in enumerate(zip(times, packets, strict=True), first)
    ]


def written(path: Path, *streams: list[tuple[float, bytes]]) -> Path:
    path.write_bytes(pcaps.file(raw for _, raw in sorted(record for stream in streams for record in stream)))
    return path


def tape_of(path: Path, *spooled: Spooled) -> Path:
    tuned = [Tuned(channel=channel, payload_type=0, codec="PCMU") for channel in Channel]
    with path.open("wb") as file:
        writer = sealed.Writer(file, SEAL)
        writer.append(tape.label(Label(call="6a0-1", portal="p", began=BEGAN)))
        for each in spooled:
            writer.append(b"".join([*(tape.tuned(one, each.at) for one in tuned), tape.spooled(each)]))
    return path


def named(path: Path, at: float, operator: int = pcaps.OPERATOR_PORT) -> Spooled:
    return Spooled(at=at, path=str(path), caller=pcaps.CALLER_PORT, operator=operator)


@pytest.mark.parametrize("slow", [0.0, -7200.0, 3 * 365 * 86_400.0])
def test_the_files_of_an_engine_become_one_recording_whatever_its_clock_says(tmp_path: Path, slow: float) -> None:
    first = written(
        tmp_path / "1.pcap",
        said(pcaps.CALLER_PORT, 440, 1.0, BEGAN + slow),
        said(pcaps.OPERATOR_PORT, 700, 1.0, BEGAN + slow),
    )
    second = written(tmp_path / "2.pcap", said(pcaps.CALLER_PORT, 440, 1.0, BEGAN + 2 + slow, first=100))
    out = tmp_path / "call.wav"
    tapes = [tape_of(tmp_path / "tape", named(first, 0.0), named(second, 2.0))]
    assert mixdown.mix(tapes, out, SEAL, sealing=False) == pytest.approx(3.0, abs=0.05)
    left, right, rate = sides(out)
    assert loudness(part(left, rate, 0.1, 0.9), 700, rate) > 0.95
    assert loudness(part(right, rate, 0.1, 0.9), 440, rate) > 0.95
    assert loudness(part(right, rate, 1.1, 1.9), 440, rate) == 0
    assert loudness(part(right, rate, 2.1, 2.9), 440, rate) > 0.95


def test_a_side_that_is_not_to_be_heard_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "1.pcap", said(pcaps.OPERATOR_PORT, 700, 1.0, BEGAN))
    assert list(spool.heard(named(path, 0.0, operator=0), BEGAN, [path.read_bytes()])) == []


def test_a_file_that_a_killed_engine_left_empty_or_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.pcap").touch()
    spooled = named(tmp_path / "empty.pcap", 0.0), named(tmp_path / "gone.pcap", 1.0)
    with pytest.raises(EmptyTapeError):
        mixdown.mix([tape_of(tmp_path / "tape", *spooled)], tmp_path / "call.wav", SEAL, sealing=False)


def test_a_folder_that_is_out_of_reach_is_an_error_that_may_pass(tmp_path: Path) -> None:
    tapes = [tape_of(tmp_path / "tape", named(tmp_path / "unmounted/1.pcap", 0.0))]
    with pytest.raises(OSError, match="unmounted"):
        mixdown.mix(tapes, tmp_path / "call.wav", SEAL, sealing=False)


def test_what_is_no_file_of_an_engine_makes_no_recording(tmp_path: Path) -> None:
    (tmp_path / "1.pcap").write_bytes(b"#!/bin/sh\n" + bytes(100))
    with pytest.raises(PcapError):
        mixdown.mix(
            [tape_of(tmp_path / "tape", named(tmp_path / "1.pcap", 0.0))], tmp_path / "c.wav", SEAL, sealing=False
        )


def test_rtcp_beside_the_voice_is_none(tmp_path: Path) -> None:
    report = bytes([0x80, 200, 0, 6]) + bytes(24)
    raw = pcaps.file([pcaps.datagram(BEGAN, pcaps.CALLER_PORT, report)])
    assert list(spool.heard(named(tmp_path, 0.0), BEGAN, [raw])) == []
