"""What whoever watches many bridges reads in /metrics."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge import config
from bridge import metrics as metrics_room
from bridge.calls import events as on
from bridge.calls.call import Call
from bridge.calls.events import Event, Quality, Trouble
from bridge.errors import ConfigError
from bridge.heap import Heap, Malloc
from bridge.metrics import Metrics, Present, served

from .calls.story import ANNA, ANSWERED, BORIS, ID, INVITED, READY, TAB, Story
from .rig.ports import free_port

LOST = on.BrowserLost(call=ID, tab=TAB, why="closed")
NOTHING = Present(calls=(), online=(), registrations=(), trunks={}, promises={}, full=False, dropped={})


class Counted(Story):
    """A call whose events are counted."""

    def __init__(self, metrics: Metrics, **named: object) -> None:
        super().__init__(**named)  # type: ignore[arg-type]
        self.metrics = metrics
        self.before: Call | None = None

    def go(self, *events: Event, after: float = 0) -> None:
        for event in events:
            self.tell(event, after=after)
            self.metrics.handled(event, self.before, self.call)
            self.before = self.call


def read(page: bytes) -> dict[tuple[str, ...], float]:
    """Name and the values of its labels, in their order -> figure."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_an_answered_call_is_counted_once_with_its_waiting_and_its_talk() -> None:
    metrics = Metrics()
    story = Counted(metrics)
    story.go(INVITED)
    story.go(ANSWERED, READY, after=2)
    story.go(on.PbxHungUp(call=ID, why="BYE"), after=60)
    found = read(metrics.page(NOTHING))
    assert found["bridge_calls_ended_total", "inbound", "caller-hung-up", "portal", "pbx"] == 1
    assert found["bridge_talk_seconds_total", "inbound", "portal", "pbx"] == 60
    assert found["bridge_answer_wait_seconds_count", "inbound", "portal"] == 1
    assert found["bridge_answer_wait_seconds_sum", "inbound", "portal"] == 4
    assert ("bridge_rejoins_total", "portal") not in found


def test_a_missed_call_is_counted_by_its_reason_and_has_no_talk() -> None:
    metrics = Metrics()
    Counted(metrics, online=frozenset()).go(INVITED)
    found = read(metrics.page(NOTHING))
    assert found["bridge_calls_ended_total", "inbound", "nobody-online", "portal", "pbx"] == 1
    assert not [name for name in found if name[0].startswith(("bridge_talk", "bridge_answer"))]


def test_a_page_that_is_left_in_mid_call_is_one_rejoin_however_long_it_lasts() -> None:
    metrics = Metrics()
    story = Counted(metrics)
    story.go(INVITED, ANSWERED, READY, LOST, on.OperatorMuted(call=ID, operator=ANNA, muted=True))
    assert story.state == "rejoining"
    assert read(metrics.page(NOTHING))["bridge_rejoins_total", "portal"] == 1


def test_how_the_voice_was_is_counted_by_way_and_by_trouble() -> None:
    metrics = Metrics()
    story = Counted(metrics)
    bad = Quality(heard=2.2, said=4.4, trouble=Trouble.OPERATOR_LOSS)
    good = Quality(heard=4.4, said=4.4, trouble=Trouble.NONE)
    story.go(INVITED, ANSWERED, READY, *(on.QualityChanged(call=ID, quality=quality) for quality in (bad, good)))
    found = read(metrics.page(NOTHING))
    assert found["bridge_voice_mos_bucket", "2.5", "portal", "heard"] == 1
    assert found["bridge_voice_mos_bucket", "2.5", "portal", "said"] == 0
    assert found["bridge_voice_troubles_total", "portal", "operator-loss"] == 1
    assert sum(value for name, value in found.items() if name[0] == "bridge_voice_troubles_total") == 1


def test_what_is_so_now_is_told_and_what_was_so_is_not() -> None:
    metrics = Metrics()
    story = Counted(metrics)
    story.go(INVITED)
    now = Present(
        calls=[story.call],
        online=[ANNA, BORIS],
        registrations=[("pbx", "registered"), ("pbx", "registered"), ("pbx", "refused")],
        trunks={"pbx": "answers", "far": "silent", "unasked": ""},
        promises={"portal": (3, 1)},
        full=True,
        dropped={"stranger": 7},
    )
    found = read(metrics.page(now))
    assert found["bridge_calls", "inbound", "portal", "ringing"] == 1
    assert found["bridge_operators_online", "portal"] == 2
    assert (found["bridge_registrations", "registered", "pbx"], found["bridge_registrations", "refused", "pbx"]) == (
        2,
        1,
    )
    assert (found["bridge_trunk_answers", "pbx"], found["bridge_trunk_answers", "far"]) == (1, 0)
    assert ("bridge_trunk_answers", "unasked") not in found
    assert (found["bridge_promises", "portal", "waiting"], found["bridge_promises", "portal", "set aside"]) == (3, 1)
    assert (found["bridge_full",], found["bridge_sip_dropped", "stranger"]) == (1, 7)
    assert ("bridge_calls", "inbound", "portal", "ringing") not in read(metrics.page(NOTHING))


def test_whose_the_memory_is_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Heap(blocks=7, malloc=Malloc(used=3, free=2, mapped=1))
    monkeypatch.setattr(metrics_room, "heap", lambda: held)
    found = read(Metrics().page(NOTHING))
    assert found["bridge_python_blocks",] == 7
    assert [found["bridge_malloc_bytes", part] for part in ("used", "free", "mapped")] == [3, 2, 1]


async def _nothing() -> Present:
    return NOTHING


async def test_it_is_served_at_an_address_of_its_own_which_may_be_taken() -> None:
    place = config.Metrics(port=free_port())
    async with served(place, Metrics(), _nothing), aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{place.port}/metrics") as answer:
            assert answer.status == 200
            assert "process_cpu_seconds_total" in await answer.text()
        with pytest.raises(ConfigError, match=r"metrics: can't listen on 127.0.0.1:\d+"):
            async with served(place, Metrics(), _nothing):
                pass
