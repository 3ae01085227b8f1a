"""The order of servers: RFC 3263 4.1, RFC 2782."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.flow import Protocol
from bridge.sip.locating import Naptr, Srv, in_order, services


def srv(priority: int, weight: int, target: str) -> Srv:
    return Srv(priority, weight, 5060, target)


def test_rfc3263_4_1_the_lowest_order_then_preference_among_what_we_speak() -> None:
    records = [
        Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.a"),
        Naptr(90, 50, "s", "sip+d2t", "_sip._tcp.a"),
        Naptr(90, 20, "S", "SIP+D2U", "_sip._udp.a"),
        Naptr(10, 10, "s", "SIP+D2S", "_sip._sctp.a"),
        Naptr(10, 10, "u", "E2U+sip", ""),
    ]
    assert services(records) == [
        (Protocol.TLS, "_sips._tcp.a"), (Protocol.UDP, "_sip._udp.a"), (Protocol.TCP, "_sip._tcp.a"),
    ]  # fmt: skip


def test_rfc2782_priorities_come_in_order_whatever_their_weight() -> None:
    records = [srv(20, 100, "c"), srv(10, 0, "a"), srv(10, 1, "b")]
    assert {record.target for record in in_order(records, lambda: 0.5)[:2]} == {"a", "b"}
    assert in_order(records, lambda: 0.5)[2].target == "c"


def test_rfc2782_a_draw_takes_the_first_whose_running_sum_reaches_it() -> None:
    records = [srv(1, 60, "a"), srv(1, 0, "zero"), srv(1, 40, "b")]

    def drawn(fraction: float) -> str:
        return in_order(records, lambda: fraction)[0].target

    assert [drawn(0.0), drawn(0.009), drawn(0.01), drawn(0.6), drawn(0.7), drawn(0.999)] == [
        "zero", "zero", "a", "a", "b", "b",
    ]  # fmt: skip


def test_rfc2782_weights_are_shares() -> None:
    fraction = Random(1).random
    records = [srv(1, 75, "a"), srv(1, 25, "b")]
    first = Counter(in_order(records, fraction)[0].target for _ in range(4000))
    assert 0.70 < first["a"] / 4000 < 0.80


def test_a_target_of_a_dot_is_not_offered() -> None:
    assert in_order([srv(1, 1, "."), srv(1, 1, "")], lambda: 0.0) == []


@given(
    st.lists(st.builds(srv, st.integers(0, 3), st.integers(0, 65535), st.sampled_from("abcdef")), max_size=12),
    st.randoms(use_true_random=False),
)
def test_every_record_is_drawn_once(records: list[Srv], random: Random) -> None:
    ordered = in_order(records, random.random)
    assert Counter(ordered) == Counter(records)
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)
