"""Which addresses are this machine's.

A machine that has moved to another network keeps its TCP connections of before: nothing goes out on them and nothing comes in, and
nobody says so, for TCP tries again for a quarter of an hour.
"""

from __future__ import annotations

import errno
import socket
from contextlib import closing
from typing import Any

SocketName = tuple[Any, ...]
"""As the system gives it: host, port, and for IPv6 flow and scope."""


def is_ours(name: SocketName) -> bool:
    """The address is one of this machine, or nobody can tell."""
    host, _, *scope = name
    try:
        with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            probe.bind((host, 0, *scope))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True
