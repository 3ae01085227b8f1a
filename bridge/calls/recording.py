"""Whether a call is recorded, who decides that, and what both sides are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

BEEP = "beep"


class RecordingMode(Enum):
    NEVER = "never"
    ALWAYS = "always"
    ASKED = "asked"
    """When the operator asks for it."""


class Recording(Enum):
    """What becomes of a call's recording, as its operator sees it."""

    NONE = ""
    """There is none, and none can be had."""
    OFF = "off"
    """The operator may ask for it."""
    ON = "on"
    PAUSED = "paused"
    FAILED = "failed"
    """It broke off: what was recorded until then is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRules:
    mode: RecordingMode = RecordingMode.NEVER
    pausable: bool = True
    """The operator may interrupt it: for what nobody should have on file."""
    announcement: str = ""
    """What both hear before it begins: "" for nothing, `beep`, or the absolute path of a sound file."""
    beep_seconds: float = 0
    """Both hear a beep so often while it runs; 0: never."""
