"""Figures for Prometheus: the only place that counts.

What happens is counted from the same events and commands that stand in the journal; what is so is looked up when somebody asks.
Labels are portals, trunks and words of ours: nothing that a stranger can make up, so their number is bounded.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from .calls.call import Call, State
from .calls.events import CommandFailed, Event, Operator, QualityChanged, RecordingFailed, Trouble
from .config import Metrics as Place
from .errors import ConfigError
from .heap import Heap, heap

WAITS: Final = (1, 2, 5, 10, 20, 30, 60, 120)
"""Seconds until somebody answers."""
SCORES: Final = (2.0, 2.5, 3.0, 3.5, 4.0, 4.3, 5.0)
"""MOS; below 3 people complain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What is so at this moment."""

    calls: Iterable[Call]
    online: Iterable[Operator]
    registrations: Iterable[tuple[str, str]]
    """Trunk and state, for each SIP account."""
    trunks: Mapping[str, str]
    """What each PBX that is asked said last: `answers`, `silent`, `not asked yet`."""
    promises: Mapping[str, tuple[int, int]]
    """By portal: those that wait to be told to Bitrix24, those set aside for a person to look at."""
    full: bool
    """No further call is taken."""
    dropped: Mapping[str, int]
    """SIP messages that were not heeded since the start, by reason."""


class Metrics:
    """A witness of every call."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._ended = Counter(
            "bridge_calls_ended", "Calls that are over.", ["portal", "trunk", "direction", "ending"], registry=registry
        )
        self._talked = Counter(
            "bridge_talk_seconds", "Seconds that people talked.", ["portal", "trunk", "direction"], registry=registry
        )
        self._waited = Histogram(
            "bridge_answer_wait_seconds",
            "From the first ring to the answer.",
            ["portal", "direction"],
            buckets=WAITS,
            registry=registry,
        )
        self._rejoined = Counter(
            "bridge_rejoins", "Voices that went away with their page in mid-call.", ["portal"], registry=registry
        )
        self._scores = Histogram(
            "bridge_voice_mos",
            "How the voice was, each time that changed: heard by the operator, said to the caller.",
            ["portal", "way"],
            buckets=SCORES,
            registry=registry,
        )
        self._troubles = Counter(
            "bridge_voice_troubles", "What the voice suffered from.", ["portal", "trouble"], registry=registry
        )
        self._failed = Counter("bridge_commands_failed", "What a room could not do.", ["command"], registry=registry)
        self._unrecorded = Counter(
            "bridge_recordings_failed", "Recordings that stopped by themselves.", ["portal"], registry=registry
        )
        self._calls = Gauge("bridge_calls", "Calls that live.", ["portal", "direction", "state"], registry=registry)
        self._online = Gauge("bridge_operators_online", "Operators with a page open.", ["portal"], registry=registry)
        self._registrations = Gauge("bridge_registrations", "SIP accounts.", ["trunk", "state"], registry=registry)
        self._trunks = Gauge("bridge_trunk_answers", "1: the PBX answers; 0: not.", ["trunk"], registry=registry)
        self._promises = Gauge(
            "bridge_promises", "What Bitrix24 has yet to be told.", ["portal", "state"], registry=registry
        )
        self._full = Gauge("bridge_full", "1: further calls are refused.", registry=registry)
        self._dropped = Gauge("bridge_sip_dropped", "SIP that was not heeded.", ["reason"], registry=registry)
        self._blocks = Gauge("bridge_python_blocks", "Python's objects of up to 512 bytes.", registry=registry)
        self._malloc = Gauge("bridge_malloc_bytes", "The C library's memory: who has it.", ["part"], registry=registry)

    # ---- what happens

    def handled(self, event: Event, before: Call | None, call: Call) -> None:
        """A call was told something; `before` is None for its first event."""
        portal, direction = call.owner.portal, call.direction.value
        self._count(event, portal)
        was = before.state if before else State.NEW
        if call.state is State.REJOINING and was is not State.REJOINING:
            self._rejoined.labels(portal).inc()
        if call.answered is not None and (before is None or before.answered is None):
            self._waited.labels(portal, direction).observe(call.answered - call.started)
        if call.ending is not None:
            self._ended.labels(portal, call.trunk, direction, call.ending.value).inc()
            if call.answered is not None and call.ended is not None:
                self._talked.labels(portal, call.trunk, direction).inc(max(0.0, call.ended - call.answered))

    def _count(self, event: Event, portal: str) -> None:
        match event:
            case QualityChanged(quality=quality):
                self._scores.labels(portal, "heard").observe(quality.heard)
                self._scores.labels(portal, "said").observe(quality.said)
                if quality.trouble is not Trouble.NONE:
                    self._troubles.labels(portal, quality.trouble.value).inc()
            case CommandFailed(command=command):
                self._failed.labels(command).inc()
            case RecordingFailed():
                self._unrecorded.labels(portal).inc()
            case _:
                pass

    # ---- what is so

    def page(self, present: Present) -> bytes:
        """In the text format of Prometheus."""
        calls = Tally((call.owner.portal, call.direction.value, call.state.value) for call in present.calls)
        _set(self._calls, calls.items())
        _set(self._online, Tally((operator.portal,) for operator in present.online).items())
        _set(self._registrations, Tally(present.registrations).items())
        _set(self._trunks, [((trunk,), int(said == "answers")) for trunk, said in present.trunks.items() if said])
        _set(self._dropped, [((reason,), number) for reason, number in present.dropped.items()])
        self._promises.clear()
        for portal, (waiting, aside) in present.promises.items():
            self._promises.labels(portal, "waiting").set(waiting)
            self._promises.labels(portal, "set aside").set(aside)
        self._full.set(int(present.full))
        self._hold(heap())
        return generate_latest(self.registry)

    def _hold(self, heap: Heap) -> None:
        """Whose the memory of this process is."""
        self._blocks.set(heap.blocks)
        if heap.malloc is not None:
            _set(self._malloc, [((part,), size) for part, size in asdict(heap.malloc).items()])


def _set(gauge: Gauge, figures: Iterable[tuple[tuple[str, ...], int]]) -> None:
    gauge.clear()
    for labels, figure in figures:
        gauge.labels(*labels).set(figure)


@asynccontextmanager
async def served(place: Place, metrics: Metrics, look: Callable[[], Awaitable[Present]]) -> AsyncIterator[None]:
    """`GET /metrics` at an address of its own until left, if there is one; ConfigError."""
    if not place.port:
        yield
        return

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(await look()), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, place.host, place.port).start()
        except OSError as error:
            raise ConfigError(f"metrics: can't listen on {place.host}:{place.port}: {error.strerror}") from None
        yield
    finally:
        await runner.cleanup()
