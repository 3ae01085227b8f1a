"""A wrong setting is named with its line and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import Media, Settings, Trunk, load
from bridge.errors import ConfigError

GOOD = """\
[http]
port = 8090

[[portal]]
url = "https://acme.bitrix24.com"
client_id = "local.1"
client_secret_env = "ACME_SECRET"

[[trunk]]
name = "office"
server = "127.0.0.1:5060"

[[operator]]
portal = "https://acme.bitrix24.com"
user_id = 1
extension = "101"
trunk = "office"
sip_user = "1001"
password_env = "ACME_1001"
"""


def settings(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "bridge.toml"
    file.write_text(text)
    return load(file)


def test_the_commented_sample_is_valid() -> None:
    assert load(Path(__file__).parent.parent / "config" / "bridge.toml").http.port == 8090


@pytest.mark.parametrize(
    ("server", "address"),
    [("pbx", ("pbx", None)), ("pbx.example:5070", ("pbx.example", 5070)), ("[::1]:5060", ("::1", 5060)), ("[::1]", ("::1", None))],
)  # fmt: skip
def test_a_trunks_server_is_a_host_and_maybe_a_port(
    tmp_path: Path, server: str, address: tuple[str, int | None]
) -> None:
    assert settings(tmp_path, GOOD.replace("127.0.0.1:5060", server)).trunk[0].address == address


def test_a_portal_is_known_by_its_host(tmp_path: Path) -> None:
    assert settings(tmp_path, GOOD).portal[0].id == "acme.bitrix24.com"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_HTTP__PORT", "9000")
    assert settings(tmp_path, GOOD).http.port == 9000


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("port = 8090", "port = 80900"), 2, "less than or equal to 65535, not 80900"),
        (("port = 8090", 'port = "many"'), 2, "integer"),
        (("port = 8090", "prot = 8090"), 2, "no such setting"),
        (("https://acme.bitrix24.com", "acme.bitrix24.com"), 4, "must be a url"),
        (("127.0.0.1:5060", "sip:127.0.0.1"), 9, 'server must be "host"'),
        (('"127.0.0.1:5060"', '"127.0.0.1"\nkind = "trunk"'), 9, "needs user and password_env"),
        (('"127.0.0.1:5060"', '"127.0.0.1"\nknown_by = "credentials"'), 9, "needs caller_user"),
        (('"127.0.0.1:5060"', '"127.0.0.1"\nnetworks = ["10.0.0.0/99"]'), 12, "network"),
        (("127.0.0.1:5060", "::1"), 9, 'server must be "host"'),
        (('"127.0.0.1:5060"', '"127.0.0.1"\ntransport = "sctp"'), 12, "'udp'"),
        (("[http]", '[sip]\nhost = "pbx"\n[http]'), 1, "host must be an IP address, not 'pbx'"),
        (("[http]", '[sip]\nhost = ["10.0.0.1", "10.0.0.2"]\n[http]'), 1, "one of IPv4 and one of IPv6"),
        (("user_id = 1\n", ""), 13, "required"),
        (('trunk = "office"', 'trunk = "home"'), 0, 'no [[trunk]] has the name "home"'),
        (("[http]", "[media]\npbx_ports = [40000, 41000]\n[http]"), 1, "below 32768"),
        (("[http]", "[media]\npbx_ports = [21000, 21005]\nworkers = 4\n[http]"), 1, "too few for 4 workers"),
        (("[http]", "[media]\nbrowser_port = 65535\nworkers = 2\n[http]"), 1, "as many ports"),
        (("[[trunk]]", '[portal.tolls]\nnight = ["20:00", "07:00"]\n[[trunk]]'), 0, "wants the time_zone"),
        (("[[trunk]]", '[portal.tolls]\ntime_zone = "Europe/Atlantis"\n[[trunk]]'), 0, "no such zone"),
        (('"127.0.0.1:5060"', '"127.0.0.1"\nvoice = "ipv6"'), 0, "needs media.pbx_address6"),
        (("[[trunk]]", '[portal.tolls]\nforbidden = ["abroad"]\n[[trunk]]'), 0, "tolls.forbidden"),
        (("[[trunk]]", '[portal.recording]\nannouncement = "missing.wav"\n[[trunk]]'), 0, "there is no missing.wav"),
        (
            ("[[trunk]]", '[portal.recording]\ncalls = "always"\n[media]\nengine = "rtpengine"\n[[trunk]]'),
            0,
            'without media.rtpengine_recordings needs media.engine = "own"',
        ),
        (("[http]", '[media]\nturn_urls = ["turn:turn.example.com"]\n[http]'), 1, "want turn_secret_env"),
        (("[http]", '[media]\nturn_urls = ["stun:turn.example.com"]\n[http]'), 1, "stun:turn.example.com"),
        (("[http]", '[media]\nturn_urls = ["turn:turn.example.com:70000"]\n[http]'), 1, "one is"),
        (("port = 8090", 'port = 8090\n[media]\nhold_music = "gone.mp3"'), 4, "there is no gone.mp3"),
        (('"local.1"', '"local.1"\nhold_music = "gone.mp3"'), 7, "there is no gone.mp3"),
        (('"127.0.0.1:5060"', '"127.0.0.1"\nhold_music = "gone.mp3"'), 12, "there is no gone.mp3"),
        (('"127.0.0.1:5060"', '"127.0.0.1"\ntones = "XX"'), 12, "those of AT, AU, "),
        (("[http]", "[media]\nrejoin_music = true\n[http]"), 0, "rejoin_music needs hold_music"),
        (("[http]", "[http"), 0, "line 1"),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_the_remedy(
    tmp_path: Path, change: tuple[str, str], line: int, says: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        settings(tmp_path, GOOD.replace(*change, 1))
    assert says in str(raised.value)
    if line:
        assert f"bridge.toml:{line}:" in str(raised.value)


def test_a_secret_that_is_not_in_the_environment_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ACME_1001"):
        _ = settings(tmp_path, GOOD).operator[0].password


def test_a_missing_or_unreadable_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bridge.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "bridge.toml")


def test_an_rtpengine_is_refused_where_a_trunk_wants_what_it_does_not_do(tmp_path: Path) -> None:
    text = GOOD.replace("[http]", '[media]\nengine = "rtpengine"\n[http]', 1)
    assert settings(tmp_path, text).media.engine_addresses == (("127.0.0.1", 2223),)
    several = text.replace(
        'engine = "rtpengine"', 'engine = "rtpengine"\nrtpengine = ["192.0.2.1:1", "192.0.2.2:2"]', 1
    )
    assert settings(tmp_path, several).media.engine_addresses == (("192.0.2.1", 1), ("192.0.2.2", 2))
    wishes = 'srtp = "required"', 'srtp = "dtls"', 'hold_music = "none"', 'transcode = "opus-to-browser"'
    for wish in wishes:
        with pytest.raises(ConfigError, match="needs media"):
            settings(tmp_path, text.replace('"127.0.0.1:5060"', f'"127.0.0.1:5060"\n{wish}', 1))
    for wish in ('calls = "always"', 'calls = "asked"\nbeep_seconds = 10'):
        with pytest.raises(ConfigError, match="needs media"):
            settings(tmp_path, text.replace("[[trunk]]", f"[portal.recording]\n{wish}\n[[trunk]]", 1))
    spool = text.replace('engine = "rtpengine"', 'engine = "rtpengine"\nrtpengine_recordings = "spool"', 1)
    told = '[portal.recording]\ncalls = "always"\nannouncement = "beep"\n[[trunk]]'
    assert settings(tmp_path, spool.replace("[[trunk]]", told, 1)).media.rtpengine_recordings == Path("spool")


def test_media_workers_share_the_ports_without_a_gap_and_without_an_overlap() -> None:
    media = Media(browser_advertised="203.0.113.7:3478", pbx_ports=(21001, 21012), workers=2)
    shares = [media.share(0), media.share(1)]
    assert [(share.browser_port, share.browser_advertised) for share in shares] == [
        (30000, "203.0.113.7:3478"),
        (30001, "203.0.113.7:3479"),
    ]
    assert [share.pbx_ports for share in shares] == [(21002, 21005), (21006, 21009)]


@pytest.mark.parametrize(("transport", "srtp", "count"), [
    ("udp", "required", 1), ("auto", "required", 1), ("tls", "required", 0), ("wss", "required", 0), ("udp", "allowed", 0),
])  # fmt: skip
def test_keys_in_signalling_that_anybody_can_read_are_cautioned_against(transport: str, srtp: str, count: int) -> None:
    trunk = Trunk.model_validate({"name": "office", "server": "192.0.2.1", "transport": transport, "srtp": srtp})
    assert len(trunk.cautions) == count
    assert all('Set transport = "tls"' in caution for caution in trunk.cautions)
