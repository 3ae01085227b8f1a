"""How a call sounds by what an rtpengine gathered from the RTCP of both sides; pure.

It tells of a stream what its receiver reports: the whole way's loss, not which leg lost it. So only a delay has a cause here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...calls.events import Quality, Trouble
from ..quality import FAR, is_alike, score


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A receiver's newest word on one stream."""

    at: int
    """Unix seconds."""
    loss: float
    """Share of the packets."""
    jitter: float
    """Seconds."""
    whole: float
    """Round trip from end to end, seconds."""
    leg: float
    """Of the receiver's own leg."""


def reports(answer: Mapping[str, Any]) -> dict[str, Report]:
    """Tag -> what is reported of the stream that comes from there; `answer` is that of `query`."""
    by_ssrc = answer.get("SSRC", {})
    found = {}
    for tag, each in answer.get("tags", {}).items():
        ssrcs = [stream.get("SSRC") for media in each.get("medias", []) for stream in media.get("streams", [])]
        entries = [entry for ssrc in ssrcs for entry in _entries(by_ssrc.get(str(ssrc), {}))]
        if entries:
            found[tag] = _report(max(entries, key=lambda entry: int(entry["reported at"])))
    return found


def _entries(of_ssrc: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those with a score: the others have no round trip yet."""
    return [entry for entry in of_ssrc.get("MOS progression", {}).get("entries", []) if entry.get("MOS")]


def _report(entry: Mapping[str, Any]) -> Report:
    """It counts milliseconds of jitter, percents of loss, microseconds of round trips."""
    return Report(
        at=int(entry["reported at"]),
        loss=entry["packet loss"] / 100,
        jitter=entry["jitter"] / 1000,
        whole=entry["round-trip time"] / 1e6,
        leg=entry["round-trip time leg"] / 1e6,
    )


def judge(page: Report, pbx: Report, codec: str) -> Quality:
    """`page`: of the stream that comes from the page, as the PBX reports it; `pbx` the other way round."""
    faults = {Trouble.OPERATOR_DELAY: pbx.leg / FAR, Trouble.PBX_DELAY: page.leg / FAR}
    worst = max(faults, key=lambda trouble: faults[trouble])
    return Quality(
        heard=round(score(codec, pbx.loss, pbx.jitter, pbx.whole / 2), 1),
        said=round(score(codec, page.loss, page.jitter, page.whole / 2), 1),
        trouble=worst if faults[worst] >= 1 else Trouble.NONE,
    )


class EngineEar:
    """Listens to one call, and speaks up when both sides have reported anew and something has changed."""

    def __init__(self) -> None:
        self._until = 0
        """Up to when it was judged, Unix seconds."""
        self._last: Quality | None = None

    def listen(self, answer: Mapping[str, Any], page: str, pbx: str, codec: str) -> Quality | None:
        """A verdict by the answer to `query`, for these two tags."""
        told = reports(answer)
        if page not in told or pbx not in told or min(told[page].at, told[pbx].at) <= self._until:
            return None
        self._until = max(told[page].at, told[pbx].at)
        verdict = judge(told[page], told[pbx], codec)
        if self._last is not None and is_alike(verdict, self._last):
            return None
        self._last = verdict
        return verdict
