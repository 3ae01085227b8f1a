"""The header fields of a SIP message: an ordered multi-map that never changes (RFC 3261, 7.3).

Also the lexical rules that every header shares: lists, quoted strings, numbers. Everything here costs linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..errors import TheirsError

COMPACT = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
    "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact",
    "n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
    "x": "Session-Expires", "y": "Identity",
}  # fmt: skip
LISTS = frozenset({
    "Via", "Contact", "Route", "Record-Route", "Path", "Service-Route", "Allow", "Supported", "Require", "Proxy-Require",
    "Unsupported", "Accept", "Accept-Contact", "Accept-Encoding", "Accept-Language", "Accept-Resource-Priority",
    "Allow-Events", "Warning", "Reason", "Diversion", "History-Info", "P-Asserted-Identity", "P-Associated-URI",
})  # fmt: skip
SINGLES = frozenset({
    "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Expires", "Min-SE",
    "Session-Expires", "Refer-To", "Replaces", "Event", "RSeq", "RAck", "Subscription-State",
})  # fmt: skip
_OTHERS = (
    "Alert-Info", "Authentication-Info", "Authorization", "Call-Info", "Content-Disposition", "Content-Language", "Date",
    "Error-Info", "Flow-Timer", "In-Reply-To", "Info-Package", "MIME-Version", "Min-Expires", "Organization",
    "P-Called-Party-ID", "P-Preferred-Identity", "Priority", "Privacy", "Proxy-Authenticate", "Proxy-Authorization",
    "Recv-Info", "Remote-Party-ID", "Reply-To", "Retry-After", "Server", "Timestamp", "User-Agent", "User-to-User",
    "WWW-Authenticate",
)  # fmt: skip
_CANONICAL = {name.lower(): name for name in (*LISTS, *SINGLES, *_OTHERS, *COMPACT.values())} | COMPACT
_CANONICAL |= {name: name for name in _CANONICAL.values()}
_UNWRITABLE = re.compile(r"[\r\n\0]")
_PIECE = {mark: re.compile(rf'(?:[^"<{mark}]++|"(?:[^"\\]++|\\.)*+"?|<[^>]*+>?)*+', re.DOTALL) for mark in ",;"}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
BLANKS = " \t"
MOST_VALUES = 64
"""In one comma list."""


class SipError(TheirsError):
    """Something of a peer's message can't be read; `status` is the answer that it earns, None none at all."""

    def __init__(self, message: str, status: int | None = 400) -> None:
        super().__init__(message)
        self.status = status


class Headers:
    """Header fields in their order; names in canonical spelling, lookups in any.

    Values are kept as written. A name or value that would break the message (CR, LF, NUL) raises SipError.
    """

    __slots__ = ("_index", "_pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple((_field_name(name), _field_value(name, value)) for name, value in pairs)
        self._index: dict[str, list[str]] | None = None

    @classmethod
    def _checked(cls, pairs: Iterable[tuple[str, str]]) -> Headers:
        """Of pairs that were checked already."""
        made = cls.__new__(cls)
        made._pairs = tuple(pairs)
        made._index = None
        return made

    @classmethod
    def copied(cls, known: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> Headers:
        """`known` come from another message and were checked there; `new` follow them."""
        return cls._checked([*known, *((_field_name(name), _field_value(name, value)) for name, value in new)])

    def get(self, name: str) -> str | None:
        """The first value, of a list header its first element ("" if it lists nothing); None when there is no such header.

        SipError where a list is longer than MOST_VALUES.
        """
        key = _key(name)
        lines = self._lines(key)
        if not lines or key not in LISTS:
            return lines[0] if lines else None
        return next((items[0] for line in lines if (items := elements(line))), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Every value in order; lists are split whether they were repeated or joined by commas. SipError as `get`."""
        key = _key(name)
        lines = self._lines(key)
        if not lines or key not in LISTS:
            return tuple(lines)
        return tuple(item for line in lines for item in elements(line))

    def _lines(self, key: str) -> Sequence[str]:
        index = self._index
        if index is None:
            index = self._index = {}
            for name, line in self._pairs:
                known = _key(name)
                if known in index:
                    index[known].append(line)
                else:
                    index[known] = [line]
        return index.get(key, ())

    def set(self, name: str, value: str | Iterable[str]) -> Headers:
        """With `value`, one line each, in place of the first of that name; the others are gone."""
        key, pairs = _key(name), self._pairs
        values = [value] if isinstance(value, str) else list(value)
        place = next((i for i, (known, _) in enumerate(pairs) if _key(known) == key), len(pairs))
        rest = [pair for pair in pairs[place:] if _key(pair[0]) != key]
        return self._checked([*pairs[:place], *Headers((name, item) for item in values), *rest])

    def add(self, name: str, value: str) -> Headers:
        return self._checked([*self._pairs, *Headers([(name, value)])])

    def prepend(self, name: str, value: str) -> Headers:
        return self._checked([*Headers([(name, value)]), *self._pairs])

    def replace_first(self, name: str, value: str) -> Headers:
        """With another first element; SipError when there is none."""
        return self._with_first(name, [value])

    def drop_first(self, name: str) -> Headers:
        """Without the first element; SipError when there is none."""
        return self._with_first(name, [])

    def without(self, name: str) -> Headers:
        key = _key(name)
        return self._checked(pair for pair in self._pairs if _key(pair[0]) != key)

    def _with_first(self, name: str, items: list[str]) -> Headers:
        name = canonical(name)
        for place, (known, line) in enumerate(self._pairs):
            if _key(known) == _key(name) and (old := elements(line) if name in LISTS else [line]):
                new = [*items, *old[1:]]
                between = [(name, ", ".join(new))] if new else []
                return self._checked([*self._pairs[:place], *Headers(between), *self._pairs[place + 1 :]])
        raise SipError(f"there is no {name}")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._lines(_key(name)))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return self._pairs == other._pairs if isinstance(other, Headers) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)!r})"


def canonical(name: str) -> str:
    """The standard's spelling of a header's name, compact names expanded; unknown names as they are."""
    return _CANONICAL.get(name) or _CANONICAL.get(name.lower(), name)


def elements(line: str) -> list[str]:
    """The elements of a comma list, empty ones left out; SipError over MOST_VALUES."""
    if "," not in line:
        return [item] if (item := line.strip(BLANKS)) else []
    return [item for piece in split_outside(line, ",", MOST_VALUES) if (item := piece.strip(BLANKS))]


def split_outside(text: str, mark: str, most: int) -> list[str]:
    """Split at `mark` ("," or ";") where it is neither quoted nor in angle brackets; SipError over `most` pieces."""
    if '"' in text or "<" in text:
        return _split_around(text, mark, most)
    pieces = text.split(mark)
    if len(pieces) > most:
        raise SipError(f"more than {most} values in a header", 513)
    return pieces


def _split_around(text: str, mark: str, most: int) -> list[str]:
    pieces: list[str] = []
    start = 0
    while len(pieces) < most:
        piece = _PIECE[mark].match(text, start)
        assert piece is not None, "a piece may be empty, never missing"
        pieces.append(piece[0])
        if piece.end() == len(text):
            return pieces
        start = piece.end() + 1
    raise SipError(f"more than {most} values in a header", 513)


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """What a quoted string says; other text as it is."""
    return _ESCAPED.sub(r"\1", text[1:-1]) if is_quoted(text) else text


def is_quoted(text: str) -> bool:
    return text.startswith('"') and _QUOTED.fullmatch(text) is not None


def cut_quoted(text: str) -> tuple[str, str]:
    """What the quoted string says that `text` begins with, and what follows; SipError if it never ends."""
    match = _QUOTED.match(text)
    if match is None:
        raise SipError("a quoted string without end")
    return unquote(match[0]), text[match.end() :]


def number(text: str, most: int) -> int:
    """A decimal number from 0 to `most`, leading zeros allowed; SipError otherwise."""
    digits = text.lstrip("0") or "0" if text else ""
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(most)) or int(digits) > most:
        raise SipError(f"not a number up to {most}: {text[:40]!r}")
    return int(digits)


def _key(name: str) -> str:
    """What a name is looked up by: known ones in canonical spelling, others in small letters."""
    return _CANONICAL.get(name) or _CANONICAL.get(small := name.lower(), small)


def _field_name(name: str) -> str:
    if known := _CANONICAL.get(name):
        return known
    name = canonical(name)
    if not name or name != name.strip(BLANKS) or ":" in name or _UNWRITABLE.search(name):
        raise SipError(f"not a header's name: {name[:40]!r}")
    return name


def _field_value(name: str, value: str) -> str:
    if "\n" in value or "\r" in value or "\0" in value:  # a third of the time of a regular expression
        raise SipError(f"CR, LF or NUL in {name[:40]}")
    return value.strip(BLANKS)
