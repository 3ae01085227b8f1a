"""The configuration that scenarios give to the bridge is the one that it reads, and a forged bridge is like any other."""

from __future__ import annotations

from pathlib import Path
from socket import SOCK_STREAM

import pytest

from bridge.config import load
from bridge.tickets import new_key

from .forge import Forge
from .ports import free_port, free_sip_port
from .process import BridgeProcess, render_toml
from .waiting import PATIENCE


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


def test_a_forged_bridge_has_its_own_arguments_environment_log_and_exit_status(tmp_path: Path, forge: Forge) -> None:
    log, config = tmp_path / "log", tmp_path / "bridge.toml"
    config.write_text('[http]\nport = "none"\n')
    assert forge.start(["--help"], cwd=tmp_path, env={"COLUMNS": "200"}, log=log).wait(PATIENCE) == 0
    assert "A telephone on every page of Bitrix24." in log.read_text()
    env = {"BRIDGE_CONFIG": "bridge.toml"}
    assert forge.start(["run"], cwd=tmp_path, env=env, log=log).wait(PATIENCE) == 1
    assert "bridge: bridge.toml" in log.read_text()


@pytest.mark.parametrize("how", ["forged", "by its command line"])
async def test_a_bridge_stops_in_order_or_is_killed_and_either_is_told(tmp_path: Path, forge: Forge, how: str) -> None:
    settings = {
        "http": {"port": free_port(SOCK_STREAM)},
        "sip": {"port": free_sip_port()},
        "media": {"browser_port": free_port()},
    }
    secrets = {"BRIDGE_SECRET_KEYS": new_key()}
    bridge = BridgeProcess(tmp_path, settings=settings, secrets=secrets, forge=forge if how == "forged" else None)
    async with bridge:
        first = bridge.pid
        assert await bridge.stop() == 0
        assert bridge.pid == 0
        await bridge.start()
        assert bridge.pid not in {0, first}
        bridge.kill()
        assert bridge.pid == 0
