"""Three in one conversation: the caller, whoever was asked, and the operator, whose page may go and come back meanwhile."""

from __future__ import annotations

from ..interop import ASTERISK, interop
from ..rig.asterisk import HOLD_HZ, TONE_HZ
from ..rig.chromium import MICROPHONE_HZ
from ..rig.page import Page
from ..rig.phone_call import OutboundCall, PhoneCall
from ..rig.waiting import wait_for
from .stage import ANNA, PHONE, Stage
from .test_transfer import CONSULT, passes_on

ASKED, ASKED_HZ = "619", 440
MERGE, SPLIT = "[data-do=merge]", "[data-do=split]"
TONES = {MICROPHONE_HZ, TONE_HZ, ASKED_HZ}
THERE, NOT_THERE = 0.003, 0.0005
"""Shares of the power: a browser takes a tone for noise after a while, and suppresses it by 20 dB."""


async def hears(call: PhoneCall | OutboundCall, *expected: float) -> None:
    """These tones, all of them, and none of the others."""

    def just_these() -> bool:
        others = TONES - {*expected}
        return all(call.hears(hz, THERE) for hz in expected) and not any(call.hears(hz, NOT_THERE) for hz in others)

    await wait_for(just_these, what=f"{expected} Hz and nothing else at the PBX")


async def together(stage: Stage, page: Page, first: PhoneCall, second: OutboundCall) -> None:
    """Each of the three hears the two others and not itself."""
    await hears(first, MICROPHONE_HZ, ASKED_HZ)
    await hears(second, MICROPHONE_HZ, TONE_HZ)
    await stage.heard(page, TONE_HZ)
    await stage.heard(page, ASKED_HZ)
    for frame in await page.frames("/b24/worker"):
        assert await page.heard(MICROPHONE_HZ, frame=frame) < 0.05


@interop(ASTERISK, "conference of three")
async def test_each_hears_the_two_others_through_a_reload_a_split_and_a_farewell(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    first = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, first)
    before = stage.asterisk.outbound("1001")
    await passes_on(page, ASKED, CONSULT)
    second = await stage.asterisk.dialled("1001", before)
    await hears(second, MICROPHONE_HZ)
    await wait_for(first.is_held, what="the first call to be held")
    await page.click(MERGE, frame=PHONE)
    await stage.says(page, "Conference")
    await together(stage, page, first, second)

    await page.close()
    await hears(first, ASKED_HZ)
    await hears(second, TONE_HZ)
    page = await stage.sign_in(ANNA, "/marketplace/app/1/")
    await together(stage, page, first, second)

    await page.click(SPLIT, frame=PHONE)
    await hears(second, MICROPHONE_HZ)
    await wait_for(lambda: first.is_held() and first.hears(HOLD_HZ), what="music at the first one")
    await page.click(MERGE, frame=PHONE)
    await together(stage, page, first, second)

    first.hang_up()
    await first.is_over()
    await hears(second, MICROPHONE_HZ)
    await stage.says(page, "In a call")
    await stage.hang_up(page)
    await second.is_over()
    await wait_for(lambda: all(entry.finished for entry in stage.portal.calls), what="the records")
    records = {entry.direction: entry for entry in stage.portal.calls}
    assert len(records) == len(stage.portal.calls) == 2
    assert {(entry.user, entry.status_code) for entry in records.values()} == {(ANNA, "200")}
    assert records["incoming"].duration > 0
    assert records["outgoing"].duration > 0
