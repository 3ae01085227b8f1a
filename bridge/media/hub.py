"""One UDP socket for all browser legs, or for one PBX leg, and whose each datagram is (RFC 7983)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from .datagrams import Name, OneByOne, batched
from .lane import Lane
from .packet import HEADER
from .poller import Poller
from .sdp import Address
from .slot import Slot

log = structlog.get_logger()

WANTED_BUFFER: Final = 4 << 20
ENOUGH_BUFFER: Final = 1 << 20
"""Bytes; the usual default holds 256 voice packets, 13 ms of 400 calls."""

_STUN_HEADER: Final = 20
_USERNAME: Final = 0x0006
_MAX_ATTRIBUTES: Final = 32


class Endpoint(Protocol):
    """A peer's association, as the hub sees it."""

    lane: Lane | None

    def stun_received(self, data: bytes, address: Address) -> None: ...
    def dtls_received(self, data: bytes) -> None: ...
    def media_received(self, length: int, now: float) -> None: ...


def stun_username(data: bytes) -> str:
    """The receiver's half of a STUN request's USERNAME (RFC 8445, 7.2.2), "" if there is none."""
    at = _STUN_HEADER
    for _ in range(_MAX_ATTRIBUTES):
        if at + 4 > len(data):
            break
        kind, length = struct.unpack_from("!HH", data, at)
        if kind == _USERNAME:
            return data[at + 4 : at + 4 + length].partition(b":")[0].decode("ascii", errors="replace")
        at += 4 + (length + 3) // 4 * 4
    return ""


class Hub:
    """A socket whose peers come with ICE and DTLS.

    STUN requests find their leg by user name, STUN responses by transaction, everything else by source address.
    Legs claim an address only after their own check to it was answered, so a forged source takes nothing.
    """

    def __init__(
        self,
        sock: socket.socket,
        buffer: bytearray,
        poller: Poller,
        advertised: tuple[str, int | None] | None = None,
        *,
        single: bool = False,
    ) -> None:
        """`single`: one peer is expected, whose datagrams come one by one."""
        self.buffer = buffer
        """Where the one datagram in hand lies."""
        self.slot = Slot(buffer)
        self._view = self.slot.view
        self._poller = poller
        self._socket = sock
        self.sendto = sock.sendto
        """Raises OSError."""
        self.datagrams = OneByOne(sock, self.slot, 1) if single else batched(sock, self.slot, poller)
        self.post, self.name = self.datagrams.post, self.datagrams.name
        """For the hot path: send so many octets of the buffer to an address of this name."""
        self.address: Address = self._socket.getsockname()
        host, port = advertised or self.address
        self.told: Address = host, port or self.address[1]
        """Where pages send to: another address than ours where a NAT stands in between."""
        self.by_username: dict[str, Endpoint] = {}
        self.by_transaction: dict[bytes, Endpoint] = {}
        self._owners: dict[Name, Endpoint] = {}
        self.stranger: Callable[[bytes, Address], None] | None = None
        """Gets DTLS of addresses that are nobody's."""
        self.strange = 0
        """Datagrams of nobody's, or that made no sense."""
        poller.add(self._socket, self._read)

    def close(self) -> None:
        self._poller.remove(self._socket)
        self.datagrams.close()
        self._socket.close()
        self.stranger = None  # whoever that is may own this

    @property
    def by_address(self) -> dict[Address, Endpoint]:
        return {self.datagrams.address(name): owner for name, owner in self._owners.items()}

    @property
    def unsent(self) -> int:
        """Datagrams that the system did not take."""
        return self.datagrams.unsent

    def claim(self, address: Address, endpoint: Endpoint) -> None:
        """From now on `address` is the endpoint's; the newest proof wins, since pages reuse ports."""
        self._owners[self.name(address)] = endpoint

    def forget(self, username: str, endpoint: Endpoint) -> None:
        """Take out what is still this endpoint's."""
        if self.by_username.get(username) is endpoint:
            del self.by_username[username]
        for name in [name for name, owner in self._owners.items() if owner is endpoint]:
            del self._owners[name]

    def send(self, data: bytes | memoryview, address: Address) -> None:
        try:
            self.sendto(data, address)
        except OSError:  # full buffer or unreachable: STUN and DTLS repeat themselves
            self.datagrams.unsent += 1

    def _read(self, now: float) -> int:
        buffer, shared, owners, count = self.buffer, self.slot, self._owners, 0
        for slot, length, name in self.datagrams.receive():
            count += 1
            try:
                owner = owners.get(name)
                if owner is not None and (lane := owner.lane) is not None and lane.carry(slot, length, now):
                    continue
                if slot is not shared:
                    shared.copy(slot, length)
                if 127 < buffer[0] < 192 and length > HEADER:
                    owners[name].media_received(length, now)
                else:
                    self._control(bytes(self._view[:length]), name)
            except Exception:  # noqa: BLE001  # one hostile datagram must not cost the others (aioice raises many kinds)
                self.strange += 1
        return count

    def _control(self, data: bytes, name: Name) -> None:
        endpoint, address = None, self.datagrams.address(name)
        if len(data) >= _STUN_HEADER and data[0] < 4:
            if data[0] & 1 or data[1] & 0x10:  # response, error, indication
                endpoint = self.by_transaction.get(data[8:20])
            else:
                endpoint = self.by_username.get(stun_username(data))
            if endpoint is not None:
                endpoint.stun_received(data, address)
        elif data and 19 < data[0] < 64:
            endpoint = self._owners.get(name)
            if endpoint is not None:
                endpoint.dtls_received(data)
            elif self.stranger is not None:
                self.stranger(data, address)
        if endpoint is None:
            self.strange += 1


def bound_socket(address: Address) -> socket.socket:
    """With room for bursts of many legs; OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, WANTED_BUFFER)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if granted < ENOUGH_BUFFER:
        log.warning("media_buffer_small", granted=granted, wanted=WANTED_BUFFER, remedy="raise net.core.rmem_max")
    return sock
