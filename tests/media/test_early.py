"""The caller hears us before anybody answers, and the operator afterwards, in one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.calls.commands import JoinMedia, MediaPolicy, SpeakEarly
from bridge.calls.events import EarlyMediaReady, MediaReady
from bridge.errors import ConfigError
from bridge.media import sound
from bridge.media.announcement import RATE
from bridge.media.codecs import codec as codecs
from bridge.media.comfort import QUIET
from bridge.media.sdp import SdpError
from bridge.tones import ELSEWHERE, plan_of

from ..rig.tones import goertzel, write_tone
from .stage import CALL, CODECS, TAB, Packet, Stage, pbx_offer, port_of, stage

RINGBACK = ELSEWHERE.ringback


def heard(frames: Sequence[bytes], codec: str) -> memoryview[int]:
    decoder = codecs.decoder(codec, RATE)
    return memoryview(b"".join(decoder.decode(frame) for frame in frames)).cast("h")


@pytest.mark.parametrize("codec", CODECS)
def test_a_ringback_tone_is_one_second_of_425_hertz_in_five(codec: str) -> None:
    frames = sound.frames(RINGBACK, codec)
    assert len(frames) == 250
    everything = heard(frames, codec)
    assert goertzel(everything[RATE // 10 : RATE * 9 // 10], RATE, 425) > 0.95
    assert 3_500 < max(everything[:RATE]) < 4_700
    assert max(map(abs, everything[RATE * 6 // 5 :])) <= 100


def test_two_tones_that_sound_together_are_as_loud_as_one() -> None:
    american = heard(sound.frames(plan_of("US").ringback, "G722"), "G722")
    assert len(american) == 6 * RATE
    assert 3_300 < max(american) < 4_700
    for hertz in (440, 480):
        assert 0.4 < goertzel(american[RATE // 2 : RATE * 3 // 2], RATE, hertz) < 0.6


def test_an_announcement_is_said_as_it_is_recorded(tmp_path: Path) -> None:
    file = write_tone(tmp_path / "hello.wav", 1004, seconds=1, rate=8000)
    assert goertzel(heard(sound.frames(str(file), "PCMA"), "PCMA"), RATE, 1004) > 0.95


@pytest.mark.parametrize("content", [None, b"", b"hello"])
def test_a_file_that_nobody_could_hear_is_refused_with_what_it_should_be(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "wrong.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="an audio file is wanted"):
        sound.read(path)


def speak(here: Stage, *codecs: str) -> SpeakEarly:
    offer = pbx_offer(here.pbx.port, *codecs)
    return SpeakEarly(call=CALL, pbx_offer=offer, codecs=CODECS, policy=MediaPolicy(), sound=RINGBACK)


async def test_the_caller_hears_the_tone_then_the_operator_in_one_stream_and_one_description() -> None:
    async with stage() as here:
        await here.room.perform(speak(here, "PCMA", "PCMU"))
        early = await here.mail.next(EarlyMediaReady)
        here.pbx.bridge = "127.0.0.1", port_of(early.sdp)
        first = await here.pbx.next()
        tones = sound.frames(RINGBACK, "PCMA")
        assert (first.payload_type, first.payload) == (8, tones[0])
        assert [(await here.pbx.next()).payload for _ in range(3)] == list(tones[1:4])

        page = await here.offer_to(TAB, pbx_offer(here.pbx.port, "PCMA", "PCMU"), CODECS)
        await here.room.perform(JoinMedia(call=CALL, tab=TAB))
        await page.say(b"hello")
        ready = await here.mail.next(MediaReady)
        assert ready.sdp == early.sdp, "what was answered once stays the answer"
        said: Packet = await here.pbx.next_with(b"hello")
        assert said.ssrc == first.ssrc
        here.pbx.send(bytes.fromhex("80080001000000a000000007") + b"\xd5" * 160)
        assert (await page.next()).payload == b"\xd5" * 160


async def test_once_a_page_is_joined_the_caller_hears_no_tone_any_more() -> None:
    async with stage() as here:
        await here.room.perform(speak(here, "PCMU"))
        await here.mail.next(EarlyMediaReady)
        page = await here.offer_to(TAB, pbx_offer(here.pbx.port, "PCMU"), CODECS)
        await here.room.perform(JoinMedia(call=CALL, tab=TAB))
        await page.say(b"hello")
        await here.mail.next(MediaReady)
        await here.pbx.next_with(b"hello")
        await here.pbx.next_with(*QUIET["PCMU"])  # the page has fallen silent


async def test_a_pbx_without_a_codec_of_ours_is_left_with_its_own_tones() -> None:
    async with stage() as here:
        with pytest.raises(SdpError):
            await here.room.perform(replace(speak(here, "G722"), codecs=("PCMU",)))


async def test_what_is_chosen_before_a_page_is_known_is_what_every_browser_has() -> None:
    async with stage() as here:
        await here.room.perform(speak(here, "G722", "opus", "PCMU"))
        await here.mail.next(EarlyMediaReady)
        assert (await here.pbx.next()).payload_type == 107
        page = await here.offer_to(TAB, pbx_offer(here.pbx.port, "G722", "opus", "PCMU"), CODECS)
        await here.join(page)
