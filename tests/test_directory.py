"""What calls are told of the settings."""

from __future__ import annotations

import pytest

from bridge.config import Settings
from bridge.directory import directory


@pytest.mark.parametrize(
    ("server", "host", "voice", "address", "ipv6"),
    [
        ("[2001:db8::1]:5060", ["192.0.2.1", "2001:db8::9"], "auto", "2001:db8::9", True),
        ("192.0.2.2", ["192.0.2.1", "2001:db8::9"], "auto", "2001:db8::9", False),
        ("pbx.example", ["192.0.2.1", "2001:db8::9"], "auto", "2001:db8::9", False),
        ("pbx.example", "2001:db8::9", "auto", "2001:db8::9", True),
        ("pbx.example", ["192.0.2.1", "2001:db8::9"], "ipv6", "2001:db8::9", True),
        ("[2001:db8::1]", "2001:db8::9", "ipv4", "2001:db8::9", False),
        ("[2001:db8::1]", "2001:db8::9", "auto", "", False),
    ],
)
def test_which_kind_of_address_our_offers_to_a_pbx_name(
    server: str, host: str | list[str], voice: str, address: str, ipv6: bool
) -> None:
    settings = settings_of(server, host, voice, address)
    assert directory(settings, {}).trunks["pbx"].media.ipv6_first is ipv6


@pytest.mark.parametrize("host", ["2001:db8::20", "192.0.2.20"])
def test_a_name_is_spoken_with_over_what_it_was_resolved_to(host: str) -> None:
    settings = settings_of("pbx.example", ["192.0.2.1", "2001:db8::9"], "auto", "2001:db8::9")
    media = directory(settings, {}, met_at={"pbx": host}.__getitem__).trunks["pbx"].media
    assert (media.towards, media.ipv6_first) == (host, ":" in host)


def settings_of(server: str, host: str | list[str], voice: str, address: str) -> Settings:
    return Settings.model_validate(
        {
            "sip": {"host": host},
            "media": {"pbx_address6": address},
            "portal": [{"url": "https://acme.bitrix24.com", "client_id": "app", "client_secret_env": "SECRET"}],
            "trunk": [{"name": "pbx", "server": server, "voice": voice}],
        }
    )
