"""A CSV of accounts, as spreadsheets write it: every line is understood or answered with a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.portal import sheet
from bridge.portal.sheet import Entry, Fault, entry_of, read

FULL = Entry(line=2, extension="101", user=None, sip_user="1001", password="pa,ss", trunk="office")


@pytest.mark.parametrize(
    "text",
    [
        'extension,sip_user,password,trunk\n101,1001,"pa,ss",office\n',
        "extension;sip_user;password;trunk\r\n101;1001;pa,ss;office\r\n",
        "\ufeffExtension\tSIP User\tPassword\tPBX\n101\t1001\tpa,ss\toffice",
        'Name,password,Login,UF_PHONE_INNER,trunk\nAnna,"pa,ss",1001,101,office\n\n,,,,\n',
    ],
)
def test_what_spreadsheets_write_is_read(text: str) -> None:
    assert list(read(text)) == [FULL]


def test_the_sip_user_is_the_extension_where_none_is_given_and_a_user_may_be_named() -> None:
    (plain, named) = read(
        "extension,password,user_id\n101,x,\n,y,7\n102,,8\n".replace(",y,7", "55,y,7").replace("102,,8\n", "")
    )
    assert isinstance(plain, Entry)
    assert isinstance(named, Entry)
    assert (plain.sip_user, plain.user, plain.trunk) == ("101", None, "")
    assert (named.extension, named.user) == ("55", 7)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (",1001,x,", "no extension"),
        ("1 01,1001,x,", "“1 01” is no extension"),
        ("101,a b,x,", "no SIP user"),
        ("101,1001@pbx,x,", "no SIP user"),
        ("101,1001,x,anna", "user id"),
        ("101,1001,x,0", "user id"),
        (f"101,1001,{'x' * 129},", "password"),
    ],
)
def test_a_wrong_line_is_named_and_hinders_no_other(line: str, says: str) -> None:
    found = list(read(f"extension,sip_user,password,user_id\n{line}\n102,1002,y,\n"))
    fault, good = found
    assert isinstance(fault, Fault)
    assert isinstance(good, Entry)
    assert (fault.line, good.line) == (2, 3)
    assert says in fault.text
    assert "x" * 100 not in fault.text


@pytest.mark.parametrize("text", ["", "101,1001,x\n", "extension;sip_user\n101;1001\n"])
def test_a_table_without_the_names_of_its_columns_says_which(text: str) -> None:
    (fault,) = read(text)
    assert isinstance(fault, Fault)
    assert fault.line == 1
    assert "password" in fault.text


def test_a_table_has_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MOST_LINES", 3)
    found = list(read("extension,password\n" + "101,x\n" * 5))
    assert [type(each) for each in found] == [Entry, Entry, Fault]
    (large,) = read("x" * (sheet.LARGEST_SHEET + 1))
    assert isinstance(large, Fault)


@given(text=st.text(max_size=200) | st.text('",;\t\n\r 019ax', max_size=60).map("extension,password\n".__add__))
def test_no_text_breaks_it(text: str) -> None:
    for found in read(text):
        assert found.line >= 1
        assert isinstance(found, Entry) or found.text.endswith(".")


def test_a_password_shows_in_no_repr() -> None:
    found = entry_of(1, {"extension": "101", "password": "secret-word"})
    assert "secret-word" not in repr(found)
