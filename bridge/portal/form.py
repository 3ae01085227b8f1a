"""Form posts of Bitrix24: urlencoded, with PHP's nested keys (pure)."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from ..errors import TheirsError

MOST_FIELDS = 200


class FormError(TheirsError):
    """A body that is not what Bitrix24 posts."""


def parse(text: bytes | str) -> dict[str, str]:
    """Flat names, `auth[member_id]` included as they are; the last of a repeated name wins, as in PHP."""
    try:
        decoded = text if isinstance(text, str) else text.decode("ascii")
        pairs = parse_qsl(decoded, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except UnicodeDecodeError:
        raise FormError("The form is not UTF-8 text.") from None
    except ValueError:
        raise FormError(f"The form has more than {MOST_FIELDS} fields.") from None
    return dict(pairs)


def nested(form: dict[str, str], name: str) -> dict[str, str]:
    """One level of PHP's arrays: `auth` of `auth[domain]=a&auth[member_id]=b` is `{"domain": "a", "member_id": "b"}`."""
    start = f"{name}["
    return {
        key[len(start) : -1]: value
        for key, value in form.items()
        if key.startswith(start) and key.endswith("]") and key.count("[") == 1
    }


def required(form: dict[str, str], name: str, longest: int) -> str:
    value = form.get(name, "")
    if not value:
        raise FormError(f"The field {name} is missing.")
    if len(value) > longest:
        raise FormError(f"The field {name} is longer than {longest} characters.")
    return value


def optional(form: dict[str, str], name: str, longest: int) -> str:
    """ "" when absent; cut, because nothing depends on its end."""
    return form.get(name, "")[:longest]


def placement_uri(options: str) -> str:
    """The `URI` in PLACEMENT_OPTIONS, "" when there is none: it only helps to tell a slider from a page."""
    try:
        value = json.loads(options or "{}")
    except (ValueError, RecursionError):
        return ""
    uri = value.get("URI") if isinstance(value, dict) else None
    return uri[:2000] if isinstance(uri, str) else ""


def domain_of(value: str) -> str:
    """DOMAIN as one spelling: lower case, without the default ports that some portals add."""
    return value.strip().lower().removesuffix(":443").removesuffix(":80")
