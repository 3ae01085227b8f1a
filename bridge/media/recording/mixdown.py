"""From a tape to something to listen to: two channels on one line, operator left, caller right, as WAV or MP3.

Runs as a process of its own at the lowest priority (`python -m bridge.media.recording.mixdown`): the first line it reads holds the keys,
each further one a job, and each job is answered with a line.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Final, Protocol

from av import AudioFifo, AudioFrame, CodecContext

from ... import sealed
from ...errors import BridgeError
from ...tickets import Seal
from ..codecs import codec
from ..sdp import CLOCK_RATES
from . import spool, tape
from .tape import Channel, Label, Record, Spooled, TapeError, Tuned
from .timeline import Placed, place

HORIZON: Final = 4.0
"""Seconds behind the newest packet at which nothing is added any more."""
CONCEALED: Final = 0.12
"""Seconds of loss that a codec may make up for."""
NARROW, WIDE = 8000, 16_000
BIT_RATES: Final = {NARROW: 32_000, WIDE: 48_000}
"""Of an MP3."""
LOWEST_PRIORITY: Final = 19
UNFINISHED: Final = ".new"
"""A file that is being written."""


class EmptyTapeError(TapeError):
    """There is nothing to listen to."""


# ---- what the tapes hold


def records(tapes: Iterable[Iterable[bytes]]) -> Iterator[Record]:
    """All tapes of one call as one, in the order in which they began; TapeError if there is none."""
    readers = [tape.read(pieces) for pieces in tapes]
    begun: list[tuple[Label, Iterator[Record]]] = []
    for reader in readers:
        first = next(reader, None)
        if isinstance(first, Label):
            begun.append((first, reader))
    if not begun:
        raise EmptyTapeError("nothing was recorded")
    begun.sort(key=lambda item: item[0].began)
    zero = begun[0][0].began
    for label, reader in begun:
        yield label
        for record in reader:
            if isinstance(record, Tuned | Label):
                yield record
                continue
            placed = replace(record, at=record.at + label.began - zero)
            if isinstance(placed, Spooled):
                yield from spool.heard(placed, zero, _written(Path(placed.path)))
            else:
                yield placed


def _written(path: Path) -> Iterator[bytes]:
    """What an engine wrote down; OSError where its folder is out of reach. One that was killed may have left nothing."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        path.parent.stat()
        return
    with file:
        while piece := file.read(sealed.CHUNK):
            yield piece


# ---- two channels


class _Side:
    """One channel: PCM from where the other begins, too."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self.pcm = bytearray()
        self.base = 0
        """Samples that are gone from the beginning of `pcm`."""
        self._codec = ""
        self._decoder: codec.Decoder | None = None

    @property
    def end(self) -> int:
        return self.base + len(self.pcm) // 2

    def add(self, placed: Placed) -> None:
        if self._decoder is None or placed.codec != self._codec:
            self._codec, self._decoder = placed.codec, codec.decoder(placed.codec, self._rate)
        at = round(placed.at * self._rate)
        gap = at - self.end
        if placed.lost and 0 < gap <= CONCEALED * self._rate:
            self.pcm += self._decoder.conceal(gap, placed.payload if placed.lost == 1 else b"")
            gap = at - self.end
        pcm = self._decoder.decode(placed.payload)
        if gap > 1:
            self.pcm += bytes(2 * gap)
        elif gap < -1:
            pcm = pcm[-2 * gap :]
        self.pcm += pcm

    def take(self, until: int) -> bytes:
        """Everything up to a sample, with silence where nothing is."""
        wanted = 2 * (until - self.base)
        self.pcm += bytes(max(0, wanted - len(self.pcm)))
        taken = bytes(self.pcm[:wanted])
        del self.pcm[:wanted]
        self.base = until
        return taken


def both(line: Iterable[Placed], rate: int) -> Iterator[tuple[bytes, bytes]]:
    """16-bit PCM of operator and caller, a piece at a time, equally long."""
    operator, caller = sides = {channel: _Side(rate) for channel in Channel}.values()
    newest = 0.0
    for placed in line:
        (operator if placed.channel is Channel.OPERATOR else caller).add(placed)
        newest = max(newest, placed.at)
        until = int((newest - HORIZON) * rate)
        if until - operator.base >= rate:
            yield operator.take(until), caller.take(until)
    until = max(side.end for side in sides)
    yield operator.take(until), caller.take(until)


def rate_of(codec_name: str) -> int:
    return NARROW if codec_name in ("PCMU", "PCMA") else WIDE


# ---- files


class _Sound(Protocol):
    def add(self, left: bytes, right: bytes) -> None: ...
    def end(self) -> None: ...


class _Wav:
    """RIFF, whose length is known at the end only."""

    def __init__(self, file: sealed.Writer, rate: int) -> None:
        self._file, self._rate, self._bytes = file, rate, 0
        file.append(self._head())

    def _head(self) -> bytes:
        size, rate = min(self._bytes, 0xFFFFFFFF - 36), self._rate
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, rate, 4 * rate, 4, 16)
        return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)

    def add(self, left: bytes, right: bytes) -> None:
        pcm = array("h", bytes(2 * len(left)))
        pcm[0::2], pcm[1::2] = array("h", left), array("h", right)
        self._bytes += 2 * len(left)
        self._file.append(pcm.tobytes())

    def end(self) -> None:
        self._file.rewrite_first(self._head())


class _Mp3:
    """MPEG audio of constant bit rate, frame after frame: how long it is follows from its size."""

    def __init__(self, file: sealed.Writer, rate: int) -> None:
        self._file, self._rate, self._held, self._samples = file, rate, bytearray(), 0
        lame = CodecContext.create("libmp3lame", "w")
        lame.format, lame.layout, lame.sample_rate = "s16p", "stereo", rate
        lame.bit_rate, lame.time_base = BIT_RATES[rate], Fraction(1, rate)
        # Neither side is to be heard on the other; a telephone gains nothing from more effort, which would cost twice as much.
        lame.options = {"joint_stereo": "0", "compression_level": "7"}
        lame.open()
        self._lame, self._queue = lame, AudioFifo()

    def add(self, left: bytes, right: bytes) -> None:
        frame = AudioFrame(format="s16p", layout="stereo", samples=len(left) // 2)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._samples, Fraction(1, self._rate)
        self._samples += frame.samples
        for plane, pcm in zip(frame.planes, (left, right), strict=True):
            plane.update(pcm + bytes(plane.buffer_size - len(pcm)))
        self._queue.write(frame)
        self._encode(self._queue.read_many(self._lame.frame_size))
        if len(self._held) >= sealed.CHUNK:
            self._flush()

    def _encode(self, frames: Iterable[AudioFrame | None]) -> None:
        for frame in frames:
            for packet in self._lame.encode(frame):
                self._held += bytes(packet)

    def _flush(self) -> None:
        self._file.append(bytes(self._held))
        self._held.clear()

    def end(self) -> None:
        rest = self._queue.read(0, partial=True) if self._queue.samples else None
        self._encode([rest, None] if rest else [None])
        self._flush()


def mix(tapes: list[Path], to: Path, seal: Seal, *, sealing: bool) -> float:
    """Writes the recording of one call, `.wav` or `.mp3`; how many seconds it has. OSError, TapeError, TicketError."""
    rest = records(sealed.chunks(path, seal) for path in tapes)
    # The first codec decides how wide the recording is.
    head = list(_to_first_codec(rest))
    rate = next((rate_of(record.codec) for record in head if isinstance(record, Tuned)), NARROW)
    # A process that a killed bridge has left behind may still be at the same tape.
    partly = to.with_name(f"{to.name}.{os.getpid()}{UNFINISHED}")
    partly.unlink(missing_ok=True)
    samples = 0
    with os.fdopen(os.open(partly, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b") as file:
        writer = sealed.Writer(file, seal if sealing else None)
        sound: _Sound = _Mp3(writer, rate) if to.suffix == ".mp3" else _Wav(writer, rate)
        for left, right in both(place(chain(head, rest), CLOCK_RATES), rate):
            if left:
                samples += len(left) // 2
                sound.add(left, right)
        if not samples:
            partly.unlink()
            raise EmptyTapeError("nothing was said while it ran")
        sound.end()
        file.flush()
        os.fsync(file.fileno())
    partly.rename(to)
    return samples / rate


def _to_first_codec(records: Iterator[Record]) -> Iterator[Record]:
    """Up to the first record that names a codec, which is included."""
    for record in records:
        yield record
        if isinstance(record, Tuned):
            return


# ---- as a process


def work(orders: Iterable[str], answer: Any) -> None:
    """Does one job after the other: `{"tapes": […], "to": …, "sealing": …}` is answered with `{"seconds": …}` or `{"error": …, "full": …, "empty": …}`."""
    seal: Seal | None = None
    for line in orders:
        order = json.loads(line)
        if seal is None:
            seal = Seal(order["keys"])
            continue
        try:
            seconds = mix([Path(path) for path in order["tapes"]], Path(order["to"]), seal, sealing=order["sealing"])
            result: dict[str, Any] = {"seconds": seconds}
        except EmptyTapeError as error:
            result = {"error": str(error), "full": False, "empty": True}
        except (OSError, BridgeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            result = {"error": why, "full": isinstance(error, OSError), "empty": False}
        answer.write(json.dumps(result) + "\n")
        answer.flush()


if __name__ == "__main__":
    os.nice(LOWEST_PRIORITY)
    work(sys.stdin, sys.stdout)
