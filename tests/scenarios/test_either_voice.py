"""Whoever carries the voice: calls are answered, held, moved to the next page, recorded, keyed, and passed on."""

from __future__ import annotations

import uuid
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from bridge.operators.protocol import CallState
from bridge.robot import Orders

from ..rig.asterisk import TONE_HZ, PhoneCall
from ..rig.headset import TONE_HZ as HEADSET_HZ
from ..rig.headset import Headset, headset
from ..rig.phone_call import OutboundCall
from ..rig.waiting import wait_for
from .conftest import Stages, Values
from .stage import ANNA, Stage
from .test_in_a_call import MUSIC_HZ
from .test_recording import always, attached


async def hear_each_other(anna: Headset, call: PhoneCall | OutboundCall, voice: Values) -> None:
    await wait_for(lambda: anna.hears(TONE_HZ), what="the other side's tone at the operator")
    await is_heard(call, voice)


async def is_heard(call: PhoneCall | OutboundCall, voice: Values) -> None:
    """The operator, at the other side."""
    if voice:  # with an rtpengine each page, and whatever it plays, is a source of its own
        await call.hears_newcomer(HEADSET_HZ)
    else:
        await wait_for(lambda: call.hears(HEADSET_HZ), what="the operator's tone at the other side")


def sits(stage: Stage, answer_after: float | None = 0) -> AbstractAsyncContextManager[Headset]:
    return headset(stage.state_dir, stage.portal.url, ANNA, Orders(answer_after=answer_after))


async def test_a_call_is_announced_held_and_recorded(stages: Stages, voice: Values) -> None:
    stage = await stages(browser=False, media=voice, portal=always(announcement="beep"))
    async with sits(stage) as anna:
        call = stage.ring(then="bridged")
        await hear_each_other(anna, call, voice)
        await anna.holds()
        await wait_for(lambda: call.hears(MUSIC_HZ), what="the caller to hear music")
        await anna.holds(False)
        await hear_each_other(anna, call, voice)
        call.hang_up()
        await anna.is_alone()
    record, windows, *wrong = await attached(stage)
    assert record.status_code == "200"
    assert sum(left > 0.9 for left, _ in windows) >= 5
    assert sum(right > 0.9 for _, right in windows) >= 5
    assert max(wrong) < 0.01


async def test_a_call_moves_to_another_page_when_its_own_goes_away(stages: Stages, voice: Values) -> None:
    stage = await stages(browser=False, media=voice)
    async with AsyncExitStack() as pages:
        first = await pages.enter_async_context(sits(stage))
        call = stage.ring(then="echo")
        await wait_for(lambda: first.hears(HEADSET_HZ), what="the echo of the operator's tone")
        async with sits(stage, answer_after=None) as second:
            await pages.aclose()
            await second.sees(lambda shown: shown.state is CallState.TALKING, "the call on the other page")
            await wait_for(lambda: second.hears(HEADSET_HZ), what="the echo on the other page")
            assert call.byes() == (0, 0)
            call.hang_up()
            await second.is_alone()
    assert (await stage.record()).status_code == "200"


async def test_numbers_are_dialled_keys_arrive_and_calls_are_passed_on(stages: Stages, voice: Values) -> None:
    stage = await stages(browser=False, media=voice)
    pbx = stage.asterisk
    async with sits(stage) as anna:
        before = pbx.outbound("1001")
        await anna.dials("613")
        keyed = await pbx.dialled("1001", before)
        await anna.talks()
        await anna.keys("12")
        await wait_for(lambda: keyed.digits() == "12", what="the keys at the PBX")
        await anna.press("hangUp")
        await anna.is_alone()

        call = stage.ring(then="bridged")
        await hear_each_other(anna, call, voice)
        before = pbx.outbound("1001")
        await anna.press("consult", dial=str(uuid.uuid4()), number="610")
        second = await pbx.dialled("1001", before)
        await is_heard(second, voice)
        (asking,) = [each for each in anna.calls if each.consults]
        assert call.is_held()
        await anna.complete(asking.id)
        await anna.is_alone()
        assert call.received("REFER") == 1

        blind = stage.ring(then="bridged")
        await hear_each_other(anna, blind, voice)
        await anna.press("transfer", number="620")
        await anna.is_alone()
        await wait_for(lambda: "!phones!620!" in pbx.cli("core show channels concise"), what="the caller at 620")
    async with sits(stage, answer_after=None) as anna:
        given_up = stage.ring()
        await given_up.rings()
        given_up.hang_up()
        await anna.is_alone()

    def finished() -> list[str]:
        return sorted(entry.status_code for entry in stage.portal.calls if entry.finished is not None)

    await wait_for(lambda: finished() == ["200", "200", "200", "200", "304"], what="one record for each call")
