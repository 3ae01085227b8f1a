"""The rows and columns of the matrix: features in the order of its pages, and peers with the way to ask for their version."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

from ..rig.asterisk import default_root

ASTERISK, SIPP, BARESIP, SOFIA = "Asterisk (pjsip)", "sipp", "baresip", "Janus (Sofia-SIP)"

UNTESTED = (
    "FreeSWITCH",
    "Kamailio and OpenSIPS as the proxy in between",
    "3CX",
    "Cisco CUCM",
    "Avaya",
    "MikoPBX and FreePBX as they are shipped (both are Asterisk inside)",
    "session border controllers of providers",
)
"""Who is met in the field and was never called by a test."""

FEATURES: dict[str, tuple[str, ...]] = {
    "Transports": (
        "UDP", "TCP", "TLS", "mutual TLS", "SIPS (sips: addresses)", "WebSocket", "secure WebSocket", "IPv6 (signalling)", "IPv6 (voice)", "failover to the second SRV target",
        "RFC 5626 flows",
    ),
    "Connecting": (
        "registration", "digest MD5", "digest SHA-256", "digest SHA-512-256", "trunk by address",
        "trunk by credentials", "trunk by certificate", "OPTIONS, answered", "OPTIONS, sent", "MWI shown",
        "BLF by SUBSCRIBE (dialog package)",
    ),
    "Calls": (
        "incoming call", "outgoing call", "two-way tone", "100rel: our ringing is reliable",
        "100rel: we send PRACK", "early media heard by us", "early media towards callers", "late offer", "forked 2xx", "CANCEL by us",
        "CANCEL by the peer", "CANCEL crossing 200", "refusals with their codes", "unusable offers refused (488, 415)", "UPDATE",
        "session timer, agreed in both roles",
        "session timer, refreshed by us", "session timer, refreshed by the peer", "call waiting",
        "Reason: answered elsewhere", "Diversion shown", "toll rules keep a number from the peer",
    ),
    "Changes in a call": (
        "hold by us", "hold by the peer", "re-INVITE by the peer", "re-INVITE by us refused",
        "glare (491)", "T.38 refused",
    ),
    "Transfer": (
        "blind, from us", "blind, fails and returns", "attended, from us", "blind, by the peer (REFER to us)",
        "attended, by the peer (REFER to us with Replaces)", "Replaces accepted", "conference of three",
    ),
    "Keys": ("RFC 4733, sent", "RFC 4733, received", "INFO, sent", "INFO, received"),
    "Voice": (
        "PCMU", "PCMA", "G722", "opus", "SDES AES_CM_128_HMAC_SHA1_80", "SDES AES_CM_128_HMAC_SHA1_32",
        "SDES AES-GCM", "SRTP required by us", "DTLS-SRTP", "ICE",
    ),
}  # fmt: skip


def _printed(pattern: str, *command: str) -> str:
    """The first group of the pattern in what the command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "version unknown"


def _sofia() -> str:
    sofia = _printed(r"(.+)", "dpkg-query", "--show", "--showformat", "${Version}", "libsofia-sip-ua0")
    return f"{_printed(r'version: .*?([0-9.]+[)])', 'janus', '--version').rstrip(')')}, Sofia-SIP {sofia}"


PEERS: dict[str, Callable[[], str]] = {
    ASTERISK: lambda: _printed(r"Asterisk (\S+)", str(default_root() / "usr/bin/asterisk"), "-V"),
    SIPP: lambda: _printed(r"SIPp v([\d.]+)", "sipp", "-v"),
    BARESIP: lambda: _printed(r"baresip v(\S+)", "baresip", "-h"),
    SOFIA: _sofia,
}
