"""A request too large for a datagram goes by TCP, and as a datagram where there is no TCP (RFC 3261 18.1.1)."""

from __future__ import annotations

from bridge.sip.flow import Flow, Protocol
from bridge.sip.matching import cancel_of
from bridge.sip.message import Request, parse
from bridge.sip.transaction import Output, Responded, Send, Unanswered
from bridge.sip.transactions import Transactions

from .parties import BOB, reply, request

LARGE = b"v=0\r\n" * 300
OVER_TCP = Flow(BOB.host, BOB.port, Protocol.TCP)


def transactions(most: int = 1300) -> Transactions:
    return Transactions(place=lambda to: ("192.0.2.1", 5070), largest=lambda to: most)


def sent(outputs: list[Output]) -> tuple[Request, Flow]:
    (item,) = [output for output in outputs if isinstance(output, Send)]
    message = parse(item.data)
    assert isinstance(message, Request)
    return message, item.to


def test_a_large_request_goes_by_tcp_and_its_via_says_so() -> None:
    invite = request(body=LARGE)
    message, to = sent(transactions().ask(invite, BOB, 0.0))
    assert to == OVER_TCP
    assert (message.via.transport, message.via.host, message.via.port) == ("TCP", "192.0.2.1", 5070)
    assert message.via.branch == invite.via.branch


def test_a_small_request_and_one_to_a_peer_without_the_rule_stay_datagrams() -> None:
    assert sent(transactions().ask(request(), BOB, 0.0))[1] == BOB
    assert sent(transactions(most=0).ask(request(body=LARGE), BOB, 0.0))[1] == BOB


def test_cancel_and_the_ack_to_a_refusal_go_the_way_of_their_invite() -> None:
    ours, invite = transactions(), request(body=LARGE)
    ours.ask(invite, BOB, 0.0)
    cancel, to = sent(ours.ask(cancel_of(invite), BOB, 0.1))
    assert (cancel.via.transport, to) == ("TCP", OVER_TCP)
    outputs = ours.receive_response(reply(invite, 487), 0.2)
    assert outputs is not None
    ack, to = sent(outputs)
    assert (ack.method, ack.via.transport, to) == ("ACK", "TCP", OVER_TCP)
    assert [output.request is invite for output in outputs if isinstance(output, Responded)] == [True]


def test_where_no_connection_can_be_had_it_is_sent_as_a_datagram_and_so_is_the_next() -> None:
    ours, invite = transactions(), request(body=LARGE)
    ours.ask(invite, BOB, 0.0)
    key = ("client", invite.via.branch, "INVITE")
    message, to = sent(ours.fail(key, 5.0))
    assert (to, message) == (BOB, parse(invite.encode()))
    assert ours.next_deadline == 5.5
    another = request(body=LARGE, branch="z9hG4bKtwo")
    assert sent(ours.ask(another, BOB, 6.0))[1] == BOB
    assert isinstance(ours.fail(key, 6.0)[0], Unanswered)
    later = request(body=LARGE, branch="z9hG4bKthree")
    assert sent(ours.ask(later, BOB, 700.0))[1] == OVER_TCP


def test_a_connection_that_ends_before_the_first_word_counts_as_none() -> None:
    ours, invite = transactions(), request(body=LARGE)
    ours.ask(invite, BOB, 0.0)
    assert ours.lost(Flow("192.0.2.9", 5060, Protocol.TCP), 1.0) == []
    assert sent(ours.lost(Flow(BOB.host, BOB.port, Protocol.TCP, connection=4), 1.0))[1] == BOB


def test_a_connection_that_ends_while_it_rings_ends_nothing() -> None:
    ours, invite = transactions(), request()
    ours.ask(invite, OVER_TCP, 0.0)
    ours.receive_response(reply(invite, 180), 0.1)
    assert ours.lost(OVER_TCP, 1.0) == []
    assert len(ours) == 1


def test_a_request_without_an_answer_fails_with_its_connection() -> None:
    ours, bye = transactions(), request("BYE")
    ours.ask(bye, OVER_TCP, 0.0)
    (unanswered, _) = ours.lost(OVER_TCP, 1.0)
    assert unanswered == Unanswered(("client", bye.via.branch, "BYE"), bye, 503)
