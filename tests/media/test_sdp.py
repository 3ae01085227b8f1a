"""Descriptions of browsers and PBXs: what we read in them and what we answer."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.page_sdp import LocalTransport, parse_page_offer, write_page_answer
from bridge.media.pbx_sdp import parse_pbx_offer
from bridge.media.pbx_session import PbxSession
from bridge.media.peer import Credentials, OurEnd
from bridge.media.sdp import CLOCK_RATES, MAX_BYTES, Codec, Direction, SdpError, bounded, choose

from .offers import ASTERISK, CHROMIUM, FINGERPRINT, FIREFOX, ODD_PBX

US = "10.9.9.9", 21_000
OUR_LEG = LocalTransport(
    address=("192.0.2.1", 30_000),
    end=OurEnd(credentials=Credentials(username="u" * 16, password="p" * 32), fingerprint=FINGERPRINT, setup="active"),
    ssrc=4711,
)


def changed(text: str, pattern: str, replacement: str) -> bytes:
    new, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    assert count
    return new.encode()


def answer_to(offer: bytes | str, name: str = "PCMA") -> list[str]:
    session = PbxSession(42, bytes)
    session.invited(offer.encode() if isinstance(offer, str) else offer)
    return session.answer(name, US).decode().splitlines()


# ---- the page


def test_chromium_is_read_and_its_mdns_candidates_are_not() -> None:
    offer = parse_page_offer(CHROMIUM)
    assert (offer.mid, offer.peer.username, offer.peer.password) == ("0", "hT9w", "1zW7Xk9cC3yWq0q4bQ8aVn5B")
    assert offer.peer.fingerprints == (("sha-256", FINGERPRINT),)
    assert [(c.name, c.payload_type) for c in offer.audio.codecs] == [
        ("opus", 111),
        ("G722", 9),
        ("PCMU", 0),
        ("PCMA", 8),
    ]


def test_firefox_puts_the_fingerprint_at_session_level_and_offers_a_data_channel() -> None:
    offer = parse_page_offer(FIREFOX)
    assert offer.peer.fingerprints == (("sha-256", FINGERPRINT),)
    answer = write_page_answer(offer, Codec(name="PCMU", payload_type=0), 20, OUR_LEG, 1)
    assert [line for line in answer.splitlines() if line.startswith("m=")] == [
        "m=audio 30000 UDP/TLS/RTP/SAVPF 0",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ]
    assert "a=group:BUNDLE 0\r\n" in answer


def test_the_page_is_answered_with_one_codec_our_transport_and_the_packet_time_the_pbx_wants() -> None:
    answer = write_page_answer(parse_page_offer(CHROMIUM), Codec(name="opus", payload_type=111), 40, OUR_LEG, 3)
    lines = answer.splitlines()
    assert "m=audio 30000 UDP/TLS/RTP/SAVPF 111" in lines
    for line in ("a=rtpmap:111 opus/48000/2", "a=ptime:40", "a=setup:active", "a=rtcp-mux", "a=mid:0", "a=sendrecv"):
        assert line in lines
    assert "a=candidate:1 1 udp 2130706431 192.0.2.1 30000 typ host" in lines
    assert "a=ssrc:4711 cname:bridge" in lines
    assert not [line for line in lines if "extmap" in line or ".local" in line]


@pytest.mark.parametrize("theirs", list(Direction))
def test_the_answer_mirrors_the_direction(theirs: Direction) -> None:
    offer = parse_page_offer(CHROMIUM.replace("a=sendrecv", f"a={theirs.value}"))
    answer = write_page_answer(offer, Codec(name="PCMU", payload_type=0), 20, OUR_LEG, 1)
    ours = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
    assert f"\r\na={ours[theirs.value]}\r\n" in answer


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"^a=ice-ufrag.*\r\n", ""),
        (r"^a=ice-ufrag.*", "a=ice-ufrag:a b c d\r"),
        (r"^a=ice-pwd.*", "a=ice-pwd:short\r"),
        (r"^a=fingerprint.*", "a=fingerprint:md5 00:11\r"),
        (r"^a=fingerprint:sha-256 40", "a=fingerprint:sha-256 XX"),
        (r"^a=setup:actpass", "a=setup:active"),
        (r"^a=rtcp-mux.*\r\n", ""),
        (r"^a=mid:0.*\r\n", ""),
        (r"^m=audio", "m=video"),
        (r"^m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 RTP/AVP"),
        (r"^m=audio 9", "m=audio nine"),
        (r"^o=.*", "o=broken\r"),
    ],
)
def test_a_page_offer_that_can_not_work_is_refused(pattern: str, replacement: str) -> None:
    with pytest.raises(SdpError):
        parse_page_offer(changed(CHROMIUM, pattern, replacement).decode())


# ---- the PBX


def test_asterisk_is_answered_with_one_codec_and_telephone_event_under_its_payload_types() -> None:
    assert answer_to(ASTERISK, "PCMU") == [
        "v=0",
        "o=- 42 1 IN IP4 10.9.9.9",
        "s=-",
        "c=IN IP4 10.9.9.9",
        "t=0 0",
        "m=audio 21000 RTP/AVP 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_with_opus_a_telephone_event_of_another_clock_rate_is_not_taken() -> None:
    assert "m=audio 21000 RTP/AVP 107" in answer_to(ASTERISK, "opus")


def test_odd_but_legal_lines_are_read_and_every_m_line_is_answered_in_its_place() -> None:
    offer = parse_pbx_offer(ODD_PBX.encode())
    assert offer.address == ("10.0.0.9", 4002)
    assert [codec.name for codec in offer.codecs] == ["PCMA"]
    assert offer.ptime == 30
    assert [line for line in answer_to(ODD_PBX) if line.startswith("m=")] == [
        "m=image 0 udptl t38",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 21000 RTP/AVP 8 101",
        "m=text 0 RTP/AVP 98",
    ]


def test_direction_at_session_level_counts_for_the_media() -> None:
    assert parse_pbx_offer(ODD_PBX.encode()).direction is Direction.SENDONLY
    assert "a=recvonly" in answer_to(ODD_PBX)


@pytest.mark.parametrize(
    ("line", "address", "held", "ours"),
    [
        ("sendrecv", "10.1.2.3", False, "sendrecv"),
        ("recvonly", "10.1.2.3", False, "sendonly"),
        ("sendonly", "10.1.2.3", True, "recvonly"),
        ("inactive", "10.1.2.3", True, "inactive"),
        ("sendrecv", "0.0.0.0", True, "recvonly"),
        ("recvonly", "0.0.0.0", True, "inactive"),
    ],
)
def test_hold_and_direction_follow_rfc_3264_and_the_old_way(line: str, address: str, held: bool, ours: str) -> None:
    text = ASTERISK.replace("a=sendrecv", f"a={line}").replace("10.1.2.3", address)
    assert parse_pbx_offer(text.encode()).direction.receives is not held
    assert f"a={ours}" in answer_to(text)


@pytest.mark.parametrize(
    ("lines", "ptime"),
    [
        ("ptime:20", 20),
        ("ptime:30", 30),
        ("ptime:60\r\na=maxptime:40", 40),
        ("ptime:7", 20),
        ("ptime:", 20),
        ("x:1", 20),
    ],
)
def test_packet_time(lines: str, ptime: int) -> None:
    text = ASTERISK.replace("a=ptime:20", f"a={lines}").replace("a=maxptime:140", "a=y")
    assert parse_pbx_offer(text.encode()).ptime == ptime


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"^m=audio 14628", "m=audio 0"),
        (r"^m=audio 14628 RTP/AVP", "m=audio 14628 RTP/SAVP"),
        (r"^m=audio 14628", "m=audio 99999"),
        (r"^m=audio", "m=image"),
        (r"^c=.*", "c=IN IP6 fd00::1\r"),
        (r"^c=.*", "c=IN IP4 239.1.1.1\r"),
        (r"^c=.*", "c=IN IP4 pbx.example\r"),
        (r"^c=.*", "c=IN\r"),
        (r"^c=.*\r\n", ""),
        (r"^o=.*", "o=- 1\r"),
    ],
)
def test_a_pbx_offer_that_can_not_work_is_refused(pattern: str, replacement: str) -> None:
    with pytest.raises(SdpError):
        parse_pbx_offer(changed(ASTERISK, pattern, replacement))


def test_our_own_offer_keeps_sections_and_payload_types() -> None:
    session = PbxSession(42, bytes)
    session.invited(ODD_PBX.encode())
    session.answer("PCMA", US)
    lines = session.reoffered(b"", US).decode().splitlines()
    assert [line for line in lines if line.startswith("m=")] == [
        "m=image 0 udptl t38",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 21000 RTP/AVP 8 101",
        "m=text 0 RTP/AVP 98",
    ]
    assert "o=- 42 2 IN IP4 10.9.9.9" in lines
    assert "a=sendrecv" in lines


# ---- the choice


def test_the_first_codec_wanted_that_the_page_has_is_chosen_under_the_pages_number() -> None:
    session, page = PbxSession(1, bytes), parse_page_offer(CHROMIUM).audio
    session.invited(ASTERISK.encode())
    assert session.wanted(tuple(CLOCK_RATES)) == ("PCMA", "PCMU", "G722", "opus")
    assert choose(session.wanted(tuple(CLOCK_RATES)), page) == Codec(name="PCMA", payload_type=8)
    assert choose(session.wanted(["opus"]), page) == Codec(name="opus", payload_type=111)
    assert choose(session.wanted(["opus", "G722"]), page).name == "G722", "the PBX's order counts"


def test_without_a_common_codec_the_error_names_what_was_offered() -> None:
    page = parse_page_offer(CHROMIUM).audio
    with pytest.raises(SdpError, match="the call can have none that we know, the page has opus, G722, PCMU, PCMA"):
        choose([], page)


def test_telephone_event_is_no_codec() -> None:
    session = PbxSession(1, bytes)
    session.invited(changed(ASTERISK, "RTP/AVP .*", "RTP/AVP 101 13\r"))
    assert session.wanted(tuple(CLOCK_RATES)) == ()


# ---- hostile input


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from([CHROMIUM, FIREFOX, ASTERISK, ODD_PBX]))
    lines = text.split("\r\n")
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        cut = draw(st.integers(0, len(line)))
        junk = draw(
            st.text(max_size=8) | st.sampled_from(["m=audio", "c=IN IP4", "a=rtpmap:", "\n", " ", "/", "99999999"])
        )
        lines[at] = draw(st.sampled_from([line[:cut] + junk + line[cut:], line[:cut], junk, line + "\r\n" + line]))
    return "\r\n".join(lines)


@given(mutated())
def test_whatever_is_wrong_the_error_is_an_sdp_error(text: str) -> None:
    try:
        page = parse_page_offer(text)
        write_page_answer(page, Codec(name="PCMU", payload_type=0), 20, OUR_LEG, 1)
        choose(tuple(CLOCK_RATES), page.audio)
    except SdpError:
        pass
    raw, session = text.encode("utf-8", "surrogatepass"), PbxSession(1, bytes)
    try:
        session.invited(raw)
        written = session.answer((session.wanted(tuple(CLOCK_RATES)) or ("PCMU",))[0], US)
        assert session.theirs
        assert len(re.findall(rb"^m=", written, re.MULTILINE)) == len(session.theirs.sections)
    except SdpError:
        pass
    with contextlib.suppress(SdpError):
        calling = PbxSession(1, bytes)
        calling.offer(list(CLOCK_RATES), US)
        calling.answered(raw)
        calling.hold(True, US)


@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    with pytest.raises(SdpError):
        parse_pbx_offer(raw)


@pytest.mark.parametrize("piece", ["a", "m=audio 1 RTP/AVP 0\n", "a=rtpmap:0 ", "a=fingerprint:sha-256 00:", "\n", " "])
def test_sixty_four_kilobytes_of_one_thing_do_not_hang_a_parser(piece: str) -> None:
    text = "v=0\r\n" + (piece * MAX_BYTES)[: MAX_BYTES - 5]
    with pytest.raises(SdpError):
        parse_page_offer(text)
    with pytest.raises(SdpError):
        parse_pbx_offer(text.encode())


def test_a_description_beyond_all_measure_is_refused_unread() -> None:
    with pytest.raises(SdpError, match="too long"):
        parse_pbx_offer(ASTERISK.encode() + b" " * MAX_BYTES)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("00127", 127),
        ("128", None),
        ("", None),
        ("000001", None),
        ("+1", None),
        ("1\n", None),
        ("\u0663", None),
    ],
)
def test_numbers_are_digits_of_ascii_and_few(text: str, number: int | None) -> None:
    assert bounded(text, 127) == number
