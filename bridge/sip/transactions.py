"""All transactions of a user agent: which message belongs to which, and which way a large request goes (pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .deadlines import Deadlines
from .flow import Flow, Protocol, bracketed, return_flow
from .matching import Key, client_key, server_key, with_via
from .message import Request, Response
from .transaction import (
    Acknowledged,
    Arrived,
    Client,
    InviteClient,
    InviteServer,
    OtherClient,
    OtherServer,
    Output,
    Server,
    State,
    Timers,
)

WITHOUT_STREAM_SECONDS = 600.0
MOST_WITHOUT_STREAM = 1_000


class Transactions:
    """The transactions of one user agent. Requests must have been stamped with where they came from.

    `largest` says how many bytes a request to that place may have as a datagram, 0 for as many as there are; above, it goes
    by TCP, where `place` is our address (RFC 3261 18.1.1).
    """

    def __init__(
        self,
        timers: Timers | None = None,
        *,
        place: Callable[[Flow], tuple[str, int | None]] | None = None,
        largest: Callable[[Flow], int] = lambda to: 0,
    ) -> None:
        self.timers = timers or Timers()
        self._place = place
        self._largest = largest
        self._without_stream: dict[Flow, float] = {}
        """Places that took no connection, and until when they are not asked again."""
        self._machines: dict[Key, Client | Server] = {}
        self._deadlines: Deadlines[Key] = Deadlines()

    def __len__(self) -> int:
        return len(self._machines)

    @property
    def next_deadline(self) -> float | None:
        return self._deadlines.next

    def knows(self, key: Key) -> bool:
        return key in self._machines

    def ask(self, request: Request, to: Flow, now: float) -> list[Output]:
        """Begin a client transaction; its Via is the request's. A CANCEL goes the way that its INVITE went."""
        key = client_key(request)
        stream = self._stream(request, to, now)
        if request.method == "INVITE":
            machine: Client = InviteClient(key, State.CALLING, request, to, self.timers, stream)
        else:
            machine = OtherClient(key, State.TRYING, request, to, self.timers, stream)
        self._machines[key] = machine
        return self._settle(machine, machine.start(now))

    def _stream(self, request: Request, to: Flow, now: float) -> tuple[Request, Flow] | None:
        """What is sent over which stream, if a datagram is not the way."""
        if request.method == "CANCEL":
            invite = self._machines.get((*client_key(request)[:2], "INVITE"))
            if isinstance(invite, Client) and invite.to != to:
                return with_via(request, invite.sent.via), invite.to
            return None
        most = 0 if to.protocol.is_reliable or self._place is None else self._largest(to)
        if not most or len(request.encode()) <= most or self._without_stream.get(to, 0) > now:
            return None
        way = to.at(to.host, to.port, Protocol.TCP)
        host, port = self._place(way) if self._place else ("", None)
        return with_via(request, replace(request.via, transport="TCP", host=bracketed(host), port=port)), way

    def answer(self, key: Key, response: Response, now: float) -> list[Output]:
        """Send a response; nothing happens if the transaction already has a final one or is gone."""
        machine = self._machines.get(key)
        return self._settle(machine, machine.answer(response, now)) if isinstance(machine, Server) else []

    def receive_request(self, request: Request, source: Flow, now: float) -> list[Output]:
        key = server_key(request)
        machine = self._machines.get(key)
        if isinstance(machine, Server):
            return self._settle(machine, machine.repeated(request, now))
        if request.method == "ACK":
            return [Acknowledged(request)]
        server = InviteServer if request.method == "INVITE" else OtherServer
        self._machines[key] = server(key, return_flow(request.via, source), self.timers)
        return [Arrived(key, request, source)]

    def receive_response(self, response: Response, now: float) -> list[Output] | None:
        """None if no transaction of ours asked for it."""
        machine = self._machines.get(client_key(response))
        if not isinstance(machine, Client):
            return None
        return self._settle(machine, machine.received(response, now))

    def abandon(self, key: Key, now: float) -> None:
        """Wait for an INVITE of ours no longer than 64·T1: while it rings it has no timer of its own (RFC 3261 9.1)."""
        machine = self._machines.get(key)
        if isinstance(machine, Client):
            machine.abandon(now)
            self._settle(machine, [])

    def lost(self, flow: Flow, now: float) -> list[Output]:
        """That connection is gone: who waits for a first word over it need not wait for a timeout (RFC 3261 17.1.4)."""
        deaf = {State.CALLING, State.TRYING}
        waiting = [
            machine
            for machine in self._machines.values()
            if isinstance(machine, Client) and machine.state in deaf and machine.goes_over(flow)
        ]
        return [output for machine in waiting for output in self._failed(machine, now)]

    def fail(self, key: Key, now: float) -> list[Output]:
        """What it sent last could not be sent."""
        machine = self._machines.get(key)
        return self._failed(machine, now) if isinstance(machine, Client) else []

    def _failed(self, machine: Client, now: float) -> list[Output]:
        if not machine.can_step_down:
            return self._settle(machine, machine.failed())
        if len(self._without_stream) >= MOST_WITHOUT_STREAM:
            self._without_stream.clear()
        outputs = machine.step_down(now)
        self._without_stream[machine.to] = now + WITHOUT_STREAM_SECONDS
        return self._settle(machine, outputs)

    def tick(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        while (key := self._deadlines.pop(now)) is not None:
            machine = self._machines[key]
            outputs += self._settle(machine, machine.wake(now))
        return outputs

    def _settle(self, machine: Client | Server, outputs: list[Output]) -> list[Output]:
        self._deadlines.set(machine.key, machine.deadline)
        if machine.state is State.TERMINATED:
            self._machines.pop(machine.key, None)
        return outputs
