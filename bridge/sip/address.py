"""SIP URIs, name-addr and Via: text to value and back (RFC 3261, 19.1, 20.10, 20.42).

Text is kept as written, escapes included; `equals` and `Uri.number` read through them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import unquote as percent_decoded

from .headers import BLANKS, SipError, cut_quoted, is_quoted, number, quote, split_outside, unquote

Params = tuple[tuple[str, str | None], ...]
"""Names and values as written, in order; None is a flag such as `;lr`."""

MOST_PARAMS = 32
MOST_REMEMBERED = 256
"""Results of `parse`, of each kind: the same few headers are read at every layer. It saves a quarter of a call's CPU."""
_MOST_PIECES = MOST_PARAMS + 2  # with what stands before the first semicolon, and nothing behind the last
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_UNFIT_FOR_URI = re.compile(r'[\x00-\x20\x7f<>"]')
_TOKEN = re.compile(r"[\w\-.!%*+`'~]+", re.ASCII)
_UNFIT_FOR_VALUE = re.compile(r'[\x00-\x20\x7f<>"]')
_SENT_PROTOCOL = re.compile(r"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*([\w\-.!%*+`'~]+)[ \t]+", re.ASCII | re.IGNORECASE)
_BRACKETED = re.compile(r"[ \t]*<([^<>]*)>[ \t]*(;.*)?", re.DOTALL)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
_MUST_MATCH = frozenset({"transport", "user", "ttl", "method", "maddr", "lr"})
_SEPARATORS = str.maketrans("", "", "-.() ")
_DIALLED = re.compile(r"\+?[0-9*#]+")


@dataclass(frozen=True, slots=True)
class Uri:
    """`sip:user:password@host:port;params?headers`, a `tel:` number in `user`, or what follows any other scheme in `user`."""

    scheme: str
    user: str = ""
    password: str = ""
    host: str = ""
    port: int | None = None
    params: Params = ()
    headers: str = ""

    @classmethod
    @lru_cache(MOST_REMEMBERED)
    def parse(cls, text: str) -> Uri:
        """SipError if it is no URI, or a SIP URI without a proper host and port."""
        scheme, colon, rest = text.partition(":")
        if not colon or not rest or not _SCHEME.fullmatch(scheme) or _UNFIT_FOR_URI.search(rest):
            raise SipError(f"not a URI: {text[:60]!r}")
        scheme = scheme.lower()
        if scheme == "tel":
            subscriber, *params = rest.split(";")
            return cls(scheme, subscriber, params=_params(params))
        if scheme not in {"sip", "sips"}:
            return cls(scheme, rest)
        userinfo, place = _split_userinfo(rest)
        user, _, password = userinfo.partition(":")
        if "@" in rest and not user:
            raise SipError(f"no user before the @: {text[:60]!r}")
        address, _, headers = place.partition("?")
        hostport, *params = address.split(";")
        return cls(scheme, user, password, *_host_and_port(hostport), _params(params), headers)

    def __str__(self) -> str:
        password = f":{self.password}" if self.password else ""
        userinfo = f"{self.user}{password}@" if self.host and (self.user or password) else self.user
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{userinfo}{_sent_by(self.host, self.port)}{_written(self.params)}{headers}"

    def param(self, name: str) -> str | None:
        """The first value of that name; "" for a flag, None if absent."""
        return _param(self.params, name)

    def with_param(self, name: str, value: str | None = None) -> Uri:
        """With a parameter set; without a value it is a flag."""
        return replace(self, params=_with_param(self.params, name, value))

    @property
    def is_secure(self) -> bool:
        """Encrypted on every hop (RFC 5630)."""
        return self.scheme == "sips"

    @property
    def number(self) -> str:
        """Whom it names: the user part unescaped, a telephone number without its separators."""
        user = "".join(sign for sign in percent_decoded(self.user.partition(";")[0]) if sign.isprintable())
        plain = user.translate(_SEPARATORS)
        return plain if _DIALLED.fullmatch(plain) else user

    def equals(self, other: Uri) -> bool:
        """RFC 3261, 19.1.4; `tel:` by RFC 3966, 4."""
        if self.scheme != other.scheme:
            return False
        if self.scheme == "tel":
            return self.number == other.number and _meaning(self.params) == _meaning(other.params)
        return self._place() == other._place() and _params_agree(self.params, other.params)

    def _place(self) -> tuple[object, ...]:
        headers = sorted(_normal(item).partition("=") for item in self.headers.split("&"))
        named = [(name.lower(), value) for name, _, value in headers]
        return _normal(self.user), _normal(self.password), self.host.lower(), self.port, named


@dataclass(frozen=True, slots=True)
class NameAddr:
    """`"name" <uri>;params`, the value of From, To, Contact, Route, Refer-To and their like."""

    name: str
    uri: Uri
    params: Params = ()

    @classmethod
    @lru_cache(MOST_REMEMBERED)
    def parse(cls, text: str) -> NameAddr:
        """SipError on unbalanced quotes or brackets, an empty parameter, or a broken URI."""
        text = text.strip(BLANKS)
        if text.startswith('"'):
            name, rest = cut_quoted(text)
        else:
            name, bracket, _ = text.partition("<")
            if not bracket or '"' in name:
                return cls._parse_bare(text)
            name, rest = name.strip(BLANKS), text[len(name) :]
        match = _BRACKETED.fullmatch(rest)
        if match is None:
            raise SipError(f"not an address: {text[:60]!r}")
        return cls(
            name, Uri.parse(match[1].strip(BLANKS)), _params(split_outside(match[2] or "", ";", _MOST_PIECES)[1:])
        )

    @classmethod
    def _parse_bare(cls, text: str) -> NameAddr:
        """Without brackets all parameters are the header's, and a URI with headers is not allowed (RFC 3261, 20)."""
        address, *params = split_outside(text, ";", _MOST_PIECES)
        if "?" in address or "," in address:
            raise SipError(f"this address needs angle brackets: {text[:60]!r}")
        return cls("", Uri.parse(address.strip(BLANKS)), _params(params))

    def __str__(self) -> str:
        name = f"{quote(self.name)} " if self.name else ""
        return f"{name}<{self.uri}>{_written(self.params)}"

    def param(self, name: str) -> str | None:
        """The first value of that name, unquoted; "" for a flag, None if absent."""
        return _param(self.params, name)

    @property
    def tag(self) -> str:
        """The tag, "" if absent: old peers send none."""
        return self.param("tag") or ""

    def with_tag(self, tag: str) -> NameAddr:
        return self.with_param("tag", tag)

    def with_param(self, name: str, value: str | None = None) -> NameAddr:
        """With a parameter set, quoted where needed; without a value it is a flag."""
        return replace(self, params=_with_param(self.params, name, value))


@dataclass(frozen=True, slots=True)
class Via:
    """`SIP/2.0/UDP host:port;params`: one hop of the way back."""

    transport: str
    host: str
    port: int | None = None
    params: Params = ()

    @classmethod
    @lru_cache(MOST_REMEMBERED)
    def parse(cls, text: str) -> Via:
        """SipError if it is no SIP/2.0 Via with a proper host, port and parameters."""
        head, *params = split_outside(text.strip(BLANKS), ";", _MOST_PIECES)
        protocol = _SENT_PROTOCOL.match(head)
        if protocol is None:
            raise SipError(f"not a Via: {text[:60]!r}")
        host, port = _host_and_port(head[protocol.end() :])
        return cls(protocol[1], host, port, _params(params))

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {_sent_by(self.host, self.port)}{_written(self.params)}"

    @property
    def branch(self) -> str:
        return self.param("branch") or ""

    def param(self, name: str) -> str | None:
        """The first value of that name; "" for a flag such as an empty `;rport`, None if absent."""
        return _param(self.params, name)

    def with_param(self, name: str, value: str | None = None) -> Via:
        """With a parameter set; without a value it is a flag."""
        return replace(self, params=_with_param(self.params, name, value))


def _split_userinfo(text: str) -> tuple[str, str]:
    """At the last `@`, but one among the `?headers` does not count: peers forget to escape it there."""
    front, mark, behind = text.partition("?")
    if "@" in front:
        userinfo, _, place = front.rpartition("@")
        return userinfo, f"{place}{mark}{behind}"
    userinfo, _, place = text.rpartition("@")
    return userinfo, place


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Blanks may surround the colon in a Via (RFC 3261, 25.1: COLON)."""
    text = text.strip(BLANKS)
    match = _HOST.match(text)
    if match is None:
        raise SipError(f"not a host: {text[:60]!r}")
    rest = text[match.end() :].lstrip(BLANKS)
    if not rest:
        return match[0], None
    if not rest.startswith(":"):
        raise SipError(f"not a host: {text[:60]!r}")
    return match[0], number(rest[1:].lstrip(BLANKS), 65535)


def _sent_by(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"


def _params(pieces: list[str]) -> Params:
    """One empty piece at the very end is a stray semicolon of sloppy peers; any other is an error."""
    if pieces and not pieces[-1].strip(BLANKS):
        pieces = pieces[:-1]
    if len(pieces) > MOST_PARAMS:
        raise SipError(f"more than {MOST_PARAMS} parameters", 513)
    return tuple(_parse_param(piece) for piece in pieces)


def _parse_param(piece: str) -> tuple[str, str | None]:
    name, equals, value = piece.partition("=")
    name, value = name.strip(BLANKS), value.strip(BLANKS)
    if not name or _UNFIT_FOR_VALUE.search(name):
        raise SipError(f"not a parameter: {piece[:60]!r}")
    if value and not is_quoted(value) and _UNFIT_FOR_VALUE.search(value):
        raise SipError(f"not a parameter's value: {piece[:60]!r}")
    return name, value if equals else None


def _param(params: Params, name: str) -> str | None:
    name = name.lower()
    for known, value in params:
        if known.lower() == name:
            return unquote(value) if value else ""
    return None


def _with_param(params: Params, name: str, value: str | None) -> Params:
    """In place of the first of that name, or at the end."""
    if value and (_UNFIT_FOR_VALUE.search(value) or ";" in value or "," in value):
        value = quote(value)
    place = next((i for i, (known, _) in enumerate(params) if known.lower() == name.lower()), len(params))
    return (*params[:place], (name, value), *params[place + 1 :])


def _written(params: Params) -> str:
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def _normal(text: str) -> str:
    """With unreserved characters unescaped and every other escape in capitals (RFC 3986, 6.2.2)."""
    if "%" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        sign = chr(int(match[1], 16))
        return sign if sign in _UNRESERVED else match[0].upper()

    return _ESCAPE.sub(one, text)


def _meaning(params: Params) -> dict[str, str | None]:
    meaning: dict[str, str | None] = {}
    for name, value in params:
        meaning.setdefault(_normal(name).lower(), value if value is None else _normal(value).lower())
    return meaning


def _params_agree(ours: Params, theirs: Params) -> bool:
    if ours == theirs:
        return True
    left, right = _meaning(ours), _meaning(theirs)
    common = left.keys() & right.keys()
    alone = left.keys() ^ right.keys()
    return not alone & _MUST_MATCH and all(left[name] == right[name] for name in common)
