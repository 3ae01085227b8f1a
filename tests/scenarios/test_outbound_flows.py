"""sipp is a registrar that keeps flows, or does not know them (RFC 5626)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.calls.commands import RefusePbx, RingPbx
from bridge.calls.events import PbxInvited

from ..conftest import needs
from ..interop import SIPP, interop
from ..rig.ports import free_port
from ..sip.stream_pbx import TrunkRoom
from .test_sip_transports import seen

REGISTRAR = Path(__file__).with_name("sipp_registrar.xml")
UNKNOWING = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="unknowing">
  <recv request="REGISTER"><action>
    <ereg regexp="reg-id=1" search_in="hdr" header="Contact:" check_it="true" assign_to="1"/></action></recv>
  <Reference variables="1"/>
  <send><![CDATA[

SIP/2.0 439 First Hop Lacks Outbound Support
[last_Via:]
[last_From:]
[last_To:];tag=[pid]r[call_number]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
  <recv request="REGISTER"><action>
    <ereg regexp="reg-id" search_in="hdr" header="Contact:" check_it_inverse="true" assign_to="2"/></action></recv>
  <Reference variables="2"/>
  <send><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]r[call_number]
[last_Call-ID:]
[last_CSeq:]
[last_Contact:]
Content-Length: 0

]]></send>
</scenario>"""


async def sipp(script: Path, port: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "sipp", "127.0.0.1", "-sf", str(script), "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-nostdin",
        "-timeout", "20", "-timeout_error", 
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


@interop(SIPP, "RFC 5626 flows", "registration")
@pytest.mark.parametrize("knows_flows", [True, False])
async def test_an_account_is_registered_with_its_flow_or_without_and_called_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows_flows: bool
) -> None:
    needs("sipp")
    monkeypatch.setenv("TRUNK_TEST_PASSWORD", "secret")
    script, port = REGISTRAR, free_port()
    if not knows_flows:
        script = tmp_path / "unknowing.xml"
        script.write_text(UNKNOWING)
    registrar = await sipp(script, port)
    room = TrunkRoom({}, {"server": f"127.0.0.1:{port}", "outbound": True})
    async with room.trunks.running():
        if knows_flows:
            call = (await seen(room, PbxInvited)).call
            await room.trunks.perform(RingPbx(call=call))
            await room.trunks.perform(RefusePbx(call=call, status=486, phrase=""))
        out, _ = await asyncio.wait_for(registrar.communicate(), 25)
        assert registrar.returncode == 0, out.decode(errors="replace")[-2500:]
