"""A request's body is read with a limit and a deadline, and what is wrong with it becomes a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from .form import FormError

LARGEST_BODY = 64 * 1024
BODY_SECONDS = 10.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(handler: Handler) -> Handler:
    """A FormError is answered with 400 and its sentence."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except FormError as error:
            return web.Response(status=400, text=str(error))

    return answer


async def body_of(request: web.Request) -> bytes:
    """At most LARGEST_BODY, in BODY_SECONDS; FormError otherwise."""
    too_large = f"The body is larger than {LARGEST_BODY // 1024} KiB."
    if (request.content_length or 0) > LARGEST_BODY:
        raise FormError(too_large)
    text = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.readany():
                text += chunk
                if len(text) > LARGEST_BODY:
                    raise FormError(too_large)
    except TimeoutError:
        raise FormError(f"The body did not arrive in {BODY_SECONDS:g} s.") from None
    return bytes(text)
