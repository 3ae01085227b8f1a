"""A real browser for tests: the system's Chromium, driven over raw CDP.

Drivers switch off background throttling, emulate focus and count scripts as gestures; the hidden frame of a softphone
depends on exactly these, so there is no driver in between.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from .cdp import BrowserError, Cdp
from .page import LISTENER, Page
from .tones import write_tone
from .waiting import wait_for

MICROPHONE_HZ = 700
"""What an operator says."""

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1366,900",
    "--no-first-run",
    "--mute-audio",
    "--remote-debugging-port=0",
]
FAKE_DEVICE = "--use-fake-device-for-media-stream"
FAKE_CONSENT = "--use-fake-ui-for-media-stream"


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """One browser with a profile of its own, and a microphone that says 700 Hz."""

    def __init__(
        self,
        *,
        flags: Sequence[str] = (),
        microphone_hz: float = MICROPHONE_HZ,
        consent: bool = True,
        scripts: Sequence[str] = (LISTENER,),
    ) -> None:
        """`consent`: microphone prompts are granted; without it they are refused unless `permit` was called."""
        self._flags = [*flags, FAKE_DEVICE, *([FAKE_CONSENT] if consent else [])]
        self._microphone_hz = microphone_hz
        self._scripts = tuple(scripts)
        self._directory = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._cdp = Cdp()

    # Life

    async def __aenter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="chromium-"))
        tone = write_tone(self._directory / "microphone.wav", self._microphone_hz)
        with (self._directory / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    find_chromium() or "chromium",
                    *FLAGS,
                    *self._flags,
                    f"--use-file-for-fake-audio-capture={tone}",
                    f"--user-data-dir={self._directory / 'profile'}",
                    "about:blank",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self._directory)},  # it leaves folders behind when it is killed
                start_new_session=True,
            )
        try:
            await self._connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def _connect(self) -> None:
        port, path = await wait_for(self._debugging_address, what="Chromium's debugging port")
        await self._cdp.connect(f"ws://127.0.0.1:{port}{path}")

    def _debugging_address(self) -> list[str]:
        if self._process is None or self._process.poll() is not None:
            raise BrowserError(f"Chromium did not start: {(self._directory / 'chromium.log').read_text()[-2000:]}")
        file = self._directory / "profile/DevToolsActivePort"
        lines = file.read_text().splitlines() if file.exists() else []
        return lines if len(lines) == 2 else []

    async def close(self) -> None:
        """Ends the browser and forgets its profile; harmless when it is closed already."""
        self.crash()
        await self._cdp.close()
        if self._directory != Path():
            shutil.rmtree(self._directory, ignore_errors=True)

    def crash(self) -> None:
        """The whole browser dies at once, as in a power cut."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def sleep(self) -> None:
        """The lid is closed: everything stands still until `wake`."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGCONT)

    # Work

    async def page(self, url: str = "about:blank", *, scripts: Sequence[str] = (), background: bool = False) -> Page:
        """A new tab at that address, loaded; `scripts` run in every frame of it before the frame's own."""
        created = await self._cdp.command(
            "Target.createTarget", parameters={"url": "about:blank", "background": background}
        )
        target = created["targetId"]
        attached = await self._cdp.command("Target.attachToTarget", parameters={"targetId": target, "flatten": True})
        page = Page(self._cdp, target, attached["sessionId"], (*self._scripts, *scripts))
        await page.open()
        if url != "about:blank":
            await page.navigate(url)
        return page

    async def permit(
        self, origin: str, what: str = "microphone", how: Literal["granted", "denied", "prompt"] = "granted"
    ) -> None:
        """The user's standing answer for a top-level origin."""
        await self._cdp.command(
            "Browser.setPermission", parameters={"permission": {"name": what}, "setting": how, "origin": origin}
        )
