"""A real PBX for tests: throw-away Asterisk instances on loopback, and callers at them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from aioice.ice import get_host_addresses

from . import manager, tones
from .certificates import Authority, Pair
from .phone_call import OutboundCall, PhoneCall
from .ports import free_port, free_sip_port, lane_of
from .sip_log import SipLog, SipMessage
from .waiting import PATIENCE, wait_for

__all__ = [
    "EARLY_HZ",
    "HOLD_HZ",
    "TONE_HZ",
    "Asterisk",
    "OutboundCall",
    "PhoneCall",
    "is_unpacked",
]

TEMPLATES = Path(__file__).with_suffix("")
TONE_HZ = 1004
"""What a caller plays to whoever answers."""
EARLY_HZ = 440
"""What 604 plays before it answers."""
HOLD_HZ = 523
"""The PBX's music on hold."""


Encryption = Literal["no", "sdes", "dtls", "webrtc"]
"""Of the voice of all agents; `webrtc` is DTLS with ICE, rtcp-mux and AVPF, `dtls` without any of them."""


def default_root() -> Path:
    """Where `unpack_asterisk.sh` puts Asterisk."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "bridge-tests" / "asterisk"


def is_unpacked(root: Path | None = None) -> bool:
    return ((root or default_root()) / ".complete").exists()


class Asterisk:
    """One Asterisk with the agents 1001, 1002 … (password `pw-1001` …) at free ports of 127.0.0.1.

    Agents can dial 600 echo, 601 tone, 604 early media and then echo, 605 busy, 606 rings for 20 s, 607 forbidden, 608
    unavailable, 609 rings for 2 s and then tone, 611 rings and echoes at once, 610 and +… a person who hears music when held, 612 music, 613 takes four keys, 619 says 440 Hz.
    """

    def __init__(
        self,
        directory: Path,
        *,
        agents: int = 4,
        codecs: str = "ulaw,alaw,g722,opus",
        encryption: Encryption = "no",
        short_tags: Collection[str] = (),
        root: Path | None = None,
    ) -> None:
        """`short_tags`: to these agents it offers SRTP with authentication tags of 32 bits, and no other."""
        self.directory = directory.resolve()
        self.root = (root or default_root()).resolve()
        self.agents = [str(1001 + index) for index in range(agents)]
        self.codecs = codecs
        self.encryption = encryption
        self.short_tags = short_tags
        self.sip_port = free_sip_port()
        self.tls_port = free_port(socket.SOCK_STREAM)
        self.mtls_port = free_port(socket.SOCK_STREAM)
        """TLS for those who show a certificate, such as that of `client`."""
        self.http_port = free_port(socket.SOCK_STREAM)
        """WebSocket too, at `/ws`."""
        self.https_port = free_port(socket.SOCK_STREAM)
        self._manager_port = free_port(socket.SOCK_STREAM)
        self._run = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._calls = 0
        self._sip_log = SipLog(self.directory / "log/full.log")
        self._channels: dict[str, str] = {}

    @property
    def address(self) -> str:
        """`host:port` of its SIP side."""
        return f"127.0.0.1:{self.sip_port}"

    @property
    def authority(self) -> Path:
        """The certificate of whoever signed that of its TLS side, which names localhost."""
        return self._authority.root

    @property
    def client(self) -> Pair:
        """A certificate that its `mtls_port` trusts."""
        return self._client

    @property
    def passwords(self) -> Mapping[str, str]:
        return {agent: f"pw-{agent}" for agent in self.agents}

    # Life

    def start(self, timeout: float = 30) -> Self:
        self._run = Path(tempfile.mkdtemp(prefix="asterisk-"))  # a socket's path holds 107 bytes, pytest's are long
        self._render()
        with (self.directory / "log/console.log").open("ab") as out:
            self._process = subprocess.Popen(
                [self.root / "usr/bin/asterisk", "-f", "-C", self.directory / "etc/asterisk.conf"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.directory,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not self._is_booted():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Asterisk did not start:\n{self.log_tail()}")
            time.sleep(0.05)
        self.cli("pjsip set logger on")
        return self

    def stop(self, timeout: float = PATIENCE) -> None:
        """Ends calls and the process; harmless when it is stopped already."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
        if self._run != Path():
            shutil.rmtree(self._run, ignore_errors=True)
            self._run = Path()

    def restart(self) -> None:
        """As after a crash, on the same ports: calls are gone, the PBX sends no BYE."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _is_booted(self) -> bool:
        return (self._run / "asterisk.ctl").exists() and "fully booted" in self.cli("core waitfullybooted", check=False)

    def _render(self) -> None:
        for folder in ("etc", "lib/keys", "spool", "log", "heard"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        certificates = self.directory / "tls"
        if not certificates.exists():
            certificates.mkdir()
            self._authority = Authority(certificates)
            self._pair = self._authority.signs("localhost")
            self._client = self._authority.signs("bridge.example")
        pair = self._pair
        first, last = lane_of(20_000, 20_999)
        values = {
            "DIRECTORY": self.directory,
            "ROOT": self.root,
            "RUN": self._run,
            "SIP": self.sip_port,
            "TLS": self.tls_port,
            "MTLS": self.mtls_port,
            "HTTP": self.http_port,
            "HTTPS": self.https_port,
            "AUTHORITY": self.authority,
            "CERTIFICATE": pair.certificate,
            "KEY": pair.key,
            "AMI": self._manager_port,
            "RTP_FIRST": first,
            "RTP_LAST": last,
            "CODECS": self.codecs,
            "ENCRYPTION": _encryption(self.encryption),
            "ICE_SUPPORT": "yes" if self.encryption == "webrtc" else "no",
            "ICE": _ice() if self.encryption == "webrtc" else "",
            "AGENTS": "\n".join(_agent(number, short_tag=number in self.short_tags) for number in self.agents),
        }
        for name, hz in (("moh/hold", HOLD_HZ), ("sounds/tone", TONE_HZ)):
            tones.write_tone(self.directory / f"{name}.wav", hz, seconds=10, rate=8000)
        for template in TEMPLATES.glob("*.conf"):
            text = re.sub(r"@([A-Z_]+)@", lambda match: str(values[match[1]]), template.read_text())
            (self.directory / "etc" / template.name).write_text(text)

    # Work

    def cli(self, command: str, *, check: bool = True) -> str:
        """What a command of Asterisk's console prints."""
        done = subprocess.run(
            [self.root / "usr/bin/asterisk", "-C", self.directory / "etc/asterisk.conf", "-rx", command],
            capture_output=True,
            text=True,
            timeout=30,
        )
        if check and done.returncode:
            raise RuntimeError(done.stderr or done.stdout)
        return done.stdout

    def act(self, action: str, **fields: str) -> dict[str, str]:
        """An action of the manager interface."""
        return manager.act(self._manager_port, action, list(fields.items()))

    def registered(self, agent: str) -> str:
        """The contact that the agent has registered, "" if it has none."""
        found = re.search(rf"Contact:\s+{agent}/(\S+)", self.cli("pjsip show contacts"))
        return found[1] if found else ""

    async def wait_registered(self, agent: str, timeout: float = PATIENCE) -> str:
        return await wait_for(lambda: self.registered(agent), timeout, f"the registration of {agent}")

    def call(
        self,
        agent: str,
        *,
        caller: str = "+4930123456",
        name: str = "Erika Mustermann",
        timeout: float = 30,
        then: Literal["tone", "echo", "silence", "refers", "replaces", "bridged"] = "tone",
    ) -> PhoneCall:
        """Someone calls the agent, gives up after `timeout` seconds, and plays a tone of 1004 Hz if it is answered.

        `bridged`: likewise, but the caller is a leg of its own, as behind a real PBX: it hears music when the agent holds.
        """
        self._calls += 1
        call = PhoneCall(
            pbx=self,
            id=f"{agent}-{self._calls}-{uuid.uuid4().hex[:8]}",
            agent=agent,
            caller=caller,
            recording=self.directory / f"heard/{self._calls}.wav16",
        )
        fields = {
            "Channel": f"PJSIP/{agent}",
            "ChannelId": call.id,
            "CallerID": f'"{name}" <{caller}>',
            "Timeout": str(int(timeout * 1000)),
            "Context": "caller",
            "Exten": then,
            "Priority": "1",
            "Async": "true",
        }
        variables = [f"PJSIP_HEADER(add,X-Test-Call)={call.id}", f"HEARD={call.heard}"]
        manager.act(
            self._manager_port, "Originate", [*fields.items(), *(("Variable", variable) for variable in variables)]
        )
        return call

    # Evidence

    def log(self) -> str:
        log = self.directory / "log/full.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def messages(self) -> list[SipMessage]:
        """Every SIP message so far, without retransmissions."""
        return self._sip_log.messages()

    def channel_of(self, call: str) -> str:
        """The channel that the dialplan has named beside the call, "" until it has."""
        if call not in self._channels:
            found = re.search(rf"app_verbose.c: *{re.escape(call)} is (\S+)$", self.log(), re.MULTILINE)
            if not found:
                return ""
            self._channels[call] = found[1]
        return self._channels[call]

    def outbound(self, agent: str) -> list[OutboundCall]:
        """Every call that the agent has made so far, oldest first, also one that was refused."""
        invites: dict[str, str] = {}
        for message in self.messages():
            begins = message.is_request and message.method == "INVITE" and not message.sent and not message.is_in_dialog
            if begins and f"sip:{agent}@" in message.header("From"):
                invites.setdefault(message.call_id, re.sub(r"^INVITE sips?:([^@;> ]*).*", r"\1", message.start))
        return [OutboundCall(pbx=self, agent=agent, number=number, call_id=id_) for id_, number in invites.items()]

    async def dialled(
        self, agent: str, before: Collection[OutboundCall] = (), timeout: float = PATIENCE
    ) -> OutboundCall:
        """The agent's first call that is not one of those `before`, as soon as its INVITE is there."""

        def fresh() -> list[OutboundCall]:
            return [call for call in self.outbound(agent) if call not in before]

        return (await wait_for(fresh, timeout, f"an INVITE of {agent}"))[0]

    def answered(self, method: str) -> list[int]:
        """The statuses that our side gave to requests of that method, without INVITE and its like."""
        return [m.status for m in self.messages() if m.status and not m.sent and m.method == method]

    def answers(self, agent: str) -> dict[str, list[int]]:
        """Final statuses that our side gave to INVITEs for the agent, by Call-ID; a re-INVITE adds to its call's list."""
        found: dict[str, list[int]] = {}
        for message in self.messages():
            if message.header("X-Test-Call").startswith(f"{agent}-"):
                found.setdefault(message.call_id, [])
            elif message.call_id in found and message.method == "INVITE" and message.status >= 200:
                found[message.call_id].append(message.status)
        return found

    def log_tail(self, lines: int = 60) -> str:
        """The last lines of what it wrote, for the report of a failed test."""
        paths = [self.directory / "log/console.log", self.directory / "log/full.log"]
        text = "\n".join(path.read_text(errors="replace") for path in paths if path.exists())
        return "\n".join(text.splitlines()[-lines:])


def _encryption(kind: Encryption) -> str:
    if kind == "webrtc":
        return "webrtc = yes"
    return f"media_encryption = {kind}" + ("\ndtls_auto_generate_cert = yes" if kind == "dtls" else "")


def _ice() -> str:
    """Asterisk names no 127.0.0.1 of its own, but says it in place of another address; nothing is bound to that one."""
    own = get_host_addresses(use_ipv4=True, use_ipv6=False)[0]
    return f"ice_deny = 0.0.0.0/0\nice_permit = 127.0.0.0/8\n[ice_host_candidates]\n{own} => 127.0.0.1"


def _agent(number: str, *, short_tag: bool) -> str:
    tag = "srtp_tag_32 = yes\n" * short_tag
    return (
        f'[{number}](phone)\nauth = {number}\naors = {number}\ncallerid = "Agent {number}" <{number}>\n{tag}'
        f"[{number}](login)\nusername = {number}\npassword = pw-{number}\n[{number}](place)\n"
    )
