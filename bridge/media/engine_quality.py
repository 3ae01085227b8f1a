"""How a call sounds by what an rtpengine gathered from the RTCP of both sides; pure.

It tells of a stream what its receiver reports: the whole way's loss, not which leg lost it. So only a delay has a cause here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..calls.events import Quality, Trouble
from .quality import FAR, score


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
