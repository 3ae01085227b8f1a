"""A tab of the browser, with all its frames, whichever process they live in."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cdp import BrowserError, Cdp
from .waiting import PATIENCE, wait_for

LISTENER = Path(__file__).with_name("listener.js").read_text(encoding="utf-8")
"""Gives every frame `__heard(hz)`, the share of that tone in what it plays, and `__hears(hz)`, a promise of its time."""

KEYS: Mapping[str, tuple[int, str]] = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Tab": (9, ""),
    " ": (32, " "),
    "Backspace": (8, ""),
}
ONLY_FRAMES = [{"type": "iframe", "exclude": False}, {"exclude": True}]


class PageError(BrowserError):
    """A script threw, a frame or an element is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A document of a page; gone after its next navigation to another process."""

    id: str
    url: str
    session: str


class Page:
    """One tab. `frame` arguments: a part of the frame's address, a Frame, or None for the top document."""

    def __init__(self, cdp: Cdp, target: str, session: str, scripts: tuple[str, ...]) -> None:
        self._cdp = cdp
        self._target = target
        self._session = session
        self._scripts = scripts
        self._sessions: dict[str, str] = {session: ""}  # and the session of the frame around it
        self._contexts: dict[tuple[str, int], str] = {}
        self._loaded: deque[str] = deque(maxlen=20)
        self.console: deque[str] = deque(maxlen=2000)
        """Console messages, uncaught exceptions and network complaints of all frames."""
        self.exceptions: deque[str] = deque(maxlen=200)
        """The uncaught exceptions among them."""
        self.dialogs: deque[str] = deque(maxlen=200)
        """Texts of alerts and "leave the page?" questions; all are accepted at once."""

    # Life

    async def open(self) -> None:
        self._cdp.listen(self._session, self._on_event)
        for method, parameters in self._setup():
            await self._cdp.command(method, self._session, parameters)

    def _setup(self) -> list[tuple[str, dict[str, Any]]]:
        scripts = [("Page.addScriptToEvaluateOnNewDocument", {"source": script}) for script in self._scripts]
        attach = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True, "filter": ONLY_FRAMES}
        return [
            ("Page.enable", {}),
            ("Page.setLifecycleEventsEnabled", {"enabled": True}),
            ("Runtime.enable", {}),
            ("Inspector.enable", {}),
            ("Log.enable", {}),
            ("Target.setAutoAttach", attach),
            *scripts,
            ("Runtime.runIfWaitingForDebugger", {}),
        ]

    async def on_new_document(self, script: str) -> None:
        """From now on runs in every new document of this page before its own scripts, in frames too."""
        self._scripts = (*self._scripts, script)
        for session in list(self._sessions):
            await self._cdp.command("Page.addScriptToEvaluateOnNewDocument", session, {"source": script})

    async def navigate(self, url: str, timeout: float = PATIENCE) -> None:
        """As typed into the address bar; returns when the document has loaded."""
        answer = await self._cdp.command("Page.navigate", self._session, {"url": url})
        if answer.get("errorText"):
            raise PageError(f"{url}: {answer['errorText']}")
        if loader := answer.get("loaderId"):
            await wait_for(lambda: loader in self._loaded, timeout, f"{url} to load")

    async def reload(self) -> None:
        await self._cdp.command("Page.reload", self._session)

    async def activate(self) -> None:
        """Brings the tab to the front, which hides the others."""
        await self._cdp.command("Target.activateTarget", parameters={"targetId": self._target})

    async def close(self) -> None:
        """Closes the tab without questions."""
        await self._cdp.command("Target.closeTarget", parameters={"targetId": self._target})

    async def crash(self, frame: str | Frame | None = None) -> None:
        """Kills the process of the page, or of one of its frames: nothing in it can say goodbye."""
        session = self._session if frame is None else (await self._find(frame)).session
        await self._cdp.send("Page.crash", session)

    # Looking

    async def frames(self, part: str = "") -> list[Frame]:
        """Its frames whose address contains `part`, the top document first, frames of other sites last."""
        found: list[Frame] = []
        for session in list(self._sessions):
            answer = await self._ask("Page.getFrameTree", session)
            trees = [answer["frameTree"]] if answer else []
            while trees:
                tree = trees.pop(0)
                found.append(Frame(id=tree["frame"]["id"], url=tree["frame"]["url"], session=session))
                trees += tree.get("childFrames", [])
        return [frame for frame in found if part in frame.url]

    async def evaluate(self, expression: str, *, frame: str | Frame | None = None, gesture: bool = False) -> Any:
        """The value of a script, awaited if it is a promise; PageError if it throws. `gesture`: as if the user did it."""
        place = await self._find(frame)
        context = self._context(place)
        answer = await self._cdp.command(
            "Runtime.evaluate",
            place.session,
            {
                "expression": expression,
                "contextId": context,
                "awaitPromise": True,
                "returnByValue": True,
                "userGesture": gesture,
            },
        )
        if thrown := answer.get("exceptionDetails"):
            raise PageError(f"{expression}: {_describe(thrown)}")
        return answer["result"].get("value")

    async def wait_for(
        self, expression: str, *, frame: str | Frame | None = None, timeout: float = PATIENCE, what: str = ""
    ) -> Any:
        """The first true value of a script; a frame that is not there yet counts as false."""
        trouble = ""

        async def look() -> Any:
            nonlocal trouble
            try:
                return await self.evaluate(expression, frame=frame)
            except BrowserError as error:
                trouble = str(error)
                return None

        try:
            return await wait_for(look, timeout, what or expression)
        except AssertionError as error:
            seen = "\n".join(list(self.console)[-20:])
            with contextlib.suppress(BrowserError):
                trouble += f"\nthe frame says: {await self.evaluate('document.body.innerText', frame=frame)!r:.500}"
            raise AssertionError(f"{error}\n{trouble}\nconsole:\n{seen}") from None

    async def heard(self, hz: float, *, frame: str | Frame | None = None) -> float:
        """The share (0 to 1) of that tone in what the frame plays right now."""
        return float(await self.evaluate(f"__heard({hz})", frame=frame))

    async def screenshot(self, path: Path) -> None:
        answer = await self._cdp.command("Page.captureScreenshot", self._session, {"format": "png"})
        path.write_bytes(base64.b64decode(answer["data"]))

    # Doing

    async def click(self, selector: str, *, frame: str | Frame | None = None, timeout: float = PATIENCE) -> None:
        """A real mouse click on the middle of the element; it hits whatever lies on top there, as a person's would."""
        middle = await wait_for(lambda: self._at_rest(selector, frame), timeout, f"{selector} to be there, at rest")
        at = {"x": middle[0], "y": middle[1]}
        pressed = at | {"button": "left", "clickCount": 1}
        for event in (
            at | {"type": "mouseMoved"},
            pressed | {"type": "mousePressed", "buttons": 1},
            pressed | {"type": "mouseReleased"},
        ):
            await self._cdp.command("Input.dispatchMouseEvent", self._session, event)

    async def key(self, key: str) -> None:
        """A real key press: a character, or one of KEYS."""
        code, text = KEYS.get(key, (ord(key[0].upper()), key))
        event = {"key": key, "windowsVirtualKeyCode": code}
        down = event | {"type": "keyDown"} | ({"text": text} if text else {})
        for step in (down, event | {"type": "keyUp"}):
            await self._cdp.command("Input.dispatchKeyEvent", self._session, step)

    async def type(self, text: str) -> None:
        """Text into whatever has the focus."""
        await self._cdp.command("Input.insertText", self._session, {"text": text})

    # Frames and places

    async def _find(self, frame: str | Frame | None) -> Frame:
        if isinstance(frame, Frame):
            return frame
        frames = await self.frames(frame or "")
        if not frames:
            raise PageError(f'no frame with "{frame}" in its address')
        return frames[0]

    def _context(self, frame: Frame) -> int:
        for (session, context), frame_id in reversed(self._contexts.items()):
            if session == frame.session and frame_id == frame.id:
                return context
        raise PageError(f"{frame.url} runs no scripts yet")

    async def _at_rest(self, selector: str, frame: str | Frame | None) -> tuple[float, ...]:
        """Its middle once it stays there for two frames: a page that is still being laid out moves under the mouse."""
        before = await self._middle(selector, frame)
        if before:
            await asyncio.sleep(2 / 60)
        return before if before and await self._middle(selector, frame) == before else ()

    async def _middle(self, selector: str, frame: str | Frame | None) -> tuple[float, ...]:
        """Where the element's middle lies in the top document's viewport, () while it can't be clicked."""
        try:
            place = await self._find(frame)
            element = await self._element(selector, place)
            await self._cdp.command("DOM.scrollIntoViewIfNeeded", place.session, element)
            quads = (await self._cdp.command("DOM.getContentQuads", place.session, element))["quads"]
            left, top = await self._offset(place.session)
        except BrowserError:
            return ()
        return (left + sum(quads[0][0::2]) / 4, top + sum(quads[0][1::2]) / 4) if quads else ()

    async def _element(self, selector: str, frame: Frame) -> dict[str, Any]:
        found = await self._cdp.command(
            "Runtime.evaluate",
            frame.session,
            {"expression": f"document.querySelector({json.dumps(selector)})", "contextId": self._context(frame)},
        )
        if "objectId" not in found["result"]:
            raise PageError(f"no {selector} in {frame.url}")
        return {"objectId": found["result"]["objectId"]}

    async def _offset(self, session: str) -> tuple[float, float]:
        """Where the viewport of a frame in a process of its own lies in the top document's."""
        left = top = 0.0
        while outer := self._sessions.get(session):
            tree = await self._cdp.command("Page.getFrameTree", session)
            inner = {"frameId": tree["frameTree"]["frame"]["id"]}
            owner = await self._cdp.command("DOM.getFrameOwner", outer, inner)
            box = await self._cdp.command("DOM.getBoxModel", outer, {"backendNodeId": owner["backendNodeId"]})
            left += box["model"]["content"][0]
            top += box["model"]["content"][1]
            session = outer
        return left, top

    async def _ask(self, method: str, session: str) -> dict[str, Any]:
        """The result, empty if the session went away meanwhile."""
        try:
            return await self._cdp.command(method, session)
        except BrowserError:
            return {}

    # Events

    async def _on_event(self, session: str, method: str, event: dict[str, Any]) -> None:
        match method:
            case "Target.attachedToTarget":
                await self._attach(session, event["sessionId"])
            case "Target.detachedFromTarget":
                self._detach(event["sessionId"])
            case "Inspector.targetCrashed":
                self._detach(session)
            case "Runtime.executionContextCreated":
                context = event["context"]
                if context["auxData"].get("isDefault"):
                    self._contexts[session, context["id"]] = context["auxData"]["frameId"]
            case "Runtime.executionContextDestroyed":
                self._contexts.pop((session, event["executionContextId"]), None)
            case "Runtime.executionContextsCleared":
                self._forget(session)
            case "Page.lifecycleEvent" if event["name"] == "load" and session == self._session:
                self._loaded.append(event["loaderId"])
            case "Page.javascriptDialogOpening":
                self.dialogs.append(event["message"] or event["type"])
                await self._cdp.send("Page.handleJavaScriptDialog", session, {"accept": True})
            case "Runtime.consoleAPICalled":
                words = [str(word.get("value", word.get("description", ""))) for word in event["args"]]
                self.console.append(f"{event['type']}: {' '.join(words)}")
            case "Runtime.exceptionThrown":
                self.exceptions.append(_describe(event["exceptionDetails"]))
                self.console.append(f"exception: {self.exceptions[-1]}")
            case "Log.entryAdded":
                entry = event["entry"]
                self.console.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")

    async def _attach(self, outer: str, inner: str) -> None:
        """A frame of another site: it waits until everything that must precede its document is in place."""
        self._sessions[inner] = outer
        self._cdp.listen(inner, self._on_event)
        for method, parameters in self._setup():
            await self._cdp.send(method, inner, parameters)

    def _detach(self, session: str) -> None:
        self._sessions.pop(session, None)
        self._cdp.forget(session)
        self._forget(session)

    def _forget(self, session: str) -> None:
        for key in [key for key in self._contexts if key[0] == session]:
            del self._contexts[key]


def _describe(thrown: dict[str, Any]) -> str:
    exception = thrown.get("exception", {})
    return str(exception.get("description") or exception.get("value") or thrown.get("text"))
