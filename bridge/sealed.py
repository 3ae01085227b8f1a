"""Files at rest, sealed chunk by chunk, so that a long one needs no memory and a torn one opens up to its last whole chunk.

A sealed file begins with a magic word and a name drawn by chance. Each chunk bears that name and its number inside, so that none
can be taken out, put elsewhere, or brought from another file. A file without the magic word is an open one.
"""

from __future__ import annotations

import io
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from .errors import TicketError
from .tickets import Seal

MAGIC: Final = b"SEALED1\n"
CHUNK: Final = 64 * 1024
"""Bytes that are read at once, and what a writer should seal at once."""
_NAME: Final = 16
_HEAD: Final = struct.Struct("<II")
"""Bytes of a chunk as it lies there, and of what is in it."""
_NUMBER: Final = struct.Struct("<I")


class SealedFileError(TicketError):
    """A sealed file that can't be opened, or was changed."""


class Writer:
    """Appends to a file that is empty; without a seal, as it is."""

    def __init__(self, file: BinaryIO, seal: Seal | None) -> None:
        self._file, self._seal = file, seal
        self._name, self._number = secrets.token_bytes(_NAME), 0
        if seal is not None:
            file.write(MAGIC + self._name)

    def append(self, data: bytes) -> None:
        """One chunk; on an unbuffered file it is on its way to the disk at return."""
        self._file.write(self._chunk(self._number, data) if self._seal else data)
        self._number += 1

    def rewrite_first(self, data: bytes) -> None:
        """Replaces the first chunk by one of the same length, and ends the writing."""
        self._file.seek(len(MAGIC) + _NAME if self._seal else 0)
        self._file.write(self._chunk(0, data) if self._seal else data)

    def _chunk(self, number: int, data: bytes) -> bytes:
        assert self._seal is not None
        sealed = self._seal.seal_bytes(self._name + _NUMBER.pack(number) + data)
        return _HEAD.pack(len(sealed), len(data)) + sealed


def chunks(path: Path, seal: Seal) -> Iterator[bytes]:
    """What the file holds, piece by piece; OSError, SealedFileError. A chunk that was cut off is passed over."""
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
        if first != MAGIC:
            yield first
            while piece := file.read(CHUNK):
                yield piece
            return
        name, number = file.read(_NAME), 0
        while (data := _next(file, seal, name, number)) is not None:
            yield data
            number += 1


def _next(file: BinaryIO, seal: Seal, name: bytes, number: int) -> bytes | None:
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, _ = _HEAD.unpack(head)
    sealed = file.read(length)
    if len(sealed) < length:
        return None
    data = seal.open_bytes(sealed)
    if not data.startswith(name + _NUMBER.pack(number)):
        raise SealedFileError("this file was put together from others")
    return data[_NAME + _NUMBER.size :]


def open_plain(path: Path, seal: Seal) -> BinaryIO:
    """The file for reading, whether it is sealed or not; OSError."""
    file = path.open("rb")
    sealed = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    if not sealed:
        return file
    file.close()
    return io.BufferedReader(_Unsealed(path, seal), CHUNK)


def plain_size(path: Path) -> int:
    """Bytes of what the file holds; OSError."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return path.stat().st_size
        file.seek(_NAME, io.SEEK_CUR)
        size, left = 0, path.stat().st_size - len(MAGIC) - _NAME
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, plain = _HEAD.unpack(head)
            left -= _HEAD.size + length
            if left < 0:
                break
            size += plain
            file.seek(length, io.SEEK_CUR)
        return size


class _Unsealed(io.RawIOBase):
    """Read from its beginning to its end, as often as one likes."""

    def __init__(self, path: Path, seal: Seal) -> None:
        super().__init__()
        self._path, self._seal = path, seal
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("only to the beginning")
        self._pieces, self._held, self._at = chunks(self._path, self._seal), b"", 0
        return 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # bytes in, as of every raw file
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._held = piece
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        self._at += count
        return count
