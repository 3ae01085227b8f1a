"""Portals, who works in them, and what may be dialled there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    Field,
    SecretStr,
    model_validator,
)

from ..errors import ConfigError
from .section import Numbers, RecordedCalls, Section, Sounds, check_url, secret

Prefix = Annotated[str, Field(pattern=r"^[+*0-9][0-9*#]{0,15}$")]


Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Tolls(Section):
    """What a portal's operators may dial. Extensions and numbers of three digits (emergency calls) are never refused."""

    allowed: tuple[Prefix, ...] = ()
    """How numbers begin that may be dialled, as the CRM knows them: `+49`. Empty: all that are not forbidden."""
    forbidden: tuple[Prefix, ...] = ()
    operator_per_minute: Annotated[int, Field(ge=0)] = 0
    """Numbers dialled within any sixty seconds; 0: no limit."""
    portal_per_minute: Annotated[int, Field(ge=0)] = 0
    at_once: Annotated[int, Field(ge=0)] = 0
    """Outgoing calls of the portal; 0: no limit."""
    night: tuple[Clock, Clock] | None = None
    """When it begins and ends; wants `time_zone`."""
    night_allowed: tuple[Prefix, ...] = ()
    """How numbers begin that may be dialled at night; empty: none."""
    time_zone: str = ""
    """Of the portal, as `Europe/Berlin`."""

    @model_validator(mode="after")
    def _night(self) -> Tolls:
        if self.night and not self.time_zone:
            raise ValueError('night wants the time_zone of the portal, such as "Europe/Berlin"')
        if self.night and self.night[0] == self.night[1]:
            raise ValueError("night begins when it ends: name two different times, or leave it out")
        try:
            if self.time_zone:
                ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f'time_zone: no such zone as "{self.time_zone}"; one is "Europe/Berlin"') from None
        return self


class PortalRecording(Section):
    """Which calls of a portal are recorded, and what both sides are told of it."""

    calls: RecordedCalls = "never"
    """asked: when the operator asks for it, on the phone page."""
    pausable: bool = True
    announcement: str = ""
    """What both hear before: nothing, `beep`, or a sound file."""
    beep_seconds: Annotated[float, Field(ge=0, le=600)] = 0
    """A beep so often while it runs; 0: none."""

    @model_validator(mode="after")
    def _announcement(self) -> PortalRecording:
        if self.announcement not in ("", "beep") and not Path(self.announcement).is_file():
            raise ValueError(f'announcement must be "", "beep", or a sound file: there is no {self.announcement}')
        return self


class Portal(Numbers, Sounds):
    url: str
    client_id: str
    client_secret_env: str
    region: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = "RU"
    trunks: tuple[str, ...] = ()
    """PBXs at which the portal's administrators may add operators; empty: those of its operators in this file, or all if it
    is the only portal and has none here."""
    prefer_responsible: bool = False
    """A client's call rings whoever looks after them first."""
    hold_reminder_seconds: Annotated[int, Field(ge=0, le=120)] = 0
    """After so long, and then so often, a quiet beep reminds an operator of a call on hold; 0: never."""
    phone_width: Annotated[int, Field(ge=300, le=2000)] = 520
    dial_from_card: bool = True
    """Make the call of a click when its card is drawn, before the portal's event arrives."""
    plan: Literal["ordinary", "enterprise"] = "ordinary"
    """Of Bitrix24: 2 requests a second and 50 at once, or 5 and 250."""
    line: Annotated[str, Field(pattern=r"^(\+?[0-9]{1,32})?$")] = ""
    """The number under which the portal's calls are logged; the install page can choose another one."""
    line_name: Annotated[str, Field(max_length=100)] = "Telephone"
    roll_out: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Bitrix24 user ids: only their pages load the telephone. Empty: everybody's."""
    tolls: Tolls = Tolls()
    recording: PortalRecording = PortalRecording()

    @property
    def id(self) -> str:
        """What the portal is called inside the bridge: the host (and port) of its url here, whatever its domain becomes."""
        return urlsplit(self.url).netloc.lower()

    @property
    def client_secret(self) -> SecretStr:
        return secret(self.client_secret_env)

    @model_validator(mode="after")
    def _url(self) -> Portal:
        check_url(self.url)
        return self


class OperatorAccount(Section):
    portal: str
    """The url of one of the portals."""
    user_id: Annotated[int, Field(gt=0)]
    extension: str
    trunk: str
    sip_user: str
    """The account at the PBX; at a trunk of kind trunk, what is dialled to reach the operator there."""
    password_env: str = ""
    caller_id: str = ""
    """The number that their calls show, if the trunk does not know it by the account."""

    @property
    def password(self) -> SecretStr:
        if not self.password_env:
            raise ConfigError(f"operator {self.sip_user}: password_env is not set")
        return secret(self.password_env)
