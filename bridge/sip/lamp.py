"""What the documents of one subscription add up to (RFC 4235, 4.3; pure)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..calls.extension import ExtensionState
from .dialog_info import MOST_DIALOGS, DialogInfo

_OVER = frozenset({ExtensionState.FREE, ExtensionState.UNKNOWN})
_BUSIEST_FIRST = (ExtensionState.TALKING, ExtensionState.RINGING)


@dataclass(slots=True)
class Lamp:
    state: ExtensionState = ExtensionState.UNKNOWN
    _version: int = -1
    _dialogs: dict[str, ExtensionState] = field(default_factory=dict)

    def update(self, info: DialogInfo) -> bool:
        """False if something was missed that only a full document can tell; an old one changes nothing."""
        if info.version <= self._version:
            return True
        if not info.is_full and (self._version < 0 or info.version > self._version + 1):
            return False
        dialogs = {} if info.is_full else dict(self._dialogs)
        dialogs.update(info.dialogs)
        live: dict[str, ExtensionState] = {name: state for name, state in dialogs.items() if state not in _OVER}
        if len(live) > MOST_DIALOGS:
            return False
        self._version, self._dialogs = info.version, live
        found = set(live.values())
        self.state = next((state for state in _BUSIEST_FIRST if state in found), ExtensionState.FREE)
        return True
