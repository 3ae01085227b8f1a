"""No token, password or key in anything that a bridge writes for people: every bridge of every test is searched."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

SEALED = re.compile(rb"gAAAAA[\w-]{40,}")
"""A ticket or a sealed secret (Fernet): worth something to whoever finds it."""
SHORTEST = 6
DATABASES = ("*.db", "*.db-wal", "*.db-shm", "*.db-journal", "keys")


def leaks(directory: Path, secrets: Iterable[str]) -> list[str]:
    """File and secret (its first letters) of everything that was found below a bridge's directory.

    In the database secrets stand sealed, so there it is searched for the plain ones.
    """
    wanted = sorted({secret for secret in secrets if len(secret) >= SHORTEST})
    found: list[str] = []
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        if path.name == "keys":
            continue
        text = path.read_bytes()
        found += [f"{path.name}: {secret[:4]}…" for secret in wanted if secret.encode() in text]
        if not any(path.match(pattern) for pattern in DATABASES) and SEALED.search(text):
            found.append(f"{path.name}: a sealed ticket")
    return found
