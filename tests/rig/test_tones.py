"""The ear of the tests: hears the right tone, and nothing where nothing is."""

from __future__ import annotations

import random
from array import array
from pathlib import Path

import pytest

from .tones import goertzel, read_wav, share, strongest, tone, write_tone


@pytest.mark.parametrize(("hz", "other"), [(700, 1004), (1004, 700)])
def test_a_tone_is_told_from_another(hz: int, other: int) -> None:
    samples = tone(hz, 0.5)
    assert goertzel(samples, 8000, hz) > 0.99
    assert goertzel(samples, 8000, other) < 0.01


def test_noise_and_silence_are_no_tone() -> None:
    noise = random.Random(1)
    assert goertzel([noise.randint(-8000, 8000) for _ in range(4000)], 8000, 1004) < 0.05
    assert goertzel([0] * 4000, 8000, 1004) == 0.0


def test_a_tone_under_noise_keeps_its_share() -> None:
    noise = random.Random(2)
    mixed = [sample + noise.randint(-8000, 8000) for sample in tone(1004, 0.5)]
    assert 0.4 < goertzel(mixed, 8000, 1004) < 0.8


def test_the_loudest_frequency_of_a_file_is_found(tmp_path: Path) -> None:
    assert strongest(write_tone(tmp_path / "a.wav", 700)) == 700
    assert strongest(write_tone(tmp_path / "b.wav", 1000, rate=8000)) == 1000
    assert strongest(tmp_path / "missing.wav") == 0.0


def test_a_recording_still_being_written_can_be_heard(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "growing.wav", 1004, rate=16000)
    data = bytearray(path.read_bytes())
    data[40:44] = bytes(4)  # the length, which the writer fills in when it closes the file
    path.write_bytes(data)
    samples, rate = read_wav(path)
    assert (len(samples), rate) == (16000, 16000)
    assert share(path, 1004) > 0.99
    assert share(path, 700) < 0.01
    assert array("h", samples[:2]) == tone(1004, 0.01, 16000)[:2]
