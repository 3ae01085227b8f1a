"""What a PBX wrote down about the SIP messages it sent and received."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from os import SEEK_END
from pathlib import Path

_HEAD = re.compile(r"<--- (Transmitting|Received) SIP (?:request|response) \((\d+) bytes\) (?:to|from) \S+ --->\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipMessage:
    """One message; `sent` is seen from the PBX."""

    sent: bool
    text: str

    @property
    def start(self) -> str:
        return self.text.partition("\n")[0].strip()

    @property
    def status(self) -> int:
        """The status of a response, 0 of a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """The method, of a response that of its request."""
        return self.header("CSeq").partition(" ")[2]

    @property
    def is_request(self) -> bool:
        return not self.status

    @property
    def call_id(self) -> str:
        return self.header("Call-ID")

    @property
    def body(self) -> str:
        return self.text.partition("\n\n")[2]

    @property
    def is_in_dialog(self) -> bool:
        """Whether it belongs to a call that is set up already, as a re-INVITE does."""
        return ";tag=" in self.header("To")

    @property
    def direction(self) -> str:
        """Which way its description wants audio to flow."""
        found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", self.body, re.MULTILINE)
        return found[1] if found else "sendrecv"

    def header(self, name: str) -> str:
        return _header(self.text, name)


@cache
def _header(text: str, name: str) -> str:
    """Remembered: whoever waits asks every message of the session again and again."""
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.*?)\s*$", text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


class SipLog:
    """The log of a PBX that goes on writing: what was read once is not read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._pending = ""
        self._messages: dict[tuple[bool, str], SipMessage] = {}

    def messages(self) -> list[SipMessage]:
        """Every message so far, without retransmissions."""
        self._read()
        at = len(self._pending)
        for begin, message in _entries(self._pending):
            if message is None:
                at = begin
                break
            self._messages[message.sent, message.text] = message
        self._pending = self._pending[at:]
        return list(self._messages.values())

    def _read(self) -> None:
        """Whole lines only."""
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            if log.seek(0, SEEK_END) < self._offset:  # the PBX has begun a new one
                self._offset, self._pending = 0, ""
                self._messages.clear()
            log.seek(self._offset)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._pending += whole.decode(errors="replace").replace("\r\n", "\n")


def read_log(text: str) -> Iterator[SipMessage]:
    """The messages in the log of `pjsip set logger on`, in order; a last one that is not complete yet is left out."""
    return (message for _, message in _entries(text) if message)


def _entries(text: str) -> Iterator[tuple[int, SipMessage | None]]:
    """Where each entry begins, and its message, None where that is cut short."""
    for head in _HEAD.finditer(text):
        size = int(head[2])
        begin = _begin(text, head.end(), size)
        end = _end(text, begin, size)
        yield head.start(), SipMessage(sent=head[1] == "Transmitting", text=text[begin:end]) if end else None


def _begin(text: str, at: int, size: int) -> int:
    """Where the message of `size` bytes begins: of several that came in one segment of a stream, each entry shows all."""
    begin, limit = at, text.find(" <--- ", at)
    while own := _own_size(text, begin):
        if own == size:
            return begin
        begin = _end(text, begin, own)
        if not begin or (limit >= 0 and begin > limit):
            break
    return at


def _own_size(text: str, at: int) -> int:
    """In bytes, as its Content-Length has it; 0 if there is no message."""
    head, found, _ = text[at : at + 65536].partition("\n\n")
    length = re.search(r"^(?:Content-Length|l) *: *(\d+)", head, re.IGNORECASE | re.MULTILINE)
    if not found or length is None or "SIP/2.0" not in head.partition("\n")[0]:
        return 0
    return len(head.encode()) + head.count("\n") + 4 + int(length[1])


def _end(text: str, at: int, size: int) -> int:
    """Where a message of `size` bytes ends, 0 if it is cut short. The size counts CR LF, the text has LF."""
    used = 0
    while used < size:
        line_end = text.find("\n", at)
        if line_end < 0:
            return 0
        used += len(text[at:line_end].encode()) + 2
        at = line_end + 1
    return at


def unrepeated(messages: Iterable[SipMessage]) -> list[SipMessage]:
    """Without retransmissions: each message once."""
    return list({(message.sent, message.text): message for message in messages}.values())
