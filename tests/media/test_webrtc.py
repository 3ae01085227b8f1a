"""Browser legs: what they rely on in the libraries, and what strangers can not do to them."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import random
import socket

import aioice.ice
import pytest
from aioice import stun
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from bridge.calls.commands import ConnectBrowser
from bridge.calls.events import BrowserAnswered, TabId
from bridge.media import ice
from bridge.media.dtls import SESS_CACHE_OFF, Certificates
from bridge.media.webrtc import BrowserLeg

from .stage import CALL, CODECS, SOON, TAB, Page, Stage, rtp, stage

VOICE = bytes(range(160))


# ---- private names of the libraries


def test_aioice_still_has_every_name_that_is_touched() -> None:
    connection = aioice.Connection(ice_controlling=False)
    for name in ("_protocols", "_early_checks", "_remote_candidates", "_nominated", "_query_consent_task"):
        assert hasattr(connection, name), name
    assert connection._closing is connection._local_candidates_end is False
    for name, parameters in {
        "request_received": ["message", "addr", "protocol"],
        "respond_error": ["request", "addr", "protocol", "error_code"],
        "check_incoming": ["message", "addr", "protocol"],
        "check_complete": ["pair"],
        "data_received": ["data", "component"],
        "_check_periodic": [],
        "query_consent": [],
        "connect": [],
        "close": [],
        "build_request": ["pair", "nominate"],
    }.items():
        found = list(inspect.signature(getattr(aioice.Connection, name)).parameters)[1:]
        assert found == parameters, name
    source = inspect.getsource(aioice.Connection)
    for call in ("self.query_consent()", "self._check_periodic()"):
        assert call in source, "overriding it must have an effect"
    assert aioice.ice.CandidatePair.State.SUCCEEDED


async def test_aioices_protocol_takes_a_transport_and_transactions_of_ours() -> None:
    protocol = aioice.ice.StunProtocol(aioice.Connection(ice_controlling=False))
    assert protocol.transactions == {}
    for name in ("connection_made", "connection_lost", "datagram_received", "request", "close"):
        assert callable(getattr(protocol, name)), name
    assert callable(stun.Message(stun.Method.BINDING, stun.Class.REQUEST).check_message_integrity)


def test_aiortc_still_has_every_name_that_is_touched() -> None:
    assert list(inspect.signature(RTCCertificate._create_ssl_context).parameters) == ["self", "srtp_profiles"]
    for profile in SRTP_PROFILES:
        assert profile.openssl_profile.startswith(b"SRTP_")
        keys = bytes(range(2 * (profile.key_length + profile.salt_length)))
        client, server = (profile.get_key_and_salt(keys, whose) for whose in (0, 1))
        assert client[: profile.key_length] + server[: profile.key_length] == keys[: 2 * profile.key_length]


def test_pylibsrtp_still_lets_us_work_in_place() -> None:
    policy = Policy(key=bytes(30), ssrc_type=Policy.SSRC_ANY_OUTBOUND)
    outgoing = Session(policy)
    policy.ssrc_type = Policy.SSRC_ANY_INBOUND
    incoming = Session(policy)
    plain = rtp(0, 1, 1, VOICE)
    buffer = bytearray(2048)
    buffer[: len(plain)] = plain
    packet, length = ffi.from_buffer("char[]", buffer), ffi.new("int *", len(plain))
    assert lib.srtp_protect(outgoing._srtp[0], packet, length) == 0
    assert length[0] > len(plain)
    assert lib.srtp_unprotect(incoming._srtp[0], packet, length) == 0
    assert buffer[: length[0]] == plain


def test_new_legs_get_a_new_certificate_after_twenty_days() -> None:
    certificates = Certificates()
    now = datetime.datetime.now(datetime.UTC)
    first = certificates.current(now)
    assert certificates.current(now + datetime.timedelta(days=19)) is first
    assert certificates.current(now + datetime.timedelta(days=21)) is not first


async def test_all_legs_of_a_certificate_share_its_context_and_none_of_their_keys() -> None:
    async with stage() as here:
        tabs = [TAB, TabId("other")]
        for tab in tabs:
            await here.connect(tab)
        certificate = here.voice._certificates.current(datetime.datetime.now(datetime.UTC))
        context = certificate.context
        connections = [dtls.ssl for tab in tabs if (dtls := leg_of(here, tab).association._dtls)]
        assert [connection.get_context() for connection in connections] == [context, context]
        keys = [connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 60) for connection in connections]
        assert keys[0] != keys[1]
        assert context.get_session_cache_mode() == SESS_CACHE_OFF


# ---- strangers


def leg_of(here: Stage, tab: TabId = TAB) -> BrowserLeg:
    return here.voice._conversations[CALL].legs[tab]


def check(leg: BrowserLeg, *, key: str | None = None, priority: bool = True) -> stun.Message:
    """A nominating check for the leg; with the leg's own password unless another key is given."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = (
        f"{leg.association.connection.local_username}:{leg.association.connection.remote_username}"
    )
    if priority:
        message.attributes["PRIORITY"] = 1
    message.attributes.update({"ICE-CONTROLLING": 1, "USE-CANDIDATE": None})
    message.add_message_integrity((leg.association.connection.local_password if key is None else key).encode())
    return message


async def still_talks(here: Stage, page: Page, payload: bytes) -> None:
    await page.say(payload)
    assert (await here.pbx.next_with(payload)).payload == payload
    here.pbx.send(rtp(0, page.sequence, page.timestamp, payload))
    while (await page.next()).payload != payload:
        pass


async def test_voice_from_another_address_is_not_heard() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        hub = leg_of(here).hub
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(rtp(0, 1, 1, b"stranger" * 20), hub.address)
        await still_talks(here, page, b"\x11" * 160)
        assert (leg_of(here).received, leg_of(here).refused) == (2, 0)


@pytest.mark.parametrize("key", ["wrong" * 6, None], ids=["wrong key", "valid, from an address that does not answer"])
async def test_a_check_from_elsewhere_takes_nothing_over(key: str | None) -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        leg = leg_of(here)
        owners, remote = dict(leg.hub.by_address), leg.association.connection.remote
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.sendto(bytes(check(leg, key=key)), leg.hub.address)
        await still_talks(here, page, b"\x22" * 160)
        assert (leg.hub.by_address, leg.association.connection.remote) == (owners, remote)


async def test_a_leg_can_not_take_the_address_of_another_with_a_valid_check_of_its_own() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        victim, thief = leg_of(here), Page()
        here.pages.append(thief)
        command = ConnectBrowser(
            call=CALL, tab=TabId("thief"), offer="x", sdp=await thief.offer(), pbx_offer=here.offer(), codecs=CODECS
        )
        await here.voice.perform(command)
        await here.mail.next(BrowserAnswered)
        message = check(leg_of(here, TabId("thief")))
        page._transport.transport._connection._nominated[1].protocol.send_stun(message, victim.hub.address)
        await still_talks(here, page, b"\x33" * 160)
        assert victim.hub.by_address[page.address] is victim.association


async def test_a_stranger_without_the_password_is_not_answered() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        leg = leg_of(here)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.setblocking(False)
            stranger.sendto(bytes(check(leg, key="wrong" * 6)), leg.hub.address)
            await still_talks(here, page, b"\x44" * 160)
            with pytest.raises(BlockingIOError):
                stranger.recv(2000)


async def test_two_thousand_junk_datagrams_harm_nothing() -> None:
    rng = random.Random(7)
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        leg = leg_of(here)
        valid = bytes(check(leg, key="wrong" * 6))
        from_page = page._transport.transport._connection._nominated[1].protocol.transport
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(2000):
                junk = bytearray(valid if number % 2 else rng.randbytes(rng.randrange(1, 1400)))
                for _ in range(rng.randrange(4)):
                    junk[rng.randrange(len(junk))] = rng.randrange(256)
                if not number % 5:
                    junk[0] = rng.choice([0, 1, 21, 22, 128, 160])
                data = bytes(junk[: rng.randrange(1, len(junk) + 1)] if number % 3 else junk)
                if number % 4:
                    stranger.sendto(data, leg.hub.address)
                else:
                    from_page.sendto(data, leg.hub.address)
                if number % 50 == 49:
                    await still_talks(here, page, bytes([number % 251]) * 160)
        stranger_check = bytes(check(leg, priority=False))
        from_page.sendto(stranger_check, leg.hub.address)
        await still_talks(here, page, b"\x55" * 160)
        assert leg.connected


async def test_a_page_that_comes_from_ever_new_addresses_fills_no_table() -> None:
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        leg = leg_of(here)
        for _ in range(100):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
                elsewhere.bind(("127.0.0.1", 0))
                elsewhere.sendto(bytes(check(leg)), leg.hub.address)
        await still_talks(here, page, b"\x66" * 160)
        assert len(leg.association.connection._remote_candidates) <= 32
        assert len(leg.hub.by_address) == 1


async def test_after_any_end_the_hub_knows_nothing_of_the_leg() -> None:
    async with stage() as here:
        page = await here.connect()
        leg = leg_of(here)
        hub = leg.hub
        await leg.close()
        await leg.close()
        assert (hub.by_address, hub.by_username, hub.by_transaction) == ({}, {}, {})
        await asyncio.wait_for(page.close(), SOON)


# ---- consent


def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.005)
    monkeypatch.setattr(ice, "CONSENT_LIFE", 0.03)
    monkeypatch.setattr(ice, "CONSENT_RETRIES", 0)


async def test_a_page_that_shows_no_sign_of_life_loses_its_leg(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty(monkeypatch)
    async with stage() as here:
        page = await here.connect()
        await page.vanish()
        while here.voice.legs:
            await asyncio.sleep(0.001)


async def test_a_flight_of_dtls_that_is_lost_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as here:
        assert here.voice._equipment is not None
        hub = here.voice._equipment.hub
        sent, lost = hub.send, list[bytes]()

        def lossy(data: bytes | memoryview, address: tuple[str, int]) -> None:
            if 19 < data[0] < 64 and not lost:
                lost.append(bytes(data))
            else:
                sent(data, address)

        monkeypatch.setattr(hub, "send", lossy)
        page = await here.connect()
        await here.join(page)
        await still_talks(here, page, b"all the same")
        assert lost


async def test_voice_alone_keeps_a_leg_alive_whose_answers_to_our_checks_are_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasty(monkeypatch)
    async with stage() as here:
        page = await here.connect()
        await here.join(page)
        leg = leg_of(here)
        sent, asked = leg.hub.send, asyncio.Event()

        def lossy(data: bytes | memoryview, address: tuple[str, int]) -> None:
            if data[0] == 0 and data[1] == 1:
                asked.set()
            else:
                sent(data, address)

        monkeypatch.setattr(leg.hub, "send", lossy)
        await asyncio.wait_for(asked.wait(), SOON)
        while leg.hub.by_transaction:  # until aioice has given the lost check up
            await page.say(b"alive")
            await here.pbx.next_with(b"alive")
        await page.say(b"still here")
        await here.pbx.next_with(b"still here")
        assert leg.connected
