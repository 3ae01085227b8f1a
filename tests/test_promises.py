"""`bridge promises` and `bridge attach`: what a person types and reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridge.__main__ import cli
from bridge.control import Control, socket_path

PROMISE = {
    "id": 7,
    "portal": "acme.bitrix24.com",
    "call": "68f0c1d2-aa",
    "number": "+4930123456",
    "what": "register",
    "aside": True,
    "tries": 1,
    "next": 1_800_000_000.0,
    "why": "User is not found",
}
WAITS = PROMISE | {"id": 8, "what": "record", "aside": False, "why": "no answer"}


async def _type(folder: Path, *words: str, promises: tuple[dict[str, Any], ...] = ()) -> tuple[Any, list[Any]]:
    """The result, and what the bridge was asked."""
    asked: list[Any] = []

    def answer(reply: dict[str, Any]) -> Callable[..., Any]:
        async def given(request: dict[str, Any]) -> dict[str, Any]:
            asked.append(request)
            return reply

        return given

    config = folder / "bridge.toml"
    config.write_text(f'state_dir = "{folder}"\n')
    more = {"promises": answer({"promises": list(promises)}), "retry": answer({"retried": [7]}), "attach": answer({})}
    control = Control(
        path=socket_path(folder),
        calls=list,
        post=lambda event: None,
        ticket=lambda portal, user: {},
        status=dict,
        more=more,
    )
    async with control.running():
        arguments = [*words, "--config", str(config)]
        result = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env={"COLUMNS": "200"})
    return result, asked


async def test_what_was_set_aside_stands_there_with_its_reason(tmp_path: Path) -> None:
    result, _ = await _type(tmp_path, "promises", promises=(PROMISE, WAITS))
    assert result.exit_code == 0, result.output
    for words in ("+4930123456", "set aside", "User is not found", "waits, next try", "no answer"):
        assert words in result.output


async def test_nothing_to_tell_is_good_news(tmp_path: Path) -> None:
    assert "Bitrix24 knows everything." in (await _type(tmp_path, "promises"))[0].output


@pytest.mark.parametrize("which", ["7", "all"])
async def test_another_try_is_asked_for_by_number_or_for_all(tmp_path: Path, which: str) -> None:
    result, asked = await _type(tmp_path, "promises", "--retry", which)
    assert asked == [{"do": "retry", "promise": which}]
    assert "Trying again: 7" in result.output


async def test_a_recording_is_named_by_its_whole_path(tmp_path: Path) -> None:
    file = tmp_path / "sub" / ".." / "call.mp3"
    result, asked = await _type(tmp_path, "attach", "68f0c1d2-aa", str(file))
    path = str(tmp_path / "call.mp3")
    assert asked == [{"do": "attach", "call": "68f0c1d2-aa", "path": path, "name": "call.mp3"}]
    assert "Promised" in result.output
