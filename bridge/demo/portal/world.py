"""Everything the simulated portal remembers, in one place."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from .channels import Channels
from .crm import Customers
from .faults import Faults
from .ledger import Call, Ledger, Lines
from .placements import Handlers, Placements
from .push import Push
from .recorded import Recordings
from .tokens import Grant, Tokens

SCOPES = ("placement", "telephony", "user_brief", "crm", "im", "timeman", "pull")
OAUTH_HOST = "oauth.localhost"
_REQUESTS_KEPT = 5_000
_MINTED_KEPT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The one application of this portal, as its administrator registered it."""

    client_id: str
    client_secret: str
    app_url: str
    """The main URL: POSTed with PLACEMENT=DEFAULT."""
    install_url: str

    @property
    def origin(self) -> str:
        parts = urlsplit(self.install_url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An employee. `extension` is UF_PHONE_INNER."""

    id: int
    name: str
    admin: bool = False
    extension: str = ""
    active: bool = True
    workday: str = "OPENED"
    """TIMEMAN_STATUS; NOT_INSTALLED where nobody counts hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestRequest:
    """One line of the REST log; `params` without the token, `status` 0 if no answer was sent, `time` in Unix seconds."""

    method: str
    params: dict[str, Any]
    user: int
    status: int
    error: str
    time: float


@dataclass(slots=True, kw_only=True)
class World:
    """The portal's state; the doors read and change it."""

    host: str
    port: int
    app: App
    users: Sequence[User]
    faults: Faults = field(default_factory=Faults)
    placements: Placements = field(default_factory=Placements)
    handlers: Handlers = field(default_factory=Handlers)
    customers: Customers = field(default_factory=Customers)
    lines: Lines = field(default_factory=Lines)
    recordings: Recordings = field(default_factory=Recordings)
    push: Push = field(default_factory=Push)
    pull: Channels = field(default_factory=Channels)
    minted: deque[str] = field(default_factory=lambda: deque(maxlen=_MINTED_KEPT))
    """Every secret that was ever given to the application."""
    requests: deque[RestRequest] = field(default_factory=lambda: deque(maxlen=_REQUESTS_KEPT))
    notifications: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=200))
    installed: bool = False
    opened: set[int] = field(default_factory=set)
    """Users who have seen the application (FIRST_RUN is over for them)."""
    version: int = 1
    former_hosts: set[str] = field(default_factory=set)
    """Names that the portal had; they answer with a redirect."""
    member_id: str = field(init=False)
    """Stable over restarts, renames and changes of the port, as a real portal's is."""
    tokens: Tokens = field(init=False)
    application_token: str = field(init=False)
    ledger: Ledger = field(init=False)
    _webhooks: str = field(init=False)

    def __post_init__(self) -> None:
        name = f"{self.host}|{self.app.client_id}"
        self.member_id = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        self.ledger = Ledger(self.member_id)
        self.tokens = Tokens(self.mint)
        self.application_token = self.mint()
        self._webhooks = self.mint()

    def mint(self) -> str:
        self.minted.append(secrets.token_hex(35))
        return self.minted[-1]

    def rename(self, host: str) -> None:
        self.former_hosts.add(self.host)
        self.former_hosts.discard(host)
        self.host = host

    def change_user(self, id_: int, **changes: Any) -> None:
        self.users = tuple(replace(user, **changes) if user.id == id_ else user for user in self.users)

    def dismiss(self, id_: int) -> None:
        """The employee is gone, and so are all tokens."""
        self.users = tuple(user for user in self.users if user.id != id_)
        self.tokens.forget(id_)

    @property
    def domain(self) -> str:
        """The host as browsers see it, default ports left out."""
        return self.host if self.port in {80, 443} else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.domain}"

    @property
    def oauth_domain(self) -> str:
        return OAUTH_HOST if self.port in {80, 443} else f"{OAUTH_HOST}:{self.port}"

    @property
    def client_endpoint(self) -> str:
        return f"{self.url}/rest/"

    @property
    def server_endpoint(self) -> str:
        return f"http://{self.oauth_domain}/rest/"

    def user(self, id_: int) -> User | None:
        return next((user for user in self.users if user.id == id_), None)

    def change(self, id_: int, **changes: Any) -> None:
        """An employee is not what they were: another extension, the working day closed, dismissed."""
        self.users = [replace(user, **changes) if user.id == id_ else user for user in self.users]

    def webhook_code(self, user: int) -> str:
        """Of this user's incoming webhook: `/rest/<user>/<code>/<method>`."""
        return hashlib.sha256(f"{self._webhooks} {user}".encode()).hexdigest()[:16]

    def webhook(self, user: str, code: str) -> User | None:
        known = self.user(int(user)) if user.isascii() and user.isdigit() and len(user) < 10 else None
        return known if known and secrets.compare_digest(code.encode(), self.webhook_code(known.id).encode()) else None

    def by_extension(self, extension: str) -> User | None:
        return next((user for user in self.users if extension and user.extension == extension), None)

    def admin(self) -> User:
        return next((user for user in self.users if user.admin), self.users[0])

    def issue(self, user: int) -> Grant:
        return self.tokens.issue(user, time.time(), self.faults.token_seconds)

    def show_card(self, call: Call, users: Sequence[int]) -> None:
        """Raises the card in every page of these users."""
        if not self.faults.push_lost:
            self.push.send(users, "showExternalCall", delay=self.faults.push_delay, **self.card_of(call))

    def hide_card(self, call: Call, users: Sequence[int] | None = None) -> None:
        self.push.send(users, "hideExternalCall", delay=self.faults.push_delay, callId=call.id)

    def card_of(self, call: Call) -> dict[str, Any]:
        """What a page needs to draw the card of a call."""
        line = next((line.name for line in self.lines.all if line.number == call.registration.line), "")
        return {
            "callId": call.id,
            "phoneNumber": call.number,
            "lineNumber": call.registration.line,
            "lineName": line,
            "direction": {1: "outgoing", 4: "callback"}.get(call.registration.type, "incoming"),
            "callList": self.faults.call_list and call.registration.type == 1,
            "crmEntityType": call.entity_kind,
            "crmEntityId": call.entity_id,
            "crmEntityName": call.entity_name,
        }

    def ledger_changed(self) -> None:
        self.push.send(None, "ledgerChanged")

    def summary(self, call: Call) -> dict[str, Any]:
        """A call as JSON, for the CRM list and for tests in another process."""
        owner = self.user(call.user)
        return {
            "call_id": call.id,
            "external_call_id": call.external_id,
            "direction": call.direction,
            "type": call.registration.type,
            "number": call.number,
            "line": call.registration.line,
            "user": call.user,
            "user_name": owner.name if owner else "",
            "entity": call.entity_name,
            "status_code": call.status_code,
            "status": call.status,
            "failed_reason": call.failed_reason,
            "duration": call.duration,
            "started": call.started,
            "registered": call.registered,
            "finished": call.finished,
            "comment": call.comment,
        }
