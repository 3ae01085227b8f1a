"""Whose the memory of a process is."""

from __future__ import annotations

import asyncio
import platform
import resource
from pathlib import Path

import pytest

from bridge import heap as room
from bridge.heap import heap, trim, trimmed

MB = 1_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc tells")
def test_what_python_and_what_malloc_hold_are_told_apart() -> None:
    before = heap()
    small = [str(number) + "x" for number in range(10_000)]
    large = [bytes(20_000 + number) for number in range(100)]
    after = heap()
    assert after.blocks - before.blocks > 0.9 * len(small)
    assert before.malloc is not None
    assert after.malloc is not None
    taken = after.malloc.used + after.malloc.mapped - before.malloc.used - before.malloc.mapped
    assert 1.5 * MB < taken < 4 * MB
    assert len(large) == 100


def test_where_the_c_library_does_not_tell_python_still_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_libc", lambda name: None)
    assert heap().malloc is None
    assert heap().blocks > 0
    trim()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it")
def test_what_was_freed_below_something_in_use_goes_back_to_the_system() -> None:
    held = [bytearray(20_000) for _ in range(1_000)]
    kept = held[::20]
    before = resident()
    del held
    trim()
    assert before - resident() > 10 * MB
    assert len(kept) == 50


async def test_it_goes_on_while_the_bridge_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    done = asyncio.Event()
    monkeypatch.setattr(room, "TRIM_SECONDS", 0)
    monkeypatch.setattr(room, "trim", done.set)
    async with trimmed():
        await asyncio.wait_for(done.wait(), 10)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
