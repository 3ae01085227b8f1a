"""Why the voice can't take part in a call that a PBX offers: with the codes of Warning (RFC 3261, 20.43); pure."""

from __future__ import annotations

from collections.abc import Collection

from ..calls.commands import Secrecy
from . import sdp
from .pbx_sdp import NO_IPV6, parse_pbx_offer

INCOMPATIBLE_ADDRESS = 301
INCOMPATIBLE_TRANSPORT = 302
NO_SUCH_MEDIA = 304
INCOMPATIBLE_FORMAT = 305
MISCELLANEOUS = 399


def objection(
    offer: bytes, allowed: Collection[str], secrecy: Secrecy, *, ipv6: bool = False
) -> tuple[int, str] | None:
    """Code and sentence; None for an offer that can be answered, and for a call that asks for ours.

    `allowed`: names of codecs; `ipv6`: we have an address for that, too.
    """
    if not offer:
        return None
    try:
        sections = sdp.parse(offer)
    except sdp.SdpError as error:
        return MISCELLANEOUS, str(error)
    if not any(section.kind == "audio" and section.port for section in sections):
        return NO_SUCH_MEDIA, "the PBX offers no audio"
    try:
        theirs = parse_pbx_offer(offer, secrecy, ipv6=True)
    except sdp.SdpError as error:
        return INCOMPATIBLE_TRANSPORT, str(error)
    if theirs.ipv6 and not ipv6:
        return INCOMPATIBLE_ADDRESS, NO_IPV6
    if not any(codec.name in allowed for codec in theirs.codecs):
        return INCOMPATIBLE_FORMAT, f"none of the PBX's codecs is one of {', '.join(allowed)}"
    return None
