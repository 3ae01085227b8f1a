"""One call at an rtpengine: the address that it lends towards the PBX, and what it is asked.

To the engine a page is the one who offers, under a tag of its own, and the PBX (`PBX`) the one who answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final, cast

import structlog

from ...calls.events import CallId
from .. import page_sdp, sdp
from . import sdp as engine_sdp
from .bencode import Value
from .engines import Engine
from .ng import EngineError, Words
from .sdp import EngineVoice, PbxSide

log = structlog.get_logger()

PBX: Final = "pbx"
NOBODY: Final = "nobody"
"""Who stands in for a page before the first one came."""
KEY_MS, PAUSE_MS = 100, 60

_COMMON: Final[Words] = {"SDES": ["off"], "replace": ["origin", "session connection"]}
_TOWARDS_PBX: Final[Words] = {
    **_COMMON,
    "transport-protocol": "RTP/AVP",
    "ICE": "remove",
    "DTLS": "off",
    "rtcp-mux": ["demux"],
}
_TOWARDS_NOBODY: Final[Words] = {**_COMMON, "transport-protocol": "RTP/AVP", "ICE": "remove", "DTLS": "off"}
_TOWARDS_PAGE: Final[Words] = {**_COMMON, "ICE": "force", "rtcp-mux": ["accept"]}


class EngineLine:
    """Whatever it asks may end in EngineError or EngineSilentError."""

    def __init__(self, call: CallId, pick: Callable[[], Engine]) -> None:
        """`pick` names the engine for a call that has none, or has lost it."""
        self.address: sdp.Address | None = None
        """Where the PBX sends its voice; None before a page was tied to it."""
        self.tags: set[str] = set()
        """Of every page that was tied to it."""
        self._call, self._pick = call, pick
        self.engine = pick()
        self._lost = False
        """It may still know a call of this name."""
        self._silenced = False
        self._blocked: set[str] = set()
        """Whose voice does not reach the PBX: tags."""
        self._keys = False

    async def tie(self, tag: str, page: str, pbx: PbxSide) -> page_sdp.LocalTransport:
        """Put the page of this tag and the PBX through to one another; what the page has to be told."""
        await self._offer(tag, page)
        self.tags.add(tag)
        return engine_sdp.transport(await self.answer(tag, pbx))

    async def wait(self, voice: EngineVoice, pbx: PbxSide) -> None:
        """Meet the PBX before there is a page."""
        await self._offer(NOBODY, engine_sdp.of_nobody(voice))
        described = engine_sdp.of_pbx(pbx)
        await self._ask("answer", from_tag=NOBODY, to_tag=PBX, sdp=described, flags=self._flags, **_TOWARDS_NOBODY)

    async def _offer(self, tag: str, description: str) -> None:
        if self._lost:
            with suppress(EngineError):
                await self._ask("delete", delete_delay=0)
            self._lost = False
        more: Words = {"to-tag": PBX} if self.address else {}
        offered = await self._ask("offer", from_tag=tag, sdp=description, flags=self._flags, **_TOWARDS_PBX, **more)
        self.address = engine_sdp.place(str(offered.get("sdp", "")))

    async def answer(self, tag: str, pbx: PbxSide) -> str:
        """What the PBX says of itself by now; the engine's description for the page."""
        described = engine_sdp.of_pbx(pbx)
        answered = await self._ask(
            "answer", from_tag=tag, to_tag=PBX, sdp=described, flags=self._flags, **_TOWARDS_PAGE
        )
        return str(answered.get("sdp", ""))

    async def gate(self, tag: str, others: Collection[str], *, held: bool, listens: bool) -> None:
        """While we hold either side hears silence; a PBX that does not listen is sent nothing of this page, and never anything
        of the others.

        To be said again after an answer: it opens the ways.
        """
        if held or self._silenced:
            await self._ask("silence media" if held else "unsilence media")
            self._silenced = held
        shut = {*others} if listens else {*others, tag}
        for each in self._blocked - shut:
            await self._ask("unblock media", from_tag=each)
        for each in shut - (self._blocked - {tag}):
            await self._ask("block media", from_tag=each)
        self._blocked = shut

    async def sound(self, tag: str, sound: bytes, times: int = 1) -> None:
        """Play an audio file to whoever has this tag, beside what they hear, in the place of what was played before."""
        await self._ask("play media", from_tag=tag, blob=sound, repeat_times=times)

    async def hush(self, tag: str) -> None:
        await self._ask("stop media", from_tag=tag)

    def let_keys_in(self) -> bool:
        """Keys may be put into the voice from the next `tie` on, which is needed if this says so.

        The engine decodes and encodes the whole voice then: not before there is a key.
        """
        before, self._keys = self._keys, True
        return not before

    async def play(self, tag: str, digits: str) -> None:
        """Keys towards the PBX, one after the other."""
        for digit in digits:
            await self._ask("play DTMF", from_tag=tag, digit=digit, duration=KEY_MS, pause=PAUSE_MS)

    async def record(self, *, on: bool) -> None:
        """Have what comes in from now on written into a file of its own, or nothing more."""
        await self._ask("start recording" if on else "stop recording")

    async def query(self) -> dict[str, Any]:
        return cast(dict[str, Any], await self._ask("query"))

    async def delete(self) -> None:
        if self.address is None:
            return
        self.address = None
        try:
            await self._ask("delete", delete_delay=0)
        except EngineError as error:  # it has forgotten it before
            log.info("rtpengine_call_gone", call=self._call, why=str(error))

    def forgotten(self) -> None:
        """The engine knows nothing of the call any more, or is silent: the next one is asked for another address."""
        self.engine = self._pick()
        self._lost = True
        self.address, self._silenced = None, False
        for tags in (self.tags, self._blocked):
            tags.clear()

    @property
    def _flags(self) -> list[Value]:
        flags: list[Value] = ["trust address", "port latching"]
        return [*flags, "inject DTMF"] if self._keys else flags

    async def _ask(self, command: str, **words: Value) -> Words:
        return await self.engine.ask(command, call_id=self._call, **words)


def packets(answer: Mapping[str, Any]) -> dict[str, int]:
    """Tag -> packets of voice that came under it, by the answer to `query`."""
    counts = {}
    for tag, each in answer.get("tags", {}).items():
        streams = [stream for media in each.get("medias", []) for stream in media.get("streams", [])]
        counts[tag] = sum(stream["stats"]["packets"] for stream in streams if "RTP" in stream.get("flags", []))
    return counts
