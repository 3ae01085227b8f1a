from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha1
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.events import Operator, TabId
from bridge.operators.floor import Floor
from bridge.operators.presence import Tab
from bridge.operators.turn import Turn, password_for

from .rig import ringing
from .test_presence import ANNA, tab

URLS = ["turn:turn.example.com:3478?transport=tcp", "turns:turn.example.com:443?transport=tcp"]
SECRET = "north-wind"
NOW = 1_000_000.0


def turn(seconds: int = 3600) -> Turn:
    return Turn(urls=URLS, secret=SECRET, seconds=seconds)


def floor(*pages: Tab, known: Turn | None) -> Floor:
    made = Floor(known)
    for page in pages:
        made.put(page, NOW)
    made.drain()
    return made


def told(made: Floor, page: Tab, now: float = NOW) -> list[dict[str, Any]]:
    state = made.state(made.outlook(page, {}), {}, now)
    return [server.model_dump(by_alias=True) for server in state.ice_servers]


# ---- the credentials


def test_the_password_is_the_hmac_sha1_of_the_user_name_as_rfc_2202_has_it() -> None:
    digest = bytes.fromhex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    assert b64decode(password_for("what do ya want for nothing?", "Jefe")) == digest


def test_the_credentials_are_what_the_server_works_out_from_the_user_name() -> None:
    (server,) = turn().servers(ANNA, NOW)
    # HMAC, written out (RFC 2104).
    inner, outer = (bytes(byte ^ pad for byte in SECRET.encode().ljust(64, b"\0")) for pad in (0x36, 0x5C))
    expected = b64encode(sha1(outer + sha1(inner + server.username.encode()).digest()).digest()).decode()
    assert (server.urls, server.credential) == (URLS, expected)


@given(now=st.floats(0, 4e9), seconds=st.integers(60, 604_800))
def test_credentials_live_for_half_their_time_at_least_and_never_longer_than_it(now: float, seconds: int) -> None:
    (server,) = turn(seconds).servers(ANNA, now)
    left = int(server.username.split(":")[0]) - now
    assert seconds // 2 <= left <= seconds
    renewal = turn(seconds).renewal(now)
    assert now < renewal <= now + seconds // 2
    last, following = (turn(seconds).servers(ANNA, moment) for moment in (renewal - 0.5, renewal))
    assert last == [server]
    assert following != [server]


def test_the_user_name_tells_operators_apart_and_says_nothing_about_them() -> None:
    people = [Operator("acme.bitrix24.com", 1), Operator("acme.bitrix24.com", 2), Operator("other.bitrix24.com", 1)]
    names = [turn().servers(person, NOW)[0].username.split(":")[1] for person in people]
    assert len(set(names)) == 3
    assert not any("acme" in name or "other" in name for name in names)
    elsewhere = Turn(urls=URLS, secret="another", seconds=3600).servers(people[0], NOW)[0]
    assert elsewhere.username.split(":")[1] != names[0], "who does not know the secret can't work it out"


# ---- who is told


def test_the_page_that_makes_a_leg_is_told_and_no_other_one() -> None:
    lead, other = tab("a", visible=True), tab("b")
    made = floor(lead, other, known=turn())
    assert told(made, lead) == [], "no call, no leg"
    made.show(ringing(), [ANNA], NOW)
    assert told(made, lead) == [server.model_dump() for server in turn().servers(ANNA, NOW)]
    assert told(made, other) == []
    made.show(ringing(state="talking", answered_by=ANNA, voice=TabId("b")), [ANNA], NOW)
    assert told(made, other) != []
    made.show(ringing(state="ended", ending="caller-hung-up"), [ANNA], NOW)
    assert told(made, lead) == told(made, other) == []


def test_without_a_turn_server_pages_are_told_of_none() -> None:
    page = tab("a")
    made = floor(page, known=None)
    made.show(ringing(), [ANNA], NOW)
    assert told(made, page) == []
    assert made.tick(NOW) != turn().renewal(NOW)


def test_a_call_that_goes_on_gets_new_credentials_before_the_old_ones_expire() -> None:
    page = tab("a")
    made = floor(page, known=turn(seconds=100))
    made.show(ringing(state="talking", answered_by=ANNA, voice=TabId("a")), [ANNA], NOW)
    made.tick(NOW)
    made.drain()
    expiry = int(told(made, page)[0]["username"].split(":")[0])
    due = made.tick(NOW)
    assert due is not None
    assert NOW < due < expiry
    assert made.drain()[0] == [], "nothing is due yet"
    again = made.tick(due)
    assert [each.id for each in made.drain()[0]] == [page.id]
    assert int(told(made, page, due)[0]["username"].split(":")[0]) == expiry + 50
    assert again == due + 50
