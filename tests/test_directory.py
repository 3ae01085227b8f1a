"""What calls are told of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.calls.commands import NO_MUSIC, PBX_MUSIC
from bridge.calls.routing import policy_of
from bridge.config import Settings
from bridge.directory import directory

TRUNKS: dict[str, dict[str, str]] = {"unsaid": {}, "pbx": {"hold_music": "pbx"}, "none": {"hold_music": "none"}}


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


@pytest.mark.parametrize(
    ("portal", "trunk", "chosen", "country"),
    [
        ({}, {}, "", "RU"),
        ({"region": "DE"}, {}, "", "DE"),
        ({"region": "DE"}, {}, "FR", "FR"),
        ({"region": "DE", "tones": "at"}, {}, "FR", "AT"),
        ({"region": "DE"}, {"region": "GB"}, "FR", "GB"),
        ({"tones": "AT"}, {"tones": "US"}, "", "US"),
    ],
)
def test_whose_tones_an_operator_hears(
    portal: dict[str, str], trunk: dict[str, str], chosen: str, country: str
) -> None:
    """What is said of tones, by the trunk, then by the portal; else the region, which may be chosen on the page."""
    settings = Settings.model_validate(
        {
            "portal": [
                {"url": "https://acme.bitrix24.com", "client_id": "app", "client_secret_env": "SECRET", **portal}
            ],
            "trunk": [{"name": "pbx", "server": "192.0.2.2", **trunk}],
        }
    )
    known = directory(settings, {}, lambda portal: chosen)
    assert policy_of(known, "acme.bitrix24.com", "pbx").tones == country


def test_what_is_heard_on_hold_is_a_file_by_its_whole_path_or_one_of_two_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wait.mp3").touch()
    settings = Settings.model_validate(
        {
            "media": {"hold_music": "wait.mp3", "rejoin_music": True},
            "portal": [{"url": "https://acme.bitrix24.com", "client_id": "app", "client_secret_env": "SECRET"}],
            "trunk": [{"name": name, "server": "192.0.2.2", **said} for name, said in TRUNKS.items()],
        }
    )
    known = directory(settings, {})
    heard = {name: policy_of(known, "acme.bitrix24.com", name).media for name in TRUNKS}
    assert {name: media.music for name, media in heard.items()} == {
        "unsaid": str(tmp_path / "wait.mp3"),
        "pbx": PBX_MUSIC,
        "none": NO_MUSIC,
    }
    assert all(media.rejoin_music for media in heard.values())
    assert list(settings.music) == ["wait.mp3"]
