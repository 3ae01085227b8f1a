"""The built pages, read once at start and served from memory: three templates and the files they load."""

from __future__ import annotations

import gzip
import html
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError

PLACEHOLDERS = ("{{ticket}}", "{{administration}}")
"""The page's own ticket; the phone page has a second one, for its link to the administrators' page."""
TEMPLATES = ("worker.html", "phone.html", "install.html")
LARGEST_FILE = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Template:
    """A page with a hole or two."""

    parts: tuple[bytes, ...]

    def filled(self, *tickets: str) -> bytes:
        """Tickets beyond the holes are left out."""
        filled = [html.escape(ticket).encode() for ticket in tickets[: len(self.parts) - 1]]
        return b"".join(piece for pair in zip(self.parts, [*filled, b""], strict=True) for piece in pair)


@dataclass(frozen=True, slots=True)
class StaticFile:
    kind: str
    plain: bytes
    zipped: bytes
    """gzip, "" when it doesn't pay."""


class Pages:
    """`directory` is what the widget's build left; ConfigError when it is not there."""

    def __init__(self, directory: Path) -> None:
        templates = {name: _template(directory / name) for name in TEMPLATES}
        self.worker, self.phone, self.install = (templates[name] for name in TEMPLATES)
        self.files = {
            path.relative_to(directory).as_posix(): _file(path)
            for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name not in TEMPLATES and path.stat().st_size <= LARGEST_FILE
        }


def plain_page(title: str, sentence: str) -> str:
    """For people who came by mistake."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title></head><body><h1>{html.escape(title)}</h1>"
        f"<p>{html.escape(sentence)}</p></body></html>"
    )


def _template(path: Path) -> Template:
    try:
        parts = re.split("|".join(map(re.escape, PLACEHOLDERS)), path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: the pages are not built, run: make setup") from None
    if len(parts) < 2:
        raise ConfigError(f"{path}: has no {PLACEHOLDERS[0]}")
    return Template(tuple(part.encode() for part in parts))


def _file(path: Path) -> StaticFile:
    plain = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    zipped = gzip.compress(plain, 9, mtime=0)
    return StaticFile(kind, plain, zipped if len(zipped) < len(plain) * 0.9 else b"")
