"""The rows of RFC 3261 table 4 and the matching rules, in virtual time."""

from __future__ import annotations

import pytest

from bridge.sip.deadlines import Deadlines
from bridge.sip.flow import Flow, Protocol, return_flow
from bridge.sip.matching import cancel_of, client_key, server_key, stamp
from bridge.sip.message import Request, parse, respond
from bridge.sip.transaction import (
    Acknowledged,
    Arrived,
    Output,
    Responded,
    Send,
    Terminated,
    Unanswered,
)
from bridge.sip.transactions import Transactions

from .parties import ALICE, BOB, reply, request

NATTED = Flow("203.0.113.7", 40000)
STREAM = Flow("192.0.2.2", 5060, Protocol.TCP, connection=7)


def resends(transactions: Transactions, until: float) -> tuple[list[float], list[Output]]:
    """When something was sent up to a time, and what else came out."""
    times, others = [], list[Output]()
    while (when := transactions.next_deadline) is not None and when <= until:
        for output in transactions.tick(when):
            if isinstance(output, Send):
                times.append(when)
            else:
                others.append(output)
    return times, others


def serve(transactions: Transactions, asked: Request, now: float = 0.0) -> Arrived:
    (arrived,) = transactions.receive_request(asked, ALICE, now)
    assert isinstance(arrived, Arrived)
    return arrived


def ack(invite: Request, branch: str | None = None) -> Request:
    via = (invite.headers.get("Via") or "").replace("z9hG4bKone", branch or "z9hG4bKone")
    headers = invite.headers.set("CSeq", f"{invite.cseq[0]} ACK").set("Via", via)
    return Request("ACK", invite.uri, headers)


class TestInviteClient:
    def test_timer_a_doubles_without_cap_and_b_gives_up_after_64_t1(self) -> None:
        transactions, invite = Transactions(), request()
        assert transactions.ask(invite, BOB, 0.0) == [Send(invite.encode(), BOB, client_key(invite))]
        times, others = resends(transactions, 100)
        assert times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
        assert others == [Unanswered(client_key(invite), invite, 408), Terminated(client_key(invite))]
        assert len(transactions) == 0

    def test_a_provisional_response_stops_a_and_b_for_good(self) -> None:
        transactions, invite = Transactions(), request()
        transactions.ask(invite, BOB, 0.0)
        ringing = reply(invite, 180)
        assert transactions.receive_response(ringing, 0.2) == [Responded(client_key(invite), invite, ringing)]
        assert transactions.next_deadline is None

    def test_abandoned_while_it_rings_a_late_refusal_is_acknowledged_and_silence_ends_it_after_64_t1(self) -> None:
        for answered in (True, False):
            transactions, invite = Transactions(), request()
            transactions.ask(invite, BOB, 0.0)
            transactions.receive_response(reply(invite, 180), 0.2)
            transactions.abandon(client_key(invite), 1.0)
            assert transactions.next_deadline == 33.0
            if answered:
                sent, _ = transactions.receive_response(reply(invite, 487), 5.0) or []
                assert isinstance(sent, Send)
                assert parse(sent.data).cseq == (1, "ACK")
            assert [type(output) for output in resends(transactions, 100)[1]] == [Terminated]
            assert len(transactions) == 0

    def test_17_1_4_a_request_that_cannot_be_sent_counts_as_503(self) -> None:
        transactions, invite = Transactions(), request()
        (sent,) = transactions.ask(invite, BOB, 0.0)
        assert isinstance(sent, Send)
        assert sent.key is not None
        failed = Unanswered(client_key(invite), invite, 503)
        assert transactions.fail(sent.key, 0.0) == [failed, Terminated(client_key(invite))]
        assert transactions.fail(sent.key, 0.0) == []
        assert transactions.next_deadline is None

    def test_timer_d_acknowledges_each_repeat_of_a_refusal_for_32_s(self) -> None:
        transactions, invite = Transactions(), request(headers=(("Route", "<sip:proxy;lr>"),))
        transactions.ask(invite, BOB, 0.0)
        busy = reply(invite, 486)
        sent, told = transactions.receive_response(busy, 1.0) or []
        assert told == Responded(client_key(invite), invite, busy)
        assert transactions.receive_response(busy, 2.0) == [sent]
        assert resends(transactions, 100) == ([], [Terminated(client_key(invite))])

    def test_ack_of_a_refusal_is_built_from_the_invite_and_the_to_of_the_response(self) -> None:
        transactions = Transactions()
        invite = request(cseq=7, headers=(("Route", "<sip:proxy;lr>"), ("Contact", "<sip:alice@192.0.2.1>")))
        transactions.ask(invite, BOB, 0.0)
        (sent, _) = transactions.receive_response(reply(invite, 404, tag="theirs"), 1.0) or []
        assert isinstance(sent, Send)
        confirmed = parse(sent.data)
        assert isinstance(confirmed, Request)
        assert (confirmed.method, confirmed.uri, confirmed.cseq) == ("ACK", invite.uri, (7, "ACK"))
        assert confirmed.headers.all("Via") == invite.headers.all("Via")
        assert confirmed.headers.get("Route") == "<sip:proxy;lr>"
        assert (confirmed.from_tag, confirmed.to_tag) == ("alice", "theirs")

    def test_timer_m_keeps_delivering_success_of_every_fork(self) -> None:
        transactions, invite = Transactions(), request()
        transactions.ask(invite, BOB, 0.0)
        for now, tag in ((1.0, "a"), (1.5, "a"), (2.0, "b"), (32.9, "c")):
            ok = reply(invite, 200, tag=tag)
            assert transactions.receive_response(ok, now) == [Responded(client_key(invite), invite, ok)]
        assert resends(transactions, 33.0) == ([], [Terminated(client_key(invite))])
        assert transactions.receive_response(reply(invite, 200), 34.0) is None

    def test_cancel_shares_the_branch_and_is_a_transaction_of_its_own(self) -> None:
        transactions, invite = Transactions(), request(cseq=3)
        transactions.ask(invite, BOB, 0.0)
        cancel = cancel_of(invite)
        transactions.ask(cancel, BOB, 0.1)
        assert cancel.via == invite.via
        assert (cancel.uri, cancel.cseq, cancel.to_tag) == (invite.uri, (3, "CANCEL"), "")
        assert len(transactions) == 2


class TestOtherClient:
    def test_timer_e_grows_to_t2_and_f_gives_up_after_64_t1(self) -> None:
        transactions, bye = Transactions(), request("BYE")
        transactions.ask(bye, BOB, 0.0)
        times, others = resends(transactions, 100)
        assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert others[0] == Unanswered(client_key(bye), bye, 408)

    def test_in_proceeding_e_is_t2_and_f_still_runs(self) -> None:
        transactions, bye = Transactions(), request("BYE")
        transactions.ask(bye, BOB, 0.0)
        transactions.receive_response(reply(bye, 100), 0.1)
        times, others = resends(transactions, 100)
        assert times == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
        assert isinstance(others[0], Unanswered)

    def test_timer_k_absorbs_repeats_for_t4(self) -> None:
        transactions, bye = Transactions(), request("BYE")
        transactions.ask(bye, BOB, 0.0)
        ok = reply(bye, 200)
        assert transactions.receive_response(ok, 1.0) == [Responded(client_key(bye), bye, ok)]
        assert transactions.receive_response(ok, 1.1) == []
        assert transactions.next_deadline == 6.0
        assert resends(transactions, 6.0) == ([], [Terminated(client_key(bye))])


class TestInviteServer:
    def test_repeats_get_the_last_provisional_response(self) -> None:
        transactions, invite = Transactions(), request()
        key = serve(transactions, invite).key
        assert transactions.receive_request(invite, ALICE, 0.0) == []
        (ringing,) = transactions.answer(key, respond(invite, 180, to_tag="bob"), 0.1)
        assert transactions.receive_request(invite, ALICE, 0.5) == [ringing]

    def test_timer_g_repeats_a_refusal_up_to_t2_and_h_gives_up(self) -> None:
        transactions, invite = Transactions(), request()
        key = serve(transactions, invite).key
        transactions.answer(key, respond(invite, 486, to_tag="bob"), 0.0)
        times, others = resends(transactions, 100)
        assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert others == [Terminated(key)]

    def test_the_ack_stops_g_and_timer_i_absorbs_its_repeats_for_t4(self) -> None:
        transactions, invite = Transactions(), request()
        key = serve(transactions, invite).key
        transactions.answer(key, respond(invite, 486, to_tag="bob"), 0.0)
        for now in (1.0, 2.0):
            assert transactions.receive_request(ack(invite), ALICE, now) == []
        assert transactions.next_deadline == 6.0
        assert resends(transactions, 6.0) == ([], [Terminated(key)])

    def test_timer_l_absorbs_invites_after_success_and_lets_acks_through(self) -> None:
        transactions, invite = Transactions(), request()
        key = serve(transactions, invite).key
        ok = respond(invite, 200, to_tag="bob")
        transactions.answer(key, ok, 0.0)
        assert transactions.receive_request(invite, ALICE, 0.5) == []
        assert len(transactions.answer(key, ok, 0.5)) == 1, "the usage repeats its 2xx through the transaction"
        confirmed = ack(invite, "z9hG4bKtwo")
        assert transactions.receive_request(confirmed, ALICE, 1.0) == [Acknowledged(confirmed)]
        assert resends(transactions, 32.0) == ([], [Terminated(key)])

    def test_only_one_final_response_counts(self) -> None:
        transactions, invite = Transactions(), request()
        key = serve(transactions, invite).key
        transactions.answer(key, respond(invite, 200, to_tag="bob"), 0.0)
        assert transactions.answer(key, respond(invite, 486, to_tag="bob"), 0.1) == []


class TestOtherServer:
    def test_rfc_4320_repeats_before_the_answer_are_swallowed(self) -> None:
        transactions, bye = Transactions(), request("BYE")
        serve(transactions, bye)
        assert transactions.receive_request(bye, ALICE, 0.5) == []
        assert transactions.next_deadline is None

    def test_timer_j_repeats_the_final_response_for_64_t1(self) -> None:
        transactions, bye = Transactions(), request("BYE")
        key = serve(transactions, bye).key
        (ok,) = transactions.answer(key, respond(bye, 200), 0.0)
        assert transactions.receive_request(bye, ALICE, 31.9) == [ok]
        assert resends(transactions, 32.0) == ([], [Terminated(key)])
        assert isinstance(serve(transactions, bye, 33.0), Arrived)


class TestMatching:
    def test_same_branch_from_another_sender_is_another_transaction(self) -> None:
        here = request("BYE")
        there = Request("BYE", here.uri, here.headers.set("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKone"))
        assert server_key(here) != server_key(there)

    def test_a_missing_port_in_via_is_the_default_port(self) -> None:
        here = request("BYE")
        bare = Request("BYE", here.uri, here.headers.set("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKone"))
        assert server_key(here) == server_key(bare)

    @pytest.mark.parametrize("branch", ["old-style", "z9hG4bK"])
    def test_peers_without_the_cookie_are_told_apart_by_call_and_cseq(self, branch: str) -> None:
        first, second = request(branch=branch, cseq=1), request(branch=branch, cseq=2)
        assert server_key(first) != server_key(second)
        acknowledged = request("ACK", branch=branch, cseq=1, to="<sip:bob@192.0.2.2>;tag=bob")
        assert server_key(acknowledged) == server_key(first)

    def test_a_response_to_cancel_does_not_reach_the_invite(self) -> None:
        transactions, invite = Transactions(), request()
        transactions.ask(invite, BOB, 0.0)
        assert transactions.receive_response(reply(cancel_of(invite), 200), 0.1) is None

    def test_rfc_3581_responses_go_to_where_the_request_came_from(self) -> None:
        natted = stamp(request(), NATTED)
        assert return_flow(natted.via, NATTED) == NATTED
        assert natted.via.param("received") == "203.0.113.7"

    def test_without_rport_the_port_of_via_counts(self) -> None:
        plain = request()
        plain = Request("BYE", plain.uri, plain.headers.set("Via", "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKone"))
        assert return_flow(stamp(plain, NATTED).via, NATTED) == Flow("203.0.113.7", 5070)

    def test_a_via_that_tells_the_truth_is_left_alone(self) -> None:
        plain = request()
        plain = Request("BYE", plain.uri, plain.headers.set("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKone"))
        assert stamp(plain, ALICE) is plain


def test_a_thousand_timers_of_which_most_are_cleared_keep_no_memory() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for round_ in range(1000):
        deadlines.set(1, float(round_))
        deadlines.set(2, float(round_) + 5)
    assert deadlines.next == 999.0
    assert (deadlines.pop(999.0), deadlines.pop(2000.0), deadlines.pop(2000.0)) == (1, 2, None)
    assert len(deadlines._heap) < 100


class TestStream:
    """The timers that are zero on a stream: RFC 3261 table 4."""

    def test_timers_a_and_d_do_not_run(self) -> None:
        transactions, invite = Transactions(), request()
        transactions.ask(invite, STREAM, 0.0)
        assert resends(transactions, 31) == ([], [])
        transactions.receive_response(reply(invite, 486), 31.0)
        assert resends(transactions, 31.0) == ([], [Terminated(client_key(invite))])

    def test_timer_b_runs(self) -> None:
        transactions, invite = Transactions(), request()
        transactions.ask(invite, STREAM, 0.0)
        assert resends(transactions, 32)[1][0] == Unanswered(client_key(invite), invite, 408)

    def test_timers_e_and_k_do_not_run(self) -> None:
        transactions, bye = Transactions(), request("BYE")
        transactions.ask(bye, STREAM, 0.0)
        assert resends(transactions, 31) == ([], [])
        transactions.receive_response(reply(bye, 200), 31.0)
        resends(transactions, 31.0)
        assert len(transactions) == 0

    def test_timers_g_and_i_do_not_run_and_h_does(self) -> None:
        transactions, invite = Transactions(), request()
        (arrived,) = transactions.receive_request(invite, STREAM, 0.0)
        assert isinstance(arrived, Arrived)
        (sent,) = transactions.answer(arrived.key, respond(invite, 486, to_tag="bob"), 0.0)
        assert isinstance(sent, Send)
        assert sent.to == STREAM
        assert resends(transactions, 31.9) == ([], [])
        assert resends(transactions, 32.0) == ([], [Terminated(arrived.key)])
        (again,) = transactions.receive_request(request(branch="z9hG4bKtwo"), STREAM, 40.0)
        assert isinstance(again, Arrived)
        transactions.answer(again.key, respond(invite, 486, to_tag="bob"), 40.0)
        transactions.receive_request(ack(invite, "z9hG4bKtwo"), STREAM, 41.0)
        resends(transactions, 41.0)
        assert len(transactions) == 0

    def test_timer_j_does_not_run(self) -> None:
        transactions, bye = Transactions(), request("BYE")
        (arrived,) = transactions.receive_request(bye, STREAM, 0.0)
        assert isinstance(arrived, Arrived)
        transactions.answer(arrived.key, respond(bye, 200), 0.0)
        resends(transactions, 0.0)
        assert len(transactions) == 0
