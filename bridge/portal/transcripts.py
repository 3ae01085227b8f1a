"""The door for a speech recogniser: what was said in a call, to be attached to its record in the CRM.

    POST /calls/CALL/transcript      Authorization: Bearer TOKEN      Content-Type: application/json
    {"replies": [{"side": "operator", "start": 0, "stop": 2, "text": "Good morning"},
                 {"side": "client", "start": 2, "stop": 5, "text": "Hello"}],
     "cost": 0.2, "currency": "EUR"}

CALL is the bridge's id of the call, or Bitrix24's CALL_ID; seconds count from the start of the call; cost may be left out. 202
means that the transcript is written down and will be attached, also if Bitrix24 is down today.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from ..calls.commands import AttachTranscript, Utterance
from ..calls.events import CallId
from ..errors import RefusedError

log = structlog.get_logger()

LARGEST_BODY = 4 * 1024 * 1024
MOST_REPLIES = 10_000
LONGEST_CALL = 86_400
SIDES = {"operator": True, "client": False}


class _BodyError(Exception):
    """A sentence about what is wrong with the body."""


class Transcripts:
    """`token` opens the door; `attach` raises RefusedError for a call that nobody knows."""

    def __init__(self, *, token: str, attach: Callable[[AttachTranscript], Awaitable[None]]) -> None:
        self._token = token
        self._attach = attach

    def attach(self, app: web.Application) -> None:
        app.router.add_post("/calls/{call}/transcript", self._post)

    async def _post(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            log.warning("transcript_with_wrong_token", remote=request.remote)
            headers = {"WWW-Authenticate": "Bearer"}
            return _sentence(401, "Send the token of [transcripts] as “Authorization: Bearer …”.", headers)
        try:
            command = _command(request.match_info["call"], await _read(request))
            await self._attach(command)
        except _BodyError as error:
            return _sentence(400, str(error))
        except RefusedError as error:
            return _sentence(404, f"{error}.")
        return web.json_response({"attached": "as soon as the call's record is written"}, status=202)


async def _read(request: web.Request) -> Any:
    text = bytearray()
    async for chunk in request.content.iter_any():
        text += chunk
        if len(text) > LARGEST_BODY:
            raise _BodyError(f"The body is larger than {LARGEST_BODY // 1024 // 1024} MiB.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _BodyError("The body is not JSON.") from None


def _command(call: str, body: Any) -> AttachTranscript:
    if not isinstance(body, dict) or not isinstance(body.get("replies"), list) or not body["replies"]:
        raise _BodyError('The body must be {"replies": […]} with at least one reply.')
    if len(body["replies"]) > MOST_REPLIES:
        raise _BodyError(f"More than {MOST_REPLIES} replies.")
    cost, currency = body.get("cost"), body.get("currency", "")
    if cost is not None and (isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < 1e9):
        raise _BodyError("cost must be a number, 0 or more.")
    if not isinstance(currency, str) or len(currency) > 10 or (cost is not None and not currency):
        raise _BodyError('currency must be a code such as "EUR", and stand beside cost.')
    replies = tuple(_utterance(number, reply) for number, reply in enumerate(body["replies"], 1))
    return AttachTranscript(call=CallId(call), utterances=replies, cost=cost, currency=currency)


def _utterance(number: int, reply: Any) -> Utterance:
    if not isinstance(reply, dict) or reply.get("side") not in SIDES:
        raise _BodyError(f'Reply {number}: side must be "operator" or "client".')
    text = reply.get("text")
    if not isinstance(text, str) or not text.strip():
        raise _BodyError(f"Reply {number}: text must not be empty.")
    start, stop = (_seconds(number, name, reply.get(name)) for name in ("start", "stop"))
    if stop < start:
        raise _BodyError(f"Reply {number}: stop lies before start.")
    # Bitrix24 takes whole seconds, and no reply that stops in the very first one.
    return Utterance(by_operator=SIDES[reply["side"]], start=int(start), stop=max(1, round(stop)), text=text.strip())


def _seconds(number: int, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_CALL:
        raise _BodyError(f"Reply {number}: {name} must be seconds from the start of the call.")
    return float(value)


def _sentence(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": text}, status=status, headers=headers)
