"""`python -m bridge.operators.typescript` writes the page's half of the protocol: `widget_static/src/protocol.ts`."""

from __future__ import annotations

import ast
import inspect
import json
import types
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from . import protocol
from .protocol import FROM_PAGE, TO_PAGE, Message

TARGET = Path(__file__).resolve().parents[2] / "widget_static" / "src" / "protocol.ts"

HEADER = "// Generated from bridge/operators/protocol.py, do not edit; run `python -m bridge.operators.typescript`.\n"

WIDTH = 120
"""`formatter.lineWidth` of widget_static/biome.json: a union that fits stays on one line."""

NAMES = {str: "string", int: "number", float: "number", bool: "boolean", types.NoneType: "null"}


def render() -> str:
    """The whole file, laid out as biome would (2 spaces, double quotes, semicolons)."""
    blocks = [_enum(item) if issubclass(item, StrEnum) else _message(item) for item in _declared()]
    maps = [
        _map("FromPage", "Events of the page and what each carries; all are acknowledged with an `Ack`.", FROM_PAGE),
        _map("ToPage", "Events of the bridge and what each carries.", TO_PAGE),
    ]
    return "\n".join([HEADER, *blocks, *maps])


def _declared() -> Iterator[type[Any]]:
    """Enumerations and messages in the order in which they are written."""
    for item in vars(protocol).values():
        ours = inspect.isclass(item) and item.__module__ == protocol.__name__ and item is not Message
        if ours and issubclass(item, (StrEnum, Message)):
            yield item


def _enum(item: type[StrEnum]) -> str:
    return _comment(inspect.cleandoc(item.__doc__ or "")) + _alias(item.__name__, [_quoted(one) for one in item])


def _alias(name: str, choices: list[str]) -> str:
    line = f"export type {name} = {' | '.join(choices)};\n"
    if len(line) <= WIDTH + 1:
        return line
    return "".join([f"export type {name} =\n", *(f"  | {choice}\n" for choice in choices)]).removesuffix("\n") + ";\n"


def _message(item: type[Message]) -> str:
    doc = _comment(inspect.cleandoc(item.__doc__ or ""))
    if not item.model_fields:
        return f"{doc}export type {item.__name__} = Record<string, never>;\n"
    docs, lines = _docs(item), [f"{doc}export interface {item.__name__} {{\n"]
    for name, annotation in inspect.get_annotations(item, eval_str=True).items():
        lines.append(_comment(docs.get(name, ""), "  "))
        lines.append(f"  {item.model_fields[name].alias or name}: {_type(annotation)};\n")
    return "".join([*lines, "}\n"])


def _map(name: str, doc: str, events: dict[str, type[Message]]) -> str:
    rows = "".join(f"  {event}: {message.__name__};\n" for event, message in events.items())
    return f"{_comment(doc)}export interface {name} {{\n{rows}}}\n"


def _type(annotation: Any) -> str:
    if annotation in NAMES:
        return NAMES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " | ".join(_quoted(choice) for choice in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(_type(choice) for choice in arguments)
    if origin is list:
        inner = _type(arguments[0])
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if inspect.isclass(annotation) and issubclass(annotation, (StrEnum, Message)):
        return annotation.__name__
    raise TypeError(f"no TypeScript for {annotation!r}")


def _docs(item: type[Message]) -> dict[str, str]:
    """The sentences that stand below the fields."""
    (definition,) = ast.parse(inspect.getsource(item)).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = inspect.cleandoc(ast.literal_eval(below.value))
    return found


def _comment(text: str, indent: str = "") -> str:
    if not text:
        return ""
    if "\n" not in text:
        return f"{indent}/** {text} */\n"
    return "".join(
        [f"{indent}/**\n", *(f"{indent} * {line}".rstrip() + "\n" for line in text.split("\n")), f"{indent} */\n"]
    )


def _quoted(text: str) -> str:
    return json.dumps(str(text))


def main() -> None:
    TARGET.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
