"""Transfers that we ask for: REFER, and the NOTIFYs that tell what becomes of it (RFC 3515, 6665; pure).

ASKED ─2xx→ TAKEN ─NOTIFY 1xx→ TAKEN ─NOTIFY 2xx→ TOLD     anything else final: TOLD, and it failed
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum
from urllib.parse import quote

from .address import NameAddr, Uri
from .dialog import Dialog
from .message import Request, Response
from .output import Output, TransferFailed, TransferProgressed, Transferred
from .replaces import Replaces
from .transaction import Timers

SIPFRAG = "message/sipfrag;version=2.0"
_STATUS_LINE = re.compile(rb"\s*SIP/2\.0 +([1-6]\d\d)(?: +([^\r\n]{0,200}))?", re.IGNORECASE)


def blind(target: Uri) -> str:
    """Refer-To for somebody who is not in a call with us."""
    return f"<{target}>"


def attended(consulted: Dialog) -> str:
    """Refer-To for the far end of another dialog of ours, whose place the referred party takes (RFC 3891, 3515 2.1)."""
    named = Replaces(
        call_id=consulted.call_id, local_tag=consulted.remote.tag, remote_tag=consulted.local.tag, early_only=False
    )
    return f"<{replace(consulted.target, headers='Replaces=' + quote(str(named), safe=''))}>"


def fragment_of(notify: Request) -> tuple[int, str]:
    """Status and phrase of the response that a NOTIFY reports; 0 if it reports none."""
    line = _STATUS_LINE.match(notify.body)
    return (int(line[1]), (line[2] or b"").decode("utf-8", "replace").strip()) if line else (0, "")


def is_terminated(notify: Request) -> bool:
    return (notify.headers.get("Subscription-State") or "").partition(";")[0].strip().lower() == "terminated"


class _State(Enum):
    ASKED = "asked"
    TAKEN = "taken"
    TOLD = "told"


class Transfer:
    """One REFER of ours; `number` is its CSeq, by which its NOTIFYs may be told apart."""

    def __init__(self, number: int, timers: Timers) -> None:
        self.deadline: float | None = None
        """Timer N: the first NOTIFY (RFC 6665, 4.1.2.4)."""
        self._number = str(number)
        self._timers = timers
        self._state = _State.ASKED
        self.succeeded = False

    @property
    def told(self) -> bool:
        return self._state is _State.TOLD

    def answered(self, status: int, response: Response | None, now: float) -> list[Output]:
        """The final answer to the REFER itself."""
        if self._state is not _State.ASKED:
            return []
        if not 200 <= status < 300:
            return self._end(TransferFailed(status, response.phrase if response else "", refused=True))
        self._state = _State.TAKEN
        self.deadline = now + self._timers.timeout
        return [TransferProgressed(100)]

    def owns(self, notify: Request) -> bool:
        """RFC 3515, 2.4.6: without an id it can only be meant for the one there is."""
        name, *params = [part.strip() for part in (notify.headers.get("Event") or "").split(";")]
        ids = [param[3:] for param in params if param.lower().startswith("id=")]
        return name.lower() == "refer" and (not ids or ids[0] == self._number)

    def notified(self, notify: Request) -> list[Output]:
        """A NOTIFY that it owns; it may overtake the answer to the REFER."""
        if self._state is _State.TOLD:
            return []
        self._state, self.deadline = _State.TAKEN, None
        status, phrase = fragment_of(notify)
        if 200 <= status < 300:
            self.succeeded = True
            return self._end(Transferred())
        if status >= 300:
            return self._end(TransferFailed(status, phrase, refused=False))
        if is_terminated(notify):
            return self._end(TransferFailed(0, "", refused=False))
        return [TransferProgressed(status)] if status else []

    def wake(self) -> list[Output]:
        """No NOTIFY came."""
        return self._end(TransferFailed(0, "", refused=False))

    def _end(self, told: Output) -> list[Output]:
        self._state, self.deadline = _State.TOLD, None
        return [told]


def referred_by(dialog: Dialog) -> str:
    return str(NameAddr("", dialog.local.uri))
