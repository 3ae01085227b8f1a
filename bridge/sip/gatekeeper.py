"""Who may begin something with us, and how much of it: credentials, certificates, caps, floods."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

import structlog

from .. import config
from .certificate import Certificate, certifies, names
from .challenge import Challenger, Proven
from .flow import Flow, numeric_host
from .limits import Allowance, Patience
from .message import Request, Response, respond
from .peer import Peer

log = structlog.get_logger()

MESSAGES_PER_SECOND, MESSAGES_AT_ONCE = 20.0, 40.0
"""That an unknown source is listened to …"""
STRANGERS_PER_SECOND, STRANGERS_AT_ONCE = 300.0, 600.0
"""… and all unknown sources together: their addresses may be invented."""
EVERYBODY = ""
CALLS_AT_ONCE = 3.0
"""Times what a PBX may begin in a second."""
BUSY_SECONDS = 5


class Gatekeeper:
    """ConfigError if a password is not set that a PBX has to prove."""

    def __init__(self, sip: config.Sip, peers: Sequence[Peer]) -> None:
        self._peers = peers
        self._refuses = sip.strangers == "refuse"
        self._proving = {
            (peer.trunk.caller_user or peer.trunk.user): peer for peer in peers if peer.trunk.known_by == "credentials"
        }
        passwords = {user: peer.trunk.caller_password.get_secret_value() for user, peer in self._proving.items()}
        self._challenger = Challenger(sip.realm, passwords, secrets.token_hex)
        self._messages = Allowance(MESSAGES_PER_SECOND, MESSAGES_AT_ONCE)
        self._strangers = Allowance(STRANGERS_PER_SECOND, STRANGERS_AT_ONCE)
        self._patience = Patience()
        self._begun = {
            peer.trunk.name: Allowance(rate, max(CALLS_AT_ONCE * rate, 1))
            for peer in peers
            for rate in [float(peer.trunk.max_calls_per_second)]
        }

    @property
    def answers_strangers(self) -> bool:
        """Somebody unknown may still prove who it is, or is told that it is not wanted."""
        return bool(self._proving) or self._refuses

    def hears(self, source: Flow, now: float) -> bool:
        """Whether one more message of an unknown source is read."""
        if self._patience.is_exhausted(source.host, now):
            return False
        return self._messages.take(source.host, now) and self._strangers.take(EVERYBODY, now)

    def vet(self, request: Request, source: Flow, now: float) -> Flow | Response:
        """Of an unknown source: whose it is, or what it gets."""
        if not self._proving:
            return _refusal(request, 403)
        outcome = self._challenger.check(request, now)
        if isinstance(outcome, Proven):
            self._patience.succeed(source.host)
            peer = self._proving[outcome.user]
            return Flow(source.host, source.port, source.protocol, peer.trunk.name, source.connection)
        if outcome.wrong:
            log.warning("sip_wrong_credentials", source=str(source))
            self._patience.fail(source.host, now)
        return _refusal(request, 401, outcome.headers)

    def certified(self, certificate: Certificate) -> Peer | None:
        """The PBX that a certificate names."""
        if not certificate:
            return None
        return next(
            (
                peer
                for peer in self._peers
                if peer.trunk.known_by == "certificate" and _is_named(certificate, _wanted(peer.trunk))
            ),
            None,
        )

    def limit(self, invite: Request, peer: Peer, calls: int, now: float) -> Response | None:
        """The refusal of a call too many."""
        trunk = peer.trunk
        if trunk.max_calls and calls >= trunk.max_calls:
            return _refusal(invite, 503, [("Retry-After", str(BUSY_SECONDS))])
        if not self._begun[trunk.name].take(EVERYBODY, now):
            return _refusal(invite, 503, [("Retry-After", "1")])
        return None


def _wanted(trunk: config.Trunk) -> tuple[str, ...]:
    return trunk.certificate_names or (trunk.domain or trunk.address[0],)


def _is_named(certificate: Certificate, wanted: Iterable[str]) -> bool:
    bare = [name.removeprefix("sip:") for name in wanted]
    return bool(names(certificate)) and any(certifies(certificate, numeric_host(name) or name) for name in bare)


def _refusal(request: Request, status: int, headers: Iterable[tuple[str, str]] = ()) -> Response:
    return respond(request, status, to_tag=secrets.token_hex(8), headers=headers)
