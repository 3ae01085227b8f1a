"""Strangers, forgers and broken software: each gets a clear answer, nothing is lost, the bridge goes on."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
import socketio
from socketio.exceptions import ConnectionError as RefusedBySocket

from bridge.tickets import PageTicket, Seal, new_key

from ..rig.process import ROOT
from .stage import ANNA, Stage

INVITE = (
    "INVITE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{n}\r\n"
    "From: <sip:x@y>;tag=1\r\nTo: <sip:1001@y>\r\nCall-ID: {n}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
MALFORMED = [
    b"\x00" * 200,
    b"INVITE\r\n\r\n",
    b"INVITE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nCSeq: 99999999999 INVITE\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP nobody;branch=z9hG4bKno\r\nCSeq: 1 INVITE\r\n\r\n",
    b"REGISTER sip:x SIP/2.0\r\nFrom: " + b'"' * 8000 + b"\r\n\r\n",
    b"OPTIONS sip:1001@127.0.0.1 SIP/2.0\r\nContent-Length: 999999\r\n\r\n",
    bytes(range(256)) * 4,
]


def hello(ticket: str) -> dict[str, object]:
    presence = {"visible": True, "capture": "yes", "card": True}
    return {"ticket": ticket, "session": "", "tab": "t", "browser": "b", "page": "worker", "presence": presence}


async def call_goes_through(stage: Stage) -> None:
    page = await stage.sign_in(ANNA)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    call.hang_up()
    assert (await stage.record()).status_code == "200"


async def test_malformed_sip_and_invites_of_strangers_change_nothing(stage: Stage) -> None:
    port = stage.bridge.settings["sip"]["port"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        for datagram in MALFORMED:
            stranger.sendto(datagram, ("127.0.0.1", port))
        for number in range(50):
            text = INVITE.format(port=stranger.getsockname()[1], n=f"{number}-{time.time()}")
            stranger.sendto(text.encode(), ("127.0.0.1", port))
    await call_goes_through(stage)


async def test_forged_posts_get_a_status_and_a_sentence_and_no_ticket(stage: Stage) -> None:
    form = {"AUTH_ID": "forged", "member_id": "0" * 32, "PLACEMENT": "PAGE_BACKGROUND_WORKER"}
    async with aiohttp.ClientSession(stage.bridge.url) as client:
        async with client.post("/b24/worker?DOMAIN=evil.example.com&PROTOCOL=1&APP_SID=x", data=form) as answer:
            assert answer.status == 403
            text = await answer.text()
            assert "data-ticket" not in text
            assert "evil.example.com" not in answer.headers.get("Content-Security-Policy", "")
        async with client.post("/b24/worker", data=b"\xff\xfe\x00") as answer:
            assert answer.status == 400
        async with client.post("/b24/worker", data={"x": "y" * 100_000}) as answer:
            assert answer.status in {400, 413}
        event = {
            "event": "ONAPPUNINSTALL",
            "auth[member_id]": stage.portal.member_id,
            "auth[application_token]": "guess",
        }
        async with client.post("/b24/events", data=event) as answer:
            assert answer.status == 403
        async with client.post("/b24/install", json={"ticket": "forged"}) as answer:
            assert answer.status in {400, 403}
            assert await answer.text()
    assert stage.portal.installed
    await call_goes_through(stage)


@pytest.mark.parametrize("placement", ["ROBOT", "PAGE_BACKGROUND_WORKER", ""])
async def test_a_forged_post_lets_nobody_in_as_an_operator(stage: Stage, placement: str) -> None:
    """Whatever the form claims: the portal is asked with its token, and nothing else makes an operator."""
    domain = stage.portal.url.removeprefix("http://")
    form = {
        "AUTH_ID": "nonsense",
        "member_id": stage.portal.member_id,
        "PLACEMENT": placement,
        "PLACEMENT_OPTIONS": json.dumps({"URI": f"{domain}/{ANNA}"}),
    }
    query = {"DOMAIN": domain, "PROTOCOL": "0", "APP_SID": "s", "LANG": "en"}
    async with (
        aiohttp.ClientSession(stage.bridge.url) as client,
        client.post("/b24/worker", params=query, data=form) as answer,
    ):
        found = re.search(r'data-ticket="([^"]*)"', await answer.text())
    if found is not None:
        client_socket = socketio.AsyncClient(reconnection=False)
        with pytest.raises(RefusedBySocket):
            await client_socket.connect(stage.bridge.url, auth=hello(found[1]), transports=["websocket"])
    assert await stage.tabs() == []


@pytest.mark.parametrize("kind", ["forged", "expired", "foreign portal", "garbage"])
async def test_a_page_with_a_wrong_ticket_is_told_what_to_do(stage: Stage, kind: str) -> None:
    ours = Seal([stage.bridge.secrets["BRIDGE_SECRET_KEYS"]])
    ticket = PageTicket(
        auth_id="x", member_id=stage.portal.member_id, domain="evil.example.com", app_sid="s", uri="/", placement="W"
    )
    sealed = {
        "forged": Seal([new_key()]).seal(ticket, time.time()),
        "expired": ours.seal(ticket, time.time() - 86_400),
        "foreign portal": ours.seal(ticket, time.time()),
        "garbage": "not a ticket",
    }[kind]
    told: list[object] = []
    client = socketio.AsyncClient(reconnection=False)
    client.on("connect_error", told.append)
    with pytest.raises(RefusedBySocket):
        await client.connect(stage.bridge.url, auth=hello(sealed), transports=["websocket"])
    assert isinstance(told[0], dict)
    assert told[0]["message"] in {"ticket-invalid", "ticket-expired", "not-an-operator"}
    assert len(told[0]["data"]["text"]) > 20
    requests = json.dumps([str(request) for request in stage.portal.requests])
    assert "evil.example.com" not in requests


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[http]\nport = 99999\n", "bridge.toml:2: http.port"),
        ("[http\n", "bridge.toml: "),
        ('[[trunk]]\nname = "a"\nserver = "::bad::"\n', "server must be"),
        ("", "BRIDGE_SECRET_KEYS"),
    ],
)
def test_a_broken_configuration_is_one_sentence_not_a_traceback(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bridge.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "run", "--config", str(tmp_path / "bridge.toml")],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_port_that_is_taken_is_named_with_its_setting(stage: Stage) -> None:
    second = stage.bridge.directory / "second"
    second.mkdir()
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bridge", "run", "--config", str(stage.bridge.config)],
        cwd=second,
        env={"PYTHONPATH": str(ROOT), **stage.bridge.secrets},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "can't use UDP" in done.stderr or "can't listen on" in done.stderr
    assert "Traceback" not in done.stderr
    await call_goes_through(stage)
