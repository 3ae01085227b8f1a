"""A real PBX tells who is in a call: RFC 6665 and 4235 against Asterisk's hints."""

from __future__ import annotations

import pytest

from bridge.calls.commands import AnswerPbx, HangUpPbx, RingPbx
from bridge.calls.events import PbxConfirmed, PbxInvited
from bridge.calls.extension import ExtensionState

from ..interop.features import ASTERISK
from ..interop.recorder import interop
from ..rig.asterisk import Asterisk
from ..rig.ports import free_port
from ..rig.waiting import wait_for
from .test_sip_transports import SDP, room_to, seen


@interop(ASTERISK, "BLF by SUBSCRIBE (dialog package)")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_lamp_of_an_extension_follows_its_calls(
    asterisk: Asterisk, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setenv("TRUNK_TEST_PASSWORD", "pw-1001")
    room = room_to(asterisk, transport, busy_lamps=True)

    async def shows(lamp: ExtensionState) -> None:
        await wait_for(lambda: room.trunks.extension("t0", "1001") is lamp, 10, f"the lamp to say {lamp.value}")

    async with room.trunks.running():
        await shows(ExtensionState.FREE)
        asterisk.call("1001")
        call = (await seen(room, PbxInvited)).call
        await room.trunks.perform(RingPbx(call=call))
        await shows(ExtensionState.RINGING)
        await room.trunks.perform(AnswerPbx(call=call, sdp=SDP % free_port()))
        await seen(room, PbxConfirmed)
        await shows(ExtensionState.TALKING)
        await room.trunks.perform(HangUpPbx(call=call))
        await shows(ExtensionState.FREE)
    assert "0 active subscriptions" in asterisk.cli("pjsip show subscriptions inbound")
