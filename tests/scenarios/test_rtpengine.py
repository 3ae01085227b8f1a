"""With an rtpengine as the voice: answered in the browser, held, rejoined, keyed, hung up, and one CRM record."""

from __future__ import annotations

from ..rig.chromium import MICROPHONE_HZ
from ..rig.page import Page
from ..rig.phone_call import PhoneCall
from ..rig.rtpengine import Rtpengine
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import ANNA, PHONE, Stage
from .test_in_a_call import HOLD, MUSIC_HZ


async def talking(stage: Stage, page: Page, call: PhoneCall) -> None:
    """Each page, and the noise while none speaks, is a source of its own."""
    assert await call.is_answered() == 200
    await call.hears_newcomer(MICROPHONE_HZ)
    await stage.talking(page, call)


async def test_a_call_is_answered_held_carried_to_the_next_page_and_recorded_once(
    stages: Stages, engine: Rtpengine
) -> None:
    stage = await stages(media={"engine": "rtpengine", "rtpengine": engine.address})
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await talking(stage, page, call)
    await page.click(HOLD, frame=PHONE)
    await wait_for(call.is_held, 10, "the PBX to have accepted the hold")
    await wait_for(lambda: call.hears(MUSIC_HZ), 10, "the caller to hear music")
    await page.click(HOLD, frame=PHONE)
    await wait_for(lambda: not call.is_held(), 10, "the PBX to have accepted the resume")
    await talking(stage, page, call)
    voice = await stage.voice()
    await page.navigate(f"{stage.portal.url}/company/?user={ANNA}")

    async def rejoined() -> bool:
        (live,) = await stage.live()
        return bool(live["state"] == "talking" and live["voice"] not in {"", voice})

    await wait_for(rejoined, 15, "the call on the next page")
    await talking(stage, page, call)
    assert call.byes() == (0, 0)
    call.hang_up()
    assert (await stage.record()).status_code == "200"


async def test_a_number_is_dialled_and_keys_arrive(stages: Stages, engine: Rtpengine) -> None:
    stage = await stages(media={"engine": "rtpengine", "rtpengine": engine.address})
    page = await stage.telephone()
    call = await stage.dial(page, "613")
    assert await call.is_answered() == 200
    await page.click("[data-do=keypad]", frame=PHONE)
    for key in "12":
        await page.click(f"[data-do='key-{key}']", frame=PHONE)
    await wait_for(lambda: call.digits() == "12", 10, "the keys at the PBX")
    await stage.hang_up(page)
    assert (await stage.record()).status_code == "200"
