"""What has to be known of a call's voice to go on with it elsewhere: what is agreed with the PBX."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

from ..calls.commands import MediaPolicy, StartRecording
from .pbx_session import PbxSession


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
    recorded: Recorded | None = None

    def packed(self) -> bytes:
        """Keys stand in it: for our own processes only."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)


def unpacked(raw: bytes) -> Memory:
    memory: Memory = pickle.loads(raw)  # noqa: S301  # from our own process
    return memory
