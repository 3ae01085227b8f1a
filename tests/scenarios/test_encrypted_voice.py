"""A PBX that speaks SRTP only: calls both ways, hold, a new page; and no key of them in anything that the bridge writes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bridge.robot import Orders

from ..conftest import needs
from ..interop import ASTERISK, interop
from ..rig.asterisk import TONE_HZ, Asterisk
from ..rig.headset import TONE_HZ as HEADSET_HZ
from ..rig.headset import headset
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import AGENTS, ANNA, BORIS, PHONE, Stage

HOLD = "[data-do=hold]"


@pytest.fixture(scope="module")
def pbx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """All its accounts want encryption: it refuses plain RTP. Boris's calls have short tags."""
    needs("asterisk")
    with Asterisk(tmp_path_factory.mktemp("srtp"), agents=2, encryption="sdes", short_tags=[AGENTS[BORIS]]) as asterisk:
        yield asterisk


def assert_no_key_is_written_down(stage: Stage) -> None:
    keys = set(re.findall(r"inline:([A-Za-z0-9+/]{20,})", "\n".join(m.text for m in stage.asterisk.messages())))
    assert keys, "or nothing was encrypted"
    for path in stage.bridge.directory.rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode(errors="replace")
            assert not [key for key in keys if key in text], f"a key stands in {path.name}"


def profiles(stage: Stage, call: str) -> set[str]:
    """What the audio of a call's descriptions was carried over."""
    bodies = [message.body for message in stage.asterisk.messages() if message.call_id == call]
    return set(re.findall(r"^m=audio [1-9]\d* (\S+)", "\n".join(bodies), re.MULTILINE))


@interop(ASTERISK, "SDES AES_CM_128_HMAC_SHA1_80")
async def test_an_encrypted_call_is_heard_both_ways_held_and_moved_to_the_next_page(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    await page.click(HOLD, frame=PHONE)
    await wait_for(call.is_held, what="the hold")
    await page.click(HOLD, frame=PHONE)
    await wait_for(lambda: not call.is_held(), what="the resume")
    await stage.talking(page, call)
    await page.navigate(f"{stage.portal.url}/company/?user={ANNA}")
    await stage.talking(page, call)
    call.hang_up()
    assert (await stage.record()).status_code == "200"
    assert_no_key_is_written_down(stage)


@interop(ASTERISK, "SRTP required by us")
async def test_where_the_trunk_requires_it_our_own_calls_are_encrypted(stages: Stages) -> None:
    stage = await stages(trunk={"srtp": "required"})
    page = await stage.telephone()
    call = await stage.dial(page, "609")
    await stage.talking(page, call)
    await stage.hang_up(page)
    await call.is_over()
    assert {"RTP/SAVP"} == profiles(stage, call.call_id)
    assert_no_key_is_written_down(stage)


@interop(ASTERISK, "SDES AES_CM_128_HMAC_SHA1_32", "two-way tone")
async def test_a_pbx_that_wants_short_tags_is_understood(stages: Stages) -> None:
    stage = await stages(browser=False)
    async with headset(stage.state_dir, stage.portal.url, BORIS, Orders(answer_after=0)) as boris:
        call = stage.ring(BORIS)
        await wait_for(lambda: boris.hears(TONE_HZ), what="the caller's tone at the operator")
        await wait_for(lambda: call.hears(HEADSET_HZ), what="the operator's tone at the PBX")
        suites = re.findall(r"^a=crypto:\d+ (\w+) ", "\n".join(m.body for m in call.messages()), re.MULTILINE)
        assert suites == ["AES_CM_128_HMAC_SHA1_32"] * 2, "its offer and our answer"
        call.hang_up()
        await boris.is_alone()
    assert (await stage.record()).status_code == "200"
    assert_no_key_is_written_down(stage)
