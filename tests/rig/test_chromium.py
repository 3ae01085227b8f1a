"""The browser of the tests: frames, clicks, microphone and ear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from .chromium import Chromium
from .page import Page, PageError
from .waiting import wait_for

pytestmark = pytest.mark.scenario

OUTER = """<!doctype html><title>outer</title>
<div style="height: 40px"></div>
<iframe src="http://inner.localhost:PORT/middle" style="margin-left: 50px; border: 3px solid" allow="microphone *; autoplay *"></iframe>
<iframe src="http://inner.localhost:PORT/hidden" style="display: none"></iframe>
<button id="leave">leave</button>
<script>
  addEventListener('beforeunload', (event) => event.preventDefault());
  document.getElementById('leave').onclick = () => { location.href = '/silent'; };
</script>"""
MIDDLE = '<!doctype html><iframe id="nested" src="/button" style="margin: 20px"></iframe>'
BUTTON = """<!doctype html><button id="button" style="margin-top: 300px">press</button>
<script>document.getElementById('button').onclick = (event) => { window.trusted = event.isTrusted; };</script>"""
LOOP = """<!doctype html><button id="tone">tone</button><button id="microphone">microphone</button><audio id="sound"></audio>
<script>
const loop = async (track) => {
  const [from, to] = [new RTCPeerConnection(), new RTCPeerConnection()];
  from.onicecandidate = (event) => event.candidate && to.addIceCandidate(event.candidate);
  to.onicecandidate = (event) => event.candidate && from.addIceCandidate(event.candidate);
  to.ontrack = (event) => {
    const sound = document.getElementById('sound');
    sound.srcObject = new MediaStream([event.track]);
    sound.play();
  };
  from.addTrack(track);
  await from.setLocalDescription();
  await to.setRemoteDescription(from.localDescription);
  await to.setLocalDescription();
  await from.setRemoteDescription(to.localDescription);
};
document.getElementById('tone').onclick = () => {
  const context = new AudioContext();
  const oscillator = new OscillatorNode(context, { frequency: 1004 });
  const destination = new MediaStreamAudioDestinationNode(context);
  oscillator.connect(destination);
  oscillator.start();
  loop(destination.stream.getAudioTracks()[0]);
};
document.getElementById('microphone').onclick = async () => {
  const processing = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  loop((await navigator.mediaDevices.getUserMedia({ audio: processing })).getAudioTracks()[0]);
};
</script>"""


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A site of a few pages; every name under .localhost leads to it."""

    def page(text: str) -> Callable[[web.Request], object]:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(text=text.replace("PORT", str(request.url.port)), content_type="text/html")

        return answer

    app = web.Application()
    for path, text in {
        "/": OUTER,
        "/middle": MIDDLE,
        "/button": BUTTON,
        "/hidden": "<!doctype html><p>hidden",
        "/loop": LOOP,
        "/silent": "<!doctype html><p>silent",
    }.items():
        app.router.add_get(path, page(text))  # type: ignore[arg-type]
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def nested(chromium: Chromium, port: int) -> Page:
    page = await chromium.page(f"http://outer.localhost:{port}/")
    await page.wait_for("document.readyState == 'complete'", frame="/button")
    return page


async def test_scripts_run_in_frames_of_other_sites(chromium: Chromium, port: int) -> None:
    page = await nested(chromium, port)
    assert await page.evaluate("document.title") == "outer"
    assert await page.evaluate("location.host", frame="/button") == f"inner.localhost:{port}"
    assert await page.evaluate("Promise.resolve(location.pathname)", frame="/hidden") == "/hidden"
    assert await page.evaluate("typeof __heard", frame="/hidden") == "function"
    assert len({frame.session for frame in await page.frames()}) > 1
    with pytest.raises(PageError, match="no frame"):
        await page.evaluate("1", frame="/nowhere")
    with pytest.raises(PageError, match="Error: no"):
        await page.evaluate("(() => { throw new Error('no') })()")


async def test_a_click_in_a_nested_frame_is_a_users_click(chromium: Chromium, port: int) -> None:
    page = await nested(chromium, port)
    assert await page.evaluate("navigator.userActivation.hasBeenActive") is False
    await page.click("#button", frame="/button")
    assert await page.wait_for("window.trusted", frame="/button")
    assert await page.evaluate("navigator.userActivation.hasBeenActive") is True


async def test_the_question_before_leaving_is_accepted(chromium: Chromium, port: int) -> None:
    page = await nested(chromium, port)
    await page.click("#leave")
    await page.wait_for("location.pathname == '/silent'")
    assert list(page.dialogs) == ["beforeunload"]


async def test_timers_of_the_hidden_frame_are_throttled_as_for_users(chromium: Chromium, port: int) -> None:
    page = await nested(chromium, port)
    frames = (
        "new Promise((done) => { requestAnimationFrame(() => done('frame')); setTimeout(() => done('timer'), 50) })"
    )
    assert await page.evaluate(frames, frame="/hidden") == "timer"
    assert await page.evaluate(frames) == "frame"


async def test_a_tone_played_by_the_page_is_heard(chromium: Chromium, port: int) -> None:
    page = await chromium.page(f"http://outer.localhost:{port}/loop")
    assert await page.heard(1004) == 0
    await page.click("#tone")
    assert await page.evaluate("__hears(1004, 0.9)") > 0
    await page.wait_for("__heard(1004) > 0.9 && __heard(700) < 0.1", what="that tone and no other")
    await page.evaluate("document.getElementById('sound').pause()")
    await page.wait_for("__heard(1004) == 0", what="silence after the page stopped playing")


async def test_the_microphone_says_its_tone(chromium: Chromium, port: int) -> None:
    page = await chromium.page(f"http://outer.localhost:{port}/loop")
    await page.click("#microphone")
    await page.wait_for("__heard(700) > 0.9")


async def test_a_crashed_frame_leaves_the_page_alive(chromium: Chromium, port: int) -> None:
    page = await nested(chromium, port)
    await page.crash("/middle")

    async def gone() -> bool:
        return not await page.frames("/middle")

    await wait_for(gone, what="the frame to die")
    assert await page.evaluate("1 + 1") == 2


async def test_console_and_exceptions_are_kept(chromium: Chromium, port: int) -> None:
    page = await chromium.page(f"http://outer.localhost:{port}/silent")
    await page.evaluate("console.warn('look', 1); setTimeout(() => { throw new Error('broken') }, 0); 0")
    await wait_for(lambda: bool(page.exceptions), what="the exception")
    assert "warning: look 1" in page.console
    assert "broken" in page.exceptions[0]
