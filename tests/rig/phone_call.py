"""Calls as the PBX saw them: of a caller outside to an agent, and of an agent to a number."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import manager, tones
from .sip_log import SipMessage
from .waiting import PATIENCE, wait_for

if TYPE_CHECKING:
    from .asterisk import Asterisk

CHALLENGES = {401, 407}
SEVERAL_FRAMES = 0.2
"""Seconds: with the first frame that nobody records the conversion ends."""


class Reoffer(NamedTuple):
    """One re-INVITE of our side."""

    direction: str
    """sendrecv, sendonly, recvonly or inactive, seen from us."""
    status: int
    """The PBX's final answer, 0 as long as there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What both kinds have in common: evidence from the PBX's log and from its recording of our side's voice."""

    pbx: Asterisk
    agent: str

    @property
    def heard(self) -> Path:
        """The recording; behind by up to a second while the call lasts."""
        raise NotImplementedError

    @property
    def channel(self) -> str:
        """What Asterisk calls the leg to the agent, "" until it has one."""
        raise NotImplementedError

    def messages(self) -> list[SipMessage]:
        """Every SIP message of this call so far, without retransmissions."""
        raise NotImplementedError

    def is_up(self) -> bool:
        """Whether the PBX still has the call, ringing or talking."""
        raise NotImplementedError

    # What was heard

    def hears(self, hz: float, share: float = 0.5) -> bool:
        """Whether the last half second of what the other side hears was that tone."""
        return tones.share(self.heard, hz) > share

    async def hears_newcomer(self, hz: float) -> None:
        """Wait until the other side hears that tone from a source whose numbers have nothing to do with those of the source before.

        An Asterisk that converts (22.10, and its recorder does) drops whatever bears a lower sequence number than what it has
        converted before. Whom it only passes the voice on to hears it: the recording is begun anew until the tone is in it.
        """
        for _ in range(int(PATIENCE)):
            with contextlib.suppress(AssertionError):
                await wait_for(lambda: self.hears(hz), 1)
                return
            await self._record_anew()
        await wait_for(lambda: self.hears(hz), what=f"{hz:g} Hz at the other side")

    async def _record_anew(self) -> None:
        ear = self.pbx.channel_of(f"Ear {self.heard}")
        way = "t" if ear.startswith("Local/") else "r"
        self.pbx.act("StopMixMonitor", Channel=ear)
        await asyncio.sleep(SEVERAL_FRAMES)
        self.pbx.act("MixMonitor", Channel=ear, Options=f"a{way}({self.heard})")

    def digits(self) -> str:
        """The keys that arrived so far (RFC 4733), in order."""
        if not self.channel:
            return ""
        pressed = re.findall(rf"DTMF end '(.)' received on {re.escape(self.channel)},", self.pbx.log())
        return "".join(pressed)

    # What was said in SIP

    def received(self, method: str) -> int:
        """How many requests of that method our side sent."""
        return sum(message.is_request and message.method == method and not message.sent for message in self.messages())

    def byes(self) -> tuple[int, int]:
        """How many BYE requests the PBX sent, and how many it received."""
        byes = [message for message in self.messages() if message.is_request and message.method == "BYE"]
        return sum(bye.sent for bye in byes), sum(not bye.sent for bye in byes)

    def reoffers(self) -> list[Reoffer]:
        """The re-INVITEs of our side, in order."""
        messages = [message for message in self.messages() if message.method == "INVITE"]
        final = {m.header("CSeq"): m.status for m in messages if m.sent and m.status >= 200}
        return [
            Reoffer(m.direction, final.get(m.header("CSeq"), 0))
            for m in messages
            if m.is_request and not m.sent and m.is_in_dialog
        ]

    def is_held(self) -> bool:
        """Whether the PBX has accepted our hold, and no resume since."""
        accepted = [offer.direction for offer in self.reoffers() if offer.status == 200]
        return bool(accepted) and accepted[-1] in {"sendonly", "inactive"}

    # Its end

    def hang_up(self) -> None:
        """The other side hangs up, or gives up while it rings; no error if the call is over already."""
        if self.channel:
            with contextlib.suppress(manager.ManagerError):  # no such channel
                self.pbx.act("Hangup", Channel=self.channel)

    async def is_over(self, timeout: float = PATIENCE) -> None:
        await wait_for(lambda: not self.is_up(), timeout, f"the end of the call of {self.agent}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneCall(Call):
    """A call from outside to one of the PBX's agents."""

    id: str
    caller: str
    recording: Path

    @property
    def heard(self) -> Path:
        return self.recording

    @property
    def channel(self) -> str:
        return self.pbx.channel_of(f"Test call {self.id}")

    def messages(self) -> list[SipMessage]:
        messages = self.pbx.messages()
        calls = {message.call_id for message in messages if message.header("X-Test-Call") == self.id}
        return [message for message in messages if message.call_id in calls]

    def statuses(self) -> list[int]:
        """Every status our side gave to INVITEs of this call: 100, 180, 200 …"""
        return [m.status for m in self.messages() if m.status and not m.sent and m.method == "INVITE"]

    def final_status(self) -> int:
        """The final status of the first INVITE, 0 as long as there is none."""
        return next((status for status in self.statuses() if status >= 200), 0)

    def is_up(self) -> bool:
        return self.id in self.pbx.cli("core show channels concise")

    def hang_up(self) -> None:
        """The caller hangs up, or gives up while it rings; no error if the call is over already."""
        with contextlib.suppress(manager.ManagerError):  # no such channel
            self.pbx.act("Hangup", Channel=self.id)

    async def rings(self, timeout: float = PATIENCE) -> None:
        await wait_for(lambda: 180 in self.statuses(), timeout, f"180 to the call for {self.agent}")

    async def is_answered(self, timeout: float = PATIENCE) -> int:
        """The final status, once there is one."""
        return await wait_for(self.final_status, timeout, f"a final status to the call for {self.agent}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundCall(Call):
    """A call of an agent to a number."""

    number: str
    call_id: str

    @property
    def heard(self) -> Path:
        digest = hashlib.md5(self.call_id.encode(), usedforsecurity=False).hexdigest()
        return self.pbx.directory / f"heard/{digest}.wav16"

    @property
    def channel(self) -> str:
        return self.pbx.channel_of(f"Call-ID {self.call_id}")

    def messages(self) -> list[SipMessage]:
        return [message for message in self.pbx.messages() if message.call_id == self.call_id]

    @property
    def invite(self) -> SipMessage:
        """The first INVITE, without credentials."""
        return next(message for message in self.messages() if message.is_request and message.method == "INVITE")

    def statuses(self) -> list[int]:
        """Every status the PBX gave to the INVITE that began the call, challenges left out: 100, 183, 200 …"""
        begun = [m for m in self.messages() if m.method == "INVITE"]
        ours = {m.header("CSeq") for m in begun if m.is_request and not m.sent and not m.is_in_dialog}
        return [m.status for m in begun if m.sent and m.header("CSeq") in ours and m.status not in {0, *CHALLENGES}]

    def final_status(self) -> int:
        """0 as long as there is none."""
        return next((status for status in self.statuses() if status >= 200), 0)

    def is_up(self) -> bool:
        if not self.final_status():
            return True
        return bool(self.channel) and f"{self.channel}!" in self.pbx.cli("core show channels concise")

    async def is_answered(self, timeout: float = PATIENCE) -> int:
        """The final status, once there is one."""
        return await wait_for(
            self.final_status, timeout, f"a final status to the call of {self.agent} to {self.number}"
        )
