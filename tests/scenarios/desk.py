"""An operator without a browser at a bridge with one PBX, which may be anybody: for what a page has no part in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from bridge.demo.portal import Portal

from ..rig.asterisk import TONE_HZ, Asterisk
from ..rig.headset import TONE_HZ as HEADSET_HZ
from ..rig.headset import Headset
from ..rig.phone_call import OutboundCall, PhoneCall
from ..rig.process import BridgeProcess
from ..rig.waiting import wait_for


@dataclass
class Desk:
    """Anna (user 1) is agent 1001; she answers at once and says 700 Hz."""

    portal: Portal
    bridge: BridgeProcess
    anna: Headset

    @property
    def sip_port(self) -> int:
        port: int = self.bridge.settings["sip"]["port"]
        return port

    async def hear_each_other(self, hz: float, peer_hears: Callable[[], bool]) -> None:
        """Anna hears the peer's tone, and the peer hears hers."""
        await wait_for(lambda: self.anna.hears(hz), what=f"{hz:g} Hz at the operator")
        await wait_for(peer_hears, what="the operator's tone at the peer")

    async def talks_either_way(self, pbx: Asterisk, agent: str = "1001") -> tuple[PhoneCall, OutboundCall]:
        """Somebody calls Anna and hangs up, then she calls the PBX's tone and does not; each time both hear each other."""
        before = pbx.outbound(agent)
        call = pbx.call(agent)
        await self.hear_each_other(TONE_HZ, lambda: call.hears(HEADSET_HZ))
        call.hang_up()
        await self.anna.is_alone()
        await self.anna.dials("601")
        dialled = await pbx.dialled(agent, before)
        await self.hear_each_other(TONE_HZ, lambda: dialled.hears(HEADSET_HZ))
        return call, dialled

    async def presses(self, count: int) -> None:
        """The peer has pressed so many keys, as the journal tells, which keeps them to itself."""

        def pressed() -> int:
            rows = map(json.loads, (self.bridge.directory / "var/journal.jsonl").read_text().splitlines())
            return sum(int(row["facts"]["digits"].split()[0]) for row in rows if row["name"] == "PbxPressed")

        await wait_for(lambda: pressed() == count, what=f"{count} keys of the peer")

    async def records(self, *expected: tuple[str, str]) -> None:
        """The CRM has these (direction, status) and no others."""

        def told() -> list[tuple[str, str]]:
            return sorted((call.direction, (call.finished and call.status_code) or "") for call in self.portal.calls)

        await wait_for(lambda: told() == sorted(expected), what=f"the CRM records {expected}")
