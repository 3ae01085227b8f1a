from __future__ import annotations

import asyncio
import math
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, AudioResampler

from bridge.calls import events as on
from bridge.calls.commands import AskReoffer, SendMediaAnswer
from bridge.calls.events import TabId
from bridge.errors import ConfigError, NetworkError, RefusedError
from bridge.robot import Orders, Robot, page, ticket_from_simulator
from bridge.robot.voice import RATE, Ear, Microphone, Mouth, blocks_of, tone

from .operators.rig import ANNA, CALL, PATIENCE, Rig, operator, page_ticket, ringing, room, show

LOUD_ENOUGH = 0.2


class Duty:
    """A robot at work in a real room; the test plays the call and the media room."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.said: asyncio.Queue[str] = asyncio.Queue()

    async def hears(self, words: str) -> str:
        """The next line in which these words stand."""
        while words not in (line := await asyncio.wait_for(self.said.get(), PATIENCE)):
            pass
        return line

    @property
    def tab(self) -> str:
        ((_, tab, *_),) = self.rig.channel.tabs()
        return tab

    async def event(self, kind: type[Any]) -> Any:
        event = await self.rig.event()
        assert isinstance(event, kind)
        return event

    async def shows(self, **changes: Any) -> None:
        await self.rig.channel.perform(show(ringing(**changes)))

    def talking(self, tab: str) -> dict[str, Any]:
        return {"state": "talking", "answered_by": operator(ANNA), "voice": TabId(tab), "answered": self.rig.now}


@asynccontextmanager
async def duty(orders: Orders) -> AsyncIterator[Duty]:
    async with room() as rig:
        at_work = Duty(rig)
        ticket = rig.seal.seal(page_ticket(), rig.now)
        robot = Robot(bridge_url=rig.url, ticket=ticket, orders=orders, say=at_work.said.put_nowait)
        running = asyncio.create_task(robot.run())
        try:
            await at_work.hears("on duty as Anna")
            yield at_work
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


class Hearing(Ear):
    """An ear that says when it has heard enough."""

    everybody: ClassVar[list[Hearing]] = []

    def __init__(self) -> None:
        super().__init__()
        self.enough = asyncio.Event()
        self.everybody.append(self)

    def hear(self, block: bytes) -> None:
        super().hear(block)
        if self.seconds >= LOUD_ENOUGH:
            self.enough.set()


class FarEnd:
    """The other party, in place of the bridge's media: says a tone and listens."""

    def __init__(self, hertz: int) -> None:
        self.ear = Hearing()
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.addTrack(Microphone(Mouth(cycle([tone(hertz)]))))
        self._tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        self.pc.on("track", self._tracks.put_nowait)

    async def answer(self, sdp: str) -> str:
        assert "a=candidate" not in sdp
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        answer: str = self.pc.localDescription.sdp
        return answer

    async def listen(self) -> None:
        """Until enough was heard."""
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        track = await self._tracks.get()
        async with asyncio.timeout(PATIENCE):
            while not self.ear.enough.is_set():
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                for piece in resampler.resample(frame):
                    self.ear.hear(bytes(piece.planes[0])[: 2 * piece.samples])


async def test_it_answers_speaks_listens_and_tells_what_it_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hearing, "everybody", [])
    monkeypatch.setattr(page, "Ear", Hearing)
    caller = FarEnd(400)
    async with duty(Orders(answer_after=0.0)) as robot, AsyncExitStack() as stack:
        stack.push_async_callback(caller.pc.close)
        await robot.shows()
        answered = await robot.event(on.OperatorAnswered)
        assert answered.voice == answered.tab
        joining = {"state": "joining", "answered_by": operator(ANNA), "voice": answered.voice}
        await robot.shows(**joining)
        offered = await robot.event(on.MediaOffered)
        sdp = await caller.answer(offered.sdp)
        await robot.rig.channel.perform(SendMediaAnswer(call=CALL, tab=offered.tab, offer=offered.offer, sdp=sdp))
        await caller.listen()
        assert caller.ear.hertz == pytest.approx(700, rel=0.15)
        (robots_ear,) = [ear for ear in Hearing.everybody if ear is not caller.ear]
        await asyncio.wait_for(robots_ear.enough.wait(), PATIENCE)
        await caller.pc.close()  # the voice may go before the news
        await robot.shows(state="ended", ending="caller-hung-up", answered=robot.rig.now)
        report = await robot.hears("ended (caller-hung-up)")
        assert "of sound" in report
        assert int(report.split("about ")[1].split()[0]) == pytest.approx(400, rel=0.15)


async def test_early_voice_is_offered_while_it_still_rings() -> None:
    async with duty(Orders(answer_after=None, early=True)) as robot:
        await robot.shows()
        await robot.event(on.MediaOffered)
        await robot.shows(card="card-1")
        assert robot.rig.events.empty()


async def test_it_offers_anew_when_the_bridge_lost_its_voice() -> None:
    async with duty(Orders(answer_after=None)) as robot:
        tab = robot.tab
        await robot.shows(**robot.talking(tab))
        first = await robot.event(on.MediaOffered)
        await robot.shows(**{**robot.talking(tab), "state": "rejoining", "voice": None})
        second = await robot.event(on.MediaOffered)
        assert second.offer != first.offer
        await robot.shows(**{**robot.talking(tab), "state": "rejoining"})
        await robot.shows(**robot.talking(tab))
        await robot.hears("rejoining")
        await robot.hears("talking")
        assert robot.rig.events.empty()


async def test_it_hangs_up_as_ordered() -> None:
    async with duty(Orders(answer_after=None, hang_up_after=0.0)) as robot:
        tab = robot.tab
        await robot.shows(**robot.talking(tab))
        await robot.event(on.MediaOffered)
        await robot.event(on.OperatorHungUp)


async def test_it_makes_the_call_it_was_ordered_to_and_speaks_in_it() -> None:
    async with duty(Orders(answer_after=None, dial="+74951234567")) as robot:
        dialled = await robot.event(on.OperatorDialled)
        assert (dialled.number, dialled.voice) == ("+74951234567", robot.tab)
        call = {"id": dialled.call, "answered_by": operator(ANNA), "voice": dialled.voice}
        await robot.shows(**call, state="dialling")
        assert (await robot.event(on.MediaOffered)).call == dialled.call
        await robot.shows(**call, state="dialling", progress="ringing")
        await robot.shows(**call, state="talking", answered=robot.rig.now)
        await robot.hears("talking")
        assert robot.rig.events.empty()


async def test_it_calls_once_although_the_connection_breaks() -> None:
    async with duty(Orders(answer_after=None, dial="100")) as robot:
        await robot.event(on.OperatorDialled)
        await robot.rig.page(robot.tab)
        await robot.hears("on duty as Anna")
        await robot.shows()
        await robot.hears("ringing")
        assert robot.rig.events.empty()


async def test_it_tells_why_it_can_not_call() -> None:
    async with duty(Orders(dial="nobody")) as robot:
        assert "pattern" in await robot.hears("dial: number")


async def test_it_offers_its_voice_for_a_call_that_the_portal_dials() -> None:
    async with duty(Orders(answer_after=None)) as robot:
        await robot.shows(state="dialling", answered_by=operator(ANNA))
        await robot.event(on.MediaOffered)


async def test_it_offers_again_when_asked_because_the_codec_changed() -> None:
    async with duty(Orders(answer_after=None)) as robot:
        tab = robot.tab
        await robot.shows(**robot.talking(tab))
        first = await robot.event(on.MediaOffered)
        await robot.rig.channel.perform(AskReoffer(call=CALL, tab=TabId(tab)))
        second = await robot.event(on.MediaOffered)
        assert second.offer != first.offer
        assert robot.rig.events.empty()


async def test_it_rejoins_its_call_after_a_lost_connection() -> None:
    async with duty(Orders(answer_after=None)) as robot:
        tab = robot.tab
        await robot.shows(**robot.talking(tab))
        first = await robot.event(on.MediaOffered)
        robot.rig.drop_connections()
        assert (await robot.event(on.TabLeft)).online
        await robot.shows(**{**robot.talking(tab), "state": "rejoining", "voice": None})
        second = await robot.event(on.MediaOffered)
        assert (second.tab, second.offer != first.offer) == (tab, True)


async def test_it_does_not_answer_when_ordered_not_to_or_when_another_page_leads() -> None:
    async with duty(Orders(answer_after=0.0)) as robot:
        other = await robot.rig.page("t1")
        await other.until(lambda state: state["lead"])
        await robot.shows()
        await robot.hears("ringing")
        await other.say("renew")
        assert robot.rig.events.empty()


async def test_it_comes_back_with_its_session_when_the_connection_breaks() -> None:
    async with duty(Orders(answer_after=None)) as robot:
        before = robot.tab
        await robot.rig.page(before)  # the same tab once more: the bridge cuts the older connection
        await robot.hears("connecting again")
        robot.rig.users["1"] = NetworkError("the portal is down")
        await robot.hears("on duty as Anna")
        assert robot.tab == before


async def test_a_refusal_ends_it_with_the_sentence_of_the_bridge() -> None:
    async with room() as rig:
        rig.users["1"] = RefusedError("You are not an operator.")
        ticket = rig.seal.seal(page_ticket(), rig.now)
        robot = Robot(bridge_url=rig.url, ticket=ticket, orders=Orders(), say=lambda line: None)
        with pytest.raises(RefusedError, match="not an operator"):
            await robot.run()


async def test_it_walks_the_simulated_portal_like_a_browser() -> None:
    posted: dict[str, str] = {}

    async def lazyload(request: web.Request) -> web.Response:
        form = await request.post()
        assert form["PLACEMENT"] == "PAGE_BACKGROUND_WORKER"
        if request.query["user"] != "1":
            return web.Response(text="<div>not installed</div>", content_type="text/html")
        action = f"http://bridge.localhost:{server.port}/b24/worker?DOMAIN=p&amp;APP_SID=s"
        html = f'<form method="POST" action="{action}"><input type="hidden" name="AUTH_ID" value="a&quot;b"></form><iframe></iframe>'
        return web.Response(text=html, content_type="text/html")

    async def worker(request: web.Request) -> web.Response:
        posted.update({key: str(value) for key, value in (await request.post()).items()}, **request.query)
        return web.Response(text='<!doctype html><body data-ticket="gAAA">', content_type="text/html")

    app = web.Application()
    app.router.add_post("/bitrix/components/bitrix/app.layout/lazyload.ajax.php", lazyload)
    app.router.add_post("/b24/worker", worker)
    async with TestServer(app) as server:
        portal = f"http://portal.localhost:{server.port}"
        assert await ticket_from_simulator(portal, 1) == (f"http://bridge.localhost:{server.port}", "gAAA")
        assert posted == {"AUTH_ID": 'a"b', "DOMAIN": "p", "APP_SID": "s"}
        with pytest.raises(RefusedError, match="installed"):
            await ticket_from_simulator(portal, 2)
    with pytest.raises(NetworkError):
        await ticket_from_simulator(portal, 1)


@pytest.mark.parametrize("hertz", [50, 400, 700, 1000, 3000])
def test_the_ear_tells_the_pitch_and_level_of_a_tone(hertz: int) -> None:
    ear = Ear()
    for block in [tone(hertz)] * 25 + [bytes(320)] * 25:
        ear.hear(block)
    assert ear.hertz == pytest.approx(hertz, abs=4)
    assert ear.seconds == 0.5
    assert ear.dbfs == pytest.approx(20 * math.log10(16000 / 32768 / math.sqrt(2)), abs=0.1)


def test_the_ear_hears_nothing_in_comfort_noise() -> None:
    ear = Ear()
    ear.hear(array("h", [(-1) ** n * 8 for n in range(160)]).tobytes())
    assert str(ear) == "nothing"


def test_an_echo_repeats_what_was_heard_and_is_silent_otherwise() -> None:
    mouth = Mouth(None)
    mouth.repeat(b"\x01" * 320)
    assert [mouth.next(), mouth.next()] == [b"\x01" * 320, bytes(320)]


def test_a_sound_file_of_any_rate_is_played_at_the_right_pitch(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 16000, "NONE", ""))
        samples = (round(9000 * math.sin(2 * math.pi * 500 * n / 16000)) for n in range(16000))
        file.writeframes(array("h", samples).tobytes())
    ear = Ear()
    for block in blocks_of(path):
        ear.hear(block)
    assert ear.hertz == pytest.approx(500, abs=5)
    assert ear.loud == pytest.approx(RATE, abs=400)


def test_a_file_that_is_no_sound_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir")
    with pytest.raises(ConfigError, match=r"letter\.txt"):
        blocks_of(path)
