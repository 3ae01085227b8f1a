"""What a caller takes for an open line."""

from __future__ import annotations

import pytest

from bridge.media.comfort import QUIET


@pytest.mark.parametrize(("codec", "loudest"), [("PCMU", {0x7D, 0xFD}), ("PCMA", {0x54, 0xD4})])
def test_comfort_noise_is_uneven_and_hardly_audible(codec: str, loudest: set[int]) -> None:
    """In G.711 the codes next to zero are those with most bits set, or set every other way round."""
    frames = QUIET[codec]
    zero = 0xFF if codec == "PCMU" else 0xD5
    assert len(set(frames)) == len(frames) == 50
    assert {len(frame) for frame in frames} == {160}
    assert max((code ^ zero) & 0x7F for frame in frames for code in frame) == max((c ^ zero) & 0x7F for c in loudest)
