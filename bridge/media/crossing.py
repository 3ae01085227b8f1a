"""A call whose two sides speak different codecs: its voice makes a detour through the transcoder on its way into the relay."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..calls.commands import Transcode
from . import sdp
from .codecs.conversion import Conversion
from .codecs.transcoder import Transcoder
from .relay import Relay
from .webrtc import BrowserLeg

NARROW_OPUS: Final = "maxplaybackrate=8000;sprop-maxcapturerate=8000;useinbandfec=1"
"""RFC 7587, 6.1: what a telephone can't carry need not be encoded, sent and decoded, and losses are to be made up for."""


def choose(wanted: Sequence[str], page: sdp.Section, transcode: Transcode) -> sdp.Codec:
    """What a page is answered with: the first codec wanted with the PBX that it has, unless opus is to be spoken whatever the PBX
    speaks; if it has none of them, any of its own. SdpError if there is none of ours."""
    opus = next((codec for codec in page.codecs if codec.name == "opus"), None)
    if opus is not None and transcode is Transcode.OPUS_TO_BROWSER:
        return opus if "opus" in wanted else replace(opus, fmtp=NARROW_OPUS)
    common = [codec for name in wanted for codec in page.codecs if codec.name == name]
    if not common and page.codecs and any(name in sdp.CLOCK_RATES for name in wanted):
        other = page.codecs[0]
        return replace(other, fmtp=NARROW_OPUS) if other.name == "opus" else other
    return sdp.choose(wanted, page)


def needed(page: BrowserLeg, pbx: str, transcode: Transcode) -> bool:
    """This page and a PBX that speaks `pbx` can't speak the same, or shall not."""
    speaks = page.codec.name
    wishes_opus = transcode is Transcode.OPUS_TO_BROWSER and speaks == "opus"
    return speaks != pbx and (wishes_opus or not page.offers(pbx))


class Crossing:
    """Both directions; `page` and `pbx` are names of codecs."""

    __slots__ = ("_down", "_relay", "_transcoder", "_up", "_view", "over", "page", "pbx")

    def __init__(self, relay: Relay, buffer: bytearray, transcoder: Transcoder, *, page: str, pbx: str) -> None:
        self.page, self.pbx = page, pbx
        self.over = False
        """Another codec is spoken now: what is still under way is not to be heard."""
        self._relay, self._view, self._transcoder = relay, memoryview(buffer), transcoder
        self._up, self._down = Conversion(page, pbx), Conversion(pbx, page)

    def from_browser(self, length: int, now: float) -> None:
        if self._relay.talking:
            self._transcoder.take(self._up.convert, bytes(self._view[:length]), self._to_pbx)

    def from_pbx(self, length: int, now: float) -> None:
        if self._relay.hearing:
            self._transcoder.take(self._down.convert, bytes(self._view[:length]), self._to_page)

    def _to_pbx(self, packet: bytes) -> None:
        if self.over:
            return
        self._view[: len(packet)] = packet
        self._relay.from_browser(len(packet), time.monotonic())

    def _to_page(self, packet: bytes) -> None:
        if self.over:
            return
        self._view[: len(packet)] = packet
        self._relay.from_pbx(len(packet), time.monotonic())
