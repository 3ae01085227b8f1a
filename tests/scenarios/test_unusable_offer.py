"""sipp calls with something that is no voice: it is refused at once, and nobody rings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ..conftest import needs
from ..interop.features import SIPP
from ..interop.recorder import interop
from ..rig.ports import free_port
from ..sip.stream_pbx import TrunkRoom
from .test_sip_transports import CALL_SCRIPT, trunk_room

__all__ = ["trunk_room"]

VIDEO = "m=video 16000 RTP/AVP 31"


def refused(script: str, status: int) -> str:
    """The call of a script, which now hears nothing but that status."""
    call, _, _ = script.partition("  <recv")
    return (
        f'{call}<recv response="100" optional="true"/><recv response="{status}"/>\n'
        "<send><![CDATA[\n\nACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n[last_Via]\n[last_From]\n[last_To]\n"
        "Call-ID: [call_id]\nCSeq: 1 ACK\nMax-Forwards: 70\nContent-Length: 0\n\n]]></send></scenario>"
    )


@interop(SIPP, "unusable offers refused (488, 415)")
@pytest.mark.parametrize(
    ("was", "becomes", "status"),
    [
        ("m=audio 16000 RTP/AVP 0", VIDEO, 488),
        ("RTP/AVP 0", "RTP/AVP 18", 488),
        ("c=IN IP4 127.0.0.1", "c=IN IP6 ::1", 488),
        ("Content-Type: application/sdp", "Content-Type: text/plain", 415),
    ],
    ids=["video", "codec", "ipv6", "text"],
)
async def test_an_offer_without_usable_voice_is_refused(
    trunk_room: TrunkRoom, tmp_path: Path, was: str, becomes: str, status: int
) -> None:
    needs("sipp")
    script = CALL_SCRIPT.read_text()
    assert was in script
    scenario = tmp_path / "refused.xml"
    scenario.write_text(refused(script.replace(was, becomes), status))
    assert trunk_room.trunks.address
    sipp = await asyncio.create_subprocess_exec(
        "sipp", f"127.0.0.1:{trunk_room.trunks.address[1]}", "-sf", str(scenario), "-s", "1001", "-i", "127.0.0.1",
        "-p", str(free_port()), "-m", "1", "-nostdin", "-timeout", "10", "-timeout_error",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(sipp.communicate(), 15)
    assert sipp.returncode == 0, out.decode(errors="replace")[-2000:]
    assert trunk_room.posted.empty()
