"""What a fault on one of the four ways between page, bridge and PBX does to the verdict."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.events import Quality, QualityChanged, Trouble
from bridge.media import quality
from bridge.media.equipment import Patience
from bridge.media.packet import BUFFER_BYTES
from bridge.media.quality import Ear, Side, Way, judge, score
from bridge.media.reports import Reports
from bridge.media.stream import Stream

from .link import Link
from .stage import rtp, stage

FRAME, VOICE = 0.02, bytes(160)
FINE = Way(loss=0, jitter=0.001)
SIDE = Side(came=FINE, went=FINE, round_trip=0.04)


# ---- the score


def test_a_faultless_call_sounds_as_good_as_a_telephone_gets() -> None:
    assert score("PCMU", loss=0, jitter=0, delay=0.02) == pytest.approx(4.39, abs=0.02)


@pytest.mark.parametrize(
    ("loss", "jitter", "delay", "worst", "best"),
    [
        (0.01, 0.001, 0.02, 4.2, 4.4),
        (0.05, 0.001, 0.02, 3.5, 4.0),
        (0.20, 0.001, 0.02, 1.8, 2.6),
        (0.0, 0.030, 0.02, 3.2, 3.9),
        (0.0, 0.001, 0.40, 2.7, 3.2),
        (1.0, 0.001, 0.02, 1.0, 1.2),
    ],
)
def test_the_score_falls_with_loss_jitter_and_delay(
    loss: float, jitter: float, delay: float, worst: float, best: float
) -> None:
    assert worst <= score("PCMA", loss, jitter, delay) <= best


@given(
    st.sampled_from(["PCMU", "PCMA", "G722", "opus"]),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5), st.floats(0, 10)), min_size=2, max_size=2),
)
def test_a_worse_network_never_sounds_better(codec: str, pair: list[tuple[float, float, float]]) -> None:
    better, worse = (tuple(choose(*values) for values in zip(*pair, strict=True)) for choose in (min, max))
    assert 1 <= score(codec, *worse) <= score(codec, *better) <= 4.5


def test_before_anybody_reports_the_way_in_stands_for_the_whole() -> None:
    silent = Side(came=Way(loss=0.05, jitter=0.001), went=None, round_trip=None)
    verdict = judge(silent, Side(came=FINE, went=None, round_trip=None), "PCMU")
    assert verdict.heard > 4.2 > verdict.said
    assert verdict.trouble is Trouble.OPERATOR_LOSS


# ---- faults on a link of our own


@dataclass
class Faults:
    loss: float = 0.0
    jitter: float = 0.0
    delay: float = 0.005


@dataclass
class Chain:
    """Page – bridge – PBX for one call in virtual time: voice every 20 ms both ways, reports every 5 s everywhere."""

    page_to_us: Faults = field(default_factory=Faults)
    us_to_page: Faults = field(default_factory=Faults)
    pbx_to_us: Faults = field(default_factory=Faults)
    us_to_pbx: Faults = field(default_factory=Faults)

    def listen(self, seconds: float) -> list[Quality]:
        page, pbx = End(1), End(2)
        ours = {page: self._reports(11), pbx: self._reports(12)}
        buffer = bytearray(BUFFER_BYTES)
        streams = {end: Stream(memoryview(buffer), **_stream(ssrc)) for end, ssrc in ((page, 21), (pbx, 22))}
        away: dict[End, Link] = {}

        def arrive(here: End, other: End, packet: bytes, now: float) -> None:
            if 191 < packet[1] < 224:
                ours[here].read(packet, streams[here].ssrc, now)
                return
            _, _, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
            ours[here].reception.take(sequence, timestamp, ssrc, now)
            buffer[: len(packet)] = packet
            if length := streams[other].rewrite(len(packet), now):
                away[other].send(bytes(buffer[:length]), now)

        links = [
            Link(lambda raw, now: arrive(page, pbx, raw, now), 1, **vars(self.page_to_us)),
            Link(lambda raw, now: arrive(pbx, page, raw, now), 2, **vars(self.pbx_to_us)),
            Link(page.hear, 3, **vars(self.us_to_page)),
            Link(pbx.hear, 4, **vars(self.us_to_pbx)),
        ]
        away.update({page: links[2], pbx: links[3]})
        ear, verdicts = Ear(), list[Quality]()
        for tick in range(round(seconds / FRAME) * 4):
            now = 1000 + tick * FRAME / 4
            for link in links:
                link.run(now)
            if tick % 4 == 0:
                links[0].send(page.say(), now)
                links[1].send(pbx.say(), now)
            if tick % 1000 == 500:
                for end, inward in ((page, links[0]), (pbx, links[1])):
                    inward.send(end.reports.write(end, now), now)
                    away[end].send(ours[end].write(streams[end], now), now)
            if tick % 20 == 0 and (verdict := ear.listen(ours[page], ours[pbx], "PCMU", now)):
                verdicts.append(verdict)
        return verdicts

    @staticmethod
    def _reports(ssrc: int) -> Reports:
        return Reports(cname="us", ssrc=ssrc, clock_rate=8000, wall=1e9)


def _stream(ssrc: int) -> dict[str, int]:
    return {"ssrc": ssrc, "sequence": 9, "timestamp": 9, "payload_type": 0, "clock_rate": 8000}


class End:
    """A page or a PBX."""

    def __init__(self, ssrc: int) -> None:
        self.ssrc, self.packets, self.octets = ssrc, 0, 0
        self.reports = Reports(cname="them", ssrc=ssrc, clock_rate=8000, wall=2e9)

    def say(self) -> bytes:
        self.packets += 1
        self.octets += len(VOICE)
        return rtp(0, self.packets, self.packets * 160, VOICE, self.ssrc)

    def time_at(self, now: float) -> int:
        return round(now * 8000) & 0xFFFFFFFF

    def hear(self, packet: bytes, now: float) -> None:
        if 191 < packet[1] < 224:
            self.reports.read(packet, self.ssrc, now)
            return
        _, _, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
        self.reports.reception.take(sequence, timestamp, ssrc, now)


LOSSY, UNEVEN, FAR = Faults(loss=0.05), Faults(jitter=0.08), Faults(delay=0.25)


@pytest.mark.parametrize(
    ("chain", "trouble", "heard", "said"),
    [
        (Chain(), Trouble.NONE, (4.3, 4.5), (4.3, 4.5)),
        (Chain(page_to_us=LOSSY), Trouble.OPERATOR_LOSS, (4.3, 4.5), (3.3, 4.1)),
        (Chain(us_to_page=LOSSY), Trouble.OPERATOR_LOSS, (3.3, 4.1), (4.3, 4.5)),
        (Chain(pbx_to_us=LOSSY), Trouble.PBX_LOSS, (3.3, 4.1), (4.3, 4.5)),
        (Chain(us_to_pbx=LOSSY), Trouble.PBX_LOSS, (4.3, 4.5), (3.3, 4.1)),
        (Chain(page_to_us=UNEVEN), Trouble.OPERATOR_JITTER, (4.2, 4.5), (3.0, 4.2)),
        (Chain(us_to_page=UNEVEN), Trouble.OPERATOR_JITTER, (3.0, 4.2), (4.2, 4.5)),
        (Chain(pbx_to_us=UNEVEN), Trouble.PBX_JITTER, (3.0, 4.2), (4.2, 4.5)),
        (Chain(us_to_pbx=UNEVEN), Trouble.PBX_JITTER, (4.2, 4.5), (3.0, 4.2)),
        (Chain(page_to_us=FAR, us_to_page=FAR), Trouble.OPERATOR_DELAY, (3.6, 4.2), (3.6, 4.2)),
        (Chain(pbx_to_us=FAR, us_to_pbx=FAR), Trouble.PBX_DELAY, (3.6, 4.2), (3.6, 4.2)),
        (Chain(page_to_us=Faults(loss=0.08), pbx_to_us=Faults(loss=0.02)), Trouble.OPERATOR_LOSS, (3.9, 4.4), (2.9, 3.8)),
    ],
    ids=[
        "nothing", "page loses outward", "page loses inward", "PBX loses outward", "PBX loses inward",
        "page uneven outward", "page uneven inward", "PBX uneven outward", "PBX uneven inward",
        "page far away", "PBX far away", "both lose, the page more",
    ],
)  # fmt: skip
def test_the_verdict_names_the_leg_and_the_fault_and_the_direction_that_suffers(
    chain: Chain, trouble: Trouble, heard: tuple[float, float], said: tuple[float, float]
) -> None:
    verdict = chain.listen(40)[-1]
    assert verdict.trouble is trouble
    assert heard[0] <= verdict.heard <= heard[1]
    assert said[0] <= verdict.said <= said[1]


def test_a_call_that_sounds_the_same_is_told_once_and_a_change_once_more() -> None:
    chain = Chain()
    assert len(chain.listen(60)) == 1
    verdicts = Chain(page_to_us=LOSSY).listen(60)
    assert all(one != other for one, other in itertools.pairwise(verdicts))
    assert len(verdicts) < 6


def test_what_was_heard_during_a_hold_says_nothing() -> None:
    ear = Ear()
    page, pbx = Chain._reports(1), Chain._reports(2)
    for number in range(1000):
        now = number * FRAME
        page.reception.take(number, number * 160, 1, now)
        pbx.reception.take(number, number * 160, 2, now)
        if number % 200 == 199:
            ear.rest()
        assert ear.listen(page, pbx, "PCMU", now) is None


async def test_a_room_tells_how_a_call_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "WINDOW", 0.2)
    monkeypatch.setattr(quality, "FEWEST", 3)
    async with stage(Patience(look=0.01)) as here:
        page = await here.connect()
        await here.join(page)
        for number in range(2000):
            here.pbx.send(rtp(0, number, number * 160, b"pbx"))
            await page.say(b"page")
            await page.next()
            if not here.mail.empty:
                break
        changed = await here.mail.next(QualityChanged)
        assert changed.quality.heard > 3
        assert changed.quality.trouble not in (Trouble.OPERATOR_LOSS, Trouble.PBX_LOSS)


def test_a_quality_is_judged_with_the_round_trips_of_both_legs() -> None:
    near = judge(SIDE, SIDE, "PCMU")
    far = judge(SIDE, Side(came=FINE, went=FINE, round_trip=0.6), "PCMU")
    assert far.heard < near.heard
    assert far.trouble is Trouble.PBX_DELAY
