"""The page that lists what can be ordered of the simulator: every fault and mode with its switch, every request of `/sim/`."""

from __future__ import annotations

import ast
import html
import inspect
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_args

from aiohttp import web

from .faults import Allow, Faults, RestFault


def control(faults: Faults, routes: Sequence[web.RouteDef]) -> str:
    """The content of the page."""
    docs = _docs(Faults)
    rows = "".join(_row(item.name, getattr(faults, item.name), docs.get(item.name, "")) for item in fields(faults))
    requests = "".join(_request(route) for route in routes)
    return (
        '<div class="sheet"><h3>Faults and modes <button class="button" data-clear>Clear all</button></h3>'
        f"<table><tbody>{rows}</tbody></table></div>"
        '<div class="sheet"><h3>Requests, from this machine only</h3><table><tbody>'
        f"{requests}</tbody></table></div>"
    )


def _row(name: str, value: Any, doc: str) -> str:
    about = doc
    if name == "rest":
        about = "Disturbances of REST requests as JSON, a list of objects. " + inspect.cleandoc(RestFault.__doc__ or "")
    return f"<tr><td><b>{name}</b><small>{html.escape(about)}</small></td><td>{_switch(name, value)}</td></tr>"


def _switch(name: str, value: Any) -> str:
    label = f'data-fault="{name}" aria-label="{name}"'
    if isinstance(value, bool):
        return f'<input type="checkbox" {label}{" checked" if value else ""}>'
    if isinstance(value, int | float):
        return f'<input type="number" min="0" step="any" {label} value="{value:g}">'
    if name == "allow":
        options = "".join(f"<option{' selected' if one == value else ''}>{one}</option>" for one in get_args(Allow))
        return f"<select {label}>{options}</select>"
    if isinstance(value, str):
        return f'<input type="text" {label} value="{html.escape(value)}">'
    return f'<textarea {label} placeholder="[]"></textarea>' if name == "rest" else html.escape(str(value))


def _request(route: web.RouteDef) -> str:
    doc = inspect.getdoc(route.handler) or ""
    return f"<tr><td><b>{route.method} {html.escape(route.path)}</b><small>{html.escape(doc)}</small></td></tr>"


def _docs(item: type[Any]) -> dict[str, str]:
    """The sentences that stand below the fields."""
    (definition,) = ast.parse(inspect.cleandoc(inspect.getsource(item))).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = inspect.cleandoc(str(ast.literal_eval(below.value)))
    return found
