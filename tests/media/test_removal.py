"""This machine gets another address towards the PBX in mid-call: the voice follows, as one stream, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.calls.commands import AcceptPbxAnswer, HoldMedia, KeepAddress
from bridge.calls.events import MediaReoffered, PbxLegMoved
from bridge.media import homes, relocation
from bridge.media.conversation import Conversation
from bridge.media.equipment import Patience

from ..rig.waiting import wait_for
from .dtls_pbx import dtls_pbx
from .stage import CALL, CODECS, TAB, Page, Stage, pbx_answer, port_of, rtp, stage, without_a_trace
from .test_dtls import called_by, talk, up
from .test_sdes import LINE, SecurePbx, secure_offer

OLD, NEW = "127.0.0.1", "127.0.0.2"


class Machine:
    """Ours; it has one address that packets leave from."""

    def __init__(self) -> None:
        self.address = OLD

    def lookup(self, host: str) -> str:
        return self.address


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(homes, "local_address", found.lookup)
    for module, name in ((homes, "FRESH"), (homes, "HURRY"), (relocation, "SETTLE")):
        monkeypatch.setattr(module, name, 0.0)
    return found


@pytest.fixture
async def here(machine: Machine) -> AsyncIterator[Stage]:
    async with stage(Patience(report=3600, look=0.01), ipv4="auto") as found:
        yield found


def conversation(here: Stage) -> Conversation:
    return here.voice._conversations[CALL]


async def talking(here: Stage) -> Page:
    page = await here.connect()
    await here.join(page)
    await here.pbx.next_with(b"first")
    return page


async def moved(here: Stage, machine: Machine, to: str = NEW) -> bytes:
    machine.address = to
    told = (await here.mail.next(PbxLegMoved)).sdp
    assert f"c=IN IP4 {to}\r\n".encode() in told
    return told


async def agree(here: Stage, version: int = 2) -> None:
    await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", version=version)))


async def hears(here: Stage, page: Page, word: bytes) -> None:
    """The page hears the PBX."""
    here.pbx.said += 1
    here.pbx.send(rtp(0, here.pbx.said, 160 * here.pbx.said, word))
    while (await page.next()).payload != word:
        pass


async def says(here: Stage, page: Page, word: bytes, source: str) -> int:
    """The PBX hears the page, from this address of ours; the sequence number."""
    await page.say(word)
    packet = await here.pbx.next_with(word)
    assert here.pbx.came_from == source
    return packet.sequence


async def turned(here: Stage) -> None:
    """Our voice leaves from the address that the PBX was told last."""
    call = conversation(here)
    await wait_for(lambda: call.path.relay is not None and call.path.relay._pbx is call.path.pbx, 5, "the turn")


async def left(here: Stage) -> None:
    await wait_for(lambda: conversation(here)._removal.former is None, 5, "the old port to be closed")


async def test_the_voice_follows_both_ways_and_not_a_packet_of_either_is_lost(here: Stage, machine: Machine) -> None:
    page = await talking(here)
    await hears(here, page, b"at first")
    old = here.pbx.bridge
    told = await moved(here, machine)
    first = await says(here, page, b"before it agrees", OLD)
    await hears(here, page, b"to the old one")
    await agree(here)
    await turned(here)
    second = await says(here, page, b"after it agreed", NEW)
    assert (second - first) & 0xFFFF < 100
    await hears(here, page, b"still to the old one")
    here.pbx.bridge = NEW, port_of(told)
    await hears(here, page, b"to the new one")
    await left(here)
    assert (await says(here, page, b"and on", NEW) - second) & 0xFFFF < 100
    leg = conversation(here).path.pbx
    assert leg is not None
    assert leg.address == here.pbx.bridge != old
    assert leg.reports.reception.lost == 0
    await moved(here, machine, OLD)


async def test_a_pbx_that_refuses_is_spoken_with_where_it_was(here: Stage, machine: Machine) -> None:
    page = await talking(here)
    await moved(here, machine)
    await here.voice.perform(KeepAddress(call=CALL))
    await says(here, page, b"as before", OLD)
    await hears(here, page, b"as before, too")
    assert conversation(here)._removal.former is None
    await here.voice.perform(HoldMedia(call=CALL, held=True))
    held = (await here.mail.next(MediaReoffered)).sdp
    assert f"c=IN IP4 {OLD}\r\n".encode() in held
    assert port_of(held) == here.pbx.bridge[1]


async def test_an_answer_to_an_offer_of_before_is_no_agreement_to_the_new_address(
    here: Stage, machine: Machine
) -> None:
    page = await talking(here)
    await moved(here, machine)
    answer = pbx_answer(here.pbx.port, "PCMU", version=2)
    await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=answer, knows_address=False))
    await here.voice.perform(KeepAddress(call=CALL))
    assert conversation(here)._removal.former is None
    await says(here, page, b"as before", OLD)
    await hears(here, page, b"as before, too")


async def test_where_the_old_address_is_gone_the_voice_leaves_from_the_new_one_at_once_and_the_pbx_is_asked_again(
    here: Stage, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relocation, "AGAIN", 0.05)
    page = await talking(here)
    leg = conversation(here).path.pbx
    assert leg is not None
    machine.address = ""
    leg.stranded = True
    first = await moved(here, machine)
    await turned(here)
    await says(here, page, b"unasked", NEW)
    await here.voice.perform(KeepAddress(call=CALL))
    again = (await here.mail.next(PbxLegMoved)).sdp
    assert port_of(again) == port_of(first)
    await agree(here)
    here.pbx.bridge = NEW, port_of(again)
    await hears(here, page, b"at last")
    await left(here)


async def test_nothing_is_said_anew_before_the_pbx_has_answered(here: Stage, machine: Machine) -> None:
    page, _ = await here.dial("PCMU")
    machine.address = NEW
    assert here.mail.empty
    await agree(here, 1)
    told = await moved(here, machine)
    await agree(here)
    here.pbx.bridge = NEW, port_of(told)
    await hears(here, page, b"hello")


async def test_a_held_call_stays_held(here: Stage, machine: Machine) -> None:
    await talking(here)
    await here.voice.perform(HoldMedia(call=CALL, held=True))
    await here.mail.next(MediaReoffered)
    await here.voice.perform(
        AcceptPbxAnswer(call=CALL, sdp=pbx_answer(here.pbx.port, "PCMU", direction="recvonly", version=2))
    )
    assert b"a=sendonly" in await moved(here, machine)


async def test_encrypted_voice_goes_on_under_the_same_keys_and_count(here: Stage, machine: Machine) -> None:
    page = await here.offer_to(TAB, secure_offer(here.pbx.port), CODECS)
    ready = await here.join(page)
    pbx = SecurePbx(here, LINE, ready.sdp.decode())
    before = await pbx.next()
    pbx.send(rtp(0, 65_530, 160, b"before"))
    assert (await page.next()).payload == b"before"
    told = await moved(here, machine)
    assert [line for line in told.splitlines() if b"crypto" in line] == [
        line for line in ready.sdp.splitlines() if b"crypto" in line
    ]
    await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=secure_offer(here.pbx.port, version=2)))
    await turned(here)
    for number in range(12):
        here.pbx.bridge = NEW, port_of(told)
        pbx.send(rtp(0, 65_531 + number, 320 + 160 * number, b"after"))
        assert (await page.next()).payload == b"after"
    await page.say(b"from there")
    assert (await pbx.next_with(b"from there")).ssrc == before.ssrc
    assert here.pbx.came_from == NEW
    await left(here)


async def test_a_pbx_that_speaks_dtls_is_met_anew_and_hears_one_stream(here: Stage, machine: Machine) -> None:
    async with dtls_pbx(here) as pbx:
        page = await called_by(here, pbx)
        before = conversation(here).path.relay
        assert before is not None
        ssrc = before.up.ssrc
        told = await moved(here, machine)
        await talk(page, pbx, b"while it thinks")
        await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx.answer(told)))
        await pbx.connected()
        await up(here)
        await turned(here)
        await talk(page, pbx, b"from there")
        await left(here)
        assert before.up.ssrc == ssrc


async def test_a_call_that_ends_in_the_midst_of_a_move_leaves_nothing_to_the_garbage_collector(
    here: Stage, machine: Machine
) -> None:
    await talking(here)
    await moved(here, machine)
    assert conversation(here)._removal.former is not None
    await here.end_without_a_trace()


async def test_a_place_that_the_pbx_did_not_follow_to_leaves_nothing_to_the_garbage_collector(
    here: Stage, machine: Machine
) -> None:
    await talking(here)
    await moved(here, machine)
    async with without_a_trace([conversation(here).path.pbx]):
        await here.voice.perform(KeepAddress(call=CALL))


async def test_a_place_that_was_left_leaves_nothing_to_the_garbage_collector(here: Stage, machine: Machine) -> None:
    page = await talking(here)
    old = conversation(here).path.pbx
    told = await moved(here, machine)
    had = [old]
    del old
    async with without_a_trace(had):
        await agree(here)
        here.pbx.bridge = NEW, port_of(told)
        await hears(here, page, b"to the new one")
        await left(here)
