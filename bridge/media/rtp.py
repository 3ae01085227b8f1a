"""The PBX leg: plain RTP over a pair of UDP ports, and where voice may come from."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Final

from ..errors import OursError
from .hub import Address
from .poller import Poller
from .relay import HEADER, LONGEST_DATAGRAM

LATCH_PACKETS: Final = 4
"""Valid packets in a row from another port of the PBX's address before we believe in it."""


class PortsExhaustedError(OursError):
    """Every port pair of the configured range is taken."""


class PortPairs:
    """RTP on an even port, RTCP on the next (RFC 3550, 11); a freed pair is taken again as late as possible."""

    def __init__(self, host: str, ports: tuple[int, int]) -> None:
        first, last = ports
        self._host = host
        self._even = range(first + first % 2, last, 2)
        self._next = 0

    def bind(self) -> tuple[socket.socket, socket.socket]:
        """Two bound sockets, or PortsExhaustedError."""
        for _ in self._even:
            port = self._even[self._next]
            self._next = (self._next + 1) % len(self._even)
            if pair := self._bind(port):
                return pair
        raise PortsExhaustedError("no free pair of ports towards the PBX: widen media.pbx_ports")

    def _bind(self, port: int) -> tuple[socket.socket, socket.socket] | None:
        pair = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            for offset, sock in enumerate(pair):
                sock.setblocking(False)
                sock.bind((self._host, port + offset))
        except OSError as error:
            for sock in pair:
                sock.close()
            if error.errno == errno.EADDRINUSE:
                return None
            raise
        return pair


class PbxLeg:
    """The PBX's voice. It is taken only from the address that the PBX's SDP gives.

    If only the port differs, the first source there that delivers a few valid packets is believed, once (symmetric RTP).
    RTCP's port is held and not read: the kernel drops what does not fit.
    """

    def __init__(
        self, ports: PortPairs, buffer: bytearray, poller: Poller, *, voice: Callable[[int, float], None]
    ) -> None:
        self._rtp, self._rtcp = ports.bind()
        self._buffer, self._view = buffer, memoryview(buffer)
        self._inlet = self._view[:LONGEST_DATAGRAM]
        self._poller = poller
        self.voice = voice
        """Gets every packet of the negotiated codec, in the buffer."""
        self._announced: Address | None = None
        self._source: Address | None = None
        self._suspect: Address | None = None
        self._suspected = 0
        self._payload_type = -1
        self.remote: Address | None = None
        """Where voice goes."""
        self.received = 0
        """Packets that were believed, telephone-events and comfort noise among them."""
        self.strange = 0
        poller.add(self._rtp, self._read)

    @property
    def address(self) -> Address:
        host, port = self._rtp.getsockname()
        return host, port

    def close(self) -> None:
        self._poller.remove(self._rtp)
        self._rtp.close()
        self._rtcp.close()

    def follow(self, announced: Address | None, payload_type: int) -> None:
        """What the PBX's newest SDP says, None for no (new) address; whoever sends must prove itself again."""
        if announced is not None and announced != self._announced:
            self._announced = self.remote = announced
        self._source = self._suspect = None
        self._payload_type = payload_type

    def send(self, length: int) -> None:
        if self.remote is None:
            return
        try:
            self._rtp.sendto(self._view[:length], self.remote)
        except OSError:  # full buffer or unreachable: media is not repeated
            self.strange += 1

    def _read(self, now: float) -> int:
        """One datagram: the poller comes back for the next, which costs less than reading until nothing is left."""
        try:
            length, address = self._rtp.recvfrom_into(self._inlet)
        except OSError:  # nothing there, or an ICMP error that belongs to what we sent
            return 0
        buffer = self._buffer
        valid = length > HEADER and buffer[0] & 0xC0 == 0x80
        if not valid or (address != self._source and not self._believes(address)):
            self.strange += 1
            return 1
        self.received += 1
        if buffer[1] & 0x7F == self._payload_type:
            self.voice(length, now)
        return 1

    def _believes(self, address: Address) -> bool:
        if self._source is not None or self._announced is None or address[0] != self._announced[0]:
            return False
        if self._buffer[1] & 0x7F != self._payload_type:
            return address == self._announced
        if address != self._announced and not self._proven(address):
            return False
        self._source = self.remote = address
        return True

    def _proven(self, address: Address) -> bool:
        if address != self._suspect:
            self._suspect, self._suspected = address, 0
        self._suspected += 1
        return self._suspected >= LATCH_PACKETS
