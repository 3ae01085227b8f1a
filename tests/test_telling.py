"""What the journal says of an event or a command."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.events import CallId, Operator, TabId
from bridge.telling import MAX_TEXT, facts

CALL = CallId("6a0-1")
WHO = Operator("portal.example", 7)


def _told(fact: on.Event | do.Command) -> Any:
    return json.loads(facts(fact))


def test_people_and_states_are_told_by_their_names() -> None:
    quality = on.Quality(heard=4.1, said=3.0, trouble=on.Trouble.PBX_LOSS)
    assert _told(on.QualityChanged(call=CALL, quality=quality)) == {
        "quality": {"heard": 4.1, "said": 3.0, "trouble": on.Trouble.PBX_LOSS.value}
    }
    assert _told(do.RingOperators(call=CALL, operators=(WHO,))) == {"operators": [str(WHO)]}
    assert _told(on.OperatorMuted(call=CALL, operator=WHO, muted=True)) == {"operator": str(WHO), "muted": True}
    assert _told(do.RingPbx(call=CALL)) == {}


def test_a_session_description_is_told_by_its_size_and_keys_by_their_number() -> None:
    answered = on.BrowserAnswered(call=CALL, tab=TabId("tab"), offer="o", sdp="v=0 secret" * 40)
    assert _told(answered)["sdp"] == "400 bytes"
    assert _told(on.OperatorPressed(call=CALL, operator=WHO, digits="1234"))["digits"] == "4 keys"
    assert _told(on.OperatorCommented(call=CALL, operator=WHO, comment="rude"))["comment"] == "4 characters"


@pytest.mark.parametrize("why", ['"quoted"', "back\\slash", "line\nbreak\x00", "ünïcode ☎", "x" * 1_000])
def test_any_text_is_told_up_to_its_bound(why: str) -> None:
    assert _told(on.CommandFailed(call=CALL, command="RingPbx", why=why))["why"] == why[:MAX_TEXT]


def test_a_number_that_is_none_breaks_no_line() -> None:
    assert math.isnan(_told(do.RecordAnswer(call=CALL, operator=WHO, answered=math.nan))["answered"])
