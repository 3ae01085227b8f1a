"""The OAuth host: refreshes tokens, vouches for them."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import Any

import structlog
from aiohttp import web

from .methods import RestError, app_info
from .rest import authorise, parameters
from .tokens import Grant, TokenError
from .world import OAUTH_HOST, SCOPES, World

log = structlog.get_logger()


class OAuth:
    """`/oauth/token/` and the trusted `/rest/app.info`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def is_asked(self, request: web.Request) -> bool:
        return request.host.split(":")[0] == OAUTH_HOST

    async def token(self, request: web.Request) -> web.Response:
        params = await parameters(request)
        await asyncio.sleep(self._world.faults.oauth_delay)
        try:
            grant = self._grant(params)
        except TokenError as refused:
            log.info("oauth_refused", error=refused.code)
            status = self._world.faults.oauth_status or 400
            return web.json_response({"error": refused.code, "error_description": str(refused)}, status=status)
        log.info("oauth_refreshed", user=grant.user)
        return web.json_response(self._answer(grant))

    async def app_info(self, request: web.Request) -> web.Response:
        """Not spoofable by a hostile portal, unlike the portal's own."""
        params = await parameters(request)
        try:
            authorise(self._world, str(params.get("AUTH", "")))
        except RestError as refused:
            body = {"error": refused.code, "error_description": refused.text}
            return web.json_response(body, status=refused.status)
        return web.json_response({"result": app_info(self._world)})

    def _grant(self, params: dict[str, Any]) -> Grant:
        if self._world.faults.oauth_status:
            raise TokenError("INTERNAL_SERVER_ERROR", "Injected by a test")
        app = self._world.app
        known = str(params.get("CLIENT_ID", "")) == app.client_id
        secret = str(params.get("CLIENT_SECRET", "")).encode()
        if not known or not hmac.compare_digest(secret, app.client_secret.encode()):
            raise TokenError("invalid_client", "the application is unknown or its secret is wrong")
        if params.get("GRANT_TYPE") != "refresh_token":
            raise TokenError("invalid_request", "only grant_type=refresh_token is known here")
        if self._world.faults.unpaid:
            raise TokenError("PAYMENT_REQUIRED", "Payment required")
        seconds = self._world.faults.token_seconds
        return self._world.tokens.rotate(str(params.get("REFRESH_TOKEN", "")), time.time(), seconds)

    def _answer(self, grant: Grant) -> dict[str, Any]:
        return {
            "access_token": grant.access,
            "refresh_token": grant.refresh,
            "expires": int(grant.expires),
            "expires_in": grant.seconds_left(time.time()),
            "client_endpoint": self._world.client_endpoint,
            "server_endpoint": self._world.server_endpoint,
            "domain": self._world.oauth_domain,
            "member_id": self._world.member_id,
            "scope": ",".join(SCOPES),
            "status": "L",
            "user_id": grant.user,
        }
