"""What is refused before anything starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.app import check_announcements
from bridge.config import load
from bridge.errors import ConfigError

from .rig.tones import write_tone

SETTINGS = """\
[media]
hold_music = "pbx"

[[trunk]]
name = "office"
server = "127.0.0.1"
hold_music = "none"

[[trunk]]
name = "branch"
server = "127.0.0.2"
hold_music = "{file}"
"""


@pytest.mark.parametrize("content", [b"", b"no music"])
def test_hold_music_that_nobody_could_hear_is_named_with_its_line(tmp_path: Path, content: bytes) -> None:
    file, settings = tmp_path / "wait.mp3", tmp_path / "bridge.toml"
    file.write_bytes(content)
    settings.write_text(SETTINGS.format(file=file))
    with pytest.raises(ConfigError, match=re.escape(f"{settings}:12: trunk.1.hold_music: {file}: ")) as refused:
        check_announcements(load(settings))
    assert "an audio file is wanted, such as WAV, MP3 or OGG" in str(refused.value)


def test_hold_music_that_can_be_heard_is_good(tmp_path: Path) -> None:
    settings = tmp_path / "bridge.toml"
    settings.write_text(SETTINGS.format(file=write_tone(tmp_path / "wait.wav", 440, rate=8000)))
    check_announcements(load(settings))
