"""What a PBX says about one of its extensions: what the lamp of a desk telephone shows."""

from __future__ import annotations

from enum import Enum


class ExtensionState(Enum):
    FREE = "free"
    RINGING = "ringing"
    TALKING = "talking"
    """Or dialling: a call would find it busy."""
    UNKNOWN = "unknown"
    """The PBX was not asked, or does not say."""
