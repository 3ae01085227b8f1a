"""Files at rest: read again as they were written, and nothing of them is open."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bridge import sealed
from bridge.errors import TicketError
from bridge.tickets import Seal, new_key

KEY = new_key()
SEAL = Seal([KEY])
FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, database=None)


def write(path: Path, pieces: list[bytes], seal: Seal | None = SEAL) -> None:
    with path.open("wb") as file:
        writer = sealed.Writer(file, seal)
        for piece in pieces:
            writer.append(piece)


@FILE
@given(pieces=st.lists(st.binary(max_size=3000), max_size=8), is_sealed=st.booleans())
def test_a_file_is_read_as_it_was_written(tmp_path: Path, pieces: list[bytes], is_sealed: bool) -> None:
    path, whole = tmp_path / "file", b"".join(pieces)
    assume(not whole.startswith(sealed.MAGIC))
    write(path, pieces, SEAL if is_sealed else None)
    assert b"".join(sealed.chunks(path, SEAL)) == whole
    assert sealed.plain_size(path) == len(whole)
    with sealed.open_plain(path, SEAL) as file:
        assert file.read() == whole


@FILE
@given(pieces=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8), left=st.integers(0, 4000))
def test_a_torn_file_opens_up_to_its_last_whole_chunk(tmp_path: Path, pieces: list[bytes], left: int) -> None:
    path = tmp_path / "file"
    write(path, pieces)
    raw = path.read_bytes()
    path.write_bytes(raw[: max(24, left)])
    found = list(sealed.chunks(path, SEAL))
    assert found == pieces[: len(found)]
    assert sealed.plain_size(path) == sum(map(len, found))
    if left >= len(raw):
        assert found == pieces


def test_nothing_of_it_can_be_read_without_the_key(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, [b"the caller's secret " * 50])
    assert b"secret" not in path.read_bytes()
    with pytest.raises(TicketError):
        list(sealed.chunks(path, Seal([new_key()])))
    rotated = Seal([new_key(), KEY])
    assert b"secret" in b"".join(sealed.chunks(path, rotated))


def test_chunks_of_another_file_or_in_another_order_are_refused(tmp_path: Path) -> None:
    one, two, mixed = tmp_path / "one", tmp_path / "two", tmp_path / "mixed"
    write(one, [b"a" * 100, b"b" * 100])
    write(two, [b"c" * 100, b"d" * 100])
    size = (one.stat().st_size - 24) // 2
    first, second = one.read_bytes()[24 : 24 + size], one.read_bytes()[24 + size :]
    for body in (second + first, first + two.read_bytes()[24 + size :], second):
        mixed.write_bytes(one.read_bytes()[:24] + body)
        with pytest.raises(sealed.SealedFileError):
            list(sealed.chunks(mixed, SEAL))


@pytest.mark.parametrize("seal", [SEAL, None])
def test_the_first_chunk_can_be_written_when_the_rest_is_known(tmp_path: Path, seal: Seal | None) -> None:
    path = tmp_path / "file"
    with path.open("w+b") as file:
        writer = sealed.Writer(file, seal)
        writer.append(b"????")
        writer.append(b" and so on")
        writer.rewrite_first(b"head")
    assert b"".join(sealed.chunks(path, SEAL)) == b"head and so on"
