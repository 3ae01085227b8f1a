"""Which subscription a request belongs to: by its Call-ID and our tag, which change with every new one (pure)."""

from __future__ import annotations

from .message import Request, SipError
from .subscription import Subscription

Names = tuple[str, str]


class Subscriptions:
    def __init__(self) -> None:
        self._by_names: dict[Names, Subscription] = {}
        self._names: dict[Subscription, Names] = {}

    def __len__(self) -> int:
        return len(self._names)

    def note(self, subscription: Subscription) -> None:
        """Something happened to it: other names may be its own now, or none."""
        names = None if subscription.over else subscription.names
        former = self._names.get(subscription)
        if names == former:
            return
        if former is not None:
            del self._by_names[former], self._names[subscription]
        if names is not None:
            self._by_names[names] = subscription
            self._names[subscription] = names

    def of(self, request: Request) -> Subscription | None:
        if not self._by_names:
            return None
        try:
            return self._by_names.get((request.call_id, request.to_tag))
        except SipError:
            return None  # a broken To earns its 400 when the request is judged
