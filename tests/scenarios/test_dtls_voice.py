"""A PBX whose endpoints speak DTLS-SRTP: as browsers do (`webrtc=yes`, over WebSocket), and without ICE."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ..conftest import needs
from ..interop import ASTERISK, interop
from ..rig.asterisk import Asterisk
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import ANNA, PHONE, Stage

HOLD = "[data-do=hold]"


WEBRTC = pytest.param("webrtc", marks=interop(ASTERISK, "DTLS-SRTP", "ICE", "WebSocket"))
WITHOUT_ICE = pytest.param("dtls", marks=interop(ASTERISK, "DTLS-SRTP"))


@pytest.fixture(scope="module", params=[WEBRTC, WITHOUT_ICE])
def pbx(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """All its accounts want DTLS: it refuses anything else."""
    needs("asterisk")
    with Asterisk(tmp_path_factory.mktemp(request.param), agents=2, encryption=request.param) as asterisk:
        yield asterisk


@pytest.fixture
async def stage(stages: Stages, pbx: Asterisk) -> Stage:
    trunk: dict[str, str] = {"srtp": pbx.encryption}
    if pbx.encryption == "webrtc":
        trunk |= {"server": f"127.0.0.1:{pbx.http_port}", "transport": "ws"}
    return await stages(trunk=trunk)


def said(stage: Stage, call: str, pattern: str) -> set[str]:
    """What the descriptions of a call say, on both sides."""
    bodies = [message.body for message in stage.asterisk.messages() if message.call_id == call]
    return set(re.findall(pattern, "\n".join(bodies), re.MULTILINE))


async def test_a_call_over_dtls_is_heard_both_ways_held_and_moved_to_the_next_page(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    await page.click(HOLD, frame=PHONE)
    await wait_for(call.is_held, 10, "the hold")
    await page.click(HOLD, frame=PHONE)
    await wait_for(lambda: not call.is_held(), 10, "the resume")
    await stage.talking(page, call)
    await page.navigate(f"{stage.portal.url}/company/?user={ANNA}")
    await stage.talking(page, call)
    call.hang_up()
    assert (await stage.record()).status_code == "200"


async def test_where_the_trunk_wants_it_our_own_calls_use_dtls(stage: Stage, pbx: Asterisk) -> None:
    page = await stage.telephone()
    call = await stage.dial(page, "609")
    await stage.talking(page, call)
    await stage.hang_up(page)
    await call.is_over()
    profile = {"webrtc": "UDP/TLS/RTP/SAVPF", "dtls": "UDP/TLS/RTP/SAVP"}[pbx.encryption]
    assert said(stage, call.call_id, r"^m=audio [1-9]\d* (\S+)") == {profile}
