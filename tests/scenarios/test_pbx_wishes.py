"""What PBXs ask of a call that simpler ones do not: a late offer, PRACK and session timers, to be put through by us."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from bridge.robot import Orders

from ..conftest import needs
from ..interop import ASTERISK, SIPP, interop
from ..rig.asterisk import EARLY_HZ, TONE_HZ, PhoneCall
from ..rig.chromium import MICROPHONE_HZ
from ..rig.ear import Ear
from ..rig.headset import TONE_HZ as HEADSET_HZ
from ..rig.headset import headset
from ..rig.ports import free_port
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import AGENTS, ANNA, BORIS, Stage

SCRIPTS = Path(__file__).parents[1] / "rig/sipp"


@pytest.mark.parametrize(
    ("story", "last", "times"),
    [
        pytest.param(
            "late_offer", "CSeq: 1 ACK", 1, id="late offer", marks=interop(SIPP, "late offer", "trunk by address")
        ),
        pytest.param(
            "strict",
            "CSeq: 3 UPDATE",
            2,
            id="PRACK and session timer",
            marks=interop(SIPP, "100rel: our ringing is reliable", "session timer, refreshed by the peer", "UPDATE"),
        ),
    ],
)
async def test_an_independent_pbx_has_its_way_and_hears_the_operator(
    stages: Stages, tmp_path: Path, story: str, last: str, times: int
) -> None:
    needs("sipp")
    port, ear, messages = free_port(), Ear(), tmp_path / "messages.log"
    async with ear.listening():
        stage = await stages(second_pbx=port)
        page = await stage.sign_in(ANNA)
        sip = stage.bridge.settings["sip"]["port"]
        where = ["-i", "127.0.0.1", "-p", str(port), "-s", AGENTS[ANNA], f"127.0.0.1:{sip}"]
        what = [
            "-sf",
            str(SCRIPTS / f"{story}.xml"),
            "-key",
            "rtp",
            str(ear.port),
            "-m",
            "1",
            "-timeout",
            "60",
            "-trace_msg",
            "-message_file",
            str(messages),
        ]
        with (tmp_path / "sipp.log").open("wb") as log:
            pbx = await asyncio.create_subprocess_exec("sipp", *what, *where, cwd=tmp_path, stdout=log, stderr=log)
        try:
            await stage.answer(page)
            await wait_for(lambda: ear.hears, what="the operator's voice at the PBX")
            await wait_for(lambda: messages.read_text(errors="replace").count(last) == times, what=f"{times} × {last}")
            await stage.hang_up(page)
            assert await pbx.wait() == 0, (tmp_path / "sipp.log").read_text()[-2000:]
        finally:
            if pbx.returncode is None:
                pbx.kill()
        assert (await stage.record()).status_code == "200"


@interop(ASTERISK, "blind, by the peer (REFER to us)")
async def test_the_pbx_puts_the_operator_through_to_somebody_else(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    before = stage.asterisk.outbound("1001")
    call = stage.ring(then="refers")
    await stage.answer(page)
    second = await stage.asterisk.dialled("1001", before)
    assert second.number == "601"
    await stage.heard(page)
    await wait_for(lambda: second.hears(MICROPHONE_HZ), what="the operator's tone at the new party")
    await stage.says(page, "601")

    def knows() -> bool:
        """Whether it took note; its dialplan may not come to say so, for the BYE that follows takes the channel away."""
        notices = [message for message in call.messages() if message.method == "NOTIFY"]
        told = {message.header("CSeq") for message in notices if message.body.strip() == "SIP/2.0 200 OK"}
        return any(message.status == 200 and message.header("CSeq") in told for message in notices)

    await wait_for(knows, what="the PBX to know it")
    second.hang_up()
    assert (await stage.record()).status_code == "200"


@interop(ASTERISK, "attended, by the peer (REFER to us with Replaces)")
async def test_the_pbx_puts_the_operator_in_the_place_of_a_colleague(stages: Stages) -> None:
    """It asks twice: where there is nobody to replace the call stays, and the next time the operator gets that party."""
    stage = await stages(browser=False)
    pbx = stage.asterisk
    async with (
        headset(stage.state_dir, stage.portal.url, ANNA, Orders(answer_after=0)) as anna,
        headset(stage.state_dir, stage.portal.url, BORIS, Orders(audio="echo")) as boris,
    ):
        before = pbx.outbound("1002")
        await boris.dials("610")
        consulted = await pbx.dialled("1002", before)
        await boris.talks()
        await wait_for(lambda: consulted.hears(TONE_HZ), what="its own tone, back from the colleague")

        call = stage.ring(then="replaces")
        await wait_for(lambda: "Nobody was replaced: FAILURE 481" in pbx.log(), what="the PBX to know it failed")
        await wait_for(lambda: anna.hears(EARLY_HZ), what="the caller, who stayed")
        assert fragments(call) == ["SIP/2.0 100 Trying", "SIP/2.0 481 Call/Transaction Does Not Exist"]

        accepted = next(m for m in consulted.messages() if m.status == 200 and m.method == "INVITE")
        there, here = (accepted.header(name).partition("tag=")[2] for name in ("To", "From"))
        named = quote(f"{consulted.call_id};to-tag={there};from-tag={here}", safe="")
        pbx.act("Setvar", Channel=call.channel, Variable="REPLACES", Value=named)
        await boris.is_alone()
        await anna.is_shown("610")
        await wait_for(lambda: anna.hears(TONE_HZ), what="the party that the colleague had")
        await wait_for(lambda: consulted.hears(HEADSET_HZ), what="the operator's tone at that party")
        told = ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]
        await wait_for(lambda: fragments(call)[2:] == told, what="the PBX to be told of the success")
        await anna.press("hangUp")
        await anna.is_alone()
    assert (await stage.record_of("incoming")).status_code == "200"
    assert (await stage.record_of("outgoing")).status_code == "200"


def fragments(call: PhoneCall) -> list[str]:
    """What our NOTIFYs told."""
    return [m.body.strip() for m in call.messages() if m.is_request and m.method == "NOTIFY"]
