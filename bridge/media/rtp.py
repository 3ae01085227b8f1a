"""A PBX leg of RTP or SRTP over a pair of UDP ports, RTCP beside it, and where both may come from."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from ..calls.commands import Latch
from ..errors import OursError
from .pbx_leg import PbxLeg
from .peer import OurEnd
from .poller import Poller
from .relay import HEADER, LONGEST_DATAGRAM, RTP
from .sdes import Crypto, Keys
from .sdp import Address, is_ipv6
from .source import Source
from .srtp import Srtp, incoming_session, outgoing_session
from .terms import Terms


class PortsExhaustedError(OursError):
    """Every port pair of the configured range is taken."""


class PortPairs:
    """RTP on an even port, RTCP on the next (RFC 3550, 11); a freed pair is taken again as late as possible."""

    def __init__(self, host: str, ports: tuple[int, int], ipv6: str = "") -> None:
        """`ipv6`: our address for that, "" for none."""
        first, last = ports
        self._host, self._ipv6 = host, ipv6
        self._even = range(first + first % 2, last, 2)
        self._next = 0

    @property
    def have_ipv6(self) -> bool:
        return self._ipv6 != ""

    def bind(self, *, ipv6: bool = False) -> tuple[socket.socket, socket.socket]:
        """Two bound sockets, or PortsExhaustedError."""
        host = self._ipv6 if ipv6 else self._host
        for _ in self._even:
            port = self._even[self._next]
            self._next = (self._next + 1) % len(self._even)
            if pair := _pair(host, port):
                return pair
        raise PortsExhaustedError("no free pair of ports towards the PBX: widen media.pbx_ports")


def _pair(host: str, port: int) -> tuple[socket.socket, socket.socket] | None:
    pair = _open(host), _open(host)
    try:
        for offset, sock in enumerate(pair):
            sock.setblocking(False)
            sock.bind((host, port + offset))
    except OSError as error:
        for sock in pair:
            sock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return pair


def _open(host: str) -> socket.socket:
    if is_ipv6(host):
        return _Ipv6Socket(socket.AF_INET6, socket.SOCK_DGRAM)
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


class _Ipv6Socket(socket.socket):
    """Its addresses look like those of IPv4, without flow and scope: the way of a packet is one for both."""

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Address]:
        length, address = super().recvfrom_into(buffer, nbytes, flags)
        return length, address[:2]

    def getsockname(self) -> Address:
        host, port, *_ = super().getsockname()
        return host, port


class RtpLeg(PbxLeg):
    """RTP, or SRTP with keys of the SDP. `Source` says whose packets count."""

    def __init__(
        self,
        ports: PortPairs,
        buffer: bytearray,
        poller: Poller,
        *,
        voice: Callable[[int, float], None],
        ipv6: bool = False,
    ) -> None:
        super().__init__(buffer, voice)
        self._rtp, self._rtcp = ports.bind(ipv6=ipv6)
        self._inlet = self._view[:LONGEST_DATAGRAM]
        self._poller = poller
        self.source = Source()
        self._control: Address | None = None
        self._keys: Keys | None = None
        self._srtp: Srtp | None = None
        poller.add(self._rtp, self._read)
        poller.add(self._rtcp, self._read_control)

    @property
    def address(self) -> Address:
        host, port = self._rtp.getsockname()
        return host, port

    def expect(self, end: OurEnd | None) -> None:
        """Nothing: who comes without DTLS is known by its address."""

    def close(self) -> None:
        self._poller.remove(self._rtp)
        self._poller.remove(self._rtcp)
        self._rtp.close()
        self._rtcp.close()

    def follow(self, terms: Terms, latch: Latch) -> None:
        """Whoever sends must prove itself again."""
        super().follow(terms, latch)
        self.source.latch = latch
        self.source.follow(terms.address)
        self._control = terms.control
        self._encrypt(terms.keys)

    def _encrypt(self, keys: Keys | None) -> None:
        """Speak SRTP with these keys, None for plain RTP; a direction whose key stays goes on counting (RFC 4568, 7.1.4)."""
        before, self._keys = self._keys, keys
        if keys is None:
            self._srtp = None
            return
        keep_in = self._srtp if before and _is_same(before.incoming, keys.incoming) else None
        keep_out = self._srtp if before and _is_same(before.outgoing, keys.outgoing) else None
        if keep_in is None or keep_out is None:
            incoming = keep_in.incoming if keep_in else incoming_session(keys.incoming)
            outgoing = keep_out.outgoing if keep_out else outgoing_session(keys.outgoing)
            self._srtp = Srtp(self._buffer, incoming, outgoing)

    def send(self, length: int) -> None:
        remote, srtp = self.source.remote, self._srtp
        if remote is None:
            return
        if srtp is not None and not (length := srtp.protect(length)):
            self.strange += 1
            return
        try:
            self._rtp.sendto(self._view[:length], remote)
        except OSError:  # full buffer or unreachable: media is not repeated
            self.strange += 1

    def report(self, now: float, *, goodbye: bool = False) -> None:
        """Send RTCP: to its own port beside the voice, or with the voice where both agreed to that (RFC 5761)."""
        source, control = self.source, self._control
        if source.remote is None or control is None:
            return
        muxed = control == source.announced
        if source.remote != source.announced:  # behind NAT: what was announced is not what can be reached
            control = source.remote if muxed else (source.remote[0], source.remote[1] + 1)
        data = self.reports.write(self.sent, now, goodbye=goodbye)
        length = len(data)
        self._view[:length] = data
        if self._srtp is not None:
            length = self._srtp.protect_report(length)
        try:
            (self._rtp if muxed else self._rtcp).sendto(self._view[:length], control)
        except (OSError, OverflowError):
            self.strange += 1

    def _read(self, now: float) -> int:
        """One datagram: the poller comes back for the next, which costs less than reading until nothing is left."""
        try:
            length, address = self._rtp.recvfrom_into(self._inlet)
        except OSError:  # nothing there, or an ICMP error that belongs to what we sent
            return 0
        first, second, sequence, timestamp, ssrc = RTP.unpack_from(self._buffer)
        if length <= HEADER or first & 0xC0 != 0x80 or 191 < second < 224:
            self._take_control(length, address, now)
            return 1
        if self._srtp is not None and not (length := self._decrypted(self._srtp, length, address)):
            self.strange += 1
            return 1
        voice = second & 0x7F == self._payload_type
        if address != self.source.fixed and not self.source.believes(address, ssrc, sequence, voice=voice):
            self.strange += 1
        else:
            self._hear(second, sequence, timestamp, ssrc, length, now)
        return 1

    def _decrypted(self, srtp: Srtp, length: int, address: Address) -> int:
        """Strangers are not worth the work once the source is fixed."""
        fixed = self.source.fixed
        return srtp.unprotect(length) if fixed is None or address == fixed else 0

    def _read_control(self, now: float) -> int:
        try:
            length, address = self._rtcp.recvfrom_into(self._inlet)
        except OSError:
            return 0
        self._take_control(length, address, now)
        return 1

    def _take_control(self, length: int, address: Address, now: float) -> None:
        """Read a report; one that does not name our stream says nothing to us."""
        known = length >= 8 and self.source.may_report(address[0]) and 191 < self._buffer[1] < 224
        if known and self._srtp is not None:
            length = self._srtp.unprotect_report(length)
        if not known or not length:
            self.strange += 1
        elif self.sent is not None:
            self.reports.read(bytes(self._view[:length]), self.sent.ssrc, now)


def _is_same(one: Crypto, other: Crypto) -> bool:
    """Tags only name lines."""
    return (one.suite, one.key) == (other.suite, other.key)
