"""Who is in a call at an extension: documents of the dialog event package, application/dialog-info+xml (RFC 4235; pure).

They come from outside: no document type and no entities are read, and every size has a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from ..calls.extension import ExtensionState
from .headers import SipError

MOST_BYTES = 32_768
MOST_ELEMENTS = 1_000
MOST_DEPTH = 16
MOST_DIALOGS = 64
_NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"
_LONGEST = 64
"""Characters of a state or an id that are looked at."""
_STATES = frozenset({"trying", "proceeding", "early", "confirmed", "terminated"})


@dataclass(frozen=True, slots=True)
class DialogInfo:
    """One document; dialogs by their id."""

    version: int
    is_full: bool
    dialogs: Mapping[str, ExtensionState]
    """What each makes of the extension; FREE: it is over."""


def parse(body: bytes) -> DialogInfo:
    """SipError if it is not such a document, or goes over a limit."""
    if len(body) > MOST_BYTES:
        raise SipError(f"a document over {MOST_BYTES} bytes")
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise SipError(f"not XML: {error}") from None
    if reader.version is None:
        raise SipError("no dialog-info with a version")
    return DialogInfo(reader.version, reader.is_full, reader.dialogs)


class _Reader:
    """Hears the parser's events; SipError ends it."""

    def __init__(self) -> None:
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        self.version: int | None = None
        self.is_full = True
        self.dialogs: dict[str, ExtensionState] = {}
        self._path: list[str] = []
        self._elements = 0
        self._dialog, self._is_caller = "", False
        self._state = ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        space, _, local = name.rpartition(" ")
        self._path.append(local if space in {"", _NAMESPACE} else "")
        if self._elements > MOST_ELEMENTS or len(self._path) > MOST_DEPTH:
            raise SipError("too many elements")
        if self._path == ["dialog-info"]:
            self.version = _version(attributes)
            self.is_full = attributes.get("state", "full").lower() != "partial"
        elif self._path == ["dialog-info", "dialog"]:
            self._dialog = attributes.get("id", "")[:_LONGEST]
            self._is_caller = attributes.get("direction", "").lower() == "initiator"
            if len(self.dialogs) >= MOST_DIALOGS:
                raise SipError(f"more than {MOST_DIALOGS} dialogs")
        elif self._path == ["dialog-info", "dialog", "state"]:
            self._state = ""

    def _text(self, text: str) -> None:
        if self._path == ["dialog-info", "dialog", "state"] and len(self._state) < _LONGEST:
            self._state += text

    def _end(self, name: str) -> None:
        if self._path == ["dialog-info", "dialog", "state"] and (state := self._state.strip().lower()) in _STATES:
            self.dialogs[self._dialog] = _meaning(state, is_caller=self._is_caller)
        self._path.pop()


def _refuse_doctype(*declared: object) -> None:
    raise SipError("a document type is not read")


def _version(attributes: Mapping[str, str]) -> int:
    text = attributes.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise SipError("no dialog-info with a version")
    return int(text)


def _meaning(state: str, *, is_caller: bool) -> ExtensionState:
    """RFC 4235, 3.7.1; whoever dials is as busy as whoever talks."""
    if state == "terminated":
        return ExtensionState.FREE
    return ExtensionState.TALKING if state == "confirmed" or is_caller else ExtensionState.RINGING
