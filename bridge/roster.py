"""`bridge operators`: who has which account, asked of the running bridge, or of its store when none is running."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from . import control
from .config import Settings
from .errors import NetworkError, RefusedError
from .portal.http import Http
from .portal.keyring import Keyring
from .portal.oauth import OAuth
from .portal.people import People
from .portal.rest import Rest
from .portal.sheet import read
from .portal.staff import Staff
from .store.database import Store
from .tickets import Seal


async def ask(settings: Settings, keys: Sequence[str], **request: Any) -> dict[str, Any]:
    """The answer to one request; BridgeError with a sentence when it is refused."""
    try:
        return await control.ask(settings.state_dir, do="operators", **request)
    except NetworkError:
        async with _stored(settings, keys) as staff:
            return await answer(staff, request)


async def answer(staff: Staff, request: Mapping[str, Any]) -> dict[str, Any]:
    """`wish` is list, import (`portal`, `text`, `dry`) or remove (`portal`, `trunk`, `sip_user`)."""
    match request.get("wish"):
        case "list":
            return {"operators": list(_rows(staff))}
        case "import":
            verdicts = await staff.take(str(request["portal"]), read(str(request["text"])), dry=bool(request["dry"]))
            return {"lines": [asdict(verdict) for verdict in verdicts]}
        case "remove":
            key = str(request["trunk"]), str(request["sip_user"])
            if refusal := await staff.remove(str(request["portal"]), key):
                raise RefusedError(refusal)
            return {}
    raise RefusedError("wish must be list, import or remove")


def _rows(staff: Staff) -> Iterable[dict[str, Any]]:
    for post in staff.posts:
        yield {
            "portal": post.portal,
            "user": post.user,
            "extension": post.account.extension,
            "trunk": post.account.trunk,
            "sip_user": post.account.sip_user,
            "source": "file" if post.is_fixed else "store",
        }


@asynccontextmanager
async def _stored(settings: Settings, keys: Sequence[str]) -> AsyncIterator[Staff]:
    """The staff as the store knows it; Bitrix24 is not asked."""
    store, http = Store(settings.store.url, Seal(keys)), Http()
    keyring = Keyring(
        settings=settings,
        portals=store.portals,
        oauth=OAuth(settings=settings, http=http),
        succeeded=lambda portal, user: None,
    )
    rest = Rest(http=http, keyring=keyring)
    people = People(rest=rest, portals=(), changed=_unheard)
    async with store.running():
        yield Staff(settings=settings, accounts=store.accounts, people=people, changed=lambda: None)


async def _unheard(portal: str) -> None:
    """Nobody runs who could take notice."""
