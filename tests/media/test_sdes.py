"""Encrypted voice towards a PBX: keys in its SDP (RFC 4568), from the grammar to the wire."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from bridge.calls.commands import AcceptPbxAnswer, HoldMedia, MediaPolicy, ReofferMedia, Secrecy
from bridge.calls.events import MediaReanswered, MediaReoffered
from bridge.media import rtcp, sdes
from bridge.media.equipment import Patience
from bridge.media.pbx_sdp import parse_pbx_offer
from bridge.media.pbx_session import PbxSession
from bridge.media.sdp import SdpError

from .stage import CALL, CODECS, TAB, Packet, Stage, pbx_answer, pbx_offer, port_of, rtp, stage

HOST = ("127.0.0.1", 4000)
KEY = bytes(range(30))
LINE = sdes.Crypto(tag=1, suite="AES_CM_128_HMAC_SHA1_80", key=KEY)
PROFILES = {
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}


def inline(key: bytes = KEY) -> str:
    return base64.b64encode(key).decode()


# ---- the line


@pytest.mark.parametrize("suite", sdes.SUITES)
def test_a_line_is_read_as_it_was_written_and_in_any_case(suite: str) -> None:
    line = sdes.Crypto(tag=7, suite=suite, key=bytes(range(sdes.SUITES[suite])))
    assert sdes.parse(str(line)) == line
    assert sdes.parse(f"7 {suite.lower()} inline:{inline(line.key)}") == line


@pytest.mark.parametrize(
    "line",
    [
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline()}|2^31",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline()}|1048576",
        f"1  AES_CM_128_HMAC_SHA1_80\tinline:{inline()} WSH=64",
    ],
    ids=["lifetime", "lifetime in full", "window hint"],
)
def test_what_changes_nothing_is_accepted(line: str) -> None:
    assert sdes.parse(line) == LINE


@pytest.mark.parametrize(
    "line",
    [
        f"1 AES_256_CM_HMAC_SHA1_80 inline:{inline(bytes(46))}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline(bytes(29))}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline()}|2^20|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline()}|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline()};inline:{inline()}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline()} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline()} KDR=1",
        "1 AES_CM_128_HMAC_SHA1_80 inline:",
        "1 AES_CM_128_HMAC_SHA1_80",
        "",
    ],
    ids=["suite", "length", "MKI", "MKI alone", "two keys", "unencrypted", "condition", "no key", "no inline", "empty"],
)
def test_a_line_that_we_can_not_do_is_passed_over(line: str) -> None:
    assert sdes.parse(line) is None


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    sdes.parse(text)
    sdes.parse("1 AES_CM_128_HMAC_SHA1_80 inline:" + text)


def test_no_key_stands_in_what_is_printed_for_a_log() -> None:
    offer = parse_pbx_offer(secure_offer(4000), Secrecy.ALLOWED)
    session = PbxSession(1, bytes)
    session.secrecy = Secrecy.REQUIRED
    session.offer(["PCMU"], HOST)
    for thing in (LINE, offer, sdes.Keys(incoming=LINE, outgoing=LINE), session._offered):
        assert inline() not in repr(thing)
        assert repr(KEY) not in repr(thing)


# ---- the trunk's policy


def secure_offer(
    port: int, *lines: str, proto: str = "RTP/SAVP", direction: str = "sendrecv", version: int = 1
) -> bytes:
    text = pbx_offer(port, "PCMU", direction=direction, version=version).decode().replace("RTP/AVP", proto)
    crypto = "".join(f"a=crypto:{line}\r\n" for line in (lines or (str(LINE),)))
    return text.replace("a=sendrecv", f"{crypto}a=sendrecv").replace("a=sendonly", f"{crypto}a=sendonly").encode()


def answered(offer: bytes, secrecy: Secrecy) -> str:
    session = PbxSession(1, bytes)
    session.secrecy = secrecy
    session.invited(offer)
    return session.answer("PCMU", HOST).decode()


@pytest.mark.parametrize(
    ("proto", "secrecy", "encrypted"),
    [
        ("RTP/AVP", Secrecy.NEVER, False),
        ("RTP/SAVP", Secrecy.ALLOWED, True),
        ("RTP/SAVPF", Secrecy.ALLOWED, True),
        ("RTP/AVP", Secrecy.ALLOWED, True),
        ("RTP/SAVP", Secrecy.REQUIRED, True),
        ("RTP/AVP", Secrecy.REQUIRED, True),
    ],
)
def test_an_offer_with_keys_is_answered_with_one_key_of_ours_under_its_tag_and_profile(
    proto: str, secrecy: Secrecy, encrypted: bool
) -> None:
    lines = (f"3 AES_256_CM_HMAC_SHA1_80 inline:{inline(bytes(46))}", f"4 AES_CM_128_HMAC_SHA1_32 inline:{inline()}")
    text = answered(secure_offer(4000, *lines, proto=proto), secrecy)
    assert f" {proto} 0" in text
    found = [line for line in text.splitlines() if line.startswith("a=crypto")]
    assert found == ([f"a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:{inline(bytes(30))}"] if encrypted else [])


@pytest.mark.parametrize(
    ("offer", "secrecy"),
    [
        (secure_offer(4000), Secrecy.NEVER),
        (pbx_offer(4000, "PCMU"), Secrecy.REQUIRED),
        (secure_offer(4000, "1 UNKNOWN inline:AAAA"), Secrecy.ALLOWED),
        (secure_offer(4000, "1 UNKNOWN inline:AAAA"), Secrecy.REQUIRED),
    ],
    ids=["unwanted", "missing", "unknown suite", "unknown suite, required"],
)
def test_what_the_trunk_does_not_want_is_refused_without_a_word_of_the_key(offer: bytes, secrecy: Secrecy) -> None:
    with pytest.raises(SdpError, match="we take") as caught:
        answered(offer, secrecy)
    assert inline() not in str(caught.value)


def test_of_plain_and_encrypted_audio_in_one_offer_the_encrypted_is_taken() -> None:
    plain = pbx_offer(4000, "PCMU").decode()
    both = plain + secure_offer(4002).decode().partition("t=0 0\r\n")[2]
    lines = answered(both.encode(), Secrecy.ALLOWED).splitlines()
    assert [line.split()[1:3] for line in lines if line.startswith("m=")] == [["0", "RTP/AVP"], ["4000", "RTP/SAVP"]]


def required() -> PbxSession:
    session = PbxSession(1, lambda size: bytes([size]) * size)
    session.secrecy = Secrecy.REQUIRED
    return session


def test_where_it_is_required_our_offer_has_the_best_suite_first_and_the_answer_chooses() -> None:
    session = required()
    lines = session.offer(["PCMU"], HOST).decode().splitlines()
    assert next(line for line in lines if line.startswith("m=")).split()[2] == "RTP/SAVP"
    assert [line.split()[1] for line in lines if line.startswith("a=crypto")] == list(sdes.OFFERED)
    assert session.keys is None
    session.answered(secure_offer(4000, f"2 AES_CM_128_HMAC_SHA1_80 inline:{inline()}"))
    assert session.keys is not None
    assert (session.keys.incoming.key, session.keys.outgoing.key) == (KEY, bytes([30]) * 30)


@pytest.mark.parametrize(
    "answer",
    [
        pbx_answer(4000, "PCMU"),
        secure_offer(4000, f"9 AES_CM_128_HMAC_SHA1_80 inline:{inline()}"),
        secure_offer(4000, f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline()}"),
        secure_offer(4000, "2 AES_CM_128_HMAC_SHA1_80 inline:short"),
    ],
    ids=["plain", "another tag", "another suite under the tag", "no key"],
)
def test_an_answer_that_does_not_encrypt_as_offered_is_refused(answer: bytes) -> None:
    session = required()
    session.offer(["PCMU"], HOST)
    with pytest.raises(SdpError):
        session.answered(answer)
    assert session.keys is None


def test_a_hold_and_a_repeated_offer_keep_our_key() -> None:
    session = PbxSession(1, _fresh())
    session.secrecy = Secrecy.ALLOWED
    session.invited(secure_offer(4000))
    first = _crypto(session.answer("PCMU", HOST))
    assert _crypto(session.hold(True, HOST)) == first
    session.answered(secure_offer(4000))
    assert _crypto(session.reoffered(secure_offer(4000, version=2), HOST)) == first
    with_new = session.reoffered(secure_offer(4000, f"1 AES_CM_128_HMAC_SHA1_80 inline:{inline(bytes(30))}"), HOST)
    assert _crypto(with_new) == first
    assert session.keys is not None
    assert session.keys.incoming.key == bytes(30)


def _fresh() -> Callable[[int], bytes]:
    count = iter(range(1, 99))
    return lambda size: bytes([next(count)]) * size


def _crypto(text: bytes) -> list[str]:
    return [line for line in text.decode().splitlines() if line.startswith("a=crypto")]


# ---- the wire


class SecurePbx:
    """Speaks SRTP over the stage's PBX socket."""

    def __init__(self, here: Stage, ours: sdes.Crypto, theirs: str) -> None:
        self.here = here
        self.key(ours)
        bridges = next(line for line in theirs.splitlines() if line.startswith("a=crypto:"))
        found = sdes.parse(bridges.removeprefix("a=crypto:"))
        assert found is not None
        self._in = Session(Policy(key=found.key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILES[found.suite]))

    def key(self, crypto: sdes.Crypto) -> None:
        profile = PROFILES[crypto.suite]
        self._out = Session(Policy(key=crypto.key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))

    def send(self, packet: bytes) -> None:
        self.here.pbx.send(self._out.protect(packet))

    async def next(self) -> Packet:
        return Packet.read(self._in.unprotect(await self.here.pbx.heard.get()))

    async def next_with(self, payload: bytes) -> Packet:
        while (packet := await self.next()).payload != payload:
            pass
        return packet


@pytest.fixture
async def here() -> AsyncIterator[Stage]:
    async with stage(Patience(report=3600)) as found:
        yield found


@pytest.mark.parametrize("suite", sdes.SUITES)
async def test_voice_is_encrypted_both_ways_and_only_what_is_encrypted_is_heard(here: Stage, suite: str) -> None:
    line = sdes.Crypto(tag=1, suite=suite, key=bytes(range(sdes.SUITES[suite])))
    page = await here.offer_to(TAB, secure_offer(here.pbx.port, str(line)), CODECS)
    ready = await here.join(page)
    pbx = SecurePbx(here, line, ready.sdp.decode())
    assert (await pbx.next()).payload == b"first"
    here.pbx.send(rtp(0, 1, 160, b"in the clear"))
    for number in range(2, 12):
        pbx.send(rtp(0, number, 160 * number, b"to the page"))
        await page.say(b"to the pbx")
        assert (await page.next()).payload == b"to the page"
        assert (await pbx.next()).payload == b"to the pbx"


async def test_a_new_key_of_the_pbx_is_followed_and_ours_goes_on_counting(here: Stage) -> None:
    page = await here.offer_to(TAB, secure_offer(here.pbx.port), CODECS)
    pbx = SecurePbx(here, LINE, (await here.join(page)).sdp.decode())
    await pbx.next()
    for round_number, key in enumerate((KEY, bytes(30), bytes([9]) * 30), start=2):
        line = sdes.Crypto(tag=1, suite=LINE.suite, key=key)
        await here.voice.perform(
            ReofferMedia(call=CALL, sdp=secure_offer(here.pbx.port, str(line), version=round_number))
        )
        await here.mail.next(MediaReanswered)
        if round_number > 2:
            pbx.key(line)
        pbx.send(rtp(0, round_number, 160 * round_number, b"new key"))
        assert (await page.next()).payload == b"new key"
        await page.say(b"same key")
        assert (await pbx.next_with(b"same key")).payload == b"same key"


async def test_a_call_of_ours_is_encrypted_where_the_trunk_requires_it_and_holds(here: Stage) -> None:
    page = await here.offer_to(TAB, b"", ("PCMU",), policy=MediaPolicy(srtp=Secrecy.REQUIRED))
    ready = await here.join(page)
    line = sdes.Crypto(tag=2, suite="AES_CM_128_HMAC_SHA1_80", key=KEY)
    await here.voice.perform(AcceptPbxAnswer(call=CALL, sdp=secure_offer(here.pbx.port, str(line))))
    ours = "\n".join(text for text in ready.sdp.decode().splitlines() if "AES_CM_128_HMAC_SHA1_80" in text)
    pbx = SecurePbx(here, line, ours)
    await page.say(b"hello")
    await pbx.next_with(b"hello")
    await here.voice.perform(HoldMedia(call=CALL, held=True))
    held = await here.mail.next(MediaReoffered)
    assert _crypto(held.sdp) == [ours]
    assert port_of(held.sdp) == port_of(ready.sdp)


async def test_reports_are_encrypted_too() -> None:
    async with stage(Patience(report=0.2)) as here:
        offer = secure_offer(here.pbx.port).replace(b"a=sendrecv", b"a=rtcp-mux\r\na=sendrecv")
        page = await here.offer_to(TAB, offer, CODECS)
        pbx = SecurePbx(here, LINE, (await here.join(page)).sdp.decode())
        while not 191 < (raw := await here.pbx.heard.get())[1] < 224:
            pass
        plain = pbx._in.unprotect_rtcp(raw)
        assert rtcp.parse(plain).reports
        assert plain[8:] not in raw
