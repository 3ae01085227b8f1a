"""What has to be known of a call's voice to go on with it elsewhere: what is agreed with the PBX."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

from ..calls.commands import MediaPolicy, StartRecording
from ..calls.events import CallId
from ..tones import Tone
from .pbx_session import PbxSession
from .sdp import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A recording that runs, or is paused."""

    order: StartRecording
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    session: PbxSession
    allowed: tuple[str, ...]
    """Names of codecs."""
    policy: MediaPolicy
    address: Address
    """Ours, as the PBX knows it."""
    cname: str
    """Whom its reports are from."""
    early: Tone | str = ""
    """What the caller is to hear until somebody answers."""
    recorded: Recorded | None = None
    held: bool = False
    """We hold, and the PBX does not know of it."""
    conference: CallId | None = None
    """Whose far end this call's hears as well."""

    def packed(self) -> bytes:
        """Keys stand in it: for our own processes only."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)


def unpacked(raw: bytes) -> Memory:
    memory: Memory = pickle.loads(raw)  # noqa: S301  # from our own process
    return memory
