"""A simulated Bitrix24: portal pages, application frames, call card, REST, OAuth, events and faults on demand.

Written against Bitrix24's wire, not against the bridge: it imports nothing of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from .door import Server
from .faults import Faults, RestFault
from .install import InstallError
from .ledger import Call
from .methods import Caller
from .recorded import Attached
from .telephony import callback_form
from .world import App, RestRequest, User, World

__all__ = ["App", "Call", "Faults", "InstallError", "Portal", "RestFault", "RestRequest", "User"]


class Portal:
    """One portal with one application, served on 127.0.0.1.

    `call_me` places a test call to a user when the button is clicked. `state` is a file in which the portal remembers its
    application, tokens and calls over restarts. `port` 0 takes a free one.
    """

    def __init__(
        self,
        *,
        host: str = "portal.localhost",
        port: int,
        app: App,
        users: Sequence[User],
        call_me: Callable[[int], Awaitable[None]] | None = None,
        state: Path | None = None,
    ) -> None:
        if not users:
            raise ValueError("a portal needs at least one user")
        self.world = World(host=host, port=port, app=app, users=tuple(users))
        self._server = Server(self.world, call_me=call_me, state=state)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves until left."""
        async with self._server.running():
            yield

    @property
    def url(self) -> str:
        return self.world.url

    @property
    def oauth_url(self) -> str:
        """The OAuth host of this portal, without a path."""
        return f"http://{self.world.oauth_domain}"

    @property
    def member_id(self) -> str:
        return self.world.member_id

    @property
    def faults(self) -> Faults:
        return self.world.faults

    @property
    def calls(self) -> list[Call]:
        """The CRM's records, oldest first; `finished` is None while a call lasts."""
        return self.world.ledger.calls

    def recording(self, call: Call) -> Attached | None:
        """What was attached to a call's record."""
        return self.world.recordings.of(call.id)

    @property
    def requests(self) -> list[RestRequest]:
        """The REST requests of the application, oldest first."""
        return list(self.world.requests)

    @property
    def delivered(self) -> list[str]:
        """Names of the events that the application has taken, oldest first."""
        return list(self._server.events.delivered)

    @property
    def installed(self) -> bool:
        return self.world.installed

    async def auto_install(self, user: int | None = None) -> list[str]:
        """Installs the application as an administrator's browser would; the steps taken, or InstallError.

        Does nothing when it is installed, unless a `user` opens the installation path again.
        """
        return await self._server.install(user)

    def update(self) -> None:
        """A new version of the application: other application_token, no event handlers any more."""
        self._server.desk.update()

    def rename(self, host: str) -> None:
        """The portal gets another name; the old one answers with a redirect."""
        self.world.rename(host)

    def hire(self, user: User) -> None:
        self._server.desk.hire(user)

    def dismiss(self, user: int) -> None:
        """The employee is gone, and the tokens with the person."""
        self.world.dismiss(user)

    def slow_load(self, user: int, times: int = 1) -> None:
        """The portal's page of this user found the worker too slow."""
        for _ in range(times):
            self._server.desk.slow_load(user)

    @property
    def secrets(self) -> frozenset[str]:
        """What nobody may ever find in a log: the client's secret, and every token that was handed out."""
        return frozenset({self.world.app.client_secret, self.world.application_token, *self.world.minted})

    def uninstall(self, *, clean: bool = True) -> None:
        self._server.desk.uninstall(clean=clean)

    @asynccontextmanager
    async def unplugged(self) -> AsyncIterator[None]:
        """Meanwhile nobody reaches it, its OAuth host included."""
        await self._server.unplug()
        try:
            yield
        finally:
            await self._server.plug_in()

    def log_out(self) -> None:
        """Every token is worthless, refresh tokens included: an administrator has to open the application again."""
        self.world.tokens.forget_all()

    def ask_for_a_callback(self, phone: str, *, text: str = "", line: str = "") -> None:
        """A client has filled in a callback form."""
        params = {"PHONE_NUMBER": phone, "TEXT": text, "LINE_NUMBER": line}
        callback_form(Caller(world=self.world, events=self._server.events, user=self.world.admin(), params=params))

    def expire_tokens(self) -> None:
        """Every access token handed out so far is expired; refresh tokens still work."""
        self.world.tokens.expire_all()
