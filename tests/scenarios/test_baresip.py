"""A telephone of another make is the PBX: calls both ways, tone both ways, hold from both sides, keys, encryption, codecs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..conftest import HasLog, needs
from ..interop import BARESIP, interop
from ..rig.baresip import Baresip
from ..rig.headset import TONE_HZ
from ..rig.ports import free_sip_port
from ..rig.waiting import wait_for
from .conftest import Desks

THEIRS_HZ = 440
KEYS = "RFC 4733, sent", "RFC 4733, received"
KEY = {"rfc4733": r"event: '(.)' \(end=1\)", "info": r"received DTMF: '(.)'"}
"""As baresip writes them down."""
SECRECY = {"": "never", "srtp-mand": "required", "dtls_srtp": "dtls", "dtls_srtp;medianat=ice": "webrtc"}
"""Our word for what it does."""


@pytest.mark.parametrize(
    ("codec", "menc", "keys"),
    [
        pytest.param("PCMU", "", "rfc4733", marks=interop(BARESIP, "PCMU", *KEYS)),
        pytest.param("G722", "", "rfc4733", marks=interop(BARESIP, "G722", *KEYS)),
        # It has telephone-event at 8 kHz only, which does not go with opus.
        pytest.param("opus", "", "info", marks=interop(BARESIP, "opus", "INFO, sent")),
        pytest.param(
            "PCMA",
            "srtp-mand",
            "rfc4733",
            marks=interop(
                BARESIP, "PCMA", "SDES AES_CM_128_HMAC_SHA1_80", "SDES AES-GCM", "SRTP required by us", *KEYS
            ),
        ),
        pytest.param("PCMU", "dtls_srtp", "rfc4733", marks=interop(BARESIP, "PCMU", "DTLS-SRTP", *KEYS)),
        pytest.param("PCMU", "dtls_srtp;medianat=ice", "rfc4733", marks=interop(BARESIP, "DTLS-SRTP", "ICE", *KEYS)),
    ],
)
@interop(BARESIP, "UDP", "trunk by address", "incoming call", "outgoing call", "two-way tone")
@interop(BARESIP, "hold by us", "hold by the peer", "re-INVITE by the peer")
async def test_calls_both_ways_with_hold_from_both_sides(
    desks: Desks, tmp_path: Path, evidence: list[HasLog], codec: str, menc: str, keys: str
) -> None:
    needs("baresip")
    port = free_sip_port()
    desk = await desks(
        f"127.0.0.1:{port}",
        trunk={"register": False, "codecs": [codec], "srtp": SECRECY[menc]},
    )
    account = "<sip:600@127.0.0.1>;regint=0" + (f";mediaenc={menc}" if menc else "")
    async with Baresip(tmp_path / "phone", account, sip_port=port, codecs=(codec,), hz=THEIRS_HZ) as phone:
        evidence.append(phone)
        phone.do("dial", f"sip:1001@127.0.0.1:{desk.sip_port}")
        await desk.anna.talks()
        await desk.hear_each_other(THEIRS_HZ, lambda: phone.is_hearing(TONE_HZ))
        phone.do("hold")
        await desk.anna.sees(lambda call: call.pbx_holds, "that the other side holds")
        phone.do("resume")
        await desk.anna.sees(lambda call: not call.pbx_holds, "that the other side is back")
        await desk.hear_each_other(THEIRS_HZ, lambda: phone.is_hearing(TONE_HZ))
        if keys == "rfc4733":
            phone.do("sndcode", "42")
            await desk.presses(2)
        phone.do("hangup")
        await desk.anna.is_alone()

        await desk.anna.dials("600")
        await desk.anna.talks()
        await desk.hear_each_other(THEIRS_HZ, lambda: phone.is_hearing(TONE_HZ))
        await desk.anna.holds()
        await desk.anna.holds(False)
        await desk.hear_each_other(THEIRS_HZ, lambda: phone.is_hearing(TONE_HZ))
        await desk.anna.keys("17#")
        await wait_for(lambda: re.findall(KEY[keys], phone.log()) == list("17#"), what="the keys")
        await desk.anna.press("hangUp")
        await desk.anna.is_alone()
        if menc == "srtp-mand":
            suites = set(re.findall(r"cryptosuite=(\w+)", phone.log()))
            assert suites == {"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"}, "theirs first, and ours"
    await desk.records(("incoming", "200"), ("outgoing", "200"))
