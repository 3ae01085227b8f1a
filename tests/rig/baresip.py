"""A baresip on loopback: a telephone of its own make, which says 700 Hz and keeps what it hears."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from .ports import free_block, free_sip_port
from .tones import share
from .waiting import wait_for

TONE_HZ = 700
CODECS = {"PCMU": "PCMU/8000/1", "PCMA": "PCMA/8000/1", "G722": "G722/16000/1", "opus": "opus/48000/2"}

RTP_PORTS = 20

CONFIG = """
sip_listen 127.0.0.1:{sip}
sip_certificate {certificate}
sip_cafile {authority}
net_interface 127.0.0.1
call_max_calls 4
rtp_ports {first_port}-{last_port}
rtcp_mux {mux}
ctrl_tcp_listen 127.0.0.1:{control}
audio_source ausine,{hz}
audio_player aubridge,sink
audio_alert aubridge,sink
ausrc_srate 48000
ausrc_channels 2
auplay_srate 48000
auplay_channels 1
snd_path {directory}
module_path {modules}
module g711.so
module g722.so
module opus.so
module srtp.so
module dtls_srtp.so
module ice.so
module ausine.so
module aubridge.so
module sndfile.so
module uuid.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
"""


class Baresip:
    """`account` is baresip's way of writing one: `<sip:1004@127.0.0.1;transport=udp>;regint=0;…`; it answers by itself."""

    def __init__(
        self, directory: Path, account: str, *, sip_port: int = 0, codecs: tuple[str, ...] = ("PCMU",),
        tls: Mapping[str, Path | str] | None = None, hz: int = TONE_HZ, answers: bool = True,
    ) -> None:  # fmt: skip
        """`tls`: its `certificate` (with the key in it) and the `authority` it trusts; it listens for TLS one port higher."""
        self.directory = directory
        self._control = free_sip_port()
        self._process: subprocess.Popen[bytes] | None = None
        modules = next(path.parent for path in Path("/usr/lib").glob("**/baresip/modules/g711.so"))
        directory.mkdir(parents=True, exist_ok=True)
        rtp = free_block(RTP_PORTS)
        config = CONFIG.format(
            sip=sip_port, first_port=rtp, last_port=rtp + RTP_PORTS - 1, control=self._control, directory=directory, modules=modules, hz=hz,
            mux="yes" if "medianat=ice" in account else "no",
            **(tls or {"certificate": "", "authority": ""}),
        )  # fmt: skip
        (directory / "config").write_text(re.sub(r"^sip_ca?\w+ $", "", config, flags=re.MULTILINE))
        (directory / "contacts").touch()
        mode = ";answermode=auto" if answers else ""
        names = ",".join(CODECS[codec] for codec in codecs)
        (directory / "accounts").write_text(f"{account}{mode};audio_codecs={names}\n")

    def start(self) -> Self:
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["baresip", "-f", self.directory],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": str(self.directory)},
            )
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    async def __aenter__(self) -> Self:
        """Returns when it takes commands."""
        self.start()
        try:
            await wait_for(self._is_up, what="baresip to take commands")
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.stop()

    def _is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._control)) == 0

    def do(self, command: str, params: str = "") -> None:
        text = json.dumps({"command": command, "params": params})
        with socket.create_connection(("127.0.0.1", self._control), timeout=5) as connection:
            connection.sendall(f"{len(text)}:{text},".encode())
            connection.recv(4096)

    def is_hearing(self, hz: float) -> bool:
        """In the last half second of its newest call."""
        recordings = sorted(self.directory.glob("*-dec.wav"), key=lambda path: path.stat().st_mtime)
        return bool(recordings) and share(recordings[-1], hz) > 0.5

    async def hears(self, hz: float) -> None:
        await wait_for(lambda: self.is_hearing(hz), what=f"{hz} Hz at the phone")

    def log_tail(self, lines: int = 60) -> str:
        """The last lines of what it wrote, for the report of a failed test."""
        return "\n".join(self.log().splitlines()[-lines:])

    def log(self) -> str:
        """Without the bit rates that it writes again and again."""
        path = self.directory / "log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(line for line in lines if line.strip() and not line.startswith("["))
