"""What numbers mean at a portal and a PBX, in the ways in which PBXs and people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.numbering import NumberKind
from bridge.config import Settings
from bridge.numbers import Numbers, Rules, caller, dialled, preview

RUSSIA = Rules()
GERMANY = Rules(region="DE")
OUTSIDE, UNCLEAR = NumberKind.OUTSIDE, NumberKind.UNCLEAR


@pytest.mark.parametrize(
    ("shown", "rules"),
    [
        ("+74951234567", RUSSIA),
        ("84951234567", RUSSIA),
        ("74951234567", RUSSIA),
        ("4951234567", RUSSIA),
        ("8 (495) 123-45-67", RUSSIA),
        ("984951234567", Rules(outside_prefix="9")),
        ("00074951234567", Rules(caller_strip="000")),
        ("74951234567", Rules(region="DE", caller_add="+")),
    ],
)
def test_one_caller_in_many_spellings_is_one_number(shown: str, rules: Rules) -> None:
    found = caller(shown, rules)
    assert (found.kind, found.number, found.is_known_to_crm) == (OUTSIDE, "+74951234567", True)


@pytest.mark.parametrize(
    ("shown", "kind", "number", "asked"),
    [
        ("", NumberKind.WITHHELD, "", False),
        ("101", NumberKind.INTERNAL, "101", False),
        ("12345", NumberKind.INTERNAL, "12345", False),
        ("anonymous", UNCLEAR, "anonymous", False),
        ("alice2", UNCLEAR, "alice2", True),
        ("1234567", UNCLEAR, "1234567", True),
        ("+7", UNCLEAR, "+7", True),
        ("+999123456789", UNCLEAR, "+999123456789", True),
    ],
)
def test_what_is_no_outside_number_is_passed_on_as_it_came(
    shown: str, kind: NumberKind, number: str, asked: bool
) -> None:
    found = caller(shown, RUSSIA)
    assert (found.kind, found.number) == (kind, number)
    if kind is not UNCLEAR:
        assert found.is_known_to_crm is asked


@pytest.mark.parametrize(
    ("typed", "rules", "dial"),
    [
        ("030123456", GERMANY, "030123456"),
        ("+49 30 123456", GERMANY, "+4930123456"),
        ("030123456", Rules(region="DE", dial_format="e164"), "+4930123456"),
        ("030123456", Rules(region="DE", dial_format="digits"), "4930123456"),
        ("+4930123456", Rules(region="DE", dial_format="national"), "030123456"),
        ("+442079460101", Rules(region="DE", dial_format="national"), "00442079460101"),
        ("+4930123456", Rules(region="DE", outside_prefix="0"), "0030123456"),
        ("030123456", Rules(region="DE", outside_prefix="0"), "0030123456"),
        ("0030123456", Rules(region="DE", outside_prefix="0"), "0030123456"),
        ("+79161234567", Rules(outside_prefix="9", dial_format="e164"), "989161234567"),
        ("+390612345678", Rules(dial_format="digits"), "390612345678"),
        ("101", Rules(outside_prefix="9"), "101"),
        ("112", Rules(outside_prefix="9"), "112"),
        ("*72", Rules(outside_prefix="9"), "*72"),
        ("#31#", Rules(outside_prefix="9"), "#31#"),
        ("1234567", Rules(outside_prefix="9"), "91234567"),
        ("1234567", Rules(internal_digits=7, outside_prefix="9"), "1234567"),
    ],
)
def test_a_number_is_dialled_as_the_pbx_wants_it(typed: str, rules: Rules, dial: str) -> None:
    assert dialled(typed, rules).dial == dial


@pytest.mark.parametrize(
    "typed",
    ["+74951234567#404812", "8 495 123-45-67 ext. 404812", "84951234567 доб. 404812", "+74951234567;ext=404812"],
)
def test_an_extension_is_neither_dialled_nor_asked_for(typed: str) -> None:
    found = dialled(typed, Rules(dial_format="e164"))
    assert (found.number, found.dial, found.extension) == ("+74951234567", "+74951234567", "404812")
    as_typed = dialled(typed, RUSSIA)
    assert (as_typed.dial, as_typed.extension) == ("+74951234567", "404812")


@given(
    text=st.text(max_size=80),
    prefix=st.sampled_from(["", "9", "0"]),
    form=st.sampled_from(["typed", "e164", "digits", "national"]),
)
def test_whatever_is_typed_what_is_dialled_can_be_dialled(text: str, prefix: str, form: str) -> None:
    rules = Rules(outside_prefix=prefix, dial_format=form)  # type: ignore[arg-type]
    for found in (dialled(text, rules), caller(text, rules)):
        assert set(found.dial) <= set("+0123456789*#")
        assert "+" not in found.dial[1:]
        assert len(found.number) <= 64


@given(digits=st.text("0123456789", min_size=6, max_size=15), region=st.sampled_from(["RU", "DE", "US", "GB", "IT"]))
def test_a_number_once_understood_is_understood_the_same_for_ever(digits: str, region: str) -> None:
    rules = Rules(region=region)
    once = caller(digits, rules)
    if once.kind is OUTSIDE:
        again = caller(once.number, rules)
        assert (again.kind, again.number) == (OUTSIDE, once.number)


def test_what_a_trunk_says_wins_over_what_its_portal_says() -> None:
    settings = Settings.model_validate(
        {
            "portal": [
                {
                    "url": "https://a.bitrix24.com",
                    "client_id": "x",
                    "client_secret_env": "X",
                    "region": "DE",
                    "outside_prefix": "0",
                    "dial_format": "national",
                }
            ],
            "trunk": [
                {"name": "berlin", "server": "pbx"},
                {"name": "moscow", "server": "pbx", "region": "RU", "outside_prefix": ""},
            ],
        }
    )
    numbers = Numbers(settings)
    assert numbers.dialled("a.bitrix24.com", "berlin", "+4930123456").dial == "0030123456"
    assert numbers.dialled("a.bitrix24.com", "moscow", "+74951234567").dial == "84951234567"
    assert numbers.caller("a.bitrix24.com", "moscow", "84951234567").number == "+74951234567"
    assert numbers.caller("a.bitrix24.com", "", "030123456").number == "+4930123456"


def test_the_preview_says_it_in_words() -> None:
    assert preview("89161234567#12", Rules(outside_prefix="9", dial_format="digits")) == {
        "as a caller": "an outside number: +7 916 123-45-67 (RU)",
        "the CRM is asked for": "+79161234567",
        "as a number to call": "an outside number: +7 916 123-45-67 (RU)",
        "the PBX is told to dial": "979161234567",
        "keyed in after the answer": "12",
    }


def test_the_region_that_an_administrator_chose_wins_over_the_portals_and_not_over_the_trunks() -> None:
    portal = {"url": "https://a.bitrix24.com", "client_id": "x", "client_secret_env": "X", "region": "RU"}
    trunks = [{"name": "one", "server": "127.0.0.1"}, {"name": "two", "server": "127.0.0.2", "region": "FR"}]
    settings = Settings.model_validate({"portal": [portal], "trunk": trunks})
    chosen = {"a.bitrix24.com": "DE"}
    numbers = Numbers(settings, lambda portal: chosen.get(portal, ""))
    assert [numbers.rules("a.bitrix24.com", trunk).region for trunk in ("one", "two")] == ["DE", "FR"]
    chosen.clear()
    assert numbers.rules("a.bitrix24.com", "one").region == "RU"
