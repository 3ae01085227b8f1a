"""What callers hear while nobody speaks to them: a file of ours, in one stream with the voice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.commands import NO_MUSIC, CloseMedia, HoldMedia, MediaPolicy, ReofferMedia, StartRecording
from bridge.calls.events import BrowserLost, CallId, CodecChanged, MediaHeld, MediaReanswered, PbxLegMoved, TabId
from bridge.errors import ConfigError
from bridge.media import music
from bridge.media.announcement import RATE
from bridge.media.codecs import codec as codecs
from bridge.media.comfort import QUIET
from bridge.media.equipment import Patience
from bridge.media.filler import Filler
from bridge.media.music import Music
from bridge.media.recording.recorder import Shelf
from bridge.media.relay import Relay
from bridge.media.sdp import CLOCK_RATES
from bridge.media.stream import Stream

from ..rig.tones import goertzel, write_tone
from ..rig.waiting import wait_for
from .stage import CALL, CODECS, TAB, Packet, Page, Stage, pbx_offer, port_of, rtp, stage
from .test_session import lines_of

MUSIC_HZ = 611
OTHER = TabId("tab-2")
ANOTHER = CallId("call-2")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tone(tmp_path_factory.mktemp("music") / "wait.wav", MUSIC_HZ, seconds=2, rate=8000))


@pytest.fixture(scope="module")
def loaded(file: str) -> Music:
    box = Music([file])
    box.load()
    return box


def heard(frames: Sequence[bytes], codec: str) -> memoryview[int]:
    decoder = codecs.decoder(codec, RATE)
    return memoryview(b"".join(decoder.decode(frame) for frame in frames)).cast("h")


# ---- files


@pytest.mark.parametrize("codec", CLOCK_RATES)
def test_a_file_is_there_in_the_frames_of_every_codec(loaded: Music, file: str, codec: str) -> None:
    frames = loaded.frames(file, codec)
    assert len(frames) == 100
    assert goertzel(heard(frames, codec)[RATE // 2 : RATE], RATE, MUSIC_HZ) > 0.95


def test_what_is_no_file_or_is_not_loaded_yet_is_no_music(loaded: Music, file: str) -> None:
    assert loaded.frames(NO_MUSIC, "PCMU") == Music([file]).frames(file, "PCMU") == ()


def test_a_file_that_is_gone_costs_its_own_music_alone(file: str) -> None:
    box = Music(["/gone.wav", file])
    box.load()
    assert box.frames("/gone.wav", "PCMA") == ()
    assert box.frames(file, "PCMA")


def test_a_long_file_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(music, "LONGEST", 0.5)
    assert len(music.read(str(write_tone(tmp_path / "long.wav", 440, seconds=3, rate=8000)))) == RATE


@pytest.mark.parametrize("content", [None, b"", b"hello", bytes(44)])
def test_a_file_that_nobody_could_hear_is_refused_with_what_it_should_be(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "wrong.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"wrong\.wav: .*audio file is wanted"):
        music.read(str(path))


def test_a_silent_file_is_refused(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "silent.wav", 0, rate=8000)
    with pytest.raises(ConfigError, match="nothing is to be heard"):
        music.read(str(path))


# ---- what is heard when, in virtual time


RING = (b"ring",)
SONGS = {codec: (b"song " + codec.encode(),) for codec in CLOCK_RATES}


class OneSong:
    def frames(self, file: str, codec: str) -> tuple[bytes, ...]:
        return SONGS[codec] if file == "song" else ()


class Wire:
    def send(self, length: int) -> None:
        pass

    def exit(self) -> None:
        """Each packet is seen."""


SONG, SILENT, PBXS = MediaPolicy(music="song"), MediaPolicy(music=NO_MUSIC), MediaPolicy()


def relay(codec: str = "PCMU") -> Relay:
    stream = Stream(memoryview(bytearray(2048)), ssrc=1, sequence=0, timestamp=0, payload_type=0, clock_rate=8000)
    return Relay(Wire(), stream, codec)


@given(
    steps=st.lists(
        st.one_of(st.sampled_from(["part", "join", "hold", "resume", "early"]), st.floats(0, 5)), max_size=30
    ),
    policy=st.sampled_from([SONG, SILENT, PBXS, MediaPolicy(music="song", rejoin_music=True)]),
)
def test_music_is_heard_on_hold_and_where_it_is_wished_by_whom_no_page_speaks_to_for_long(
    steps: list[str | float], policy: MediaPolicy
) -> None:
    filler, here, now = Filler(OneSong()), relay(), 0.0
    held, early, alone = False, False, None
    for step in steps:
        match step:
            case "part":
                filler.part(now)
                alone = now
            case "join":
                assert filler.join() == early
                early, alone = False, None
            case "hold" | "resume":
                filler.held = held = step == "hold"
            case "early":
                filler.speak_early("ring.wav", "PCMU", RING)
                early = True
            case float():
                now += step
        filler.look(now, 2.0)
        filler.fill(here, "PCMU", policy)
        is_lonely = alone is not None and now - alone >= 2.0
        song = policy.music == "song" and (held or (is_lonely and policy.rejoin_music))
        quiet = held or (is_lonely and policy.rejoin_music) or not early
        expected = (b"song PCMU",) if song else QUIET["PCMU"] if quiet else RING
        assert here._quiet == expected


def test_what_is_heard_already_goes_on_and_another_codec_gets_its_own_frames() -> None:
    filler, here = Filler(OneSong()), relay()
    filler.held = True
    filler.fill(here, "PCMU", SONG)
    here._turn = 0
    filler.fill(here, "PCMU", SONG)
    assert here._turn == 0
    here.tune("PCMU", 0, 8000, None)
    assert here._quiet == (b"song PCMU",)
    here.tune("PCMA", 8, 8000, None)
    filler.fill(here, "PCMA", SONG)
    assert here._quiet == (b"song PCMA",)


# ---- in a call


async def talking(here: Stage, file: str, *, rejoin_music: bool = False, tab: TabId = TAB) -> Page:
    policy = MediaPolicy(music=file, rejoin_music=rejoin_music)
    page = await here.offer_to(tab, pbx_offer(here.pbx.port, "PCMU"), CODECS, policy=policy)
    await here.join(page, tab)
    async with asyncio.timeout(10):
        while file != NO_MUSIC and not here.voice._music.frames(file, "opus"):
            await asyncio.sleep(0.01)
    return page


async def keep(here: Stage, held: bool) -> None:
    await here.voice.perform(HoldMedia(call=CALL, held=held))
    assert await here.mail.next(MediaHeld) == MediaHeld(call=CALL)


def in_one_stream(packets: list[Packet]) -> None:
    assert len({packet.ssrc for packet in packets}) == 1
    for a, b in pairwise(packets):
        assert (b.sequence - a.sequence) & 0xFFFF == 1
        assert 0 < (b.timestamp - a.timestamp) & 0xFFFFFFFF < 8000


async def test_a_caller_on_hold_hears_the_file_and_the_pbx_is_told_nothing(file: str) -> None:
    async with stage(music=[file]) as here:
        page = await talking(here, file)
        song = here.voice._music.frames(file, "PCMU")
        packets = [await here.pbx.next()]
        await keep(here, True)
        for number in range(30):
            await page.say(b"private")
            here.pbx.send(rtp(0, number, number * 160, b"are you there?"))
            packets.append(await here.pbx.next())
        said = [packet.payload for packet in packets[1:]]
        begun = said.index(song[0])
        assert set(said[:begun]) <= {b"private", *QUIET["PCMU"]}, "what was on its way"
        assert said[begun:] == list(song[: len(said) - begun])
        await keep(here, False)
        while packets[-1].payload != b"back":
            await page.say(b"back")
            packets.append(await here.pbx.next())
        in_one_stream(packets)
        here.pbx.send(rtp(0, 99, 99 * 160, b"at last"))
        assert (await page.next()).payload == b"at last", "the operator hears nothing of a call on hold"


async def test_a_file_begins_anew_with_each_hold_and_again_after_its_end(file: str) -> None:
    async with stage(music=[file]) as here:
        await talking(here, file)
        song = here.voice._music.frames(file, "PCMU")
        for _ in range(2):
            await keep(here, True)
            while (await here.pbx.next()).payload != song[0]:
                pass
            assert (await here.pbx.next()).payload == song[1]
            await keep(here, False)
        here.voice._conversations[CALL].path.relay._turn = len(song) - 2  # type: ignore[union-attr]
        await keep(here, True)
        here.voice._conversations[CALL].path.relay._turn = len(song) - 2  # type: ignore[union-attr]
        while (await here.pbx.next()).payload != song[-1]:
            pass
        assert (await here.pbx.next()).payload == song[0]


async def test_none_is_silence_of_which_the_pbx_is_told_nothing() -> None:
    async with stage() as here:
        await talking(here, NO_MUSIC)
        await keep(here, True)
        await here.pbx.next_with(*QUIET["PCMU"])


async def test_an_offer_of_the_pbx_is_answered_as_if_nobody_held_and_the_music_goes_on(file: str) -> None:
    async with stage(music=[file]) as here:
        await talking(here, file)
        await keep(here, True)
        song = here.voice._music.frames(file, "PCMU")
        await here.pbx.next_with(song[4])
        offer = pbx_offer(here.pbx.port, "PCMU", version=9)
        await here.voice.perform(ReofferMedia(call=CALL, sdp=offer))
        answer = await here.mail.next(MediaReanswered)
        assert "a=sendrecv" in lines_of(answer.sdp), "else it would play its own music"
        after = (await here.pbx.next()).payload
        assert song.index(after) > 4


async def test_the_music_follows_the_codec(file: str) -> None:
    async with stage(music=[file]) as here:
        await talking(here, file)
        await keep(here, True)
        await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx_offer(here.pbx.port, "PCMA", version=9)))
        await here.mail.next(CodecChanged)
        await here.mail.next(MediaReanswered)
        frame = here.voice._music.frames(file, "PCMA")[1]
        assert (await here.pbx.next_with(frame)).payload_type == 8


async def test_a_page_that_comes_to_a_call_on_hold_is_heard_when_it_resumes(file: str) -> None:
    async with stage(Patience(browser=1000), music=[file]) as here:
        page = await talking(here, file)
        await keep(here, True)
        await page.close()
        await here.mail.next(BrowserLost)
        again = await talking(here, file, tab=OTHER)
        song = here.voice._music.frames(file, "PCMU")
        for _ in range(5):
            await again.say(b"private")
            assert (await here.pbx.next()).payload != b"private"
        assert (await here.pbx.next()).payload in song
        await keep(here, False)
        await again.say(b"back")
        await here.pbx.next_with(b"back")


@pytest.mark.parametrize("wished", [True, False])
async def test_who_waits_for_the_operators_next_page_hears_it_where_that_is_wished(file: str, wished: bool) -> None:
    async with stage(Patience(browser=1000, look=0.01, lonely=0.05), music=[file]) as here:
        page = await talking(here, file, rejoin_music=wished)
        song = here.voice._music.frames(file, "PCMU")
        await page.close()
        await here.mail.next(BrowserLost)
        said = [(await here.pbx.next()).payload for _ in range(25)]
        assert (song[0] in said) is wished
        assert set(said) & set(QUIET["PCMU"]), "first of all it is silent"
        again = await talking(here, file, rejoin_music=wished, tab=OTHER)
        await again.say(b"back")
        await here.pbx.next_with(b"back")
        assert here.voice._conversations[CALL].path.relay._quiet == QUIET["PCMU"]  # type: ignore[union-attr]


async def test_what_is_said_while_the_music_plays_is_not_recorded(file: str, tmp_path: Path) -> None:
    async with stage(music=[file], shelf=Shelf(directory=tmp_path, least_free=0)) as here:
        page = await talking(here, file)
        await here.voice.perform(StartRecording(call=CALL, portal="acme"))
        await keep(here, True)
        await page.say(b"to a colleague")
        here.pbx.send(rtp(0, 1, 160, b"to themselves"))
        await here.pbx.next_with(here.voice._music.frames(file, "PCMU")[5])
        await keep(here, False)
        await page.say(b"to the caller")
        await here.pbx.next_with(b"to the caller")
        await here.voice.perform(CloseMedia(call=CALL))
        await wait_for(lambda: list(tmp_path.rglob("*.tape")), 5, "the tape")
        (tape,) = tmp_path.rglob("*.tape")
        recorded = tape.read_bytes()
        assert b"to the caller" in recorded
        assert b"to a colleague" not in recorded
        assert b"to themselves" not in recorded


async def test_a_worker_that_goes_on_with_a_call_on_hold_plays_it_too(file: str) -> None:
    async with stage(music=[file]) as here:
        await talking(here, file)
        await keep(here, True)
        memory, progress = here.voice.memory(CALL), here.voice.progress(CALL)
        here.voice.restore(ANOTHER, memory, progress)
        moved = await here.mail.next(PbxLegMoved)
        assert "a=sendrecv" in lines_of(moved.sdp), "the PBX was told of no hold"
        here.pbx.bridge = "127.0.0.1", port_of(moved.sdp)
        await here.voice.perform(CloseMedia(call=CALL))
        while not here.pbx.heard.empty():
            await here.pbx.next()
        await here.pbx.next_with(here.voice._music.frames(file, "PCMU")[3])
