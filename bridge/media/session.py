"""The voice room: carries out media commands, reports what becomes of the voice."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final

import structlog

from .. import config
from ..calls.commands import (
    AcceptPbxAnswer,
    CloseMedia,
    ConnectBrowser,
    HoldMedia,
    JoinConference,
    JoinMedia,
    KeepAddress,
    LeaveConference,
    MediaCommand,
    OfferMedia,
    PauseRecording,
    ReofferMedia,
    ResumeRecording,
    SendDigits,
    SpeakEarly,
    StartRecording,
)
from ..calls.events import CallId, Event
from ..errors import ConfigError, OursError
from .codecs.transcoder import Transcoder
from .conversation import Conversation
from .dtls import Certificates
from .equipment import Equipment, Patience
from .homes import AUTO, Homes
from .hub import Hub, bound_socket
from .memory import unpacked
from .music import Music
from .packet import BUFFER_BYTES
from .poller import Poller
from .ports import PortPairs
from .progress import Progress
from .recording.recorder import Recorder, Shelf
from .stream import FRAMES_PER_SECOND

log = structlog.get_logger()

MAX_CALLS: Final = 4_000
MAX_LEGS: Final = 8_000
FRAME: Final = 1 / FRAMES_PER_SECOND
LATE_FRAMES: Final = 5
"""After a longer standstill the rhythm of silence starts anew instead of catching up."""


class BridgeFullError(OursError):
    """A cap on calls or browser legs is reached."""


class Voice:
    """Joins browsers with the PBX: one conversation per call, a socket for all browsers, one task to watch them all."""

    def __init__(
        self,
        *,
        media: config.Media,
        post: Callable[[Event], None],
        patience: Patience | None = None,
        shelf: Shelf | None = None,
        music: Sequence[str] = (),
    ) -> None:
        """`shelf`: where recordings go; None: there are none. `music`: paths of what callers may hear while nobody speaks."""
        self._media = media
        self._post = post
        self._patience = patience or Patience()
        self._certificates = Certificates()
        self._recorder = Recorder(shelf) if shelf else None
        self._transcoder = Transcoder()
        self._music = Music(music)
        self._conversations: dict[CallId, Conversation] = {}
        self._quiet: dict[CallId, Conversation] = {}
        """Conversations whose PBX must be sent frames of ours."""
        self._quiet_came = asyncio.Event()
        self._equipment: Equipment | None = None

    obstacle: Final = ""
    """What it can bear is counted with its process."""

    @property
    def report(self) -> list[dict[str, Any]]:
        """No workers."""
        return []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the browsers' socket, watch, and close every leg in the end; ConfigError for addresses of no use."""
        check_addresses(self._media)
        buffer = bytearray(BUFFER_BYTES)
        poller = Poller()
        try:
            hub = self._open_hub(buffer, poller)
            try:
                async with self._recording(), self._transcoder.running(), asyncio.TaskGroup() as tasks:
                    self._equipment = self._equip(buffer, poller, hub, tasks)
                    watchers = [
                        tasks.create_task(self._watch()),
                        tasks.create_task(self._keep_quiet_calls_alive()),
                        tasks.create_task(asyncio.to_thread(self._music.load)),
                    ]
                    try:
                        yield
                    finally:
                        for call in list(self._conversations):
                            await self._close(call)
                        for watcher in watchers:
                            watcher.cancel()
            finally:
                self._equipment = None
                hub.close()
        finally:
            poller.close()

    def _recording(self) -> AbstractAsyncContextManager[None]:
        return self._recorder.running() if self._recorder else nullcontext()

    async def perform(self, command: MediaCommand) -> None:
        """Carry out one command; SdpError, DigitsError or OursError if it can't be done, nothing for a call that is over."""
        if isinstance(command, ConnectBrowser | JoinMedia | SpeakEarly):
            await self._begin(command)
        elif isinstance(command, CloseMedia):
            await self._close(command.call)
        elif conversation := self._conversations.get(command.call):
            self._change(conversation, command)

    def _change(self, conversation: Conversation, command: MediaCommand) -> None:
        match command:
            case ReofferMedia():
                conversation.reoffer(command)
            case AcceptPbxAnswer():
                conversation.accept(command)
            case HoldMedia():
                conversation.hold(command)
            case OfferMedia():
                conversation.offer()
            case KeepAddress():
                conversation.path.stay()
            case SendDigits():
                conversation.press(command)
            case StartRecording() | PauseRecording() | ResumeRecording():
                conversation.path.record(command)
            case JoinConference():
                self._confer(conversation, command.other)
            case LeaveConference():
                conversation.path.leave()
        if conversation.path.mute:
            self._fill_in(conversation)

    def _confer(self, conversation: Conversation, other: CallId) -> None:
        if other not in self._conversations:
            raise OursError("the voice of the other call is not here")
        conversation.path.confer(other)
        self._introduce(conversation)
        self._fill_in(conversation)

    def _introduce(self, conversation: Conversation) -> None:
        """Let both parts of a conference hear one another, if both are there."""
        part = conversation.path.part
        peer = self._conversations[part.other].path.part if part and part.other in self._conversations else None
        if part is not None and peer is not None and peer.other == conversation.call:
            part.peer, peer.peer = peer, part

    def memory(self, call: CallId) -> bytes:
        """What `restore` needs to go on with the call in another process; b"" if there is nothing to go on with."""
        conversation = self._conversations.get(call)
        memory = conversation.memory if conversation else None
        return memory.packed() if memory else b""

    def progress(self, call: CallId) -> Progress | None:
        """How far the call's voice has come, for `restore`; None while the PBX was told nothing."""
        conversation = self._conversations.get(call)
        return conversation.progress if conversation else None

    def restore(self, call: CallId, memory: bytes, progress: Progress | None) -> None:
        """Go on with a call whose process is dead; PortsExhaustedError."""
        assert self._equipment is not None, "calls are restored in a running room"
        known = unpacked(memory)
        conversation = Conversation(call, self._equipment, known)
        conversation.go_on(known, progress)
        self._conversations[call] = conversation
        self._introduce(conversation)
        self._fill_in(conversation)

    @property
    def legs(self) -> int:
        """Browser legs of all calls."""
        return sum(len(conversation.legs) for conversation in self._conversations.values())

    async def _begin(self, command: ConnectBrowser | JoinMedia | SpeakEarly) -> None:
        conversation = self._conversation(command.call)
        try:
            if isinstance(command, JoinMedia):
                conversation.join(command.tab, speaks=command.speaks)
            elif isinstance(command, SpeakEarly):
                await conversation.speak_early(command)
                self._fill_in(conversation)
            elif self.legs >= MAX_LEGS:
                raise BridgeFullError(f"the bridge has {MAX_LEGS} browser legs already")
            else:
                await conversation.connect(command)
        finally:
            if conversation.idle:
                await self._close(command.call)

    def _conversation(self, call: CallId) -> Conversation:
        assert self._equipment is not None, "commands are for a running room"
        if call not in self._conversations:
            if len(self._conversations) >= MAX_CALLS:
                raise BridgeFullError(f"the bridge has {MAX_CALLS} calls already")
            self._conversations[call] = Conversation(call, self._equipment)
        return self._conversations[call]

    async def _close(self, call: CallId) -> None:
        self._quiet.pop(call, None)
        if conversation := self._conversations.pop(call, None):
            await conversation.close()

    # ---- what goes on by itself

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._patience.look)
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        for call, conversation in list(self._conversations.items()):
            try:
                quiet = conversation.look(now)
            except Exception:  # a fault in one call must not leave the others unwatched
                log.exception("media_look_failed", call=call)
                continue
            if quiet:
                self._fill_in(conversation)

    def _fill_in(self, conversation: Conversation) -> None:
        self._quiet[conversation.call] = conversation
        self._quiet_came.set()

    async def _keep_quiet_calls_alive(self) -> None:
        """A frame every 20 ms, of silence or of a key, to each PBX that the operator's voice does not reach."""
        due = 0.0
        while True:
            await self._quiet_came.wait()
            now = time.monotonic()
            if now - due > LATE_FRAMES * FRAME:
                due = now
            for call, conversation in list(self._quiet.items()):
                try:
                    goes_on = conversation.frame(now)
                except Exception:  # a fault in one call must not silence the others
                    log.exception("media_frame_failed", call=call)
                    goes_on = False
                if not goes_on:
                    del self._quiet[call]
            if not self._quiet:
                self._quiet_came.clear()
            due += FRAME
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    # ---- building

    def _open_hub(self, buffer: bytearray, poller: Poller) -> Hub:
        address = self._media.browser_address, self._media.browser_port
        try:
            return Hub(bound_socket(address), buffer, poller, self._media.browser_told)
        except OSError as error:
            raise ConfigError(f"media: can't use UDP {address[0]}:{address[1]}: {error.strerror}") from error

    def _equip(self, buffer: bytearray, poller: Poller, hub: Hub, tasks: asyncio.TaskGroup) -> Equipment:
        return Equipment(
            buffer=buffer,
            poller=poller,
            hub=hub,
            homes=Homes(self._media.pbx_address, self._media.pbx_address6),
            ports=PortPairs(self._media.pbx_ports),
            certificates=self._certificates,
            patience=self._patience,
            post=self._post,
            spawn=tasks.create_task,
            clock=time.monotonic,
            recorder=self._recorder,
            transcoder=self._transcoder,
            music=self._music,
        )


def check_addresses(media: config.Media) -> None:
    """ConfigError for addresses of no use."""
    told, _ = media.browser_told or (media.browser_address, None)
    for address in (media.browser_address, told, *([] if media.pbx_address == AUTO else [media.pbx_address])):
        _check_address(address, ipaddress.IPv4Address)
    if media.pbx_address6 not in ("", AUTO):
        _check_address(media.pbx_address6, ipaddress.IPv6Address)
        _check_here(media.pbx_address6)


def _check_here(address: str) -> None:
    """This machine has it: better no start than calls that fail."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise ConfigError(f"media: can't use pbx_address6 {address}: {error.strerror}") from error


def _check_address(text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    """It is told to the other side, so it must be one that packets can be sent to."""
    try:
        address = kind(text)
    except ValueError:
        raise ConfigError(f'media: "{text}" is not an {kind.__name__[:4]} address') from None
    if address.is_unspecified or address.is_multicast or (address.version == 6 and address.is_link_local):
        raise ConfigError(f'media: "{text}" is no address of one interface, and it is what the other side is told')
