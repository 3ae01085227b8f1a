"""Calls in Bitrix24's words (docs: telephony.externalCall.register, finish; telephony.call.attachTranscription). Choices that are left to us:

- CRM_CREATE 0: an unknown caller does not become a lead by himself; that is a company's policy, not a telephone's.
- A withheld or non-numeric caller is sent as WITHHELD: Bitrix24 strips letters and refuses what is left of "anonymous",
  and a short number could be somebody's extension, which would make the call an internal one without CRM.
- LINE_NUMBER only for a line that the application has added: Bitrix24 refuses every other one.
- ADD_TO_CHAT is always sent: portals differ in what its absence means.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..calls.commands import AttachRecord, AttachTranscript, Direction, RegisterCall
from ..errors import RefusedError

WITHHELD = "0000000"
ANSWERED = "200"
CALLBACK = 4
RECORD_KINDS = (".mp3", ".wav")
TYPES = {Direction.OUTBOUND: 1, Direction.INBOUND: 2}


def registration(command: RegisterCall, line: str = "") -> dict[str, Any]:
    """`line` is one of the portal's, "" for none. It is part of what makes two registers the same call, so it never changes."""
    listed = {"CALL_LIST_ID": command.call_list} if command.call_list else {}
    return {
        "USER_ID": command.operator.user,
        "PHONE_NUMBER": phone_number(command.number),
        "TYPE": CALLBACK if command.callback else TYPES[command.direction],
        "CALL_START_DATE": datetime.fromtimestamp(command.started, UTC).isoformat(timespec="seconds"),
        "CRM_CREATE": 0,
        "SHOW": int(command.show),
        "ADD_TO_CHAT": 1,
        "EXTERNAL_CALL_ID": command.call,
        **listed,
        **({"LINE_NUMBER": line} if line else {}),
    }


def recording(command: AttachRecord) -> dict[str, Any]:
    """The promise of a file that can be attached; RefusedError says what is wrong with it. Looks at the disk."""
    path = Path(command.path)
    if not path.is_absolute():
        raise RefusedError(f"{path}: the path must be absolute")
    if not command.name.lower().endswith(RECORD_KINDS):
        raise RefusedError(f"{command.name}: Bitrix24 takes recordings named .mp3 or .wav")
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise RefusedError(f"{path}: the bridge can't read it: {error.strerror}") from None
    if not size:
        raise RefusedError(f"{path}: the recording is empty")
    return {"path": str(path), "name": command.name, "delete": command.delete}


def transcript(command: AttachTranscript) -> dict[str, Any]:
    said = [
        {"SIDE": "User" if u.by_operator else "Client", "START_TIME": u.start, "STOP_TIME": u.stop, "MESSAGE": u.text}
        for u in command.utterances
    ]
    cost = {} if command.cost is None else {"COST": command.cost, "COST_CURRENCY": command.currency}
    return {"MESSAGES": said, **cost}


def finishing(user: int, status: str, duration: int, reason: str) -> dict[str, Any]:
    return {
        "USER_ID": user,
        "DURATION": max(0, duration),
        "STATUS_CODE": status,
        "FAILED_REASON": reason,
        "ADD_TO_CHAT": 1,
    }


def phone_number(number: str) -> str:
    """What Bitrix24 accepts as PHONE_NUMBER: the number as it came, or WITHHELD."""
    numeric = any(sign in "0123456789" for sign in number) and not any(sign.isalpha() for sign in number)
    return number[:64] if numeric else WITHHELD
