"""Where messages go and where they come from: a transport protocol, an address, and for streams a connection (pure).

RFC 3261 section 18, RFC 5626, RFC 7118.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address

from .address import Uri, Via


class Protocol(Enum):
    """The value is how Via spells it."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"
    WS = "WS"
    WSS = "WSS"

    @property
    def is_reliable(self) -> bool:
        return self is not Protocol.UDP

    @property
    def is_secure(self) -> bool:
        return self in {Protocol.TLS, Protocol.WSS}

    @property
    def is_websocket(self) -> bool:
        return self in {Protocol.WS, Protocol.WSS}

    @property
    def default_port(self) -> int:
        return _PORTS[self]

    @property
    def parameter(self) -> str:
        """The value of a URI's `transport`; secure WebSocket has none of its own (RFC 7118 section 5)."""
        return "ws" if self.is_websocket else self.value.lower()


_PORTS = {Protocol.UDP: 5060, Protocol.TCP: 5060, Protocol.TLS: 5061, Protocol.WS: 80, Protocol.WSS: 443}


@dataclass(frozen=True, slots=True)
class Flow:
    """A way to a peer, or the way a message came by.

    Without a connection, or when that is gone, a stream goes over one that is open to the same place, or over a new one.
    """

    host: str
    """A numeric address, IPv6 without brackets."""
    port: int
    protocol: Protocol = Protocol.UDP
    link: str = ""
    """The trunk whose names and certificates are used, "" for none."""
    connection: int = 0

    def at(self, host: str, port: int, protocol: Protocol | None = None) -> Flow:
        """Another place of the same peer."""
        if (host, port, protocol or self.protocol) == (self.host, self.port, self.protocol):
            return self
        return Flow(host, port, protocol or self.protocol, self.link)

    @property
    def place(self) -> Flow:
        """Over whichever connection."""
        return replace(self, connection=0) if self.connection else self

    def __str__(self) -> str:
        return f"{self.protocol.parameter}:{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """As URIs and Via write a host."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def numeric_host(host: str) -> str:
    """A numeric address in its usual form and without brackets, "" for a name."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return ""


def next_hop(uri: Uri, peer: Flow) -> Flow:
    """Where a request to this URI goes in a dialog with that peer; a name is never looked up, it means the peer.

    A secure dialog stays secure, and a WebSocket is the only way to what is behind it.
    """
    host = numeric_host(uri.host)
    protocol = _named(uri) or (peer.protocol if host == peer.host else Protocol.UDP)
    if not host or peer.protocol.is_websocket or (peer.protocol.is_secure and not protocol.is_secure):
        return peer
    return peer.at(host, uri.port or protocol.default_port, protocol)


def return_flow(via: Via, source: Flow) -> Flow:
    """Where a response goes, given a Via that was stamped (RFC 3261 18.2.2, RFC 3581).

    On a stream it goes back the way the request came; its host and port are where to connect should that be gone.
    """
    if source.protocol.is_reliable:
        return replace(source, port=via.port or source.protocol.default_port)
    port = via.param("rport")
    host = numeric_host(via.param("received") or via.host) or source.host
    return source.at(host, int(port) if port and port.isdigit() else via.port or source.protocol.default_port)


def _named(uri: Uri) -> Protocol | None:
    """The protocol that a URI asks for; None if it does not say, or says what only SCTP peers understand."""
    if uri.scheme == "sips":
        return Protocol.TLS
    return {"udp": Protocol.UDP, "tcp": Protocol.TCP, "tls": Protocol.TLS}.get((uri.param("transport") or "").lower())
