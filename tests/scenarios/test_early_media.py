"""A caller at a real PBX hears our tone before anybody answers: trunk and voice without the pages."""

from __future__ import annotations

import pytest

from bridge import config
from bridge.calls.commands import CloseMedia, MediaPolicy, ProgressPbx, RefusePbx, RingPbx, SpeakEarly
from bridge.calls.events import EarlyMediaReady, PbxInvited
from bridge.media.engine.rtpengine import RtpengineVoice
from bridge.media.session import Voice
from bridge.tones import plan_of

from ..interop import ASTERISK, interop
from ..rig import tones
from ..rig.asterisk import Asterisk
from ..rig.waiting import wait_for
from .conftest import Values
from .test_sip_transports import room_to, seen


@interop(ASTERISK, "early media towards callers")
async def test_the_caller_hears_a_ringback_tone_of_ours(
    asterisk: Asterisk, voice: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_TEST_PASSWORD", "pw-1001")
    recording = asterisk.directory / "heard/early.wav16"
    recording.unlink(missing_ok=True)
    room = room_to(asterisk, "udp")
    carrier = (RtpengineVoice if voice else Voice)(
        media=config.Media(browser_port=0, **voice), post=room.posted.put_nowait
    )
    async with room.trunks.running(), carrier.running():
        await asterisk.wait_registered("1001")
        place = "Local/1001@early/n"
        asterisk.act("Originate", Channel=place, Application="Wait", Data="30", Async="true")
        invited = await seen(room, PbxInvited)
        call = invited.call
        await room.trunks.perform(RingPbx(call=call))
        command = SpeakEarly(
            call=call,
            pbx_offer=invited.offer,
            codecs=("PCMU", "PCMA"),
            policy=MediaPolicy(),
            sound=plan_of("DE").ringback,
        )
        await carrier.perform(command)
        early = await seen(room, EarlyMediaReady)
        await room.trunks.perform(ProgressPbx(call=call, sdp=early.sdp))
        await wait_for(
            lambda: recording.exists() and tones.share(recording, 425) > 0.8, 10, "the tone in the caller's ear"
        )
        await room.trunks.perform(RefusePbx(call=call, status=480, phrase=""))
        await carrier.perform(CloseMedia(call=call))
        asterisk.cli("channel request hangup all")
