"""The PBX of the tests: calls ring, are heard, given up and counted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import needs
from .asterisk import TONE_HZ, Asterisk, free_port
from .tones import share
from .waiting import wait_for

pytestmark = pytest.mark.scenario
AGENT = "1004"

CONFIG = """
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
rtp_ports 22000-22099
audio_source ausine,700
audio_player aubridge,sink
audio_alert aubridge,sink
ausrc_srate 48000
ausrc_channels 2
auplay_srate 48000
auplay_channels 1
snd_path {directory}
module_path {modules}
module g711.so
module ausine.so
module aubridge.so
module sndfile.so
module_app account.so
module_app menu.so
"""


@pytest.fixture
def phone(asterisk: Asterisk, tmp_path: Path) -> Iterator[Path]:
    """A phone that says 700 Hz and keeps what it hears in this folder; not registered yet, and answers by itself."""
    needs("baresip")
    modules = next(path.parent for path in Path("/usr/lib").glob("**/baresip/modules/g711.so"))
    (tmp_path / "config").write_text(CONFIG.format(port=free_port(), directory=tmp_path, modules=modules))
    (tmp_path / "contacts").touch()
    account = f"<sip:{AGENT}@{asterisk.address};transport=udp>;auth_user={AGENT};auth_pass={asterisk.passwords[AGENT]}"
    (tmp_path / "accounts").write_text(f"{account};answermode=auto;regint=60;audio_codecs=PCMU/8000/1\n")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["baresip", "-f", tmp_path],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(tmp_path)},
        )
    yield tmp_path
    process.terminate()
    process.wait(10)


async def test_caller_and_agent_hear_each_other(asterisk: Asterisk, phone: Path) -> None:
    await asterisk.wait_registered(AGENT)
    call = asterisk.call(AGENT, caller="+4930555", name="Max")
    assert await call.is_answered() == 200
    assert call.messages()[0].header("From").startswith('"Max" <sip:+4930555@')
    assert call.is_up()
    await wait_for(lambda: call.hears(700), 10, "the agent's tone at the caller")
    call.hang_up()
    await call.is_over()
    await wait_for(lambda: call.byes() == (1, 0), 5, "the BYE")
    assert list(asterisk.answers(AGENT).values())[-1] == [200]
    assert share(next(phone.glob("*-dec.wav")), TONE_HZ) > 0.9


async def test_an_agent_without_a_phone_is_not_called(asterisk: Asterisk) -> None:
    assert asterisk.registered("1003") == ""
    call = asterisk.call("1003")
    await call.is_over()
    assert call.messages() == []


async def test_it_is_back_after_a_crash(tmp_path: Path) -> None:
    needs("asterisk")
    with Asterisk(tmp_path, agents=1) as asterisk:
        before = asterisk.address
        asterisk.restart()
        assert asterisk.address == before
        assert "1001" in asterisk.cli("pjsip show endpoints")
