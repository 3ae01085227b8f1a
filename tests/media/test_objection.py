"""What is wrong with an offer before anything rings: the codes of RFC 3261, 20.43."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.commands import Secrecy
from bridge.media.objection import objection

from .offers import ASTERISK, CHROMIUM, FIREFOX

ALLOWED = ("PCMU", "PCMA")
USABLE = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (USABLE, 0),
        ("", 0),
        (USABLE.replace("m=audio 4000", "m=image 4000"), 304),
        (USABLE.replace("m=audio 4000", "m=audio 0"), 304),
        (USABLE.replace("m=audio 4000", "m=message 4000"), 304),
        (USABLE.replace("RTP/AVP", "TCP/MSRP"), 302),
        (USABLE.replace("RTP/AVP 0", "RTP/AVP 18").replace("0 PCMU", "18 G729"), 305),
        (USABLE.replace("m=audio 4000 RTP/AVP 0", "m=audio"), 399),
        ("hello", 304),
    ],
)
def test_an_offer_that_can_not_be_answered_has_its_code(offer: str, code: int) -> None:
    found = objection(offer.encode(), ALLOWED, Secrecy.ALLOWED)
    assert (found[0] if found else 0) == code


def test_a_trunk_that_requires_encryption_objects_to_plain_voice() -> None:
    assert objection(USABLE.encode(), ALLOWED, Secrecy.NEVER) is None
    found = objection(USABLE.encode(), ALLOWED, Secrecy.REQUIRED)
    assert found is not None
    assert found[0] == 302


def test_voice_over_ipv6_is_refused_by_name_where_the_bridge_has_no_address_for_it() -> None:
    offer = USABLE.replace("IP4 192.0.2.1", "IP6 2001:db8::1").encode()
    found = objection(offer, ALLOWED, Secrecy.ALLOWED)
    assert found is not None
    assert found[0] == 301
    assert "pbx_address6" in found[1]
    assert objection(offer, ALLOWED, Secrecy.ALLOWED, ipv6=True) is None


def test_what_a_pbx_offers_is_no_reason() -> None:
    assert objection(ASTERISK.encode(), ALLOWED, Secrecy.ALLOWED) is None


@given(st.sampled_from([ASTERISK, CHROMIUM, FIREFOX]), st.integers(0, 2_000), st.binary(max_size=8))
def test_whatever_comes_is_judged(text: str, at: int, junk: bytes) -> None:
    found = objection(text.encode()[:at] + junk + text.encode()[at:], ALLOWED, Secrecy.ALLOWED)
    assert found is None or "\n" not in found[1]
