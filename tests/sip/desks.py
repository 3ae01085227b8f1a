"""One user agent with one call, whose peer is played by the test."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.sip.callee import Inbound
from bridge.sip.flow import Flow
from bridge.sip.login import Login
from bridge.sip.message import Request, Response, parse
from bridge.sip.output import Fact, Output
from bridge.sip.owner import Report
from bridge.sip.transaction import Send
from bridge.sip.usage import Usage

from .parties import ALICE, ANSWER, BOB, OFFER, Party, reply, request


class Desk:
    """One user agent and its only call; the test plays the peer."""

    def __init__(self, party: Party, peer: Flow) -> None:
        self.agent, self._peer = party.agent, peer
        self.told: list[Fact] = []
        self.places: list[Flow] = []
        """Where each message went."""
        self.now = 0.0
        self._branches: Iterator[int] = iter(range(10_000))

    def gets(self, message: Request | Response) -> list[Request | Response]:
        return self.gets_bytes(message.encode())

    def gets_bytes(self, data: bytes) -> list[Request | Response]:
        self.agent.receive(data, self._peer, self.now)
        return self.sent()

    def does(self, usage: Usage, outputs: list[Output]) -> list[Request | Response]:
        self.agent.act(usage, outputs, self.now)
        return self.sent()

    def waits(self, until: float) -> list[tuple[float, Request | Response]]:
        seen = []
        while (when := self.agent.next_deadline) is not None and when <= until:
            self.now = when
            self.agent.tick(when)
            seen += [(when, message) for message in self.sent()]
        self.now = until
        return seen

    def sent(self) -> list[Request | Response]:
        drained = self.agent.drain()
        self.told += [item.fact for item in drained if isinstance(item, Report)]
        self.places += [item.to for item in drained if isinstance(item, Send)]
        return [parse(item.data) for item in drained if isinstance(item, Send)]

    def branch(self) -> str:
        return f"z9hG4bKnew{next(self._branches)}"


class Called(Desk):
    """Bob's desk while Alice calls."""

    def __init__(self, *headers: tuple[str, str], offer: bytes = OFFER) -> None:
        super().__init__(Party(BOB), ALICE)
        self.invite = request(headers=(("Contact", "<sip:alice@192.0.2.1:5060>"), *headers), body=offer)
        self.first = self.gets(self.invite)
        self._usage = next(iter(self.agent.usages), None)
        self._answer: Response | None = None

    @property
    def usage(self) -> Inbound:
        """The call, if it was let in."""
        assert isinstance(self._usage, Inbound)
        return self._usage

    @property
    def answer(self) -> Response:
        """Our 200."""
        assert self._answer is not None
        return self._answer

    def answered(self) -> Called:
        for message in self.does(self.usage, self.usage.answer(ANSWER, self.now)):
            assert isinstance(message, Response)
            self._answer = message
        return self

    def confirmed(self) -> Called:
        self.answered().gets(self.within("ACK", cseq=1))
        return self

    def within(self, method: str, cseq: int, body: bytes = b"", *headers: tuple[str, str]) -> Request:
        contact = ("Contact", "<sip:alice@192.0.2.1:5099>")
        return request(
            method,
            branch=self.branch(),
            cseq=cseq,
            to=f"<sip:bob@192.0.2.2>;tag={self.usage.tag}",
            headers=(contact, *headers),
            body=body,
        )

    def cancel(self, *headers: tuple[str, str]) -> Request:
        return request("CANCEL", headers=headers)


class Calling(Desk):
    """Alice's desk while she calls Bob."""

    def __init__(self, login: Login | None = None, spares: tuple[Flow, ...] = ()) -> None:
        party = Party(ALICE)
        super().__init__(party, BOB)
        self.usage = party.calling(BOB, login, spares)
        self.agent.call(self.usage, 0.0)
        self.invite = one(self.sent(), "INVITE")

    def confirmed(self) -> Calling:
        self.gets(reply(self.invite, 200, sdp=ANSWER))
        return self

    def within(
        self, method: str, cseq: int, body: bytes = b"", tag: str = "bob", headers: tuple[tuple[str, str], ...] = ()
    ) -> Request:
        """Bob's."""
        return request(
            method,
            uri="sip:alice@192.0.2.1:5060",
            branch=self.branch(),
            cseq=cseq,
            call_id=self.usage.call_id,
            to=f"<sip:alice@192.0.2.1>;tag={self.usage.tag}",
            from_tag=tag,
            headers=(("Contact", "<sip:bob@192.0.2.2:5060>"), *headers),
            body=body,
        )


def one(messages: list[Request | Response], method: str) -> Request:
    (found,) = [m for m in messages if isinstance(m, Request) and m.method == method]
    return found


def statuses(messages: list[Request | Response]) -> list[tuple[int, str]]:
    return [(m.status, m.cseq[1]) for m in messages if isinstance(m, Response)]
