"""A stand-in application: just enough of one to be installed, framed and told of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from bridge.demo.portal import App
from bridge.demo.portal.forms import nest

PAGE = """<!doctype html><title>app</title><body>KIND<script>
const [domain, secure, sid] = window.name.split("|");
const portal = `${secure === "1" ? "https" : "http"}://${domain}`;
const waiting = new Map();
let made = 0;
window.heard = [];
addEventListener("message", ({ data, origin }) => {
  if (origin !== portal) return;
  const at = data.indexOf(":");
  const text = data.slice(at + 1);
  waiting.get(data.slice(0, at))?.(text === "" ? null : JSON.parse(text));
});
// The classic grammar keeps empty parts, the SDK drops them.
window.classic = (command, params) => new Promise((done) => {
  const id = `k${made++}`;
  waiting.set(id, done);
  parent.postMessage(`${command}:${params === undefined ? "" : JSON.stringify(params)}:${id}:${sid}`, portal);
});
window.sdk = (command) => new Promise((done) => {
  const id = `s${made++}`;
  waiting.set(id, done);
  parent.postMessage(`${command}:${id}:${sid}`, portal);
});
window.object = (method, params) => new Promise((done) => {
  const id = `o${made++}`;
  waiting.set(id, done);
  parent.postMessage({ method, params, callback: id, appSid: sid }, portal);
});
window.subscribe = (event) => {
  const id = `e${made++}`;
  waiting.set(id, (argument) => heard.push([event.split("::")[1], argument]));
  parent.postMessage(`placementBindEvent:${JSON.stringify({ event })}:${id}:${sid}`, portal);
};
window.forge = (command) => parent.postMessage(`${command}::x1:${"0".repeat(32)}`, portal);
waiting.set("x1", () => heard.push(["forged", null]));
// A subscription is not answered: the portal's page has them all once it answers what was asked after them.
classic("getInterface").then(({ event }) => event.forEach(subscribe)).then(() => classic("getInterface")).then(() => {
  window.ready = true;
});
</script>"""


class StandIn:
    """Keeps every post it got: `posts` of (path, query, body)."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []
        self.port = 0
        self.answer_install = 200

    @property
    def origin(self) -> str:
        return f"http://app.localhost:{self.port}"

    @property
    def app(self) -> App:
        return App(
            client_id="local.standin.1",
            client_secret="a secret of the tests",
            app_url=f"{self.origin}/b24/app",
            install_url=f"{self.origin}/b24/app",
        )

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for where, _, body in self.posts if where == path]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/b24/{door}", self._post)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        text = await request.text()
        json_body = request.content_type == "application/json"
        body = await request.json() if json_body else nest(parse_qsl(text, keep_blank_values=True))
        self.posts.append((request.path, dict(request.query), body))
        door = request.match_info["door"]
        if door == "install":
            return web.json_response({"ok": True}, status=self.answer_install)
        if door in {"worker", "app"}:
            page = PAGE.replace("KIND", f'<div data-ticket="a&amp;b">{door}</div>')
            return web.Response(text=page, content_type="text/html")
        return web.Response()
