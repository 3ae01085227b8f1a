"""The user agent: messages find their transaction, dialog and usage here, and only here (RFC 3261 section 8; pure).

Feed it datagrams and the time, drain what is to be sent and what happened. The owner is asked what only it can know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeAlias

from . import transaction as tx
from .address import Uri
from .callee import Inbound
from .caller import Outbound
from .deadlines import Deadlines
from .dialog import PRODUCT, Identity
from .flow import Flow
from .flow_watch import FlowWatch
from .matching import Key, client_key, invite_key, server_key, stamp
from .message import FaultyRequestError, Request, Response, SipError, is_keepalive, parse, respond
from .output import Abandon, Answer, Ask, Fact, Output, Ping, Transmit
from .owner import Gone, Invited, Owner, Report, Standing, User
from .refusals import Refusals
from .replaces import replaces_of
from .session_timer import too_short
from .stun import transaction_of
from .subscription import Subscription
from .subscriptions import Subscriptions
from .sundry import METHODS, sundry
from .transaction import Send, Timers
from .transactions import Transactions
from .usage import Usage
from .verdict import judge_request, judge_response

MOST_TRANSACTIONS = 60_000
STUN = 4
"""Its first byte is below this, and no message of SIP begins so."""
RETRY_AFTER = ("Retry-After", "5")
EXTENSIONS = frozenset({"100rel", "timer", "replaces", "norefersub"})
"""What a peer may require; the rest earns 420."""


Drained: TypeAlias = Send | Report
_Origin: TypeAlias = tuple[str, str, int]
"""Call-ID, From tag and CSeq of an initial INVITE: the same over another way is a merged request (RFC 3261 8.2.2.2)."""


class UserAgent:
    """One of these owns everything on one socket."""

    def __init__(
        self, *, me: Identity, owner: Owner, timers: Timers | None = None,
        most_calls: int = 2_000, most_transactions: int = MOST_TRANSACTIONS,
        largest: Callable[[Flow], int] = lambda to: 0,
    ) -> None:  # fmt: skip
        self.me = me
        self.timers = timers or Timers()
        self.counts: Counter[str] = Counter()
        """What was dropped, by reason."""
        self._owner = owner
        self._most_calls = most_calls
        self._most_transactions = most_transactions
        self._transactions = Transactions(self.timers, place=me.place, largest=largest)
        self._deadlines: Deadlines[User] = Deadlines()
        self._usages: dict[tuple[str, str], Usage] = {}
        self._subscriptions = Subscriptions()
        self._asked: dict[Key, User] = {}
        self._pinged: dict[bytes, FlowWatch] = {}
        """Who waits for the answer to which STUN request."""
        self._invited: dict[Key, Usage] = {}
        self._origins: dict[Key, _Origin] = {}
        self._pending: set[_Origin] = set()
        self._out: list[Drained] = []
        self._refusals = Refusals(me, owner, self.counts, lambda item: self._out.append(item))

    # ---- in

    def receive(self, data: bytes, source: Flow, now: float) -> None:
        """Take one datagram; whatever is wrong with it is answered or counted."""
        if is_keepalive(data):
            return
        if (watch := self._pinged.get(transaction_of(data)) if data[0] < STUN else None) is not None:
            self.act(watch, watch.ponged(data, now), now)
            return
        if not self._owner.hears(source, now):
            self.counts["flood"] += 1
            return
        self._refusals.size = len(data)
        try:
            message = parse(data)
            if isinstance(message, Response):
                self._receive_response(message, now)
            else:
                self._receive_request(stamp(message, source), source, now)
        except FaultyRequestError as fault:
            self._refusals.refuse_faulty(fault, source)
        except SipError:
            self.counts["unreadable"] += 1

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._handle(self._transactions.tick(now), now)
        while (user := self._deadlines.pop(now)) is not None:
            self.act(user, user.wake(now), now)

    def act(self, user: User, outputs: Iterable[Output], now: float) -> None:
        """Carry out what a usage or registration wants done, and look when it wants to be woken."""
        for output in outputs:
            match output:
                case Answer(key, response):
                    self._handle(self._transactions.answer(key, response, now), now)
                case Ask(request, to):
                    self._asked[client_key(request)] = user
                    self._handle(self._transactions.ask(request, to, now), now)
                case Transmit(request, to):
                    self._out.append(Send(request.encode(), to))
                case Ping(to, data, transaction) if isinstance(user, FlowWatch):
                    self._pinged = {each: asker for each, asker in self._pinged.items() if asker is not user}
                    self._pinged[transaction] = user
                    self._out.append(Send(data, to))
                case Abandon(request):
                    self._transactions.abandon(client_key(request), now)
                case Fact():
                    self._out.append(Report(user, output))
        self._deadlines.set(user, None if user.over else user.deadline)
        if isinstance(user, Subscription):
            self._subscriptions.note(user)
        if isinstance(user, Usage) and user.over and (user.call_id, user.tag) in self._usages:
            del self._usages[user.call_id, user.tag]
            self._out.append(Report(user, Gone()))

    def unsent(self, item: Send, now: float) -> None:
        """The network refused to take this datagram."""
        if item.key is not None:
            self._handle(self._transactions.fail(item.key, now), now)

    def lost(self, flow: Flow, now: float) -> None:
        """A connection ended. Dialogs live on: their next request opens another one."""
        self._handle(self._transactions.lost(flow, now), now)

    def spoilt(self, head: bytes, status: int, why: str, source: Flow) -> None:
        """A message on a stream has no end that could be told: refused if it is a request that can be answered."""
        try:
            message = parse(head)
        except FaultyRequestError as fault:
            message = fault.request
        except SipError:
            message = None
        if isinstance(message, Request):
            self._refusals.refuse_faulty(FaultyRequestError(SipError(why, status), message), source)
        else:
            self.counts["unreadable"] += 1

    def is_used(self, flow: Flow) -> bool:
        """Whether a call goes over that connection, or began there."""
        return any(usage.dialog is not None and usage.dialog.peer.place == flow.place for usage in self.usages)

    def call(self, usage: Outbound, now: float) -> None:
        """Begin an outgoing call."""
        self._usages[usage.call_id, usage.tag] = usage
        self.act(usage, usage.start(now), now)

    # ---- out

    def drain(self) -> list[Drained]:
        """What is to be sent and what happened since the last time."""
        out, self._out = self._out, []
        return out

    @property
    def next_deadline(self) -> float | None:
        times = [when for when in (self._transactions.next_deadline, self._deadlines.next) if when is not None]
        return min(times, default=None)

    @property
    def usages(self) -> tuple[Usage, ...]:
        return tuple(self._usages.values())

    @property
    def watched(self) -> int:
        """Subscriptions that stand or are asked for."""
        return len(self._subscriptions)

    @property
    def pending(self) -> int:
        """Transactions, calls and subscriptions that are still remembered."""
        return len(self._transactions) + len(self._usages) + len(self._subscriptions)

    # ---- responses

    def _receive_response(self, response: Response, now: float) -> None:
        if not judge_response(response):
            self.counts["faulty response"] += 1
            return
        outputs = self._transactions.receive_response(response, now)
        if outputs is not None:
            self._handle(outputs, now)
            return
        usage = self._usages.get((response.call_id, response.from_tag))
        if usage is not None and response.cseq[1] == "INVITE" and 200 <= response.status < 300:
            self.act(usage, usage.accepted_again(response), now)
        else:
            self.counts["stray response"] += 1

    # ---- requests

    def _receive_request(self, request: Request, source: Flow, now: float) -> None:
        usage = self._usage_of(request)
        is_within = usage is not None or self._subscriptions.of(request) is not None
        standing = Standing.KNOWN if is_within else self._owner.standing(source)
        if standing is Standing.STRANGER:
            self.counts["stranger"] += 1
            return
        if self._is_repeated(request):
            self._handle(self._transactions.receive_request(request, source, now), now)
            return
        is_known = standing is Standing.KNOWN
        verdict = judge_request(
            request,
            # Nobody learns who has an account here before he has proven who he is.
            ours=lambda uri: is_within or not is_known or self._owner.is_ours(uri, source),
            methods=METHODS,
            is_secure=source.protocol.is_secure,
            extensions=EXTENSIONS,
        )
        if verdict.status < 0:
            self.counts["faulty request"] += 1
        elif verdict.status:
            self._refusals.refuse(request, source, verdict.status, verdict.phrase, verdict.headers)
        elif len(self._transactions) >= self._most_transactions and request.method not in {"ACK", "BYE", "CANCEL"}:
            self.counts["overload"] += 1
            self._refusals.refuse(request, source, 503, headers=[RETRY_AFTER])
        elif is_within or request.method in {"ACK", "CANCEL"}:
            self._begin(request, source, now, is_welcome=is_known)
        else:
            self._vet(request, source, now)

    def _begin(self, request: Request, source: Flow, now: float, *, is_welcome: bool) -> None:
        """A CANCEL of somebody unproven is one of an INVITE that was let in, or nothing."""
        if is_welcome or (request.method == "CANCEL" and self._transactions.knows(invite_key(server_key(request)))):
            self._handle(self._transactions.receive_request(request, source, now), now)
        else:
            self.counts["stranger"] += 1

    def _vet(self, request: Request, source: Flow, now: float) -> None:
        """A refusal is sent once and forgotten: a repeated request earns it again."""
        vetted = self._owner.vet(request, source, now)
        if isinstance(vetted, Response):
            self.counts["refused"] += 1
            self._refusals.reply(request, vetted, source)
        elif not self._owner.is_ours(Uri.parse(request.uri), vetted):
            self._refusals.refuse(request, source, 404)
        else:
            self._handle(self._transactions.receive_request(request, vetted, now), now)

    def _answered(self, key: Key, request: Request, source: Flow, now: float) -> None:
        """Whatever goes wrong: a transaction that nobody answers would never end."""
        try:
            self._arrived(key, request, source, now)
        except SipError as fault:
            self._answer(key, request, fault.status or 400, now, phrase=str(fault) if fault.status == 400 else "")
        except Exception:
            self._answer(key, request, 500, now)
            raise

    def _arrived(self, key: Key, request: Request, source: Flow, now: float) -> None:
        usage = self._usage_of(request)
        if request.method == "CANCEL":
            self._cancel(key, request, now)
        elif "Replaces" in request.headers and request.method != "INVITE":
            self._answer(key, request, 400, now)
        elif usage is not None:
            if request.method == "INVITE":
                self._invited[key] = usage
            self.act(usage, usage.received(key, request, now), now)
        elif (subscription := self._subscriptions.of(request)) is not None:
            self.act(subscription, subscription.received(key, request, now), now)
        elif request.to_tag:
            self._answer(key, request, 481, now)
        elif request.method == "INVITE":
            self._invite(key, request, source, now)
        else:
            response = self._owner.outside(request, source, now)
            response = response or sundry(request, in_dialog=False, tag=self.me.tag())
            self._handle(self._transactions.answer(key, response, now), now)

    def _invite(self, key: Key, request: Request, source: Flow, now: float) -> None:
        origin = request.call_id, request.from_tag, request.cseq[0]
        if origin in self._pending:
            self._answer(key, request, 482, now)
            return
        if len(self._usages) >= self._most_calls:
            self.counts["overload"] += 1
            self._answer(key, request, 503, now, [RETRY_AFTER])
            return
        replaced = self._replaced_by(request, source)
        if isinstance(replaced, int):
            self._answer(key, request, replaced, now)
            return
        if short := too_short(request):
            self._answer(key, request, 422, now, short)
            return
        try:
            user = Uri.parse(request.uri).user
            usage = Inbound(key, request, me=self.me, timers=self.timers, user=user, peer=source)
        except SipError as error:
            self._answer(key, request, 400, now, phrase=str(error))
            return
        self._usages[usage.call_id, usage.tag] = usage
        self._invited[key] = usage
        self._origins[key] = origin
        self._pending.add(origin)
        self.act(usage, usage.trying(), now)
        self._out.append(Report(usage, Invited(request, source, replaced)))

    def _replaced_by(self, invite: Request, source: Flow) -> Usage | int | None:
        """The session that an INVITE is to replace, None for no such wish, or the status it earns (RFC 3891 section 3)."""
        try:
            wish = replaces_of(invite)
        except SipError:
            return 400
        if wish is None:
            return None
        usage = self._usages.get((wish.call_id, wish.local_tag))
        if usage is None or not usage.is_with(wish.remote_tag):
            return 481
        # Whoever may end the session by BYE may replace it: the PBX that it is with.
        if usage.dialog is not None and usage.dialog.peer.host != source.host:
            return 403
        return usage.refuses_to_be_replaced(early_only=wish.early_only) or usage

    def _cancel(self, key: Key, request: Request, now: float) -> None:
        """200 if the INVITE is known, whatever becomes of it (RFC 3261 9.2)."""
        invite = invite_key(key)
        usage = self._invited.get(invite)
        if usage is None:
            self._answer(key, request, 200 if self._transactions.knows(invite) else 481, now)
            return
        response = respond(request, 200, to_tag=usage.tag, headers=[("Server", PRODUCT)])
        self._handle(self._transactions.answer(key, response, now), now)
        self.act(usage, usage.cancelled(invite, request, now), now)

    def _acknowledged(self, request: Request, now: float) -> None:
        usage = self._usage_of(request)
        if usage is not None:
            self.act(usage, usage.acknowledged(request, now), now)

    def _usage_of(self, request: Request) -> Usage | None:
        try:
            tag = request.to_tag
            return self._usages.get((request.call_id, tag)) if tag else None
        except SipError:
            return None  # a broken To earns its 400 when the request is judged

    def _is_repeated(self, request: Request) -> bool:
        try:
            return self._transactions.knows(server_key(request))
        except SipError:
            return False  # likewise a broken CSeq

    # ---- within

    def _handle(self, outputs: Iterable[tx.Output], now: float) -> None:
        for output in outputs:
            match output:
                case Send():
                    self._out.append(output)
                case tx.Arrived(key, request, source):
                    self._answered(key, request, source, now)
                case tx.Acknowledged(request):
                    self._acknowledged(request, now)
                case tx.Responded(key, request, response):
                    if user := self._asked.get(key):
                        self.act(user, user.responded(request, response, now), now)
                case tx.Unanswered(key, request, status):
                    if user := self._asked.get(key):
                        self.act(user, user.unanswered(request, status, now), now)
                case tx.Terminated(key):
                    self._forget(key)

    def _forget(self, key: Key) -> None:
        self._asked.pop(key, None)
        self._invited.pop(key, None)
        if origin := self._origins.pop(key, None):
            self._pending.discard(origin)

    def _answer(
        self, key: Key, request: Request, status: int, now: float,
        headers: Iterable[tuple[str, str]] = (), phrase: str = "",
    ) -> None:  # fmt: skip
        headers = [("Server", PRODUCT), *headers]
        response = respond(request, status, phrase, to_tag=self.me.tag(), headers=headers)
        self._handle(self._transactions.answer(key, response, now), now)
