"""No packet is believed to be well formed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.media.packet import BUFFER_BYTES, make_plain


@given(st.binary(min_size=12, max_size=300))
def test_no_packet_is_too_broken_to_be_looked_at(raw: bytes) -> None:
    buffer = bytearray(BUFFER_BYTES)
    buffer[: len(raw)] = raw
    assert 0 <= make_plain(memoryview(buffer), len(raw)) <= len(raw)
