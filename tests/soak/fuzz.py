"""Whatever arrives is read, or refused by the one error of its kind; a finding is printed as a test to be kept."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import suppress

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from bridge.media import rtcp, sdp
from bridge.media.hub import stun_username
from bridge.media.relay import BUFFER_BYTES, make_plain
from bridge.sip import message
from bridge.sip.framer import Framer
from bridge.sip.headers import SipError

from ..media.offers import ASTERISK, CHROMIUM, FIREFOX
from ..sip.samples import INVITES

Target = Callable[[bytes], object]
EXAMPLES = 500
RTCP = rtcp.write(rtcp.Report(ssrc=1, sender=None, blocks=()), "cname")
RTP = bytes.fromhex("9008000100000002000000030bede0001000aabb") + bytes(160)
STUN = bytes.fromhex("0001000c2112a442") + bytes(12) + bytes.fromhex("00060005") + b"ab:cd" + bytes(3)


def sip(data: bytes) -> None:
    with suppress(SipError):
        message.parse(data).encode()


def stream(data: bytes) -> None:
    """In two pieces and whole."""
    Framer().feed(data, 0.0)
    framer = Framer()
    framer.feed(data[: len(data) // 2], 0.0)
    framer.feed(data[len(data) // 2 :], 1.0)


def description(data: bytes) -> None:
    with suppress(sdp.SdpError):
        for section in sdp.parse(data):
            _ = section.codecs, section.direction


def user_name(data: bytes) -> None:
    assert isinstance(stun_username(data), str)


def report(data: bytes) -> None:
    with suppress(rtcp.RtcpError):
        rtcp.parse(data)


def voice(data: bytes) -> None:
    if len(data) >= 12:  # what is shorter never comes to the relay
        buffer = bytearray(BUFFER_BYTES)
        buffer[: len(data)] = data
        assert 0 <= make_plain(memoryview(buffer), len(data)) <= len(data)


TARGETS: dict[Target, list[bytes]] = {
    sip: list(INVITES.values()),
    stream: list(INVITES.values()),
    description: [text.encode() for text in (ASTERISK, CHROMIUM, FIREFOX)],
    user_name: [STUN],
    report: [RTCP],
    voice: [RTP],
}


@st.composite
def near(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A good one with pieces cut out, repeated or replaced."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 40)))
        junk = draw(
            st.binary(max_size=12) | st.sampled_from([b"\r\n", b"\n ", b";", b'"', b"<", b"99999999999", b"\0"])
        )
        data = data[:begin] + draw(st.sampled_from([junk, b"", data[begin:end] * 2])) + data[end:]
    return data[:1400]


def finding(target: Target, samples: list[bytes], round_: int, examples: int = EXAMPLES) -> str:
    """A test that fails, "" if nothing was found."""
    last = b""

    @seed(round_)
    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(near(samples) | st.binary(max_size=1400))
    def run(data: bytes) -> None:
        nonlocal last
        last = data
        target(data)

    try:
        run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding; the smallest example was tried last
        name = target.__name__
        return f"def test_{name}_found_in_round_{round_}() -> None:  # {error!r}\n    fuzz.{name}({last!r})\n"
    return ""


def fuzz(minutes: float) -> bool:
    """Whether nothing was found."""
    until, found = time.monotonic() + minutes * 60, dict[Target, str]()
    for round_ in itertools.count(1):
        for target, samples in TARGETS.items():
            if time.monotonic() >= until:
                print(
                    f"fuzz: {round_ - 1} rounds of {EXAMPLES} for each of {len(TARGETS)} targets, {len(found)} findings"
                )
                return not found
            if target not in found and (test := finding(target, samples, round_)):
                found[target] = test
                print(test)
    raise AssertionError("the count never ends")
