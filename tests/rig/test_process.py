"""The configuration that scenarios give to the bridge is the one that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import load

from .process import render_toml


def test_rendered_settings_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    text = render_toml(
        {
            "state_dir": tmp_path / "var",
            "oauth_hosts": ["http://portal.localhost:1"],
            "http": {"port": 8123, "public_url": "http://bridge.localhost:8123"},
            "media": {"pbx_ports": (21100, 21199)},
            "calls": {"ring_seconds": 2.5},
            "portal": [{"url": "http://portal.localhost:1", "client_id": 'a"b\\c', "client_secret_env": "SECRET"}],
            "trunk": [{"name": "pbx", "server": "127.0.0.1:5060", "register": True}],
            "line": [],
        }
    )
    path.write_text(text)
    settings = load(path)
    assert settings.state_dir == tmp_path / "var"
    assert settings.http.port == 8123
    assert settings.media.pbx_ports == (21100, 21199)
    assert settings.calls.ring_seconds == 2.5
    assert settings.portal[0].client_id == 'a"b\\c'
    assert settings.trunk[0].register_accounts is True


def test_a_value_that_toml_has_no_word_for_is_refused() -> None:
    with pytest.raises(TypeError, match="no TOML"):
        render_toml({"http": {"port": None}})
