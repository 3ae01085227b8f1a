"""telephony.externalCall.attachRecord: a recording in the request itself, or uploaded to an address that it names."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from .ledger import Call
from .methods import Caller, Method, RestError

_KINDS = (".mp3", ".wav")


def attach(call: Caller) -> dict[str, Any]:
    record = _finished(call)
    name = call.text("FILENAME")
    if not name.lower().endswith(_KINDS):
        raise RestError("ERROR_CORE", f"Wrong file extension. Only {', '.join(_KINDS)} are allowed")
    if "FILE_CONTENT" not in call.params:
        secret = call.world.recordings.expect(record.id, name)
        return {"uploadUrl": f"{call.world.url}/upload/record?token={secret}", "fieldName": "file"}
    try:
        content = base64.b64decode(call.text("FILE_CONTENT"), validate=True)
    except (binascii.Error, ValueError):
        raise RestError("ERROR_CORE", "File content is not base64") from None
    if not content:
        raise RestError("ERROR_CORE", "File content is empty")
    return {"FILE_ID": call.world.recordings.keep(record.id, name, content).id}


def _finished(call: Caller) -> Call:
    record = call.world.ledger.get(call.text("CALL_ID"))
    if record is None or record.finished is None:
        raise RestError("ERROR_CORE", "Call is not found in the statistics table")
    return record


RECORDINGS: dict[str, Method] = {"telephony.externalcall.attachrecord": attach}
