"""Our own addresses: where each PBX's voice leaves from, and comes to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Final

from .sdp import is_ipv6

AUTO: Final = "auto"
FRESH: Final = 1.0
"""Seconds that an answer of the system counts."""
HURRY: Final = 0.1
"""The same once something could not be sent."""
MOST_REMEMBERED: Final = 4_000
ANYBODY, ANYBODY_6 = "198.51.100.1", "2001:db8::1"
"""Where nobody is, for what the rest of the world is met from (RFC 5737, 3849); nothing is sent there."""


def local_address(host: str) -> str:
    """The address of this machine that packets to `host` leave from; OSError where there is no way."""
    family = socket.AF_INET6 if is_ipv6(host) else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        probe.connect((host, 9))
        own: str = probe.getsockname()[0]
        return own


class Homes:
    """`ipv4` and `ipv6` are the addresses of the settings: one of ours, "auto" for whatever the system says, "" for none."""

    def __init__(self, ipv4: str, ipv6: str = "", lookup: Callable[[str], str] | None = None) -> None:
        self._ipv4, self._ipv6, self._lookup = ipv4, ipv6, lookup or local_address
        self._known: dict[str, tuple[str, float]] = {}
        """By host: our address, and when that was so."""

    @property
    def have_ipv6(self) -> bool:
        return self._ipv6 != ""

    @property
    def may_change(self) -> bool:
        return AUTO in (self._ipv4, self._ipv6)

    def towards(self, host: str, now: float, *, ipv6: bool, hurry: bool = False) -> str:
        """Our address for voice with this host, "" for anybody of the kind; "" while there is no way."""
        fixed = self._ipv6 if ipv6 else self._ipv4
        if fixed != AUTO:
            return fixed
        if not host or is_ipv6(host) is not ipv6:
            host = ANYBODY_6 if ipv6 else ANYBODY
        known = self._known.get(host)
        if known is None or now - known[1] >= (HURRY if hurry else FRESH):
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = self._known[host] = self._ask(host), now
        return known[0]

    def _ask(self, host: str) -> str:
        try:
            return self._lookup(host)
        except OSError:
            return ""
