"""The PBX of the tests: calls ring, are heard, given up and counted; agents dial, hold and press keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ..conftest import needs
from .asterisk import EARLY_HZ, HOLD_HZ, TONE_HZ, Asterisk, OutboundCall
from .baresip import Baresip
from .tones import share
from .waiting import wait_for

pytestmark = pytest.mark.scenario
AGENT = "1004"


class Phone(Baresip):
    """An agent's telephone."""

    def __init__(self, asterisk: Asterisk, directory: Path) -> None:
        self.asterisk = asterisk
        self.before = asterisk.outbound(AGENT)
        account = f"<sip:{AGENT}@{asterisk.address};transport=udp>;auth_user={AGENT};regint=60"
        super().__init__(directory, f"{account};auth_pass={asterisk.passwords[AGENT]}")

    async def dial(self, number: str) -> OutboundCall:
        self.do("dial", f"sip:{number}@{self.asterisk.address}")
        return await self.asterisk.dialled(AGENT, self.before)


@pytest.fixture
async def phone(asterisk: Asterisk, tmp_path: Path) -> AsyncIterator[Phone]:
    """Registered."""
    needs("baresip")
    async with Phone(asterisk, tmp_path) as made:
        await asterisk.wait_registered(AGENT)
        yield made


async def test_caller_and_agent_hear_each_other(asterisk: Asterisk, phone: Phone) -> None:
    call = asterisk.call(AGENT, caller="+4930555", name="Max")
    assert await call.is_answered() == 200
    assert call.messages()[0].header("From").startswith('"Max" <sip:+4930555@')
    assert call.is_up()
    await wait_for(lambda: call.hears(700), what="the agent's tone at the caller")
    call.hang_up()
    await call.is_over()
    await wait_for(lambda: call.byes() == (1, 0), what="the BYE")
    assert list(asterisk.answers(AGENT).values())[-1] == [200]
    assert share(next(phone.directory.glob("*-dec.wav")), TONE_HZ) > 0.9


async def test_a_bridged_caller_hears_the_agent_or_music_on_hold(asterisk: Asterisk, phone: Phone) -> None:
    call = asterisk.call(AGENT, caller="+4930555", name="Max", then="bridged")
    assert await call.is_answered() == 200
    assert call.messages()[0].header("From").startswith('"Max" <sip:+4930555@')
    await wait_for(lambda: call.hears(700), what="the agent's tone at the caller")
    await phone.hears(TONE_HZ)
    assert (call.is_held(), call.reoffers()) == (False, [])
    phone.do("hold")
    await wait_for(lambda: call.hears(HOLD_HZ), what="music on hold at the caller")
    assert (call.is_held(), call.reoffers()) == (True, [("sendonly", 200)])
    phone.do("resume")
    await wait_for(lambda: call.hears(700), what="the agent's tone at the caller again")
    assert (call.is_held(), len(call.reoffers())) == (False, 2)
    phone.do("sndcode", "42")
    await wait_for(lambda: call.digits() == "42", what="the keys")
    call.hang_up()
    await call.is_over()


@pytest.mark.parametrize(("number", "status"), [("605", 486), ("607", 403), ("608", 503), ("699", 404)])
async def test_numbers_that_refuse(phone: Phone, number: str, status: int) -> None:
    call = await phone.dial(number)
    assert (call.number, await call.is_answered()) == (number, status)
    await call.is_over()
    assert 183 not in call.statuses()
    assert 180 not in call.statuses()


async def test_early_media_before_the_answer(phone: Phone) -> None:
    call = await phone.dial("604")
    await phone.hears(EARLY_HZ)
    assert call.statuses() == [100, 183]
    assert await call.is_answered() == 200
    await phone.hears(700)
    assert call.hears(700)
    call.hang_up()
    await call.is_over()
    assert call.byes() == (1, 0)


async def test_ringing_is_cancelled(phone: Phone) -> None:
    call = await phone.dial("606")
    await wait_for(lambda: call.statuses() == [100, 180], what="180")
    phone.do("hangup")
    assert await call.is_answered() == 487
    assert call.received("CANCEL") == 1
    await call.is_over()


async def test_ringing_then_an_answer_with_a_tone(phone: Phone) -> None:
    call = await phone.dial("609")
    assert await call.is_answered() == 200
    assert call.statuses() == [100, 180, 200]
    await phone.hears(TONE_HZ)
    phone.do("hangup")
    await call.is_over()
    assert call.byes() == (0, 1)


@pytest.mark.parametrize("number", ["610", "+4930123456"])
async def test_a_person_hears_music_on_hold(phone: Phone, number: str) -> None:
    call = await phone.dial(number)
    assert call.number == number
    await wait_for(lambda: call.hears(700), what="the agent's tone at the person")
    await phone.hears(TONE_HZ)
    phone.do("hold")
    await wait_for(lambda: call.hears(HOLD_HZ), what="music on hold at the person")
    assert call.is_held()
    call.hang_up()
    await call.is_over()


async def test_music_for_the_agent(phone: Phone) -> None:
    await phone.dial("612")
    await phone.hears(HOLD_HZ)


async def test_four_keys_are_taken(phone: Phone) -> None:
    call = await phone.dial("613")
    assert await call.is_answered() == 200
    await wait_for(lambda: call.hears(700), what="voice")
    phone.do("sndcode", "1*09")
    await phone.hears(TONE_HZ)
    assert call.digits() == "1*09"


async def test_an_agent_without_a_phone_is_not_called(asterisk: Asterisk) -> None:
    assert asterisk.registered("1003") == ""
    call = asterisk.call("1003")
    await call.is_over()
    assert call.messages() == []


async def test_it_is_back_after_a_crash(tmp_path: Path) -> None:
    needs("asterisk")
    with Asterisk(tmp_path, agents=1) as asterisk:
        before = asterisk.address
        asterisk.restart()
        assert asterisk.address == before
        assert "1001" in asterisk.cli("pjsip show endpoints")
