"""Cards raised after the registration, for those whose turn to ring comes later (telephony.externalCall.show)."""

from __future__ import annotations

from ..calls.commands import ShowCard
from .bucket import Lane
from .rest import Rest

METHOD = "telephony.externalCall.show"


class Cards:
    """The room that `ShowCard` goes to: not repeated when it fails, for a card that comes late helps nobody."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def perform(self, command: ShowCard) -> None:
        """BridgeError if the portal can't be asked or refuses."""
        users = [operator.user for operator in command.operators]
        params = {"CALL_ID": command.card, "USER_ID": users}
        await self._rest.call(command.operators[0].portal, METHOD, params, Lane.REGISTER)
