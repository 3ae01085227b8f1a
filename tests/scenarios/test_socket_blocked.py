"""A page whose socket does not come about sleeps; a call wakes it through Bitrix24's push server, and it rings."""

from __future__ import annotations

from ..rig.waiting import wait_for
from .stage import ANNA, WORKER, Stage

BLOCKED = """
if (location.hostname.startsWith("bridge")) {
  const Real = WebSocket;
  window.WebSocket = function (url, ...more) {
    return new Real(String(url).includes("/socket.io/") && !localStorage.getItem("test.open") ? "ws://127.0.0.1:1/" : url, ...more);
  };
  window.WebSocket.prototype = Real.prototype;
}
"""


async def test_a_call_wakes_a_page_whose_socket_was_blocked(stage: Stage) -> None:
    first = await stage.sign_in(ANNA)  # from now on the browser has a session
    page = await stage.browser.page("about:blank")
    await page.on_new_document(BLOCKED)
    await page.navigate(f"{stage.portal.url}/company/?user={ANNA}")
    await page.click("h1")
    await wait_for(lambda: stage.portal.world.pull.listeners(0), 40, "the page to listen at the push server")
    await first.close()

    async def alone() -> bool:
        return not await stage.workers()

    await wait_for(alone, what="no page at the bridge")
    await page.evaluate("localStorage.setItem('test.open', 'yes')", frame=WORKER)
    call = stage.ring()
    await stage.answer(page)
    await stage.talking(page, call)
    sent = [request for request in stage.portal.requests if request.method == "pull.application.event.add"]
    assert [request.params["PARAMS"] for request in sent] == [{"user": ANNA}]
    assert not stage.portal.world.pull.listeners(0), "an awake page needs no other way"
    call.hang_up()
    assert (await stage.record()).status_code == "200"
