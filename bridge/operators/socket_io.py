"""socket.io as pages speak it: the library's, on our own engine.io, with one taker for all events."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
from socketio import packet

from .protocol import Ack
from .wire import Wires, frame

# The libraries log whole packets, tickets included, from INFO on.
_library_log = logging.getLogger("bridge.operators.socketio")
_library_log.setLevel(logging.ERROR)

_KINDS = {packet.CONNECT, packet.DISCONNECT, packet.EVENT, packet.ACK}

Heard = Callable[..., Awaitable[Ack]]
"""Takes an event, whose it is by the library's id, and what was sent with it."""


class _NonsenseError(Exception):
    """No page says this."""


class _Packet(packet.Packet):  # type: ignore[misc]  # the library has no types
    """Of the kinds that pages send."""

    def decode(self, encoded_packet: str | bytes) -> int:
        try:
            attachments: int = super().decode(encoded_packet)
        except Exception as error:  # the library raises whatever it stumbles over
            raise _NonsenseError from error
        said = self.data
        has_name = isinstance(said, list) and said != [] and isinstance(said[0], str)
        if self.packet_type not in _KINDS or (self.packet_type == packet.EVENT and not has_name):
            raise _NonsenseError
        return attachments


class SocketIo(socketio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """Messages of one page are handled in their order; `options` are the library's."""

    def __init__(self, heard: Heard, **options: Any) -> None:
        super().__init__(
            async_mode="aiohttp",
            serializer=_Packet,
            json=json,  # the library's own makes a decoder for each message
            logger=_library_log,
            engineio_logger=_library_log,
            **options,
        )
        self._heard = heard

    def _engineio_server_class(self) -> type[Wires]:
        return Wires

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        """Nonsense ends the connection: the library would go on, and tell the log of each word at length."""
        try:
            if not data:
                raise _NonsenseError
            await super()._handle_eio_message(eio_sid, data)
        except _NonsenseError:
            if wire := self.eio.sockets.get(eio_sid):
                wire.cut("says what no page says")

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: list[Any]) -> None:
        """All events have one taker: the library would look for others first, and make up each answer from scratch."""
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace or "/")
        if not self.manager.is_connected(sid, namespace or "/"):
            return
        ack = await self._heard(data[0], sid, *data[1:])
        if id is not None and (wire := self.eio.sockets.get(eio_sid)):
            wire.write(frame(f"43{id}[{ack.model_dump_json(by_alias=True)}]"))
