"""Asterisk's manager interface, as much as the tests ask of it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from .waiting import PATIENCE


class ManagerError(Exception):
    """The PBX refused an action."""


def act(port: int, action: str, fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    """One action in a session of its own; the answer's fields, or ManagerError."""
    here = "127.0.0.1", 0  # from nowhere else is anybody let in
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=here) as connection,
        connection.makefile("rwb") as lines,
    ):
        lines.readline()
        for name, values in (
            ("Login", [("Username", "tests"), ("Secret", "tests"), ("Events", "off")]),
            (action, fields),
        ):
            text = "".join(f"{key}: {value}\r\n" for key, value in [("Action", name), *values])
            lines.write(f"{text}\r\n".encode())
            lines.flush()
            answer: dict[str, str] = {}
            while line := lines.readline().decode().strip():
                key, _, value = line.partition(": ")
                answer[key] = value
            if answer.get("Response") != "Success":
                raise ManagerError(f"{name}: {answer.get('Message', answer)}")
    return answer
