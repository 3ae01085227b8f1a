"""The settings: read once from a TOML file and the environment, frozen, checked before anything starts.

A wrong value is reported with the file's line and what would be right. Environment variables win over the file:
`BRIDGE_HTTP__PORT=8080` is `port` of `[http]`. Secrets never stand in the file: it names the variable that holds them.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .errors import ConfigError

Port = Annotated[int, Field(ge=1, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(_Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8090
    public_url: str = "http://bridge.localhost:8090"
    """As browsers and Bitrix24 reach it; without a path."""


class Sip(_Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 5080
    advertised: str = ""
    """The address the PBX reaches us by, if not `host` (NAT)."""


class Media(_Section):
    browser_address: str = "127.0.0.1"
    """Where the browser legs' one UDP port is bound and what pages are told."""
    browser_port: Annotated[int, Field(ge=0, le=65535)] = 30000
    pbx_address: str = "127.0.0.1"
    pbx_ports: tuple[Port, Port] = (21000, 21999)
    """First and last UDP port towards PBXs, below 32768; a call takes two."""

    @model_validator(mode="after")
    def _ports(self) -> Media:
        first, last = self.pbx_ports
        if last >= 32768 or last - first < 1:
            raise ValueError(
                "pbx_ports must be two ports, first < last, both below 32768 (above begin the ephemeral ports)"
            )
        return self


class Store(_Section):
    url: str = "sqlite+aiosqlite:///var/bridge.db"


class Keys(_Section):
    env: str = "BRIDGE_SECRET_KEYS"
    """The variable that holds the keys, newest first, separated by commas."""
    file: Path | None = None
    """Or a file that holds them, one a line; made on first start if it is missing."""


class Calls(_Section):
    ring_seconds: Annotated[float, Field(gt=0, le=300)] = 30
    rejoin_seconds: Annotated[float, Field(gt=0, le=300)] = 30
    lookup_seconds: Annotated[float, Field(gt=0, le=10)] = 1
    """How long a call that rings the responsible first waits for the CRM."""
    responsible_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """How long the responsible rings alone, out of `ring_seconds`."""


class _Numbers(_Section):
    """How telephone numbers are written; a trunk's own settings win over those of the operator's portal."""

    region: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    """ISO 3166: where a number without country code belongs."""
    internal_digits: Annotated[int | None, Field(ge=0, le=9)] = None
    """Numbers with so many digits at most are extensions of the PBX: never changed, never looked up."""
    outside_prefix: Annotated[str | None, Field(pattern=r"^[0-9*#]{0,5}$")] = None
    """What the PBX wants before an outside number; taken off where it shows one with it."""
    dial_format: Literal["typed", "e164", "digits", "national"] | None = None
    """How the PBX wants outside numbers: as they were typed, `+4930…`, `4930…`, or `030…` and abroad `0044…`."""
    caller_strip: Annotated[str | None, Field(pattern=r"^\+?[0-9*#]{0,8}$")] = None
    """Taken off outside callers' numbers as the PBX shows them …"""
    caller_add: Annotated[str | None, Field(pattern=r"^\+?[0-9]{0,8}$")] = None
    """… and this put before them: "+" where it shows the country code without it."""


class Portal(_Numbers):
    url: str
    client_id: str
    client_secret_env: str
    region: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = "RU"
    prefer_responsible: bool = False
    """A client's call rings whoever looks after them first."""
    phone_width: Annotated[int, Field(ge=300, le=2000)] = 520
    dial_from_card: bool = True
    """Make the call of a click when its card is drawn, before the portal's event arrives."""

    @property
    def id(self) -> str:
        """What the portal is called inside the bridge: the host (and port) of its url here, whatever its domain becomes."""
        return urlsplit(self.url).netloc.lower()

    @property
    def client_secret(self) -> SecretStr:
        return _secret(self.client_secret_env)

    @model_validator(mode="after")
    def _url(self) -> Portal:
        _check_url(self.url)
        return self


class Trunk(_Numbers):
    name: str
    server: str
    """`host` or `host:port` of the PBX."""
    transport: Literal["udp"] = "udp"
    register_accounts: Annotated[bool, Field(alias="register")] = True
    expires: Annotated[int, Field(ge=10, le=86400)] = 300
    decline_status: Literal[486, 603] = 486
    """What the PBX hears when an operator declines; 603 stops its other branches too."""
    codecs: tuple[Literal["PCMU", "PCMA", "G722", "opus"], ...] = ("PCMU", "PCMA", "G722", "opus")

    latch: Literal["never", "port", "address"] = "port"
    """Whom the PBX's voice may come from beside the address of its SDP: nobody, another port of that host, any host (NAT)."""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.server.partition(":")
        return host, int(port or 5060)

    @model_validator(mode="after")
    def _server(self) -> Trunk:
        if not re.fullmatch(r"[\w.-]+(:\d{1,5})?", self.server):
            raise ValueError('server must be "host" or "host:port"')
        return self


class Line(_Section):
    """A dialled number that rings several operators at once."""

    number: str
    portal: str
    """The url of one of the portals."""
    operators: Annotated[tuple[int, ...], Field(min_length=1)]
    """Bitrix24 user ids."""
    prefer_responsible: bool | None = None
    """As of the portal, if not said."""


class OperatorAccount(_Section):
    portal: str
    """The url of one of the portals."""
    user_id: Annotated[int, Field(gt=0)]
    extension: str
    trunk: str
    sip_user: str
    password_env: str

    @property
    def password(self) -> SecretStr:
        return _secret(self.password_env)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(env_prefix="BRIDGE_", env_nested_delimiter="__", frozen=True, extra="forbid")

    http: Http = Http()
    sip: Sip = Sip()
    media: Media = Media()
    store: Store = Store()
    keys: Keys = Keys()
    calls: Calls = Calls()
    oauth_hosts: tuple[str, ...] = ("https://oauth.bitrix.info", "https://oauth.bitrix24.tech")
    """Where access tokens are verified and refreshed; no other host ever sees a client secret."""
    state_dir: Path = Path("var")
    """Journal, control socket, made keys."""
    portal: tuple[Portal, ...] = ()
    trunk: tuple[Trunk, ...] = ()
    line: tuple[Line, ...] = ()
    operator: tuple[OperatorAccount, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @model_validator(mode="after")
    def _references(self) -> Settings:
        portals, trunks = {p.id for p in self.portal}, {t.name for t in self.trunk}
        if len(portals) < len(self.portal):
            raise ValueError("portal: two portals have the same url")
        if len(trunks) < len(self.trunk):
            raise ValueError("trunk: two trunks have the same name")
        for account in self.operator:
            if portal_id(account.portal) not in portals:
                raise ValueError(f'operator: no [[portal]] has the url "{account.portal}"')
            if account.trunk not in trunks:
                raise ValueError(f'operator: no [[trunk]] has the name "{account.trunk}"')
        people = {(portal_id(account.portal), account.user_id) for account in self.operator}
        for line in self.line:
            for user in line.operators:
                if (portal_id(line.portal), user) not in people:
                    raise ValueError(f'line {line.number}: user {user} of "{line.portal}" is no [[operator]]')
        users = [(a.trunk, a.sip_user) for a in self.operator]
        if len(set(users)) < len(users):
            raise ValueError("operator: two operators have the same sip_user on one trunk")
        return self


def portal_id(url: str) -> str:
    return urlsplit(url).netloc.lower()


def load(path: Path) -> Settings:
    """The settings of a file, or ConfigError whose text a person can act on."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, text, item) for item in error.errors())) from None


def _explain(path: Path, text: str, item: Any) -> str:
    where = [str(part) for part in item["loc"]]
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "no such setting"
    given = "" if item["type"] in {"missing", "extra_forbidden", "value_error"} else f", not {item['input']!r}"
    line = _line_of(text, where)
    return f"{path}{f':{line}' if line else ''}: {'.'.join(where) or 'settings'}: {message}{given}"


def _line_of(text: str, where: list[str]) -> int:
    """The line of a key as precisely as it can be found: key, else its table's header, else 0."""
    if not where:
        return 0
    index = int(where[1]) if len(where) > 1 and where[1].isdigit() else 0
    key = next((part for part in reversed(where[1:]) if not part.isdigit()), "")
    seen, header, inside = -1, 0, False
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]", line):
            seen += match[1] == where[0]
            inside = match[1] == where[0] and seen == index
            header = number if inside else header
        elif re.match(rf"\s*{re.escape(key if inside else where[0])}\s*=", line) and (inside or seen < 0):
            return number
    return header


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
        raise ValueError('must be a url without a path, such as "https://acme.bitrix24.com"')


def _secret(variable: str) -> SecretStr:
    if value := os.environ.get(variable):
        return SecretStr(value)
    raise ConfigError(f"the environment variable {variable} is not set")
