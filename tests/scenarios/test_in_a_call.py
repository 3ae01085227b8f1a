"""Hold, resume, the keypad, a second call: what one does while talking."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..conftest import needs
from ..interop import ASTERISK, SIPP, interop
from ..rig.chromium import MICROPHONE_HZ
from ..rig.ear import Ear
from ..rig.ports import free_port
from ..rig.tones import write_tone
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import AGENTS, ANNA, BORIS, PHONE, Stage

HOLD, KEYPAD = "[data-do=hold]", "[data-do=keypad]"
MUSIC_HZ = 523
OUR_MUSIC_HZ = 611
HOLDS = Path(__file__).parents[1] / "rig/sipp/holds.xml"


@interop(ASTERISK, "hold by us")
async def test_hold_plays_the_pbxs_music_and_resume_brings_both_voices_back(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    await page.click(HOLD, frame=PHONE)
    await page.wait_for("document.querySelector('[data-do=hold]')?.ariaPressed === 'true'", frame=PHONE)
    await wait_for(call.is_held, what="the PBX to have accepted the hold")
    await wait_for(lambda: call.hears(MUSIC_HZ), what="the caller to hear music")
    await page.click(HOLD, frame=PHONE)
    await wait_for(lambda: not call.is_held(), what="the PBX to have accepted the resume")
    await stage.talking(page, call)
    call.hang_up()
    assert (await stage.record()).status_code == "200"


async def test_a_caller_on_hold_hears_the_bridges_own_music_where_that_is_wished(
    stages: Stages, tmp_path: Path
) -> None:
    music = write_tone(tmp_path / "wait.wav", OUR_MUSIC_HZ, seconds=2, rate=8000)
    stage = await stages(media={"hold_music": str(music)})
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    await page.click(HOLD, frame=PHONE)
    await page.wait_for("document.querySelector('[data-do=hold]')?.ariaPressed === 'true'", frame=PHONE)
    await wait_for(lambda: call.hears(OUR_MUSIC_HZ), what="the caller to hear our music")
    assert not call.is_held(), "the PBX would play its own"
    await page.click(HOLD, frame=PHONE)
    await stage.talking(page, call)
    call.hang_up()
    assert (await stage.record()).status_code == "200"


async def test_a_held_call_stays_held_through_a_navigation(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    await page.click(HOLD, frame=PHONE)
    await wait_for(call.is_held, what="the hold")
    voice = await stage.voice()
    await page.navigate(f"{stage.portal.url}/company/?user={ANNA}")

    async def held_again() -> bool:
        (live,) = await stage.live()
        return live["state"] == "held" and live["voice"] not in {"", voice}

    await wait_for(held_again, what="the call to be held by the next page")
    assert call.is_held()
    await wait_for(lambda: call.hears(MUSIC_HZ), what="the caller to hear music still")
    assert call.byes() == (0, 0)


@interop(ASTERISK, "RFC 4733, sent")
async def test_keys_arrive_at_the_pbx_once_and_in_order(stage: Stage) -> None:
    page = await stage.telephone()
    call = await stage.dial(page, "613")
    assert await call.is_answered() == 200
    await page.click(KEYPAD, frame=PHONE)
    for key in ("1", "2", "0"):
        await page.click(f"[data-do='key-{key}']", frame=PHONE)
    await page.key("#")
    await wait_for(lambda: call.digits() == "120#", what="the keys 120# at the PBX")


@interop(ASTERISK, "call waiting")
async def test_a_second_call_is_answered_and_the_first_one_is_held(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    first = stage.ring(caller="+49301", then="bridged")
    await stage.answer(page)
    await stage.talking(page, first)
    second = stage.ring(caller="+49302", then="bridged")
    await stage.says(page, "+49302")
    await page.click("[data-do=answer]", frame=PHONE)
    assert await second.is_answered() == 200
    await wait_for(first.is_held, what="the first call to be held")
    await wait_for(lambda: first.hears(MUSIC_HZ), what="the first caller to hear music")
    await wait_for(lambda: second.hears(MICROPHONE_HZ), what="the second caller to hear the operator")
    assert not first.hears(MICROPHONE_HZ, share=0.05), "one microphone for one conversation"
    second.hang_up()
    await second.is_over()
    await page.click(HOLD, frame=PHONE)
    await stage.talking(page, first)
    first.hang_up()
    await stage.ended()


async def test_a_declined_second_call_does_not_touch_the_first(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    first = stage.ring(caller="+49301")
    await stage.answer(page)
    await stage.talking(page, first)
    second = stage.ring(caller="+49302")
    await stage.says(page, "+49302")
    await page.click("[data-do=decline]", frame=PHONE)
    assert await second.is_answered() == 486
    await stage.talking(page, first)


async def test_another_operators_call_rings_only_there(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(BORIS)
    assert await call.is_answered() == 480
    assert not await page.frames(PHONE)


@interop(SIPP, "hold by the peer", "re-INVITE by the peer")
async def test_the_pbx_holds_the_call_and_takes_it_back(stages: Stages, tmp_path: Path) -> None:
    needs("sipp")
    port, ear = free_port(), Ear()
    async with ear.listening():
        stage = await stages(second_pbx=port)
        page = await stage.sign_in(ANNA)
        sip = stage.bridge.settings["sip"]["port"]
        where = ["-i", "127.0.0.1", "-p", str(port), "-s", AGENTS[ANNA], f"127.0.0.1:{sip}"]
        what = ["-sf", str(HOLDS), "-key", "rtp", str(ear.port), "-m", "1", "-timeout", "60"]
        with (tmp_path / "sipp.log").open("wb") as log:
            pbx = await asyncio.create_subprocess_exec("sipp", *what, *where, cwd=tmp_path, stdout=log, stderr=log)
        try:
            await stage.answer(page)
            await wait_for(lambda: ear.hears, what="the operator's voice at the PBX")
            await stage.says(page, "The other side put you on hold")
            await wait_for(lambda: not ear.hears, what="the operator's voice to stop")
            await wait_for(lambda: ear.hears, what="the operator's voice again")
            await stage.says(page, "In a call")
            await stage.hang_up(page)
            assert await pbx.wait() == 0, (tmp_path / "sipp.log").read_text()[-2000:]
        finally:
            if pbx.returncode is None:
                pbx.kill()
        assert (await stage.record()).status_code == "200"


@interop(ASTERISK, "INFO, sent")
async def test_keys_as_info_arrive_at_a_pbx_that_wants_them_so(stages: Stages) -> None:
    stage = await stages(trunk={"dtmf": "info"})
    page = await stage.telephone()
    call = await stage.dial(page, "613")
    assert await call.is_answered() == 200
    await page.click(KEYPAD, frame=PHONE)
    for key in ("1", "2", "#"):
        await page.click(f"[data-do='key-{key}']", frame=PHONE)
    await wait_for(lambda: call.received("INFO") == 3, what="three INFO at the PBX")
    bodies = [m.body for m in call.messages() if m.method == "INFO" and m.is_request]
    assert [body.splitlines()[0] for body in bodies] == ["Signal=1", "Signal=2", "Signal=#"]
    answers = [m.status for m in call.messages() if m.method == "INFO" and not m.is_request]
    assert answers == [200, 200, 200]
