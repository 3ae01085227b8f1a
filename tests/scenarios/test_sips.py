"""A real PBX whose addresses are sips: ones (RFC 5630): registered, called and calling over TLS."""

from __future__ import annotations

import pytest

from bridge.calls.commands import DialPbx, RefusePbx
from bridge.calls.events import CallId, PbxAnswered, PbxInvited

from ..interop import ASTERISK, interop
from ..rig.asterisk import Asterisk
from ..rig.ports import free_port
from .test_sip_transports import SDP, room_to, seen


@interop(ASTERISK, "SIPS (sips: addresses)", "TLS", "registration", "incoming call", "outgoing call")
async def test_an_account_of_sips_addresses_registers_is_called_and_calls(
    asterisk: Asterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_TEST_PASSWORD", "pw-1001")
    room = room_to(asterisk, "tls", sips=True)
    async with room.trunks.running():
        assert (await asterisk.wait_registered("1001")).startswith("sips:")
        asterisk.call("1001")
        invited = await seen(room, PbxInvited)
        await room.trunks.perform(RefusePbx(call=invited.call, status=486, phrase=""))
        out = DialPbx(call=CallId("out"), trunk="t0", account="1001", number="600", sdp=SDP % free_port())
        await room.trunks.perform(out)
        await seen(room, PbxAnswered)
        asterisk.cli("channel request hangup all")
