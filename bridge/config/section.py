"""What the sections of the settings share: a form, and ways of checking."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
)

from ..errors import ConfigError
from ..tones import PLANS


def address(text: str, name: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{name} must be an IP address, not {text!r}") from None


def known_country(code: str) -> str:
    if code.upper() not in PLANS:
        raise ValueError(
            f"its tones are not known here; those of {', '.join(sorted(PLANS))} are, all others have 425 Hz"
        )
    return code.upper()


def known_music(music: str) -> str:
    if music not in ("pbx", "none") and not Path(music).is_file():
        raise ValueError(f'it must be "pbx", "none", or a sound file: there is no {music}')
    return music


HoldMusic = Annotated[str, AfterValidator(known_music)]


def check_announcement(early_media: str | None, file: Path | None) -> None:
    if early_media == "announce" and file is None:
        raise ValueError('early_media = "announce" needs announcement, the path of an audio file')


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Numbers(Section):
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


class Sounds(Section):
    """What is heard where nobody speaks; a line's word counts before a trunk's, a trunk's before a portal's."""

    tones: Annotated[str, AfterValidator(known_country)] | None = None
    """ISO 3166: whose ringing, busy and other tones operators hear, and callers where early_media is a ringback tone;
    the region's if not said."""
    hold_music: HoldMusic | None = None
    """As in [media], if not said."""


RecordedCalls = Literal["never", "always", "asked"]


def check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
        raise ValueError('must be a url without a path, such as "https://acme.bitrix24.com"')


def secret(variable: str) -> SecretStr:
    if value := os.environ.get(variable):
        return SecretStr(value)
    raise ConfigError(f"the environment variable {variable} is not set")
