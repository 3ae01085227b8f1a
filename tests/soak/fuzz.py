"""Whatever arrives is read, or refused by the one error of its kind; a finding is printed as a test to be kept.

A finding is also what holds up the loop for longer than a voice can bear, and what stays in memory.
"""

from __future__ import annotations

import functools
import gc
import itertools
import sys
import time
import warnings
from random import Random

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from .targets import TARGETS, Target

EXAMPLES = 500
STALL = 0.05
"""Seconds of CPU for one message."""
LONGEST = 60_000
"""Bytes of a message that one piece was repeated in."""
BATCH = 150
"""Messages between two looks at the memory …"""
WARM = 7
"""Batches until the interpreter has specialised its code and filled its free lists; then …"""
LOOKS = 3
"""… which has to grow by a block for each message so many times in a row to be a finding."""
PHASES = [Phase.generate, Phase.shrink]
JUNK = [b"\r\n", b"\n ", b";", b'"', b"<", b"99999999999", b"\0", b"%00", b"[", b",", b"=", b"\\", b"a=", b"m="]


@st.composite
def near(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A good one with pieces cut out, repeated or replaced."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 40)))
        junk = draw(st.binary(max_size=12) | st.sampled_from(JUNK))
        data = data[:begin] + draw(st.sampled_from([junk, b"", data[begin:end] * 2])) + data[end:]
    return data[:1400]


@st.composite
def bloated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A good one with one piece of it, or one sign, many times over: what is not read in linear time shows."""
    data = draw(st.sampled_from(samples))
    begin = draw(st.integers(0, len(data)))
    piece = draw(st.sampled_from(JUNK)) if draw(st.booleans()) else data[begin : begin + draw(st.integers(1, 60))]
    times = draw(st.sampled_from([40, 400, LONGEST])) // max(1, len(piece))
    return (data[:begin] + piece * times + data[begin:])[:LONGEST]


def mutant(random: Random, samples: list[bytes]) -> bytes:
    """Likewise near a good one, and quickly made."""
    data = random.choice(samples)
    for _ in range(random.randint(1, 4)):
        begin = random.randint(0, len(data))
        end = begin + random.randint(0, 40)
        data = data[:begin] + random.choice([random.choice(JUNK), b"", data[begin:end] * 2]) + data[end:]
    return data


class StallError(Exception):
    """One message took too long."""


class GrowthError(Exception):
    """Messages that are gone left something behind."""


def timed(target: Target, data: bytes, stall: float) -> None:
    """StallError if it is slow each time: once may be the collector's doing."""
    for _ in range(3):
        begun = time.process_time()
        target(data)
        took = time.process_time() - begun
        if took <= stall:
            return
    raise StallError(f"{took * 1000:.0f} ms")


def grown(target: Target, samples: list[bytes], round_: int) -> str:
    """What stays in memory after many messages, "" if nothing does."""
    random = Random(round_)
    blocks: list[int] = []
    for _ in range(WARM + LOOKS + 1):
        for _ in range(BATCH):
            target(mutant(random, samples))
        _forget()
        blocks.append(sys.getallocatedblocks())
    growth = [after - before for before, after in itertools.pairwise(blocks[WARM:])]
    return (
        ""
        if min(growth) < BATCH
        else f"memory of {getattr(target, '__name__', target)} grows: {growth} blocks in {BATCH} messages each"
    )


def _forget() -> None:
    """Leave nothing that is remembered on purpose and within limits."""
    for each in gc.get_objects():
        if isinstance(each, functools._lru_cache_wrapper) and each.__module__.startswith("bridge."):
            each.cache_clear()
    gc.collect()


def finding(target: Target, samples: list[bytes], round_: int, examples: int = EXAMPLES, stall: float = STALL) -> str:
    """A test that fails, "" if nothing was found."""
    last = b""

    @seed(round_)
    @settings(
        max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES
    )
    @given(near(samples) | bloated(samples) | st.binary(max_size=1400))
    def run(data: bytes) -> None:
        nonlocal last
        last = data
        timed(target, data, stall)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)  # of long examples
            run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding; the smallest example was tried last
        name = target.__name__
        shown = f"{last!r}" if len(last) <= 1400 else f"{_squeezed(last)}"
        return f"def test_{name}_found_in_round_{round_}() -> None:  # {error!r}\n    targets.{name}({shown})\n"
    return ""


def _squeezed(data: bytes) -> str:
    """A long one that repeats a piece, as an expression."""
    for size in range(1, 61):
        for begin in range(0, min(len(data), 1400), 1):
            piece = data[begin : begin + size]
            times = 1
            while data[begin + times * size : begin + (times + 1) * size] == piece:
                times += 1
            if times * size > len(data) // 2:
                return f"{data[:begin]!r} + {piece!r} * {times} + {data[begin + times * size :]!r}"
    return repr(data)


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
            if target in found:
                continue
            if test := finding(target, samples, round_) or grown(target, samples, round_):
                found[target] = test
                print(test, flush=True)
    raise AssertionError("the count never ends")
