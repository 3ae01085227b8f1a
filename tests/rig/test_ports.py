from __future__ import annotations

import socket

from .ports import free_port, free_sip_port


def test_what_was_given_and_is_not_yet_taken_is_not_given_to_the_next() -> None:
    given = [free_port(kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM) for _ in range(100)]
    assert len(set(given)) == len(given)


def test_a_port_for_sip_is_free_for_streams_too() -> None:
    taken = free_sip_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", taken))
        assert all(free_sip_port() != taken for _ in range(6_000))
