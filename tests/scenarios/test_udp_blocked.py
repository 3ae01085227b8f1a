"""An operator whose network lets no UDP out: the voice goes over TCP to a TURN server; without one the telephone says what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.operators.turn import password_for

from ..conftest import HasLog, needs
from ..rig.chromium import Chromium
from ..rig.coturn import SECRET, Coturn
from ..rig.leaks import leaks
from ..rig.page import LISTENER, Page
from ..rig.waiting import wait_for
from .conftest import Stages
from .stage import ANNA

NO_UDP = "--webrtc-ip-handling-policy=disable_non_proxied_udp"
"""WebRTC of this browser sends TCP only, to TURN servers."""
GATHERED = """(async () => {
  const pc = new RTCPeerConnection();
  pc.addTransceiver("audio");
  const found = [];
  const done = new Promise((resolve) => {
    pc.onicecandidate = ({ candidate }) => (candidate ? found.push(candidate.candidate) : resolve());
  });
  await pc.setLocalDescription();
  await done;
  pc.close();
  return found.filter(Boolean);
})()"""
IMPATIENT = """
const wait = window.setTimeout;
window.setTimeout = (what, ms, ...more) => wait(what, ms === 8000 ? 800 : ms, ...more);
"""
"""A leg gets a tenth of the eight seconds that it has to connect in: more than enough for one that can."""


@pytest.fixture
async def coturn(tmp_path: Path, evidence: list[HasLog]) -> AsyncIterator[Coturn]:
    needs("coturn")
    server = Coturn(tmp_path)
    async with server.running():
        evidence.append(server)
        yield server


@pytest.fixture
async def walled(browsers: Callable[..., Any]) -> Chromium:
    """A browser that can send no UDP."""
    browser: Chromium = await browsers(flags=[NO_UDP], scripts=(LISTENER, IMPATIENT))
    return browser


async def assert_no_udp(page: Page) -> None:
    assert await page.evaluate(GATHERED) == [], "the browser has an address of its own to speak from"


async def test_where_udp_is_blocked_the_voice_goes_both_ways_through_a_turn_server(
    stages: Stages, coturn: Coturn, walled: Chromium
) -> None:
    media = {"turn_urls": [coturn.url], "turn_secret_env": "TURN_SECRET"}
    stage = await stages(browser=False, media=media, secrets={"TURN_SECRET": SECRET})
    page = await stage.sign_in(ANNA, browser=walled)
    await assert_no_udp(page)
    assert not coturn.users(), "nothing is asked of it before a call"
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    users = await wait_for(coturn.users, what="coturn to tell whom it serves")
    call.hang_up()
    assert (await stage.record()).status_code == "200"
    assert not leaks(stage.bridge.directory, {password_for(user, SECRET) for user in users}), (
        "a password for the TURN server"
    )


async def test_where_udp_is_blocked_and_no_turn_server_is_known_the_telephone_says_that_the_voice_does_not_connect(
    stages: Stages, walled: Chromium
) -> None:
    stage = await stages(browser=False)
    page = await stage.sign_in(ANNA, browser=walled)
    await assert_no_udp(page)
    call = stage.ring()
    await stage.answer(page)
    await stage.says(page, "The voice could not be started.")
    await stage.says(page, "check your network")
    assert call.final_status() == 0, "nobody was connected to silence"
