"""Tickets: sealed, of one kind, for a while; keys can rotate."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError, TicketError
from bridge.tickets import (
    INSTALL_SECONDS,
    PAGE_SECONDS,
    SESSION_SECONDS,
    InstallTicket,
    PageTicket,
    Seal,
    SessionTicket,
    new_key,
)

NOW = 1_800_000_000.0
OLD, NEW = new_key(), new_key()
PAGE = PageTicket("auth", "member", "acme.bitrix24.com", "sid", "/crm/", "DEFAULT")
SESSION = SessionTicket("member", "acme.bitrix24.com", 7, "Anna Берг")
INSTALL = InstallTicket(
    auth_id="auth",
    refresh_id="refresh",
    expires=NOW + 3600,
    member_id="member",
    domain="acme.bitrix24.com",
    server_endpoint="https://oauth.bitrix.info/rest/",
    application_token="token",
)
KINDS = [(PAGE, PAGE_SECONDS), (SESSION, SESSION_SECONDS), (INSTALL, INSTALL_SECONDS)]


@pytest.mark.parametrize(("ticket", "seconds"), KINDS)
def test_a_ticket_opens_until_it_expires(ticket: PageTicket, seconds: int) -> None:
    seal = Seal([NEW])
    sealed = seal.seal(ticket, NOW)
    assert seal.open(type(ticket), sealed, NOW + seconds) == ticket
    with pytest.raises(TicketError) as caught:
        seal.open(type(ticket), sealed, NOW + seconds + 1)
    assert caught.value.expired


@pytest.mark.parametrize(("ticket", "_seconds"), KINDS)
@pytest.mark.parametrize("kind", [PageTicket, SessionTicket, InstallTicket])
def test_a_ticket_is_good_for_its_own_purpose_only(ticket: PageTicket, _seconds: int, kind: type[PageTicket]) -> None:
    seal = Seal([NEW])
    if type(ticket) is kind:
        return
    with pytest.raises(TicketError) as caught:
        seal.open(kind, seal.seal(ticket, NOW), NOW)
    assert not caught.value.expired


def test_a_ticket_of_the_last_key_still_opens_and_one_of_a_removed_key_does_not() -> None:
    sealed = Seal([OLD]).seal(PAGE, NOW)
    assert Seal([NEW, OLD]).open(PageTicket, sealed, NOW) == PAGE
    with pytest.raises(TicketError):
        Seal([NEW]).open(PageTicket, sealed, NOW)
    assert Seal([NEW]).open(PageTicket, Seal([NEW, OLD]).seal(PAGE, NOW), NOW) == PAGE, "the newest key seals"


@given(st.text(max_size=400))
def test_a_forged_ticket_is_refused(text: str) -> None:
    with pytest.raises(TicketError):
        Seal([NEW]).open(PageTicket, text, NOW)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_bit_spoils_a_ticket(position: int, mask: int) -> None:
    seal = Seal([NEW])
    raw = bytearray(base64.urlsafe_b64decode(seal.seal(PAGE, NOW)))
    raw[position % len(raw)] ^= mask
    with pytest.raises(TicketError):
        seal.open(PageTicket, base64.urlsafe_b64encode(bytes(raw)).decode(), NOW)


def test_a_sealed_secret_is_no_ticket() -> None:
    seal = Seal([NEW])
    for secret in ("plain", "5", "[]", json.dumps(["PageTicket", {}])[:-4]):
        with pytest.raises(TicketError):
            seal.open(PageTicket, seal.seal_secret(secret), NOW)


def test_secrets_at_rest_survive_a_rotation_but_not_the_loss_of_the_key() -> None:
    sealed = Seal([OLD]).seal_secret("refresh-token")
    assert "refresh-token" not in sealed
    assert Seal([NEW, OLD]).open_secret(sealed) == "refresh-token"
    with pytest.raises(ConfigError, match="key"):
        Seal([NEW]).open_secret(sealed)


def test_a_signature_is_stable_bound_to_its_text_and_survives_a_rotation() -> None:
    old, both = Seal([OLD]), Seal([NEW, OLD])
    signature = old.sign("worker-error acme")
    assert signature == old.sign("worker-error acme")
    assert both.signed("worker-error acme", signature)
    assert not both.signed("worker-error other", signature)
    assert not Seal([NEW]).signed("worker-error acme", signature)
    assert not both.signed("worker-error acme", "")
    assert not both.signed("worker-error acme", "ключ")


@pytest.mark.parametrize("keys", [[], ["short"], ["x" * 44], [Fernet.generate_key().decode(), ""]])
def test_keys_that_can_not_be_used_are_named(keys: list[str]) -> None:
    with pytest.raises(ConfigError, match="keys"):
        Seal(keys)


def test_no_token_shows_in_a_printed_ticket() -> None:
    assert "auth'" not in repr(PAGE)
    assert not [secret for secret in ("'auth'", "'refresh'", "'token'") if secret in repr(INSTALL)]
