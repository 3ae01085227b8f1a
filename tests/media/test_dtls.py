"""A PBX that speaks DTLS-SRTP, from the descriptions to the voice, with a page at the other end."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from bridge.calls.commands import AcceptPbxAnswer, HoldMedia, MediaPolicy, OfferMedia, ReofferMedia, Secrecy
from bridge.calls.events import (
    BrowserLost,
    MediaOfferMade,
    MediaReanswered,
    MediaReoffered,
    PbxFellSilent,
    PbxLegMoved,
    TabId,
)
from bridge.media.dtls import Certificate
from bridge.media.dtls_leg import DtlsLeg
from bridge.media.equipment import Patience
from bridge.media.sdp import SdpError

from .dtls_pbx import Change, DtlsPbx, LossyWay, dtls_pbx, no_ice, unchanged
from .stage import CALL, CODECS, SOON, TAB, Page, Stage, pbx_offer, rtp, stage

OTHER = TabId("tab-2")


@pytest.fixture
async def here() -> AsyncIterator[Stage]:
    async with stage(Patience(report=3600, browser=1000)) as found:
        yield found


async def called_by(here: Stage, pbx: DtlsPbx) -> Page:
    """The PBX calls, a page answers, and both have their keys."""
    page = await here.offer_to(TAB, pbx.offer(), CODECS)
    pbx.answered((await here.join(page)).sdp)
    await pbx.connected()
    await up(here)
    return page


async def calling(here: Stage, pbx: DtlsPbx, secrecy: Secrecy = Secrecy.WEBRTC) -> Page:
    """A page calls, the PBX answers."""
    page = await here.offer_to(TAB, b"", ("PCMU",), policy=MediaPolicy(srtp=secrecy))
    ready = await here.join(page)
    await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx.answer(ready.sdp)))
    await pbx.connected()
    await up(here)
    return page


async def test_a_call_that_is_over_leaves_nothing_to_the_garbage_collector(here: Stage) -> None:
    async with dtls_pbx(here) as pbx:
        await called_by(here, pbx)
        await here.end_without_a_trace()


def leg_of(here: Stage) -> DtlsLeg:
    leg = here.voice._conversations[CALL].path.pbx
    assert isinstance(leg, DtlsLeg)
    return leg


async def up(here: Stage, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not leg_of(here).connected:
            await asyncio.sleep(0.002)


async def talk(page: Page, pbx: DtlsPbx, word: bytes) -> None:
    await page.say(b"page says " + word)
    await pbx.next_with(b"page says " + word)
    pbx.say(b"pbx says " + word)
    while (await page.next()).payload != b"pbx says " + word:
        pass


class RsaCertificate(Certificate):
    """As most PBXs have one; it does nothing else."""

    @classmethod
    def new(cls) -> Certificate:
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pbx")])
        now = datetime.datetime.now(datetime.UTC)
        unsigned = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        return cls(key, unsigned.sign(key, hashes.SHA256()))  # type: ignore[arg-type]

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE+AESGCM")
        return context


def lite(sdp: bytes) -> bytes:
    return sdp.replace(b"t=0 0\r\n", b"t=0 0\r\na=ice-lite\r\n")


def no_candidates(sdp: bytes) -> bytes:
    return re.sub(rb"a=candidate.*\r\n", b"", sdp)


# ---- both roles, with and without ICE


@pytest.mark.parametrize(("says", "reads"), [(unchanged, unchanged), (no_ice, no_ice)], ids=["ICE", "no ICE"])
@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
async def test_a_pbx_that_calls_is_heard_and_hears_whoever_opens_dtls(
    here: Stage, says: Change, reads: Change, setup: str
) -> None:
    def offering(sdp: bytes) -> bytes:
        return says(sdp).replace(b"a=setup:actpass", f"a=setup:{setup}".encode())

    async with dtls_pbx(here, says=offering, reads=reads) as pbx:
        page = await called_by(here, pbx)
        await talk(page, pbx, b"one")


@pytest.mark.parametrize(
    ("says", "reads"), [(unchanged, unchanged), (no_ice, no_ice), (lite, no_candidates)], ids=["full", "none", "lite"]
)
@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_a_pbx_that_is_called_is_heard_and_hears(here: Stage, says: Change, reads: Change, setup: str) -> None:
    def reading(sdp: bytes) -> bytes:
        wanted = {"active": "passive", "passive": "active"}[setup]
        return reads(sdp).replace(b"a=setup:actpass", f"a=setup:{wanted}".encode())

    async with dtls_pbx(here, says=says, reads=reading) as pbx:
        page = await calling(here, pbx)
        await talk(page, pbx, b"one")


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_a_call_of_ours_without_ice_meets_the_pbx_where_it_announces(here: Stage, setup: str) -> None:
    def reading(sdp: bytes) -> bytes:
        wanted = {"active": "passive", "passive": "active"}[setup]
        return sdp.replace(b"a=setup:actpass", f"a=setup:{wanted}".encode())

    async with dtls_pbx(here, reads=reading) as pbx:
        page = await calling(here, pbx, Secrecy.DTLS)
        await talk(page, pbx, b"one")


async def test_a_pbx_behind_nat_without_ice_is_met_where_its_dtls_comes_from(here: Stage) -> None:
    def elsewhere(sdp: bytes) -> bytes:
        return re.sub(rb"m=audio \d+", b"m=audio 9", no_ice(sdp)).replace(b"a=setup:actpass", b"a=setup:active")

    async with dtls_pbx(here, says=elsewhere, reads=no_ice) as pbx:
        page = await called_by(here, pbx)
        await talk(page, pbx, b"one")


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_a_pbx_with_a_certificate_of_rsa_is_met_too(here: Stage, setup: str) -> None:
    def offering(sdp: bytes) -> bytes:
        return sdp.replace(b"a=setup:actpass", f"a=setup:{setup}".encode())

    async with dtls_pbx(here, says=offering, certificate=RsaCertificate.new()) as pbx:
        page = await called_by(here, pbx)
        await talk(page, pbx, b"one")


# ---- what goes on


async def test_hold_resume_and_the_next_page_keep_the_association(here: Stage) -> None:
    async with dtls_pbx(here) as pbx:
        page = await called_by(here, pbx)
        before = leg_of(here)._current
        for held in (True, False):
            await here.voice.perform(HoldMedia(call=CALL, held=held))
            offer = await here.mail.next(MediaReoffered)
            await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx.answer(offer.sdp)))
        await talk(page, pbx, b"resumed")
        await page.close()
        await here.mail.next(BrowserLost)
        follower = await here.offer_to(OTHER, b"", CODECS)
        await here.join(follower, OTHER, first=b"rejoined")
        await pbx.next_with(b"rejoined")
        await talk(follower, pbx, b"on")
        assert leg_of(here)._current is before


async def test_an_offer_of_the_pbx_for_the_same_transport_keeps_the_association(here: Stage) -> None:
    async with dtls_pbx(here) as pbx:
        page = await called_by(here, pbx)
        before = leg_of(here)._current
        await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx.offer_again()))
        pbx.answered((await here.mail.next(MediaReanswered)).sdp)
        await talk(page, pbx, b"again")
        assert leg_of(here)._current is before


def says_new(sdp: bytes) -> bytes:
    """As Asterisk and baresip write it."""
    return no_ice(sdp).replace(b"a=setup:", b"a=connection:new\r\na=setup:")


async def test_a_pbx_without_ice_that_says_it_begins_anew_and_does_not_is_heard_on(here: Stage) -> None:
    async with dtls_pbx(here, says=says_new, reads=no_ice) as pbx:
        page = await calling(here, pbx)
        before = leg_of(here)._current
        for held in (True, False):
            await here.voice.perform(HoldMedia(call=CALL, held=held))
            offer = await here.mail.next(MediaReoffered)
            await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx.answer(offer.sdp)))
        await talk(page, pbx, b"resumed")
        assert leg_of(here)._current is before


async def test_a_pbx_without_ice_that_begins_anew_after_a_hold_is_met_again(here: Stage) -> None:
    async with dtls_pbx(here, says=says_new, reads=no_ice) as pbx:
        page = await calling(here, pbx)
        before = leg_of(here)._current
        for held in (True, False):
            await here.voice.perform(HoldMedia(call=CALL, held=held))
            offer = await here.mail.next(MediaReoffered)
            await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx.answer(offer.sdp)))
        assert pbx.leg._handshake is not None
        pbx.leg._begin(pbx.leg._handshake)
        await pbx.connected()
        await up(here)
        await talk(page, pbx, b"anew")
        assert leg_of(here)._current is not before


async def test_an_ice_restart_is_a_new_association_and_our_stream_goes_on(here: Stage) -> None:
    async with dtls_pbx(here) as pbx:
        page = await called_by(here, pbx)
        await page.say(b"before")
        heard, before = await pbx.next_with(b"before"), leg_of(here)._current
        await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx.restart()))
        pbx.answered((await here.mail.next(MediaReanswered)).sdp)
        await pbx.connected()
        await up(here)
        await page.say(b"after")
        then = await pbx.next_with(b"after")
        assert then.ssrc == heard.ssrc
        assert 0 < (then.sequence - heard.sequence) & 0xFFFF < 100
        await talk(page, pbx, b"on")
        assert leg_of(here)._current is not before
        assert len(leg_of(here)._open) == 1, "the old one is gone"


async def test_who_takes_the_place_of_the_pbx_is_met_anew_and_until_then_nothing_changes(here: Stage) -> None:
    async with dtls_pbx(here) as pbx, dtls_pbx(here) as next_pbx:
        page = await called_by(here, pbx)
        await here.voice.perform(OfferMedia(call=CALL))
        offer = await here.mail.next(MediaOfferMade)
        await talk(page, pbx, b"still the first")
        await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=next_pbx.answer(offer.sdp)))
        await next_pbx.connected()
        await up(here)
        await talk(page, next_pbx, b"the second")


async def test_a_call_that_goes_on_in_another_process_meets_the_pbx_anew(here: Stage) -> None:
    """Its certificate is another one, and so is its port."""
    async with dtls_pbx(here) as pbx:
        await called_by(here, pbx)
        memory = here.voice.memory(CALL)
        await here.voice._close(CALL)
        here.voice._certificates._newest = Certificate.generateCertificate()
        here.voice.restore(CALL, memory, None)
        moved = await here.mail.next(PbxLegMoved)
        await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=pbx.answer(moved.sdp)))
        await pbx.connected()
        await up(here)
        page = await here.offer_to(OTHER, b"", CODECS)
        await here.join(page, OTHER, first=b"rejoined")
        await talk(page, pbx, b"on")


async def test_a_pbx_may_change_to_plain_rtp_and_back_where_that_is_allowed(here: Stage) -> None:
    async with dtls_pbx(here) as pbx, dtls_pbx(here) as again:
        page = await called_by(here, pbx)
        await here.voice.perform(ReofferMedia(call=CALL, sdp=pbx_offer(here.pbx.port, "PCMU", version=2)))
        await here.mail.next(MediaReanswered)
        here.pbx.bridge = here.voice._conversations[CALL].path.pbx.address  # type: ignore[union-attr]
        await page.say(b"plain")
        await here.pbx.next_with(b"plain")
        here.pbx.send(rtp(0, 1, 160, b"plain too"))
        while (await page.next()).payload != b"plain too":
            pass
        await here.voice.perform(ReofferMedia(call=CALL, sdp=again.offer()))
        again.answered((await here.mail.next(MediaReanswered)).sdp)
        await again.connected()
        await up(here)
        await talk(page, again, b"encrypted again")


# ---- who is not met


async def test_a_pbx_with_another_certificate_than_it_announced_is_not_heard_and_reported(here: Stage) -> None:
    stranger = Certificate.generateCertificate().fingerprint
    async with dtls_pbx(here, forged=stranger) as pbx:
        page = await here.offer_to(TAB, pbx.offer(), CODECS)
        pbx.answered((await here.join(page)).sdp)
        await here.mail.next(PbxFellSilent)
        pbx.say(b"forged")
        assert leg_of(here).received == 0
        assert not leg_of(here).connected


async def test_a_pbx_that_never_comes_is_reported() -> None:
    async with stage(Patience(connect=0.5, report=3600, browser=1000)) as here, dtls_pbx(here) as pbx:
        page = await here.offer_to(TAB, pbx.offer(), CODECS)
        await here.join(page)
        assert (await here.mail.next(PbxFellSilent)).call == CALL


async def test_plain_packets_and_foreign_handshakes_are_not_heard(here: Stage) -> None:
    async with dtls_pbx(here) as pbx:
        page = await called_by(here, pbx)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(20):
                stranger.sendto(rtp(0, number, 160 * number, b"stranger" * 20), leg_of(here).address)
                stranger.sendto(b"\x16\xfe\xfd" + bytes(50), leg_of(here).address)
                stranger.sendto(b"\x00\x01" + bytes(18), leg_of(here).address)
        await talk(page, pbx, b"undisturbed")
        assert leg_of(here).received == 1


async def test_a_refused_offer_leaves_the_association_as_it_was(here: Stage) -> None:
    async with dtls_pbx(here) as pbx:
        page = await calling(here, pbx)
        for bad in (pbx_offer(5000, "PCMU"), b"v=0\r\nm=audio broken"):
            with pytest.raises(SdpError):
                await here.voice.perform(ReofferMedia(call=CALL, sdp=bad))
        await talk(page, pbx, b"unchanged")


# ---- reports, and a bad way


async def test_reports_go_with_the_voice_both_ways() -> None:
    async with stage(Patience(report=0.05, browser=1000)) as here, dtls_pbx(here) as pbx:
        page = await called_by(here, pbx)
        await talk(page, pbx, b"one")
        pbx.leg.sent = here.voice._conversations[CALL].path.relay.up  # type: ignore[union-attr]
        async with asyncio.timeout(5):
            while not pbx.leg.reports.heard or not leg_of(here).reports.heard:
                pbx.leg.report(asyncio.get_running_loop().time())
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", [1, 2])
async def test_over_a_way_that_loses_delays_and_reorders_the_association_comes_up_and_voice_flows(seed: int) -> None:
    async with stage(Patience(connect=60, report=3600, browser=1000)) as here, dtls_pbx(here) as pbx:
        ways = [LossyWay(pbx.leg, seed=seed, loss=0.1, jitter=0.03)]
        page = await here.offer_to(TAB, pbx.offer(), CODECS)
        ready = await here.join(page)
        ways.append(LossyWay(leg_of(here), seed=seed + 100, loss=0.1, jitter=0.03))
        pbx.answered(ready.sdp)
        await pbx.connected(60)
        await up(here, 60)
        said = [bytes([number]) * 20 for number in range(100)]
        for payload in said:
            pbx.say(payload)
            await page.say(payload)
        async with asyncio.timeout(SOON):
            heard: set[bytes] = set()
            while len(heard) < 50:  # between them comes the silence of before
                heard |= {(await pbx.heard.get()).payload} & set(said)
            assert {(await page.next()).payload for _ in range(50)} <= set(said)
        assert all(way.lost for way in ways)


async def test_after_the_end_no_port_and_no_association_is_left() -> None:
    async with stage(Patience(report=3600, browser=1000)) as here:
        assert here.voice._equipment is not None
        poller = here.voice._equipment.poller
        before = len(poller)
        async with dtls_pbx(here) as pbx:
            await called_by(here, pbx)
            await here.voice._close(CALL)
        async with asyncio.timeout(5):
            while len(poller) != before:
                await asyncio.sleep(0.005)
