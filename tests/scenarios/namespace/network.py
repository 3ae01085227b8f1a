"""The addresses of this machine, while it has a network of its own."""

from __future__ import annotations

import subprocess

BEFORE, AFTER = "10.123.0.1", "10.123.0.2"


def live_at(address: str) -> None:
    """What goes to 127.0.0.1 leaves from this address of ours."""
    _ip(f"addr replace {address}/32 dev lo")
    _ip(f"route replace local 127.0.0.1 dev lo table local proto kernel scope host src {address}")


def gone(address: str) -> None:
    _ip(f"addr del {address}/32 dev lo")


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)
