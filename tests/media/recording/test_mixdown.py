"""From tapes to a file that anybody can play: the operator is left, the caller right, both in step."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from array import array
from pathlib import Path

import av
import pytest

from bridge import sealed
from bridge.media.codecs import codec
from bridge.media.recording import mixdown, tape
from bridge.media.recording.tape import Channel, Kind, Label, Tuned
from bridge.media.sdp import CLOCK_RATES
from bridge.tickets import Seal, new_key

from ..stage import rtp
from ..tones import loudness, tone

KEY = new_key()
SEAL = Seal([KEY])
TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9, "opus": 107}


def said(channel: Channel, name: str, pcm: bytes, begin: float, *, ssrc: int = 1) -> list[tuple[float, bytes]]:
    """Records of a voice: PCM at 8 kHz, and when it began."""
    encoder = codec.encoder(name, 8000)
    label = tape.tuned(Tuned(channel=channel, payload_type=TYPES[name], codec=name), begin)
    records = [(begin, label)]
    for number in range(len(pcm) // 320):
        payload = encoder.encode(pcm[320 * number : 320 * (number + 1)])
        packet = rtp(TYPES[name], number, number * CLOCK_RATES[name] // 50, payload, ssrc)
        at = begin + number * 0.02
        records.append((at, tape.packet(channel, at, packet)))
    return records


def write(path: Path, *streams: list[tuple[float, bytes]], began: float = 1000.0, seal: Seal | None = None) -> Path:
    records = sorted((record for stream in streams for record in stream), key=lambda record: record[0])
    with path.open("wb") as file:
        writer = sealed.Writer(file, seal)
        writer.append(tape.label(Label(call="6a0-1", portal="p", began=began)))
        writer.append(b"".join(raw for _, raw in records))
    return path


def sides(path: Path) -> tuple[bytes, bytes, int]:
    """16-bit PCM of the left and of the right, and its rate, as any player hears it."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="s16p", layout="stereo", rate=stream.rate)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
        left, right = (b"".join(bytes(f.planes[side])[: 2 * f.samples] for f in frames) for side in (0, 1))
        return left, right, stream.rate


def part(pcm: bytes, rate: int, begin: float, end: float) -> bytes:
    return pcm[2 * int(begin * rate) : 2 * int(end * rate)]


@pytest.mark.parametrize("kind", ["wav", "mp3"])
@pytest.mark.parametrize("name", list(CLOCK_RATES))
def test_the_operator_is_left_and_the_caller_right_whatever_the_codec(tmp_path: Path, name: str, kind: str) -> None:
    operator = said(Channel.OPERATOR, name, tone(700, 2.0, 8000), 0.0)
    caller = said(Channel.CALLER, name, tone(440, 2.0, 8000), 1.0)
    out = tmp_path / f"call.{kind}"
    seconds = mixdown.mix([write(tmp_path / "tape", operator, caller)], out, SEAL, sealing=False)
    left, right, rate = sides(out)
    assert seconds == pytest.approx(3.0, abs=0.03)
    assert loudness(part(left, rate, 0.3, 1.8), 700, rate) > 0.95
    assert loudness(part(left, rate, 2.3, 2.9), 700, rate) == 0
    assert loudness(part(right, rate, 0.1, 0.8), 440, rate) == 0
    assert loudness(part(right, rate, 1.3, 2.8), 440, rate) > 0.95
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_both_sides_stay_in_step_through_a_hold_and_a_rejoin(tmp_path: Path) -> None:
    """Both say the same at the same time, then one is silent, then both again: the channels are alike but for that."""
    beep = tone(500, 0.1, 8000) + bytes(2 * 800)
    operator = said(Channel.OPERATOR, "PCMU", beep * 5, 0.0, ssrc=1)
    again = said(Channel.OPERATOR, "PCMU", beep * 5, 4.0, ssrc=2)
    caller = said(Channel.CALLER, "PCMA", beep * 25, 0.0)
    out = tmp_path / "call.wav"
    mixdown.mix([write(tmp_path / "tape", operator, again, caller)], out, SEAL, sealing=False)
    left, right, rate = sides(out)
    for begin, end in ((0.0, 1.0), (4.0, 5.0)):
        ours, theirs = array("h", part(left, rate, begin, end)), array("h", part(right, rate, begin, end))
        assert all(abs(a - b) < 900 for a, b in zip(ours, theirs, strict=True)), "the laws differ by a little"
    assert not any(part(left, rate, 1.05, 3.95))
    assert loudness(part(right, rate, 2.0, 2.1), 500, rate) > 0.95


def test_the_tapes_of_one_call_become_one_recording(tmp_path: Path) -> None:
    """The bridge's voice may begin anew while the call goes on: a second tape is then written."""
    first = write(tmp_path / "one", said(Channel.CALLER, "PCMU", tone(440, 1.0, 8000), 0.0), began=1000.0)
    second = write(tmp_path / "two", said(Channel.CALLER, "PCMU", tone(440, 1.0, 8000), 0.0), began=1003.0)
    out = tmp_path / "call.wav"
    assert mixdown.mix([second, first], out, SEAL, sealing=False) == pytest.approx(4.0, abs=0.01)
    _, right, rate = sides(out)
    assert loudness(part(right, rate, 0.1, 0.9), 440, rate) > 0.95
    assert not any(part(right, rate, 1.1, 2.9))
    assert loudness(part(right, rate, 3.1, 3.9), 440, rate) > 0.95


def test_what_a_crash_left_behind_is_a_recording_up_to_there(tmp_path: Path) -> None:
    path = write(tmp_path / "tape", said(Channel.CALLER, "PCMU", tone(440, 2.0, 8000), 0.0))
    path.write_bytes(path.read_bytes()[:-9000])
    out = tmp_path / "call.wav"
    assert 0.8 < mixdown.mix([path], out, SEAL, sealing=False) < 1.2


def test_a_tape_on_which_nobody_speaks_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(tape.TapeError, match="nothing was said"):
        mixdown.mix([write(tmp_path / "tape")], tmp_path / "call.mp3", SEAL, sealing=False)
    (tmp_path / "empty").touch()
    with pytest.raises(tape.TapeError, match="nothing was recorded"):
        mixdown.mix([tmp_path / "empty"], tmp_path / "call.mp3", SEAL, sealing=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "tape"]


def test_packets_that_were_lost_are_made_up_for_by_opus_and_silent_in_g711(tmp_path: Path) -> None:
    found = {}
    for name in ("opus", "PCMU"):
        voice = said(Channel.CALLER, name, tone(440, 2.0, 8000), 0.0)
        del voice[50::10]
        out = tmp_path / f"{name}.wav"
        mixdown.mix([write(tmp_path / name, voice)], out, SEAL, sealing=False)
        _, right, rate = sides(out)
        lost = (49 + 0) * 0.02
        found[name] = loudness(part(right, rate, lost + 0.005, lost + 0.015), 440, rate)
    assert found["PCMU"] == 0
    assert found["opus"] > 0.5


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_as_a_process_it_does_job_after_job_and_seals_what_it_writes(tmp_path: Path, kind: str) -> None:
    voice = said(Channel.CALLER, "PCMU", tone(440, 2.0, 8000), 0.0)
    path = write(tmp_path / "tape", voice, [(3.0, tape.mark(Kind.END, 3.0))], seal=SEAL)
    jobs = [
        {"tapes": [str(tmp_path / "missing")], "to": str(tmp_path / "no.mp3"), "sealing": True},
        {"tapes": [str(path)], "to": str(tmp_path / f"call.{kind}"), "sealing": True},
    ]
    process = subprocess.run(
        [sys.executable, "-m", "bridge.media.recording.mixdown"],
        input="".join(json.dumps(line) + "\n" for line in [{"keys": [KEY]}, *jobs]),
        capture_output=True,
        text=True,
        check=True,
    )
    failed, done = (json.loads(line) for line in process.stdout.splitlines())
    assert failed == {"error": "No such file or directory", "full": True, "empty": False}
    assert done["seconds"] == pytest.approx(2.0, abs=0.03)
    assert b"RIFF" not in (tmp_path / f"call.{kind}").read_bytes()
    with sealed.open_plain(tmp_path / f"call.{kind}", SEAL) as file:
        (tmp_path / f"open.{kind}").write_bytes(file.read())
    _, right, rate = sides(tmp_path / f"open.{kind}")
    assert loudness(part(right, rate, 0.3, 1.8), 440, rate) > 0.95
