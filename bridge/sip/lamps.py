"""The extensions of one PBX that are watched: those of our operators, each from its own account (BLF)."""

from __future__ import annotations

from collections.abc import Iterable

from ..calls.extension import ExtensionState
from .agent import UserAgent
from .flow import Flow
from .peer import PACE_SECONDS, Peer
from .registration import Registration
from .registration import State as Registered
from .subscription import Subscription

EXPIRES = 1800
MOST_WATCHED = 2_000


class Lamps:
    """A PBX that wants registrations is asked for an extension once its account is registered."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._watched: dict[str, Subscription] = {}

    def state(self, account: str) -> ExtensionState:
        subscription = self._watched.get(account)
        return subscription.lamp if subscription else ExtensionState.UNKNOWN

    def forget(self) -> None:
        """For a new start."""
        self._watched = {}

    def settle(self, agent: UserAgent, now: float) -> None:
        """Watch every account that can be watched, and no others."""
        accounts = self._peer.accounts
        for account in self._watched.keys() - accounts.keys():
            subscription = self._watched.pop(account)
            agent.act(subscription, subscription.stop(now), now)
        if self._peer.addresses:
            fresh = (account for account in accounts if account not in self._watched and self._may_ask(account))
            self._watch(list(fresh), agent, now)

    def registered(self, registration: Registration, agent: UserAgent, now: float) -> None:
        """That account, or the one of the whole trunk, is known to the PBX now."""
        ours = [user for user, known in self._peer.registrations.items() if known is registration]
        if not ours:
            return
        if self._peer.is_trunk:
            self.settle(agent, now)
        else:
            self._watch([user for user in ours if user not in self._watched], agent, now)

    def lost(self, flow: Flow, agent: UserAgent, now: float) -> None:
        """A connection to the PBX ended, or we have another address there."""
        if flow.place in {way.place for way in self._peer.addresses}:
            for subscription in self._watched.values():
                subscription.again_soon(now)
                agent.act(subscription, [], now)

    def stop(self, agent: UserAgent, now: float) -> None:
        for subscription in self._watched.values():
            agent.act(subscription, subscription.stop(now), now)

    def _may_ask(self, account: str) -> bool:
        registration = self._peer.registration_of(account)
        return registration is None or registration.state is Registered.REGISTERED

    def _watch(self, accounts: Iterable[str], agent: UserAgent, now: float) -> None:
        for place, account in enumerate(accounts):
            if len(self._watched) < MOST_WATCHED:
                subscription = self._watched[account] = self._subscription(account, agent)
                subscription.deadline = now + place * PACE_SECONDS
                agent.act(subscription, [], now)

    def _subscription(self, account: str, agent: UserAgent) -> Subscription:
        peer = self._peer
        return Subscription(
            extension=peer.uri(account),
            watcher=peer.identity((peer.is_trunk and peer.trunk.user) or account),
            expires=EXPIRES,
            me=agent.me,
            timers=agent.timers,
            login=lambda: peer.login(account) if account in peer.accounts else None,
            way=lambda: peer.way(account),
            routes=lambda: peer.routes_of(account),
        )
