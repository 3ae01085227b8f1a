"""Documents of the dialog event package: RFC 4235, section 4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.extension import ExtensionState as State
from bridge.sip.dialog_info import MOST_BYTES, MOST_DEPTH, MOST_DIALOGS, MOST_ELEMENTS, DialogInfo, parse
from bridge.sip.headers import SipError
from bridge.sip.lamp import Lamp

HEAD = '<?xml version="1.0"?>\n<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{}" state="{}" entity="sip:1001@pbx">'


def document(*dialogs: str, version: int = 0, state: str = "full") -> bytes:
    return (HEAD.format(version, state) + "".join(dialogs) + "</dialog-info>").encode()


def dialog(state: str, id_: str = "1001", direction: str = "") -> str:
    way = f' direction="{direction}"' if direction else ""
    return f'<dialog id="{id_}"{way}><state>{state}</state></dialog>'


ASTERISK = document(
    '\n <dialog id="1001" call-id="pickup-1" local-tag="a" remote-tag="b" direction="recipient">'
    "<remote><identity>sip:1002@pbx</identity><target uri='sip:1002@pbx'/></remote><state>early</state>\n </dialog>",
    version=3,
)


@pytest.mark.parametrize(
    ("body", "lamp"),
    [
        (document(), State.FREE),
        (document(dialog("terminated")), State.FREE),
        (document(dialog("confirmed")), State.TALKING),
        (document(dialog("early", direction="recipient")), State.RINGING),
        (document(dialog("early", direction="initiator")), State.TALKING),
        (document(dialog("trying")), State.RINGING),
        (document(dialog("early", "a"), dialog("confirmed", "b")), State.TALKING),
        (document(dialog(" Confirmed\n")), State.TALKING),
        (document(dialog("asleep")), State.FREE),
        (ASTERISK, State.RINGING),
        (document(dialog("confirmed")).replace(b' xmlns="urn:ietf:params:xml:ns:dialog-info"', b""), State.TALKING),
        (document(dialog("confirmed")).replace(b"ns:dialog-info", b"ns:pidf"), None),
    ],
)
def test_section_3_7_1_what_the_dialogs_make_of_an_extension(body: bytes, lamp: State | None) -> None:
    if lamp is None:
        with pytest.raises(SipError):
            parse(body)
        return
    shown = Lamp()
    assert shown.update(parse(body))
    assert shown.state is lamp


BOMB = b'<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
TOO_MANY = "".join(dialog("confirmed", str(number)) for number in range(MOST_DIALOGS + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"<dialog-info/>",
        document().replace(b'version="0"', b'version="-1"'),
        document().replace(b'version="0"', b'version="99999999999"'),
        document().replace(b"</dialog-info>", b""),
        BOMB + document(dialog("&b;")),
        b'<!DOCTYPE d SYSTEM "http://192.0.2.1/d.dtd">' + document(),
        b'<?xml version="1.0" encoding="klingon"?>' + document()[22:],
        document(TOO_MANY),
        document("<x/>" * MOST_ELEMENTS),
        document("<x>" * MOST_DEPTH + "</x>" * MOST_DEPTH),
        document(" " * MOST_BYTES),
    ],
)
def test_what_is_no_such_document_or_too_much_of_one_is_refused(body: bytes) -> None:
    with pytest.raises(SipError):
        parse(body)


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: document(text)))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        parse(body)
    except SipError:
        return


def info(version: int, *, full: bool = True, **dialogs: State) -> DialogInfo:
    return DialogInfo(version, full, dialogs)


def test_section_4_3_a_partial_document_changes_the_dialogs_that_it_names() -> None:
    lamp = Lamp()
    assert lamp.update(info(1, a=State.TALKING))
    assert lamp.update(info(2, full=False, b=State.RINGING))
    shown = [lamp.state]
    assert lamp.update(info(3, full=False, a=State.FREE))
    shown.append(lamp.state)
    assert lamp.update(info(4))
    assert [*shown, lamp.state] == [State.TALKING, State.RINGING, State.FREE]


def test_section_4_3_an_old_document_is_let_be_and_a_gap_asks_for_a_full_one() -> None:
    lamp = Lamp()
    assert not lamp.update(info(0, full=False, a=State.TALKING)), "nothing was there that it could change"
    shown = [lamp.state]
    assert lamp.update(info(5))
    assert lamp.update(info(5, a=State.TALKING))
    assert lamp.update(info(4, full=False, a=State.TALKING))
    shown.append(lamp.state)
    assert not lamp.update(info(7, full=False, a=State.TALKING))
    shown.append(lamp.state)
    assert lamp.update(info(9, a=State.TALKING)), "a full one makes up for what was missed"
    assert [*shown, lamp.state] == [State.UNKNOWN, State.FREE, State.FREE, State.TALKING]


def test_partial_documents_do_not_add_up_without_end() -> None:
    lamp = Lamp()
    lamp.update(info(0))
    known = [lamp.update(info(n, full=False, **{f"d{n}": State.TALKING})) for n in range(1, MOST_DIALOGS + 10)]
    assert known.count(False) > 0
