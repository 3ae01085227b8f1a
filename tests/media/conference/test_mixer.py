"""Frames wait for their turn, as long as the network needs, and their sum is heard."""

from __future__ import annotations

import random
from array import array

from hypothesis import given
from hypothesis import strategies as st

from bridge.media.conference.mixer import CALM, DEEPEST, DEPTH, FrameQueue, Mixer, added

SAMPLES = 4
"""Of a frame; a real one has 160."""
SILENCE = bytes(2 * SAMPLES)

samples = st.integers(-32_768, 32_767)
frames = st.lists(samples, min_size=SAMPLES, max_size=SAMPLES).map(lambda values: array("h", values).tobytes())


def frame(number: int) -> bytes:
    return array("h", [number] * SAMPLES).tobytes()


def number_of(pcm: bytes | None) -> int | None:
    return array("h", pcm)[0] if pcm is not None else None


# ---- the sum


@given(st.lists(frames, min_size=1, max_size=4))
def test_the_sum_is_that_of_every_sample_and_clipping_saturates(heard: list[bytes]) -> None:
    voices = [array("h", pcm) for pcm in heard]
    expected = [max(-32_768, min(32_767, sum(sample))) for sample in zip(*voices, strict=True)]
    assert list(array("h", added(heard))) == expected


@given(st.lists(st.tuples(frames, st.booleans(), st.booleans()), max_size=30))
def test_a_silent_or_lost_party_costs_nobody_else_anything(turns: list[tuple[bytes, bool, bool]]) -> None:
    """One party whose every frame comes, one that comes and goes: the first is heard whole beside whatever there is."""
    both, alone = Mixer(SAMPLES, "anna", "boris"), Mixer(SAMPLES, "anna")
    boris = FrameQueue(SAMPLES)
    for turn, (pcm, speaks, restarts) in enumerate(turns):
        for mixer in (both, alone):
            mixer.queues["anna"].put(turn * SAMPLES, pcm)
        if speaks:
            for queue in (both.queues["boris"], boris):
                queue.put(turn * SAMPLES, pcm, fresh=restarts)
        of_boris = boris.next()
        heard = [alone.next(), *([of_boris] if of_boris else [])]
        assert both.next() == added(heard)


def test_nobody_at_all_is_silence() -> None:
    assert Mixer(SAMPLES, "anna", "boris").next() == SILENCE


# ---- the turns


def test_the_first_frame_waits_and_the_others_follow_in_step() -> None:
    queue = FrameQueue(SAMPLES)
    heard = []
    for number in range(10):
        queue.put(number * SAMPLES, frame(number))
        heard.append(number_of(queue.next()))
    assert heard == [None] * DEPTH + list(range(10 - DEPTH))


def test_a_lost_frame_leaves_its_place_empty() -> None:
    queue = FrameQueue(SAMPLES)
    heard = []
    for number in range(8):
        if number != 3:
            queue.put(number * SAMPLES, frame(number))
        heard.append(number_of(queue.next()))
    assert heard[DEPTH:] == [0, 1, 2, None, 4, 5]


def test_a_burst_after_a_gap_is_heard_whole_and_later() -> None:
    """A network that held everything back for 80 ms."""
    queue = FrameQueue(SAMPLES)
    heard = []
    for turn in range(20):
        late = range(6, 11) if turn == 10 else () if 6 <= turn < 10 else (turn,)
        for number in late:
            queue.put(number * SAMPLES, frame(number))
        heard.append(number_of(queue.next()))
    said = [number for number in heard if number is not None]
    assert said == sorted(set(said))
    assert said == list(range(said[-1] + 1)), "nothing of it is missing"


def test_a_delay_that_nobody_needs_any_more_goes_away() -> None:
    queue = FrameQueue(SAMPLES)
    for number in range(6):  # a burst, as after a long gap
        queue.put(number * SAMPLES, frame(number))
    delays = []
    for number in range(6, 6 + 10 * CALM):
        queue.put(number * SAMPLES, frame(number))
        if (heard := number_of(queue.next())) is not None:
            delays.append(number - heard)
    assert max(delays) > DEPTH
    assert delays[-1] <= DEPTH


def test_a_new_source_begins_anew_and_what_was_left_of_the_old_one_is_gone() -> None:
    queue = FrameQueue(SAMPLES)
    for number in range(4):
        queue.put(number * SAMPLES, frame(number))
        queue.next()
    queue.put(0, frame(100), fresh=True)
    assert [number_of(queue.next()) for _ in range(DEPTH + 1)] == [None] * DEPTH + [100]


@given(seed=st.integers(0, 1000), jitter=st.floats(0, 4), loss=st.floats(0, 0.3))
def test_whatever_the_network_does_frames_keep_their_order_and_the_delay_its_bound(
    seed: int, jitter: float, loss: float
) -> None:
    """Packets in order, each later than it should be by up to `jitter` frames; turns are even."""
    chance = random.Random(seed)
    arrivals: list[tuple[float, int]] = []
    for number in range(300):
        if chance.random() >= loss:
            before = arrivals[-1][0] if arrivals else 0.0
            arrivals.append((max(before, number + chance.random() * jitter), number))
    queue, said = FrameQueue(SAMPLES), []
    for turn in range(320):
        while arrivals and arrivals[0][0] <= turn:
            _, number = arrivals.pop(0)
            queue.put(number * SAMPLES, frame(number))
        heard = number_of(queue.next())
        if heard is not None:
            said.append(heard)
            assert turn - heard <= DEEPEST + jitter + 1
    assert said == sorted(set(said))
    if loss == 0:
        assert len(said) > 250


def test_a_party_that_comes_back_after_a_while_begins_anew() -> None:
    queue = FrameQueue(SAMPLES)
    queue.put(0, frame(1))
    for _ in range(100):
        queue.next()
    queue.put(3 * SAMPLES, frame(2))  # its clock stood still
    assert [number_of(queue.next()) for _ in range(DEPTH + 1)] == [None] * DEPTH + [2]
