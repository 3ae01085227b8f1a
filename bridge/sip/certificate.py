"""Whom a certificate names, as SIP wants it (RFC 5922; pure).

A certificate is the dictionary of `ssl.SSLSocket.getpeercert`: verified already, and empty if the peer showed none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from .flow import numeric_host

Certificate: TypeAlias = Mapping[str, Any]


def names(certificate: Certificate) -> frozenset[str]:
    """The SIP domains, in small letters: those of `URI:sip:…`, and only without any the DNS names and addresses (7.1)."""
    alternatives = [(kind, str(value)) for kind, value in certificate.get("subjectAltName", ())]
    domains = {
        value.partition(":")[2] for kind, value in alternatives if kind == "URI" and value.lower().startswith("sip:")
    }
    # A URI with a user part names that user, not the domain.
    domains = {domain.lower() for domain in domains if domain and "@" not in domain}
    if domains:
        return frozenset(domains)
    hosts = {value.lower() for kind, value in alternatives if kind == "DNS"}
    return frozenset(hosts | {numeric_host(value) for kind, value in alternatives if kind == "IP Address"} - {""})


def certifies(certificate: Certificate, domain: str, *, wildcards: bool = False) -> bool:
    """Whether it names the domain (or numeric address). `*.example.com` does so only where wildcards are tolerated (7.2)."""
    known = names(certificate)
    wanted = numeric_host(domain) or domain.lower().rstrip(".")
    if wanted in known:
        return True
    parent = wanted.partition(".")[2]
    return wildcards and "." in parent and f"*.{parent}" in known
