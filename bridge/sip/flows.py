"""The flows of one PBX that its registrar counts on: each is kept alive as often as was agreed (RFC 5626 4.4)."""

from __future__ import annotations

from collections.abc import Iterable

from .agent import UserAgent
from .flow import Flow, Protocol
from .flow_watch import FlowWatch
from .registration import Registration, State
from .transport import Transport


class Flows:
    def __init__(self) -> None:
        self._watches: dict[Flow, FlowWatch] = {}

    def watched(self, way: Flow) -> bool:
        """Whether that UDP flow is kept open by STUN."""
        watch = self._watches.get(way)
        return watch is not None and not watch.over

    def settle(self, registrations: Iterable[Registration], agent: UserAgent, transport: Transport) -> None:
        """Watch the flows of those who are registered now, and no others."""
        timers: dict[Flow, int] = {}
        for each in registrations:
            if each.flow_timer is not None and each.way is not None and each.state is State.REGISTERED:
                timers[each.way] = each.flow_timer
        now = transport.now()
        for way in self._watches.keys() - timers.keys():
            watch = self._watches.pop(way)
            watch.stop()
            agent.act(watch, [], now)
        for way, timer in timers.items():
            if way.protocol.is_reliable:
                transport.keep_flow(way, timer)
            elif way.protocol is Protocol.UDP and way not in self._watches:
                watch = self._watches[way] = FlowWatch(way, agent.me, timer, now)
                agent.act(watch, [], now)
