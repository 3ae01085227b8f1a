"""An event or a command as a line of the journal: JSON, put together from parts that are made once for each type. Pure.

There are some thirty lines to a call. Built as a tree first and encoded then, they were a twentieth of its CPU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from json.encoder import encode_basestring as quoted
from operator import attrgetter
from typing import Any, Final, NamedTuple

from .calls.commands import Command
from .calls.events import Event, Operator
from .tones import Tone

MAX_TEXT: Final = 200
"""Characters of a text that are told."""
MAX_SDP: Final = 64
"""Bytes of a session description; a longer one is told by its size only."""

Tell = Callable[[Any], str]
"""A value as JSON."""


class _Form(NamedTuple):
    """How facts of one type are told."""

    values: Callable[[Any], tuple[Any, ...]]
    parts: tuple[tuple[str, Tell], ...]
    """Each field's name as it stands in the line, with all that comes before the value."""


def facts(fact: Event | Command) -> str:
    """The fields worth reading as a JSON object, each bounded in size."""
    kind: Any = type(fact)
    form = _form(kind)
    told = [before + tell(value) for (before, tell), value in zip(form.parts, form.values(fact), strict=True)]
    return f"{{{', '.join(told)}}}"


@cache
def _form(kind: type[Event | Command]) -> _Form:
    names = [field.name for field in fields(kind) if field.name not in {"call", "view"}]
    return _Form(_getter(names), tuple((f"{quoted(name)}: ", _manner(name)) for name in names))


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """All these of an object at once."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda fact: tuple(getattr(fact, name) for name in names)


def _manner(name: str) -> Tell:
    match name:
        case "digits":  # a PIN, as likely as not
            return lambda value: f'"{len(value)} keys"'
        case "comment":  # about a customer
            return lambda value: f'"{len(value)} characters"'
        case "sdp" | "offer" | "pbx_offer":
            return lambda value: f'"{len(value)} bytes"' if len(value) > MAX_SDP else _told(value)
    return _told


def _told(value: Any) -> str:
    kind: Any = type(value)
    return _way(kind)(value)


@cache
def _way(kind: type) -> Tell:
    """Of telling values of this type."""
    if kind in _BARE:
        return _BARE[kind]
    if issubclass(kind, Enum):
        return cache(lambda value: json.dumps(value.value, ensure_ascii=False))
    if issubclass(kind, Operator | Tone):
        return lambda value: quoted(str(value))
    if is_dataclass(kind):
        return _record(kind)
    if issubclass(kind, tuple):
        return lambda value: f"[{', '.join([_told(item) for item in value])}]"
    if issubclass(kind, bytes):
        return lambda value: f'"{len(value)} bytes"'
    if issubclass(kind, str):
        return lambda value: quoted(value[:MAX_TEXT])
    return lambda value: json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else json.dumps(value)


_BARE: dict[type, Tell] = {
    type(None): lambda value: "null",
    bool: lambda value: "true" if value else "false",
    int: repr,
    float: _number,
}


def _record(kind: type) -> Tell:
    labels = [(field.name, f"{quoted(field.name)}: ") for field in fields(kind)]
    return lambda value: f"{{{', '.join([label + _told(getattr(value, name)) for name, label in labels])}}}"
