"""From the name of a PBX to its addresses: a number as it is, a name by the system's resolver (A records)."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address

import structlog

from .flow import Flow

log = structlog.get_logger()


async def resolve(host: str, port: int) -> tuple[Flow, ...]:
    """The IPv4 addresses of a host; none if the resolver does not know."""
    if known := numeric(host, port):
        return known
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        log.warning("sip_server_unresolved", host=host, why=str(error))
        return ()
    return tuple(dict.fromkeys(Flow(str(entry[4][0]), port) for entry in found))


def numeric(host: str, port: int) -> tuple[Flow, ...]:
    """The address if the host is one already."""
    try:
        return (Flow(str(IPv4Address(host)), port),)
    except ValueError:
        return ()
