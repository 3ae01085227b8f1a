"""Keeps the portal's state in a JSON file, so that a restarted portal still knows its application."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from .ledger import Call, Line, Registration
from .placements import Binding, Handler
from .tokens import Grant
from .world import World

log = structlog.get_logger()
_TOKENS = 200


def save(world: World, path: Path, last: str = "") -> str:
    """Writes beside and renames: a crash leaves the old file or the new one. The text written, to be given as `last`."""
    text = json.dumps(_dump(world))
    if text == last:
        return text
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
    return text


def restore(world: World, path: Path) -> None:
    """What an earlier portal with the same application left; anything else is ignored."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["member_id"] != world.member_id:
            return
        calls = [Call(**{**item, "registration": Registration(**item["registration"])}) for item in data["calls"]]
        grants = [Grant(**item) for item in data["tokens"]]
        bindings = [Binding(**item) for item in data["placements"]]
        handlers = [Handler(**item) for item in data["handlers"]]
        lines = [Line(**item) for item in data["lines"]]
        token, installed = str(data["application_token"]), bool(data["installed"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("portal_state_unreadable", path=str(path), error=repr(error))
        return
    world.application_token, world.installed = token, installed
    world.ledger.load(calls)
    world.tokens.load(grants)
    world.placements.load(bindings)
    world.handlers.load(handlers)
    world.lines.load(lines)


def _dump(world: World) -> dict[str, Any]:
    return {
        "member_id": world.member_id,
        "application_token": world.application_token,
        "installed": world.installed,
        "calls": [asdict(call) for call in world.ledger.calls],
        "tokens": [asdict(grant) for grant in world.tokens.dump()[-_TOKENS:]],
        "placements": [asdict(row) for row in world.placements.all],
        "handlers": [asdict(row) for row in world.handlers.all],
        "lines": [asdict(line) for line in world.lines.all],
    }
