"""The error tree.

BridgeError
├── OursError         a fault of this program or of its configuration: tell the provider
│   └── ConfigError   the configuration can't be used; the text names line and remedy
├── TheirsError       a peer sent what can't be accepted: answer it, count it, go on
│   ├── TicketError   a page's ticket is forged, expired or of the wrong kind
│   └── RefusedError  a peer refused what we asked; asking again won't help
└── NetworkError      a peer could not be reached or was silent: worth another try

Busy, declined and not answered are no errors: they are events of a call.
"""

from __future__ import annotations


class BridgeError(Exception):
    """Root of everything this program raises on purpose."""

    retryable = False


class OursError(BridgeError):
    """Our fault."""


class ConfigError(OursError):
    """The configuration can't be used."""


class TheirsError(BridgeError):
    """A peer's fault."""


class TicketError(TheirsError):
    """A ticket that is forged, expired or of the wrong kind."""

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class RefusedError(TheirsError):
    """A peer understood and refused."""


class NetworkError(BridgeError):
    """Nobody's fault; try again later."""

    retryable = True
