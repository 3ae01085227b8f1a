"""A page's leg in an rtpengine, and under which tag it is known there; pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ...calls.events import TabId
from .. import page_sdp, sdp

MAX_LEGS: Final = 8
"""Pages that may be connected at once; a page that comes later takes the place of one that left."""


@dataclass(slots=True, kw_only=True)
class EngineLeg:
    """One page's leg."""

    tag: str
    page: page_sdp.PageOffer
    codec: sdp.Codec
    port: int = 0
    """Where its voice comes to in the engine."""
    version: int = 0
    before: int = 0
    """Packets that came under its tag before it came."""


def free_tag(legs: dict[TabId, EngineLeg], tab: TabId, needed: Collection[TabId | None]) -> str:
    """For a new leg of this page, whose old one goes: its tag, else one that no leg has, else that of the oldest not `needed`, which
    goes, too."""
    if (old := legs.pop(tab, None)) is not None:
        return old.tag
    taken = {leg.tag for leg in legs.values()}
    for tag in (f"page-{number}" for number in range(MAX_LEGS)):
        if tag not in taken:
            return tag
    return legs.pop(next(other for other in legs if other not in needed)).tag
