"""PHP's nested form keys, both ways: `a[b][0]=x` is `{"a": {"b": ["x"]}}` (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")
_DEEPEST = 8


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Fields of a form as PHP would see them; keys that PHP would not understand stay as they are."""
    tree: dict[str, Any] = {}
    for key, value in pairs:
        match = _KEY.match(key)
        parts = [match[1], *_PART.findall(match[2])] if match else [key]
        _put(tree, parts[:_DEEPEST], value)
    return {key: _lists(value) for key, value in tree.items()}


def flatten(tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The inverse of `nest`, for a form body."""
    return [pair for key, value in tree.items() for pair in _walk(key, value)]


def _put(tree: dict[str, Any], parts: list[str], value: str) -> None:
    for part in parts[:-1]:
        below = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(below, dict):
            below = tree[part] = {}
        tree = below
    tree[parts[-1] or str(len(tree))] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    below = {key: _lists(item) for key, item in value.items()}
    return list(below.values()) if list(below) == [str(index) for index in range(len(below))] else below


def _walk(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(f"{prefix}[{key}]", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _walk(f"{prefix}[{index}]", item)
    else:
        yield prefix, str(value)
