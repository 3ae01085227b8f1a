"""Voice over IPv6: what is described, and that it flows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.calls.commands import AcceptPbxAnswer, HoldMedia, MediaPolicy, ReofferMedia, Secrecy
from bridge.calls.events import MediaReady, MediaReanswered, MediaReoffered
from bridge.media.pbx_leg import PbxLeg
from bridge.media.pbx_sdp import parse_pbx_offer
from bridge.media.pbx_session import PbxSession
from bridge.media.sdp import SdpError

from .dtls_pbx import dtls_pbx, no_ice
from .stage import CALL, CODECS, TAB, Page, Pbx, Stage, pbx_answer, pbx_offer, pbx_socket, port_of, rtp, stage
from .test_dtls import talk, up

FIRST = MediaPolicy(ipv6_first=True)
PLACE = "2001:db8::20", 4000


def offer(host: str, direction: str = "sendrecv") -> bytes:
    return pbx_offer(4000, "PCMU", host=host, direction=direction)


def session() -> PbxSession:
    found = PbxSession(7, bytes)
    found.ipv6 = True
    return found


# ---- what is described


def test_an_offer_over_ipv6_is_answered_so_and_read_in_any_spelling() -> None:
    found = session()
    found.invited(offer("2001:DB8:0:0::20"))
    assert found.by_ipv6
    lines = found.answer("PCMU", ("2001:db8::9", 5000)).decode().splitlines()
    assert lines[1] == "o=- 7 1 IN IP6 2001:db8::9"
    assert "c=IN IP6 2001:db8::9" in lines
    assert found.terms.address == PLACE
    assert found.terms.control == ("2001:db8::20", 4001)


@pytest.mark.parametrize(
    ("line", "control"),
    [
        ("a=rtcp:4009 IN IP6 2001:db8::21", ("2001:db8::21", 4009)),
        ("a=rtcp:4009", ("2001:db8::20", 4009)),
        ("a=rtcp:4009 IN IP4 192.0.2.1", ("2001:db8::20", 4009)),
    ],
)
def test_reports_go_where_the_pbx_wants_them_of_the_same_kind(line: str, control: tuple[str, int]) -> None:
    found = parse_pbx_offer(offer("2001:db8::20") + line.encode() + b"\r\n", ipv6=True)
    assert found.control(mux=False) == control


@pytest.mark.parametrize("host", ["ff02::1", "fe80::1", "::ffff:192.0.2.1", "fe80::1%eth0", "2001:db8::20::1", ":"])
def test_an_ipv6_address_that_is_not_one_hosts_is_refused(host: str) -> None:
    with pytest.raises(SdpError):
        parse_pbx_offer(offer(host), ipv6=True)


def test_without_an_address_for_it_an_offer_is_refused_and_a_new_one_changes_nothing() -> None:
    found = PbxSession(7, bytes)
    with pytest.raises(SdpError, match="pbx_address6"):
        found.invited(offer("::1"))
    found.invited(offer("192.0.2.1"))
    text = found.answer("PCMU", ("192.0.2.9", 5000))
    with pytest.raises(SdpError, match="pbx_address6"):
        found.reoffered(offer("::1"), ("192.0.2.9", 5000))
    assert found.text == text


def test_an_answer_of_the_other_kind_is_refused() -> None:
    for ours, theirs in ((PLACE, "192.0.2.1"), (("192.0.2.9", 5000), "2001:db8::20")):
        found = session()
        found.offer(["PCMU"], ours)
        with pytest.raises(SdpError, match="IPv6"):
            found.answered(pbx_answer(4000, "PCMU", host=theirs))
        found.answered(pbx_answer(4000, "PCMU", host="0.0.0.0"))  # a hold of either kind
        found.answered(pbx_answer(4000, "PCMU", host=ours[0]))
        assert found.by_ipv6 is (ours is PLACE)


@pytest.mark.parametrize("nowhere", ["::", "0.0.0.0"])
def test_the_hold_of_rfc_2543_names_no_kind_and_leaves_the_one_in_use(nowhere: str) -> None:
    found = session()
    found.invited(offer("2001:db8::20"))
    found.answer("PCMU", PLACE)
    found.reoffered(offer(nowhere), PLACE)
    assert found.by_ipv6
    assert found.terms.address is None


def test_our_own_offer_is_for_ipv6_if_that_is_wished_and_possible_and_no_ice_is_done() -> None:
    found = session()
    assert not found.by_ipv6
    found.ipv6_first = True
    assert found.by_ipv6
    found.secrecy = Secrecy.WEBRTC
    assert not found.by_ipv6
    found.secrecy, found.ipv6 = Secrecy.NEVER, False
    assert not found.by_ipv6


# ---- that it flows


@pytest.fixture
async def here() -> AsyncIterator[Stage]:
    async with stage(ipv6="::1") as found:
        yield found


@pytest.fixture
async def pbx() -> AsyncIterator[Pbx]:
    async with pbx_socket("::1") as found:
        yield found


def leg_of(here: Stage) -> PbxLeg:
    leg = here.voice._conversations[CALL].path.pbx
    assert leg is not None
    return leg


async def both_hear(here: Stage, page: Page, pbx: Pbx, word: bytes) -> None:
    """Each something of the other that was never said before."""
    pbx.bridge, pbx.said = leg_of(here).address, pbx.said + 1
    pbx.send(rtp(0, pbx.said, 160 * pbx.said, b"to the page: " + word))
    while (await page.next()).payload != b"to the page: " + word:
        pass
    await page.say(word)
    await pbx.next_with(word)


async def test_a_call_of_the_pbx_is_heard_both_ways_and_holds(here: Stage, pbx: Pbx) -> None:
    page = await here.offer_to(TAB, pbx_offer(pbx.port, "PCMU", host="::1"), CODECS)
    ready = await here.join(page)
    assert b"c=IN IP6 ::1\r\n" in ready.sdp
    await both_hear(here, page, pbx, b"hello")
    before = leg_of(here)
    for held, word in ((True, b""), (False, b"back")):
        await here.voice.perform(HoldMedia(call=CALL, held=held))
        assert b"c=IN IP6 ::1\r\n" in (await here.mail.next(MediaReoffered)).sdp
        direction = "recvonly" if held else "sendrecv"
        answer = pbx_answer(pbx.port, "PCMU", host="::1", direction=direction, version=2 + (not held))
        await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=answer))
        if word:
            await both_hear(here, page, pbx, word)
    assert leg_of(here) is before


async def test_a_call_of_ours_is_heard_both_ways_where_the_pbx_is_met_over_ipv6(here: Stage, pbx: Pbx) -> None:
    page = await here.offer_to(TAB, b"", ("PCMU",), policy=FIRST)
    ready = await here.join(page)
    assert isinstance(ready, MediaReady)
    assert b"c=IN IP6 ::1\r\n" in ready.sdp
    assert port_of(ready.sdp) == leg_of(here).address[1]
    await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx_answer(pbx.port, "PCMU", host="::1")))
    await both_hear(here, page, pbx, b"hello")


async def test_the_pbx_may_change_to_the_other_kind_and_back(here: Stage, pbx: Pbx) -> None:
    page = await here.connect()
    await here.join(page)
    for version, host, other in ((2, "::1", pbx), (3, "127.0.0.1", here.pbx), (4, "::1", pbx)):
        moved = pbx_offer(other.port, "PCMU", host=host, version=version)
        await here.voice.perform(ReofferMedia(call=CALL, sdp=moved))
        text = (await here.mail.next(MediaReanswered)).sdp
        assert f"c=IN {'IP6' if host == '::1' else 'IP4'} {host}\r\n".encode() in text
        other.said = 10 * version  # one stream, wherever it comes from
        await both_hear(here, page, other, b"%d" % version)


async def test_a_new_offer_over_ipv6_without_an_address_for_it_leaves_the_call_as_it_was() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        with pytest.raises(SdpError, match="pbx_address6"):
            await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx_offer(4000, "PCMU", host="::1", version=2)))
        await both_hear(here, page, here.pbx, b"as before")


async def test_a_call_goes_on_over_ipv6_in_another_process_even_while_it_is_held(here: Stage, pbx: Pbx) -> None:
    page = await here.offer_to(TAB, pbx_offer(pbx.port, "PCMU", host="::1"), CODECS)
    await here.join(page)
    await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx_offer(pbx.port, "PCMU", host="0.0.0.0", version=2)))
    await here.mail.next(MediaReanswered)
    memory, address = here.voice.memory(CALL), leg_of(here).address
    await here.voice._close(CALL)
    here.voice.restore(CALL, memory, None)
    assert leg_of(here).address == address
    assert here.mail.empty, "the PBX has nothing to be told"


async def test_strangers_are_not_heard_over_ipv6_either(here: Stage, pbx: Pbx) -> None:
    page = await here.offer_to(TAB, pbx_offer(pbx.port, "PCMU", host="::1"), CODECS)
    await here.join(page)
    await both_hear(here, page, pbx, b"first")
    async with pbx_socket("::1") as stranger:
        before = leg_of(here).strange
        stranger.bridge = pbx.bridge
        for number in range(9):
            stranger.send(rtp(0, number, 160 * number, b"stranger"))
        await both_hear(here, page, pbx, b"second")
        assert leg_of(here).strange == before + 9


@pytest.mark.parametrize("secrecy", [Secrecy.ALLOWED, Secrecy.DTLS])
async def test_dtls_without_ice_comes_up_over_ipv6(here: Stage, secrecy: Secrecy) -> None:
    async with dtls_pbx(here, says=no_ice, reads=no_ice, ipv6=True) as pbx:
        if secrecy is Secrecy.DTLS:
            page = await here.offer_to(TAB, b"", ("PCMU",), policy=replace(FIRST, srtp=secrecy))
            ready = await here.join(page)
            await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx.answer(ready.sdp)))
        else:
            page = await here.offer_to(TAB, pbx.offer(), CODECS)
            pbx.answered((await here.join(page)).sdp)
        await pbx.connected()
        await up(here)
        assert leg_of(here).ipv6
        await talk(page, pbx, b"ciphered")
