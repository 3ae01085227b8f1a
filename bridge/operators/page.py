"""A connected page: its connection, what it shall hear, and how much it may say."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..calls.commands import CallView
from ..calls.events import CallId, Operator, TabId
from ..tickets import SessionTicket
from .protocol import Message
from .wire import Wire

MESSAGES_PER_SECOND, BURST = 50, 100


@dataclass(slots=True, kw_only=True, eq=False)
class Page:
    sid: str
    """socket.io's name of the connection."""
    wire: Wire
    tab: TabId
    session: SessionTicket
    farewells: dict[CallId, CallView] = field(default_factory=dict)
    """Ended calls, for the next state only."""
    dismissed: bool = False
    """The portal says that this is not its user: no later page is waited for."""
    excess: int = 0
    """Messages refused for their rate."""
    _outbox: list[tuple[str, Message | None]] = field(default_factory=list)
    """Short, and empty most of the time: a deque would take 600 bytes for nothing."""
    _allowance: float = BURST
    _heard: float = 0.0

    @property
    def operator(self) -> Operator:
        return Operator(self.session.portal, self.session.user)

    def write(self, event: str, message: Message | None = None) -> None:
        """Line up a message. Without one it is made when it is sent, and lined up once only."""
        if message or (event, None) not in self._outbox:
            self._outbox.append((event, message))

    def next(self) -> tuple[str, Message | None] | None:
        return self._outbox.pop(0) if self._outbox else None

    def exceeds(self, now: float) -> bool:
        """Count one message; True when it comes too soon after too many others."""
        earned = max(0.0, now - self._heard) * MESSAGES_PER_SECOND
        self._allowance, self._heard = min(BURST, self._allowance + earned), now
        if self._allowance < 1:
            self.excess += 1
            return True
        self._allowance -= 1
        return False
