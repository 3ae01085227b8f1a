"""All settings together, and what a person is told of a wrong one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import (
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..errors import ConfigError
from .portal import OperatorAccount, Portal
from .section import Sounds
from .service import Calls, Http, Keys, Media, Metrics, Recordings, Sip, Store, Transcripts, Worker
from .trunk import Line, Trunk


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(env_prefix="BRIDGE_", env_nested_delimiter="__", frozen=True, extra="forbid")

    http: Http = Http()
    metrics: Metrics = Metrics()
    sip: Sip = Sip()
    media: Media = Media()
    store: Store = Store()
    keys: Keys = Keys()
    calls: Calls = Calls()
    recordings: Recordings = Recordings()
    transcripts: Transcripts = Transcripts()
    worker: Worker = Worker()
    oauth_hosts: tuple[str, ...] = ("https://oauth.bitrix.info", "https://oauth.bitrix24.tech")
    """Where access tokens are verified and refreshed; no other host ever sees a client secret."""
    state_dir: Path = Path("var")
    """Journal, control socket, made keys, recordings."""
    _source: tuple[Path | str, str] = PrivateAttr(default=("settings", ""))
    """The file and its text."""
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

    @property
    def places(self) -> tuple[Portal | Trunk | Line, ...]:
        """Where it can be said what is heard."""
        return *self.portal, *self.trunk, *self.line

    @property
    def music(self) -> dict[str, tuple[str, ...]]:
        """Files that callers on hold hear, and where each is named first: keys of the settings, as in `place`."""
        named: list[tuple[str | None, tuple[str, ...]]] = [(self.media.hold_music, ("media", "hold_music"))]
        kinds: tuple[tuple[str, tuple[Sounds, ...]], ...] = (
            ("portal", self.portal),
            ("trunk", self.trunk),
            ("line", self.line),
        )
        for kind, places in kinds:
            named += [(each.hold_music, (kind, str(at), "hold_music")) for at, each in enumerate(places)]
        return {file: where for file, where in reversed(named) if file and file not in ("pbx", "none")}

    def place(self, where: tuple[str, ...]) -> str:
        """Where in the file a setting stands, to begin a message with."""
        path, text = self._source
        line = _line_of(text, list(where))
        return f"{path}{f':{line}' if line else ''}: {'.'.join(where)}"

    def _beyond_an_rtpengine(self) -> str:
        """What is wished that an rtpengine does not do here; "" if nothing is."""
        for trunk in self.trunk:
            if trunk.srtp not in ("never", "allowed"):
                return f'trunk {trunk.name}: srtp = "{trunk.srtp}"'
            if trunk.transcode == "opus-to-browser":
                return f'trunk {trunk.name}: transcode = "opus-to-browser"'
        if {self.media.hold_music, *(place.hold_music for place in self.places)} - {None, "pbx"}:
            return "hold_music"
        modes = {*(portal.recording.calls for portal in self.portal), *(line.record for line in self.line)}
        if not modes - {None, "never"}:
            return ""
        if any(portal.recording.beep_seconds for portal in self.portal):
            return "a beep while a call is recorded (beep_seconds)"
        return "" if self.media.rtpengine_recordings else "recording calls without media.rtpengine_recordings"

    @model_validator(mode="after")
    def _references(self) -> Settings:
        portals, trunks = {p.id for p in self.portal}, {t.name for t in self.trunk}
        if len(portals) < len(self.portal):
            raise ValueError("portal: two portals have the same url")
        if len(trunks) < len(self.trunk):
            raise ValueError("trunk: two trunks have the same name")
        for trunk in self.trunk:
            if trunk.voice == "ipv6" and not self.media.has_ipv6:
                raise ValueError(
                    f'trunk "{trunk.name}": voice = "ipv6" needs media.pbx_address6, our address for it, and media.engine = "own"'
                )
        for account in self.operator:
            if portal_id(account.portal) not in portals:
                raise ValueError(f'operator: no [[portal]] has the url "{account.portal}"')
            if account.trunk not in trunks:
                raise ValueError(f'operator: no [[trunk]] has the name "{account.trunk}"')
        for portal in self.portal:
            for name in portal.trunks:
                if name not in trunks:
                    raise ValueError(f'portal {portal.id}: no [[trunk]] has the name "{name}"')
        for line in self.line:
            if portal_id(line.portal) not in portals:
                raise ValueError(f'line {line.number}: no [[portal]] has the url "{line.portal}"')
            if line.trunk and line.trunk not in trunks:
                raise ValueError(f'line {line.number}: no [[trunk]] has the name "{line.trunk}"')
        if self.media.rejoin_music and not self.music:
            raise ValueError("media.rejoin_music needs hold_music, a sound file")
        if self.media.engine == "rtpengine" and (wish := self._beyond_an_rtpengine()):
            raise ValueError(f'{wish} needs media.engine = "own"')
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
        settings = Settings(**values)
        settings._source = path, text
        return settings
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
