"""What TLS needs before the first connection: certificates from files, versions, whom to trust."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError


def _unchecked() -> ssl.SSLContext:
    """The system's authorities; the name is checked by us."""
    context = ssl.create_default_context()
    context.check_hostname = False
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How connections to one trunk are made."""

    server_name: str = ""
    """Sent as SNI and looked for in the certificate; "" is the address itself."""
    wildcards: bool = False
    path: str = "/"
    """Of the WebSocket."""
    context: ssl.SSLContext = field(default_factory=_unchecked)


def client_context(*, ca: Path | None, certificate: Path | None, key: Path | None, where: str) -> ssl.SSLContext:
    """For connections of ours; without `ca` the system's authorities are trusted. ConfigError about `where`.

    The name is checked after the handshake: SIP's rules are not those of web servers (RFC 5922).
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigError(f"{where}: tls_ca: {ca}: {_why(error)}") from None
    context.check_hostname = False
    _load(context, certificate, key, where)
    return context


def server_context(*, ca: Path | None, certificate: Path, key: Path | None, where: str) -> ssl.SSLContext:
    """For connections to us; with `ca` a peer may show a certificate, and must if it is to be known by it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise ConfigError(f"{where}: tls_ca: {ca}: {_why(error)}") from None
        context.verify_mode = ssl.CERT_OPTIONAL
    _load(context, certificate, key, where)
    return context


def _load(context: ssl.SSLContext, certificate: Path | None, key: Path | None, where: str) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is None:
        return
    try:
        # An encrypted key would make OpenSSL ask on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:
        raise ConfigError(f"{where}: tls_certificate: {certificate}: {_why(error)}") from None


def _why(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error.strerror or error)
