"""Sealed, expiring tickets and secrets at rest (cryptography's MultiFernet). Pure: the time is an argument.

A page ticket lies in the HTML of a page and proves what Bitrix24 posted for it; an install ticket is the same for the
install page and carries the administrator's token pair; a session ticket proves that a portal confirmed who the user is.
All are opaque to the page and worthless without our keys. Keys can rotate: the first one seals, every one opens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from .errors import ConfigError, TicketError

PAGE_SECONDS = 10 * 60
"""A page opens its socket right after load; a page that lost its connection reconnects with its session ticket."""
SESSION_SECONDS = 24 * 3600
INSTALL_SECONDS = 3600
"""As long as the administrator's access token in it lives."""
SETTINGS_SECONDS = 3600
"""Renewed with every answer while the settings are open."""


@dataclass(frozen=True, slots=True)
class PageTicket:
    """What one POST of Bitrix24 said. Not yet verified: anyone can forge such a POST."""

    auth_id: str = field(repr=False)
    member_id: str
    domain: str
    app_sid: str
    uri: str
    placement: str


@dataclass(frozen=True, slots=True)
class SessionTicket:
    """A user whom the portal confirmed."""

    member_id: str
    portal: str
    user: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallTicket:
    """What the POST of the install page said. As unverified as a page ticket, and it holds a token pair: never log it."""

    auth_id: str = field(repr=False)
    refresh_id: str = field(repr=False)
    expires: float
    """When `auth_id` dies, Unix seconds."""
    member_id: str
    domain: str
    server_endpoint: str
    """"" on old portals."""
    application_token: str = field(repr=False)
    """"" on old portals."""


@dataclass(frozen=True, slots=True)
class SettingsTicket:
    """A portal administrator at the settings page, confirmed by the portal."""

    portal: str
    user: int


Ticket = PageTicket | SessionTicket | InstallTicket | SettingsTicket
_Kind = TypeVar("_Kind", PageTicket, SessionTicket, InstallTicket, SettingsTicket)
_LIFETIMES: dict[type, int] = {
    PageTicket: PAGE_SECONDS,
    SessionTicket: SESSION_SECONDS,
    InstallTicket: INSTALL_SECONDS,
    SettingsTicket: SETTINGS_SECONDS,
}


class Seal:
    """Seals and opens with the keys of the configuration (urlsafe base64, 32 bytes each, newest first)."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
            self._signing = [hashlib.sha256(b"signature " + key.encode()).digest() for key in keys]
        except ValueError as error:
            raise ConfigError(f"keys: {error}. Make one with: bridge keys") from None

    def seal(self, ticket: Ticket, now: float) -> str:
        body = json.dumps([type(ticket).__name__, asdict(ticket)]).encode()
        return self._fernet.encrypt_at_time(body, int(now)).decode()

    def open(self, kind: type[_Kind], sealed: str, now: float) -> _Kind:
        """The ticket, or TicketError (`.expired` tells an old one from a forged one)."""
        try:
            name, fields = json.loads(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError, TypeError):
            raise TicketError("this ticket was not issued here") from None
        if name != kind.__name__:
            raise TicketError(f"this is a {name}, not a {kind.__name__}")
        if self._fernet.extract_timestamp(sealed.encode()) + _LIFETIMES[kind] < now:
            raise TicketError("this ticket has expired: reload the page", expired=True)
        return kind(**fields)

    def sign(self, text: str) -> str:
        """For texts that we hand out openly and must recognise: 32 hex digits of HMAC-SHA256, the same every time."""
        return _signature(self._signing[0], text)

    def signed(self, text: str, signature: str) -> bool:
        given = signature.encode()
        return any(hmac.compare_digest(_signature(key, text).encode(), given) for key in self._signing)

    def seal_secret(self, secret: str) -> str:
        """For tokens at rest: no lifetime."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open_secret(self, sealed: str) -> str:
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise ConfigError(
                "a stored secret can't be opened: is the key it was sealed with missing from keys?"
            ) from None

    def seal_bytes(self, data: bytes) -> bytes:
        """For files at rest: no lifetime, and no text."""
        return base64.urlsafe_b64decode(self._fernet.encrypt(data))

    def open_bytes(self, sealed: bytes) -> bytes:
        """What was sealed, or TicketError."""
        try:
            return self._fernet.decrypt(base64.urlsafe_b64encode(sealed))
        except InvalidToken:
            raise TicketError("what lies here was not sealed with one of our keys") from None


def _signature(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32]


def new_key() -> str:
    return Fernet.generate_key().decode()
