"""Where on one time line each packet of a tape belongs, so that both sides stay in step; pure.

What a sender says of time (timestamps) is exact and means nothing to anybody else; when a packet arrives is known on our own
clock and blurred by the way it took. A packet belongs where its timestamp puts it after the least delay that was seen around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from ..packet import MAX_DROPOUT, MAX_MISORDER
from .tape import Channel, Heard, Label, Record, Tuned

REORDER: Final = 0.2
"""Seconds that a packet may come after one that follows it."""
WINDOW: Final = 2.0
"""Seconds of packets on either side whose least delay counts."""
LEAP: Final = 0.25
"""Seconds that delay may change from one packet to the next; more is a pause, or a clock that was set."""
SLACK: Final = 0.03
"""Seconds by which a stream may run early or late before it is moved: clocks drift, and each move is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One packet, in the order of its stream."""

    channel: Channel
    codec: str
    at: float
    """Seconds on the line, exact within a run."""
    moved: bool
    """The stream begins here, or was moved: what came before it does not lead up to it."""
    lost: int
    """Packets missing right before it."""
    payload: bytes


@dataclass(slots=True, kw_only=True)
class _Waiting:
    heard: Heard
    codec: str
    order: int
    """Its sequence number without wrapping."""
    clock: float
    """Its timestamp in seconds, without wrapping."""
    run: int
    lost: int

    @property
    def delay(self) -> float:
        return self.heard.at - self.clock


class Order:
    """Packets of one channel in the order in which they were sent; those that come too late or twice are left out."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Heard]] = []
        self._newest = 0
        """Highest order so far."""
        self._next = 0
        self._ssrc: int | None = None
        self._count = 0

    def put(self, heard: Heard) -> Iterator[tuple[int, Heard]]:
        """What may go on, each with a number that rises by one from packet to packet."""
        step = ((heard.sequence - self._newest + 0x8000) & 0xFFFF) - 0x8000
        if heard.ssrc != self._ssrc or not -MAX_MISORDER <= step <= MAX_DROPOUT:
            yield from self.rest()
            self._ssrc = heard.ssrc
            self._newest = (self._newest >> 16) + 2 << 16 | heard.sequence
            self._next = self._newest - MAX_MISORDER  # the first to arrive need not be the first that was sent
            step = 0
        order = self._newest + step
        if order >= self._next:
            self._count += 1
            heappush(self._waiting, (order, self._count, heard))
        self._newest = max(self._newest, order)
        yield from self.due(heard.at)

    def due(self, now: float) -> Iterator[tuple[int, Heard]]:
        while self._waiting and (self._waiting[0][0] == self._next or self._waiting[0][2].at <= now - REORDER):
            yield from self._pop()

    def rest(self) -> Iterator[tuple[int, Heard]]:
        while self._waiting:
            yield from self._pop()

    def _pop(self) -> Iterator[tuple[int, Heard]]:
        order, _, heard = heappop(self._waiting)
        if order >= self._next:  # else it came twice
            self._next = order + 1
            yield order, heard


class Line:
    """One channel's place on the line."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._order = Order()
        self._codecs: dict[int, tuple[str, int]] = {}
        """Payload type -> codec and clock rate."""
        self._waiting: deque[_Waiting] = deque()
        self._least: deque[_Waiting] = deque()
        """Of those around, each with a smaller delay than all after it have; the first has the least."""
        self._last: _Waiting | None = None
        self._offset = 0.0
        self._run = -1

    def tune(self, payload_type: int, codec: str, clock_rate: int) -> None:
        self._codecs[payload_type] = codec, clock_rate

    def put(self, heard: Heard) -> None:
        for order, packet in self._order.put(heard):
            self._take(order, packet)

    def due(self, now: float) -> Iterator[Placed]:
        """What can be placed at this time, in seconds of the tape."""
        for order, packet in self._order.due(now):
            self._take(order, packet)
        while self._waiting and self._waiting[0].heard.at < now - WINDOW:
            yield self._place()

    def begin_anew(self) -> None:
        self._order, self._last = Order(), None
        self._run += 1

    def rest(self) -> Iterator[Placed]:
        """All that still waits."""
        for order, packet in self._order.rest():
            self._take(order, packet)
        while self._waiting:
            yield self._place()

    def _take(self, order: int, heard: Heard) -> None:
        known = self._codecs.get(heard.payload_type)
        if known is None:
            return
        codec, rate = known
        last = self._last
        clock, run, lost = heard.timestamp / rate, self._run + 1, 0
        if last is not None:
            leap = ((heard.timestamp - last.heard.timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            clock, run, lost = last.clock + leap / rate, last.run, order - last.order - 1
            same = heard.ssrc == last.heard.ssrc and codec == last.codec and lost <= MAX_DROPOUT
            if not same or abs(heard.at - clock - last.delay) > LEAP:
                run, lost = run + 1, 0
        waiting = _Waiting(heard=heard, codec=codec, order=order, clock=clock, run=run, lost=lost)
        while self._least and self._least[-1].run == run and self._least[-1].delay >= waiting.delay:
            self._least.pop()
        self._least.append(waiting)
        self._waiting.append(waiting)
        self._last = waiting

    def _place(self) -> Placed:
        waiting = self._waiting.popleft()
        while self._is_past(self._least[0], waiting):
            self._least.popleft()
        least = self._least[0]
        begins = waiting.run != self._run
        moved = begins or abs(least.delay - self._offset) > SLACK
        if moved:
            self._run, self._offset = waiting.run, least.delay
        return Placed(
            channel=self._channel,
            codec=waiting.codec,
            at=max(0.0, waiting.clock + self._offset),
            moved=moved,
            lost=waiting.lost,
            payload=waiting.heard.payload,
        )

    def _is_past(self, known: _Waiting, now: _Waiting) -> bool:
        """It says nothing about this packet's delay any more."""
        if known.run != now.run:
            return True
        return known.heard.at < now.heard.at - WINDOW and len(self._least) > 1 and self._least[1].run == now.run


def place(records: Iterable[Record], clock_rates: dict[str, int]) -> Iterator[Placed]:
    """Everything that was said, each channel in its order, both along the same line."""
    lines = {channel: Line(channel) for channel in Channel}
    for record in records:
        if isinstance(record, Label):  # another tape: its numbers have nothing to do with those before
            for line in lines.values():
                yield from line.rest()
                line.begin_anew()
        elif isinstance(record, Tuned) and record.codec in clock_rates:
            lines[record.channel].tune(record.payload_type, record.codec, clock_rates[record.codec])
        elif isinstance(record, Heard):
            lines[record.channel].put(record)
            for line in lines.values():
                yield from line.due(record.at)
    for line in lines.values():
        yield from line.rest()
