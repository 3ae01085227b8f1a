"""What the bridge and its media workers say to one another over their stream: pickled, each message behind its length.

Both ends are this very program, started from the same files; nobody else can write into the stream.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Final

from ... import config
from ...calls.commands import MediaCommand
from ...calls.events import CallId, Event
from ...errors import BridgeError
from ..equipment import Patience
from ..progress import Progress
from ..recording.recorder import Shelf

LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """The first word to a worker: which ports are its own."""

    media: config.Media
    patience: Patience
    shelf: Shelf | None = None
    """Where recordings go."""
    music: tuple[str, ...] = ()
    """Files for callers to whom nobody speaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perform:
    number: int
    """Comes back in `Done`."""
    command: MediaCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Go on with a call whose worker is dead."""

    call: CallId
    memory: bytes
    progress: Progress | None
    """The newest that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The worker's sockets are open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """The worker can't begin; it ends."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    number: int
    error: BridgeError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What another worker would need to go on with the call; comes before the event or `Done` that tells of it."""

    call: CallId
    memory: bytes
    progress: Progress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """Twice a second."""

    progress: dict[CallId, Progress]
    """How far the calls have come."""

    cpu: float
    """Share of a core since the last one."""


ToWorker = Duty | Perform | Restore
FromWorker = Ready | Unfit | Done | Happened | Kept | Pulse


def packed(message: ToWorker | FromWorker) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


async def received(reader: asyncio.StreamReader) -> ToWorker | FromWorker | None:
    """The next message; None when the other end is gone."""
    try:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        body = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError):
        return None
    message: ToWorker | FromWorker = pickle.loads(body)  # noqa: S301  # from our own process
    return message
