"""SIP on the clock of a busy machine: whoever answers late is not asked a second time."""

from __future__ import annotations

from functools import partial

import pytest

from bridge.demo import pbx
from bridge.sip import trunk
from bridge.sip.agent import UserAgent
from bridge.sip.transaction import Timers

UNHURRIED = Timers(t1=60.0, t2=60.0, t4=60.0)


def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trunks and demo PBXs made from now on repeat nothing that a test could take for a new request."""
    for place in (trunk, pbx):
        monkeypatch.setattr(place, "UserAgent", partial(UserAgent, timers=UNHURRIED))
