"""Transfers that we ask for (RFC 3515, 3891, 6665)."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from bridge.sip import refer, usage
from bridge.sip.address import NameAddr, Uri
from bridge.sip.login import Login
from bridge.sip.message import Headers, Request
from bridge.sip.output import HungUp, Output, TransferFailed, TransferProgressed, Transferred

from .desks import Called, Calling, one, statuses
from .parties import reply

TARGET = refer.blind(Uri("sip", "300", "", "pbx.example"))
CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n", qop="auth"')


def asked(desk: Calling) -> Request:
    """The REFER."""
    return one(desk.does(desk.usage, desk.usage.transfer(TARGET, desk.now)), "REFER")


def taken(desk: Calling) -> Request:
    request = asked(desk)
    desk.gets(reply(request, 202))
    return request


def notify(desk: Calling, cseq: int, body: bytes, state: str = "active;expires=60", event: str = "refer") -> Request:
    message = desk.within("NOTIFY", cseq)
    pairs = [*message.headers, ("Event", event), ("Subscription-State", state), ("Content-Type", refer.SIPFRAG)]
    return Request(message.method, message.uri, Headers(pairs), body)


def news(desk: Calling) -> list[object]:
    return [fact for fact in desk.told if isinstance(fact, TransferProgressed | Transferred | TransferFailed | HungUp)]


@pytest.fixture
def desk() -> Calling:
    return Calling().confirmed()


def test_section_15_blind_refer_stands_in_the_dialog_and_says_whereto_and_by_whom(desk: Calling) -> None:
    request = asked(desk)
    assert request.uri == "sip:bob@192.0.2.2:5060"
    assert request.headers.get("Refer-To") == "<sip:300@pbx.example>"
    assert request.headers.get("Referred-By") == "<sip:alice@192.0.2.1:5060>"
    assert "Contact" in request.headers


def test_section_15_blind_notify_100_then_200_is_success(desk: Calling) -> None:
    taken(desk)
    assert statuses(desk.gets(notify(desk, 1, b"SIP/2.0 100 Trying\r\n"))) == [(200, "NOTIFY")]
    desk.gets(notify(desk, 2, b"SIP/2.0 180 Ringing"))
    desk.gets(notify(desk, 3, b"SIP/2.0 200 OK\r\n", "terminated;reason=noresource"))
    assert news(desk) == [
        TransferProgressed(100),
        TransferProgressed(100),
        TransferProgressed(180),
        Transferred(),
    ]


@pytest.mark.parametrize("status", [302, 403, 486, 503, 603])
def test_section_15_blind_a_final_3xx_to_6xx_is_failure_and_the_session_stands(desk: Calling, status: int) -> None:
    taken(desk)
    desk.gets(notify(desk, 1, f"SIP/2.0 {status} Why".encode(), "terminated;reason=noresource"))
    assert news(desk)[-1] == TransferFailed(status, "Why", refused=False)
    assert one(desk.does(desk.usage, desk.usage.hang_up(16, 0)), "BYE")


@pytest.mark.parametrize("status", [405, 501, 603])
def test_section_15_blind_a_refused_refer_leaves_the_session(desk: Calling, status: int) -> None:
    desk.gets(reply(asked(desk), status))
    assert [type(fact) for fact in news(desk)] == [TransferFailed]
    assert asked(desk)  # and it may be tried again


def test_section_15_no_notify_in_timer_n_is_an_unknown_result(desk: Calling) -> None:
    taken(desk)
    desk.waits(31.9)
    assert news(desk) == [TransferProgressed(100)]
    desk.waits(32.1)
    assert news(desk)[-1] == TransferFailed(0, "", refused=False)


def test_section_15_terminated_without_a_final_status_is_an_unknown_result(desk: Calling) -> None:
    taken(desk)
    desk.gets(notify(desk, 1, b"SIP/2.0 100 Trying", "terminated;reason=timeout"))
    assert news(desk)[-1] == TransferFailed(0, "", refused=False)


def test_section_15_a_notify_without_subscription_earns_481(desk: Calling) -> None:
    assert statuses(desk.gets(notify(desk, 1, b"SIP/2.0 200 OK"))) == [(481, "NOTIFY")]
    taken(desk)
    assert statuses(desk.gets(notify(desk, 2, b"SIP/2.0 200 OK", event="refer;id=999"))) == [(481, "NOTIFY")]
    assert news(desk) == [TransferProgressed(100)]


def test_section_15_the_id_of_a_notify_is_the_cseq_of_the_refer(desk: Calling) -> None:
    desk.gets(reply(asked(desk), 603))
    request = taken(desk)
    desk.gets(notify(desk, 1, b"SIP/2.0 200 OK", event=f"refer;id={request.cseq[0]}"))
    assert news(desk)[-1] == Transferred()


def test_a_notify_may_overtake_the_202(desk: Calling) -> None:
    request = asked(desk)
    desk.gets(notify(desk, 1, b"SIP/2.0 100 Trying"))
    desk.gets(reply(request, 202))
    desk.gets(notify(desk, 2, b"SIP/2.0 200 OK"))
    assert news(desk) == [TransferProgressed(100), Transferred()]


def test_whoever_has_put_somebody_through_gets_a_moment_to_end_the_session_itself(desk: Calling) -> None:
    taken(desk)
    desk.gets(notify(desk, 1, b"SIP/2.0 200 OK", "terminated"))
    assert desk.does(desk.usage, desk.usage.hang_up(16, desk.now)) == []
    assert statuses(desk.gets(desk.within("BYE", 2))) == [(200, "BYE")]
    assert desk.usage.over
    assert not [fact for fact in news(desk) if isinstance(fact, HungUp)], "we wanted it, too"
    assert not desk.waits(60)


@pytest.mark.parametrize("impatient", [False, True])
def test_whoever_does_not_is_told(desk: Calling, *, impatient: bool) -> None:
    taken(desk)
    desk.gets(notify(desk, 1, b"SIP/2.0 200 OK", "terminated"))
    start = desk.now
    sent = desk.does(desk.usage, desk.usage.hang_up(16, start))
    if impatient:  # the bridge is to stop
        sent = desk.does(desk.usage, desk.usage.hang_up(16, start))
        assert one(sent, "BYE")
    else:
        ((when, bye), *_) = desk.waits(start + 1)
        assert when == start + usage.FAREWELL_SECONDS
        assert isinstance(bye, Request)
        assert bye.method == "BYE"


def test_section_15_the_peer_may_bye_first(desk: Calling) -> None:
    taken(desk)
    assert statuses(desk.gets(desk.within("BYE", 1))) == [(200, "BYE")]
    assert news(desk) == [TransferProgressed(100), HungUp("BYE")]


def test_a_last_notify_is_answered_while_our_bye_is_out(desk: Calling) -> None:
    taken(desk)
    desk.gets(notify(desk, 1, b"SIP/2.0 200 OK"))
    desk.does(desk.usage, desk.usage.hang_up(16, 0))
    assert statuses(desk.gets(notify(desk, 2, b"SIP/2.0 200 OK", "terminated"))) == [(200, "NOTIFY")]
    assert news(desk).count(Transferred()) == 1


def test_a_481_to_the_refer_ends_the_call(desk: Calling) -> None:
    messages = desk.gets(reply(asked(desk), 481))
    assert one(messages, "BYE")
    assert isinstance(news(desk)[-1], HungUp)


def test_a_refer_that_nobody_answers_is_a_failure_and_no_end(desk: Calling) -> None:
    asked(desk)
    desk.waits(33)
    assert news(desk) == [TransferFailed(408, "", refused=True)]


def test_a_challenged_refer_is_sent_again_with_credentials() -> None:
    desk = Calling(Login("alice", "secret", lambda size: "c" * size)).confirmed()
    first = asked(desk)
    again = one(desk.gets(reply(first, 401, headers=(CHALLENGE,))), "REFER")
    assert again.cseq[0] == first.cseq[0] + 1
    assert "Authorization" in again.headers
    assert again.headers.get("Refer-To") == first.headers.get("Refer-To")


def test_a_second_refer_while_one_is_on_its_way_is_refused_here(desk: Calling) -> None:
    asked(desk)
    assert desk.usage.transfer(TARGET, 0) == [TransferFailed(491, "", refused=True)]


def test_before_the_answer_nothing_can_be_transferred() -> None:
    outputs: list[Output] = Called().usage.transfer(TARGET, 0)
    assert outputs == [TransferFailed(491, "", refused=True)]


def test_section_15_attended_refer_to_names_the_other_dialog_escaped(desk: Calling) -> None:
    dialog = desk.usage.dialog
    assert dialog is not None
    text = refer.attended(dialog)
    uri = NameAddr.parse(text).uri
    head, _, tail = text.strip("<>").partition("?")
    assert head == "sip:bob@192.0.2.2:5060"
    assert tail.startswith("Replaces=")
    assert not set(';@?&<>" ') & set(tail)
    call_id, to_tag, from_tag = unquote(uri.headers.partition("=")[2]).split(";")
    assert call_id == dialog.call_id
    assert (to_tag, from_tag) == (f"to-tag={dialog.remote.tag}", f"from-tag={dialog.local.tag}")
