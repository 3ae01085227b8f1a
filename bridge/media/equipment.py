"""What all conversations share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ..calls.events import Event
from .codecs.transcoder import Transcoder
from .dtls import Certificates
from .homes import Homes
from .hub import Hub
from .music import Music
from .poller import Poller
from .ports import PortPairs
from .recording.recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds to wait before something counts as lost."""

    connect: float = 15.0
    """From a page's offer to DTLS; and of a page that is to take a call over, to its voice."""
    browser: float = 2.0
    """Without voice from the joined page; it sends while muted, too."""
    pbx: float = 60.0
    """Without RTP from the PBX while nobody holds."""
    quiet: float = 0.2
    """Without voice from the joined page until the PBX is sent silence instead."""
    lonely: float = 2.0
    """Without a page before callers hear music, where they are to: most pages come back sooner, and it would only startle."""
    report: float = 5.0
    """Between two RTCP reports on a leg, half to one and a half of it by chance (RFC 3550, 6.3.1)."""
    look: float = 0.1
    """Between two looks at all calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """The room's sockets and helpers, its patience, and its way out."""

    buffer: bytearray
    poller: Poller
    hub: Hub
    homes: Homes
    ports: PortPairs
    certificates: Certificates
    patience: Patience
    post: Callable[[Event], None]
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    """Starts a task that ends with the room."""
    clock: Callable[[], float]
    transcoder: Transcoder
    music: Music
    recorder: Recorder | None = None
    """None where nothing can be recorded."""
