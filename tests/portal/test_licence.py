"""What Bitrix24 says of the application, in words for its administrators."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.portal.licence import NEEDED, USEFUL, licence, rights

INFO = {
    "ID": "1",
    "CODE": "local.1",
    "VERSION": 3,
    "STATUS": "L",
    "INSTALLED": True,
    "PAYMENT_EXPIRED": "N",
    "DAYS": None,
}


@pytest.mark.parametrize(
    ("changes", "ok", "words"),
    [
        ({}, True, "A local application of this Bitrix24, version 3."),
        ({"LICENSE_FAMILY": "pro"}, True, "on the plan “pro”"),
        ({"STATUS": "P", "DAYS": "30"}, True, "30 days are left."),
        ({"STATUS": "T", "DAYS": 7}, False, "Renew it"),
        ({"STATUS": "T", "DAYS": 1}, False, "1 day is left."),
        ({"STATUS": "P", "DAYS": 0, "PAYMENT_EXPIRED": "Y"}, False, "Its time is over"),
        ({"STATUS": "X"}, True, "a kind that the telephone does not know"),
    ],
)
def test_how_it_is_licensed(changes: dict[str, Any], ok: bool, words: str) -> None:
    check = licence(INFO | changes)
    assert check.ok is ok
    assert words in check.text


@pytest.mark.parametrize("people", ["user_brief", "user_basic", "user"])
def test_any_of_the_scopes_for_people_is_enough(people: str) -> None:
    check = rights(["placement", "telephony", "im", people, *USEFUL])
    assert (check.ok, check.text) == (True, "Everything that is needed was granted.")


@pytest.mark.parametrize("missing", NEEDED)
def test_what_is_missing_is_named_with_what_it_costs(missing: str) -> None:
    check = rights({*NEEDED, *USEFUL} - {missing})
    assert not check.ok
    assert f"{missing} ({NEEDED[missing]})" in check.text


def test_what_would_be_of_use_is_no_fault() -> None:
    check = rights(list(NEEDED))
    assert check.ok
    assert "pull (pages whose connection is blocked" in check.text


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["STATUS", "DAYS", "VERSION", "PAYMENT_EXPIRED", "LICENSE_FAMILY"]), x)
        ),
    )
)
def test_whatever_a_portal_says_becomes_words(said: Any) -> None:
    assert licence(said).text
    assert rights(said).text
