"""Requests of ours within a dialog that are neither INVITE nor BYE, until each has its final answer (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .dialog import Dialog, Identity
from .flow import Flow
from .login import Login
from .message import Request, Response
from .output import Abandon, Ask, Output

MOST_RETRIES = 2

Then = Callable[[int, Response | None, float], list[Output]]
"""What follows from the final status; without a response it is 408 for silence, 503 for a network that took nothing."""


@dataclass(slots=True)
class _Errand:
    dialog: Dialog
    request: Request
    to: Flow
    headers: tuple[tuple[str, str], ...]
    then: Then
    retries: int = 0


class Errands:
    """Any number at a time; each is signed anew where it is challenged."""

    def __init__(self, me: Identity) -> None:
        self._me = me
        self._running: list[_Errand] = []

    def ask(
        self,
        dialog: Dialog,
        login: Login | None,
        method: str,
        then: Then,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> list[Output]:
        headers = tuple(headers)
        request, to = dialog.request(method, self._me, headers, body)
        errand = _Errand(dialog, login.sign(request) if login else request, to, headers, then)
        self._running.append(errand)
        return [Ask(errand.request, to)]

    def responded(self, login: Login | None, request: Request, response: Response, now: float) -> list[Output] | None:
        """None if the request is none of these."""
        errand = self._find(request)
        if errand is None:
            return None
        if response.status < 200:
            return []
        if response.status in {401, 407} and login and errand.retries < MOST_RETRIES:
            again, to = errand.dialog.request(request.method, self._me, errand.headers, request.body)
            if (signed := login.retry(again, request, response)) is not None:
                errand.request, errand.to, errand.retries = signed, to, errand.retries + 1
                return [Ask(signed, to)]
        self._running.remove(errand)
        return errand.then(response.status, response, now)

    def unanswered(self, request: Request, status: int, now: float) -> list[Output] | None:
        errand = self._find(request)
        if errand is None:
            return None
        self._running.remove(errand)
        return errand.then(status, None, now)

    def drop(self) -> list[Output]:
        """Nobody waits any more."""
        running, self._running = self._running, []
        return [Abandon(errand.request) for errand in running]

    def _find(self, request: Request) -> _Errand | None:
        return next((errand for errand in self._running if errand.request is request), None)
