"""What a registrar is told about where one account is: our Contact, and the one before it (RFC 3261 10.2, RFC 5626; pure)."""

from __future__ import annotations

from dataclasses import replace

from .address import NameAddr
from .dialog import Identity
from .flow import Flow, bracketed, numeric_host
from .message import Response, SipError, seconds_in

MOST_EXPIRES = 86400


class Binding:
    """`nat`: the address that the registrar sees us at is the one to register with.

    `instance` names this account of this bridge to a registrar that keeps flows, as `urn:uuid:…`; "" for any other.
    """

    def __init__(self, user: str, me: Identity, *, secure: bool, nat: bool, instance: str) -> None:
        self._user, self._me, self._secure = user, me, secure
        self._nat = nat
        self._instance = instance
        self._contact: NameAddr | None = None
        """As it was sent last."""
        self._former: NameAddr | None = None
        """A binding of ours that is to be removed."""
        self._seen: tuple[str, int] | None = None

    @property
    def wants_flow(self) -> bool:
        return bool(self._instance)

    def without_flow(self) -> None:
        """The first hop does not know flows (439): as everybody else from now on."""
        self._instance = ""

    def headers(self, way: Flow, expires: int) -> list[tuple[str, str]]:
        before, contact = self._contact, self._own(way)
        if before is not None and before.uri.host != contact.uri.host:
            self._former = before  # our own address has changed: nobody is there any more
        self._contact = contact
        if self._instance:
            contact = contact.with_param("reg-id", "1").with_param("+sip.instance", f"<{self._instance}>")
        former = [("Contact", str(self._former.with_param("expires", "0")))] if self._former else []
        supported = [("Supported", "outbound, path")] if self._instance else []
        # Some registrars read only the one Expires, some only the other.
        return [
            ("Contact", str(contact.with_param("expires", str(expires)))),
            *former,
            ("Expires", str(expires)),
            *supported,
        ]

    def granted(self, response: Response, asked: int) -> int:
        """Seconds: of our Contact, else of the only one, else of Expires, else what we asked for."""
        contacts = [contact for text in response.headers.all("Contact") if (contact := _contact(text))]
        ours = [contact for contact in contacts if self._contact and contact.uri.equals(self._contact.uri)]
        for contact in ours or (contacts if len(contacts) == 1 else []):
            value = contact.param("expires") or ""
            if value.isascii() and value.isdigit():
                return min(int(value[:9]), MOST_EXPIRES)
        return min(seconds_in(response, "Expires") or asked, MOST_EXPIRES)

    def settled(self) -> None:
        """The registrar has taken it all."""
        self._former = None

    def moves(self, response: Response) -> bool:
        """Behind NAT: the address that the registrar saw is the one to be reached at, the old binding leads nowhere."""
        received, rport = response.via.param("received") or "", response.via.param("rport") or ""
        seen = numeric_host(received), int(rport[:5]) if rport.isascii() and rport.isdigit() else 0
        if not self._nat or not all(seen) or self._contact is None or seen == self._seen:
            return False
        if seen == (numeric_host(self._contact.uri.host), self._contact.uri.port or 5060):
            return False
        self._seen, self._former = seen, self._contact
        return True

    def _own(self, way: Flow) -> NameAddr:
        contact = self._me.address(self._user, way, secure=self._secure)
        if self._seen is None:
            return contact
        return replace(contact, uri=replace(contact.uri, host=bracketed(self._seen[0]), port=self._seen[1]))


def _contact(text: str) -> NameAddr | None:
    try:
        return NameAddr.parse(text)
    except SipError:
        return None  # another device's; it is none of our business
