"""What an rtpengine is told of both sides, and what is read from its answers."""

from __future__ import annotations

import pytest

from bridge.media import page_sdp, sdp
from bridge.media.engine import sdp as engine_sdp
from bridge.media.engine.sdp import EngineVoice, PbxSide

from ..offers import CHROMIUM

PCMU = sdp.Codec(name="PCMU", payload_type=0)
VOICE = EngineVoice(codec=PCMU, event=101, ptime=20)
ANSWER = """v=0\r
o=- 1 1 IN IP4 192.0.2.9\r
s=-\r
c=IN IP4 192.0.2.9\r
t=0 0\r
m=audio 30012 UDP/TLS/RTP/SAVPF 0 101\r
a=mid:0\r
a=rtcp-mux\r
a=setup:active\r
a=fingerprint:sha-256 {digest}\r
a=ice-ufrag:jHjlXiWa\r
a=ice-pwd:XCHELRQX8HSdrbMumOBpyngZbf\r
""".format(digest=":".join(["AB"] * 32))


def pbx(address: sdp.Address | None, direction: sdp.Direction) -> PbxSide:
    return PbxSide(address=address, voice=VOICE, direction=direction)


def test_a_page_is_told_with_one_codec_its_keys_and_no_candidates() -> None:
    page = page_sdp.parse_page_offer(CHROMIUM)
    (section,) = sdp.parse(engine_sdp.of_page(page, VOICE))
    assert section.formats == ("0", "101")
    assert [codec.name for codec in section.codecs] == ["PCMU"]
    again = page_sdp.parse_page_offer(engine_sdp.of_page(page, VOICE))
    assert again.peer == page.peer
    assert again.mid == page.mid
    assert not section.values("candidate")


def test_a_pbx_is_told_where_it_is_and_what_it_wants() -> None:
    (section,) = sdp.parse(engine_sdp.of_pbx(pbx(("192.0.2.1", 4000), sdp.Direction.SENDONLY)))
    assert (section.address, section.port, section.proto) == ("192.0.2.1", 4000, "RTP/AVP")
    assert section.direction is sdp.Direction.SENDONLY
    assert section.rtpmaps[101] == "telephone-event/8000"


def test_a_pbx_that_is_not_known_yet_is_sent_nothing_of_use() -> None:
    (section,) = sdp.parse(engine_sdp.of_pbx(pbx(None, sdp.Direction.SENDRECV)))
    assert (section.address, section.port) == ("127.0.0.1", 9)


def test_the_engines_answer_tells_what_a_page_has_to_know() -> None:
    local = engine_sdp.transport(ANSWER)
    assert local.address == engine_sdp.place(ANSWER) == ("192.0.2.9", 30012)
    assert local.end.credentials is not None
    assert local.end.credentials.username == "jHjlXiWa"
    assert local.end.fingerprint.startswith("AB:AB")


@pytest.mark.parametrize("missing", ["a=fingerprint", "a=ice-ufrag", "a=setup"])
def test_an_answer_that_no_page_could_use_is_refused(missing: str) -> None:
    lines = [line for line in ANSWER.splitlines() if not line.startswith(missing)]
    with pytest.raises(sdp.SdpError, match="rtpengine"):
        engine_sdp.transport("\r\n".join(lines))


def test_a_description_without_audio_or_an_address_is_refused() -> None:
    with pytest.raises(sdp.SdpError, match="no address"):
        engine_sdp.place(ANSWER.replace("192.0.2.9", "0.0.0.0"))
    with pytest.raises(sdp.SdpError, match="no audio"):
        engine_sdp.place("v=0\r\n")
