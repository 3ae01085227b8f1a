"""Which addresses are ours."""

from __future__ import annotations

from bridge.addresses import is_ours


def test_an_address_of_this_machine_is_ours_and_one_of_nobody_is_not() -> None:
    assert is_ours(("127.0.0.1", 40_000))
    assert is_ours(("::1", 40_000, 0, 0))
    assert not is_ours(("192.0.2.1", 40_000))
    assert not is_ours(("2001:db8::1", 40_000, 0, 0))
