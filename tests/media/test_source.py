"""Who is believed to be the PBX (symmetric RTP), by the trunk's wish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.commands import Latch
from bridge.media.source import LATCH_PACKETS, Source

PBX = ("192.0.2.1", 4000)
OTHER_PORT = ("192.0.2.1", 4444)
STRANGER = ("198.51.100.9", 4000)


def source(latch: Latch) -> Source:
    found = Source(latch)
    found.follow(PBX)
    return found


def speaks(source: Source, address: tuple[str, int], packets: int = 2 * LATCH_PACKETS, first: int = 0) -> list[bool]:
    return [source.believes(address, 1, first + number, voice=True) for number in range(packets)]


@pytest.mark.parametrize(
    ("latch", "address", "moves"),
    [
        (Latch.NEVER, OTHER_PORT, False),
        (Latch.NEVER, STRANGER, False),
        (Latch.PORT, OTHER_PORT, True),
        (Latch.PORT, STRANGER, False),
        (Latch.ADDRESS, OTHER_PORT, True),
        (Latch.ADDRESS, STRANGER, True),
    ],
)
def test_where_voice_may_move_is_the_trunks_choice(latch: Latch, address: tuple[str, int], moves: bool) -> None:
    found = source(latch)
    heard = speaks(found, address)
    assert heard == [moves and number >= LATCH_PACKETS - 1 for number in range(2 * LATCH_PACKETS)]
    assert found.remote == (address if moves else PBX)


@pytest.mark.parametrize("latch", list(Latch))
def test_once_the_announced_address_has_spoken_nobody_else_is_believed(latch: Latch) -> None:
    found = source(latch)
    assert speaks(found, PBX, 1) == [True]
    assert not any(speaks(found, OTHER_PORT, 50) + speaks(found, STRANGER, 50))
    assert found.remote == PBX


def test_voice_moves_once_and_not_again() -> None:
    found = source(Latch.ADDRESS)
    speaks(found, OTHER_PORT)
    assert not any(speaks(found, STRANGER, 50) + speaks(found, PBX, 50))
    assert found.remote == OTHER_PORT


def test_packets_that_do_not_follow_one_another_prove_nothing() -> None:
    found = source(Latch.ADDRESS)
    for number in range(50):
        assert not found.believes(STRANGER, 1, 2 * number, voice=True)
        assert not found.believes(OTHER_PORT, number, number, voice=True)
    assert not any(found.believes(STRANGER, 1, number, voice=False) for number in range(50))
    assert found.remote == PBX


def test_two_that_speak_at_once_disturb_each_others_proof() -> None:
    found = source(Latch.ADDRESS)
    for number in range(20):
        assert not found.believes(STRANGER, 1, number, voice=True)
        assert not found.believes(OTHER_PORT, 2, number, voice=True)


def test_a_new_description_opens_the_question_and_the_same_one_keeps_whom_we_knew() -> None:
    found = source(Latch.ADDRESS)
    speaks(found, OTHER_PORT)
    found.follow(PBX)
    assert found.remote == OTHER_PORT
    assert speaks(found, OTHER_PORT, 1) == [True], "no proof is asked again of whom we knew"
    found.follow(STRANGER)
    assert found.remote == STRANGER
    assert speaks(found, OTHER_PORT, 1) == [False]
    assert speaks(found, STRANGER, 1) == [True]


@given(st.lists(st.tuples(st.sampled_from([PBX, OTHER_PORT, STRANGER]), st.integers(0, 5), st.booleans()), max_size=60))
def test_without_a_new_description_voice_moves_at_most_once(packets: list[tuple[tuple[str, int], int, bool]]) -> None:
    found = source(Latch.ADDRESS)
    went = [PBX]
    for address, sequence, voice in packets:
        found.believes(address, 1, sequence, voice=voice)
        if found.remote is not None and found.remote != went[-1]:
            went.append(found.remote)
    assert len(went) <= 2
