"""How calls sounded, as it is written beside them."""

from __future__ import annotations

from bridge.calls.events import Quality, Trouble, Verdict
from bridge.store.hearings import read, written

VERDICTS = (
    Verdict(at=1_700_000_000.5, quality=Quality(heard=4.4, said=4.3, trouble=Trouble.NONE)),
    Verdict(at=1_700_000_020.0, quality=Quality(heard=2.4, said=3.9, trouble=Trouble.OPERATOR_LOSS)),
)


def test_what_is_written_is_read_back() -> None:
    assert read(written(VERDICTS)) == VERDICTS
    assert (read(""), written(())) == ((), "")
