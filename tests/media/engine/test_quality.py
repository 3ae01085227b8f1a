"""How a call sounds by an rtpengine's counters."""

from __future__ import annotations

from typing import Any

from bridge.calls.events import Trouble
from bridge.media.engine.quality import EngineEar, Report, judge, reports

FINE = Report(at=10, loss=0, jitter=0, whole=0.002, leg=0.001)


def entry(at: int, mos: int = 44, loss: int = 0, jitter: int = 0, leg: int = 400) -> dict[str, int]:
    return {
        "MOS": mos, "round-trip time": 900, "round-trip time leg": leg, "jitter": jitter, "packet loss": loss,
        "reported at": at,
    }  # fmt: skip


def answer(*entries: dict[str, int]) -> dict[str, Any]:
    """As an rtpengine 10.5 writes it, of one stream."""
    streams = [{"SSRC": 77, "stats": {"packets": 5}, "flags": ["RTP"]}, {"SSRC": 77, "flags": ["RTCP"]}]
    return {
        "tags": {"page-0": {"medias": [{"streams": streams}]}, "pbx": {"medias": [{"streams": [{"flags": []}]}]}},
        "SSRC": {"77": {"MOS progression": {"entries": list(entries)}}},
    }


def test_the_newest_report_counts_and_one_without_a_round_trip_does_not() -> None:
    told = reports(answer(entry(5), entry(9, loss=3, jitter=12), entry(12, mos=0)))
    assert told == {"page-0": Report(at=9, loss=0.03, jitter=0.012, whole=0.0009, leg=0.0004)}


def test_before_any_report_nothing_is_known() -> None:
    assert reports(answer()) == {}
    assert reports({"result": "ok"}) == {}


def test_loss_spoils_the_direction_in_which_it_happens() -> None:
    lossy = Report(at=10, loss=0.05, jitter=0, whole=0.002, leg=0.001)
    said = judge(lossy, FINE, "PCMU")
    assert said.heard > 4.2
    assert said.said < 4
    assert judge(FINE, lossy, "PCMU").heard == said.said


def test_a_far_leg_is_named_by_whoever_reports_from_there() -> None:
    far = Report(at=10, loss=0, jitter=0, whole=0.45, leg=0.4)
    assert judge(FINE, far, "PCMU").trouble is Trouble.OPERATOR_DELAY
    assert judge(far, FINE, "PCMU").trouble is Trouble.PBX_DELAY
    assert judge(FINE, FINE, "PCMU").trouble is Trouble.NONE


def both(page: dict[str, int], pbx: dict[str, int]) -> dict[str, Any]:
    tags = {tag: {"medias": [{"streams": [{"SSRC": ssrc}]}]} for tag, ssrc in (("page-0", 1), ("pbx", 2))}
    ssrcs = {str(ssrc): {"MOS progression": {"entries": [each]}} for ssrc, each in ((1, page), (2, pbx))}
    return {"tags": tags, "SSRC": ssrcs}


def test_a_verdict_needs_news_from_both_sides_and_a_difference() -> None:
    ear = EngineEar()
    first = ear.listen(both(entry(5), entry(6)), "page-0", "pbx", "PCMU")
    assert first is not None
    assert ear.listen(both(entry(5), entry(6)), "page-0", "pbx", "PCMU") is None
    assert ear.listen(both(entry(10), entry(6, loss=20)), "page-0", "pbx", "PCMU") is None, "half of it is old"
    assert ear.listen(both(entry(15), entry(16)), "page-0", "pbx", "PCMU") is None, "as before"
    worse = ear.listen(both(entry(20, loss=20), entry(21)), "page-0", "pbx", "PCMU")
    assert worse is not None
    assert worse.said < first.said
