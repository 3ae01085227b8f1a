"""What an rtpengine wrote down of a call, and a tape only names: which files that is, and what was heard when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from . import pcap, tape
from .tape import Channel, Heard, Spooled

FOLDER: Final = "pcaps"
"""Where it puts them, in its `--recording-dir`."""
_CHANCE: Final = 16 * "?"
"""What it puts behind the name of the call."""
_RTCP: Final = range(64, 96)
"""What its types look like as payload types of RTP (RFC 5761, 4)."""
EARLIEST, LATEST = -1.0, 60.0
"""Seconds from one packet to the next that can be true: both sides always send. Else a clock was set, or goes otherwise than ours."""


def heard(spooled: Spooled, began: float, chunks: Iterable[bytes]) -> Iterator[Heard]:
    """The packets of both sides in the file whose bytes these are; `began`: the tape, in Unix seconds. PcapError."""
    channels = {spooled.caller: Channel.CALLER}
    if spooled.operator:
        channels[spooled.operator] = Channel.OPERATOR
    shift, last = -began, spooled.at
    for datagram in pcap.read(chunks):
        channel = channels.get(datagram.port)
        if channel is None:
            continue
        at = datagram.at + shift
        if not EARLIEST <= at - last <= LATEST:
            shift, at = last - datagram.at, last
        last = max(last, at)
        packet = tape.heard(channel, at, datagram.payload)
        if packet is not None and packet.payload_type not in _RTCP:
            yield packet


def written(spool: Path, call: str) -> set[Path]:
    """The files of this call in an engine's `--recording-dir`; `call` holds letters, digits and hyphens."""
    return set((spool / FOLDER).glob(f"{call}-{_CHANCE}.pcap"))


def forget(spool: Path, call: str) -> None:
    """Delete them, and what the engine has noted down about them."""
    notes = (spool / "metadata").glob(f"rtpengine-meta-{call}-{_CHANCE}.txt")
    for path in (*written(spool, call), *notes):
        path.unlink(missing_ok=True)
