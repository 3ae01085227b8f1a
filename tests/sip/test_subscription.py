"""Extensions watched at a PBX (RFC 6665, dialog package of RFC 4235)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from bridge.calls.extension import ExtensionState
from bridge.sip.address import Uri
from bridge.sip.flow import Flow
from bridge.sip.login import Login
from bridge.sip.matching import server_key
from bridge.sip.message import Headers, Request, Response, respond
from bridge.sip.output import Answer, Ask, Output, Unreachable
from bridge.sip.subscription import GAP_WAIT, REFUSED_WAIT, State, Subscription
from bridge.sip.transaction import Timers

from .notifier import Notifier, document
from .parties import ALICE, BOB, Party, World, identity

PBX = Flow("192.0.2.10", 5060)
FREE, RINGING, TALKING, UNKNOWN = ExtensionState
CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n1", algorithm=MD5, qop="auth"')


class Watched:
    """One subscription, and a PBX that the test plays."""

    def __init__(self, expires: int = 600, way: Flow | None = PBX) -> None:
        self.me = identity(ALICE)
        self.way = way
        self.subscription = Subscription(
            extension=Uri("sip", "1001", "", "pbx.example"),
            watcher=Uri("sip", "1001", "", "pbx.example"),
            expires=expires,
            me=self.me,
            timers=Timers(),
            login=lambda: Login("1001", "secret", self.me.token),
            way=lambda: self.way,
        )
        self.cseq = 0

    @property
    def state(self) -> State:
        return self.subscription.state

    @property
    def lamp(self) -> ExtensionState:
        return self.subscription.lamp

    def asks(self, now: float = 0.0) -> Request:
        return asked(self.subscription.start(now))

    def wakes(self) -> tuple[float, list[Output]]:
        assert self.subscription.deadline is not None
        now = self.subscription.deadline
        return now, self.subscription.wake(now)

    def gets(self, request: Request, status: int, now: float = 0.0, *headers: tuple[str, str]) -> list[Output]:
        response = respond(request, status, to_tag="pbx", headers=headers)
        return self.subscription.responded(request, response, now)

    def notified(
        self, state: str = "active;expires=600", now: float = 0.0, *, body: bytes = b"", cseq: int = 0, tag: str = "pbx",
        event: str = "dialog", method: str = "NOTIFY",
    ) -> tuple[Response, list[Output]]:  # fmt: skip
        """The answer, and what follows."""
        self.cseq += 1
        call_id, ours = self.subscription.names or ("gone", "gone")
        pairs = [
            ("Via", f"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKn{self.cseq}"),
            ("From", f"<sip:1001@pbx.example>;tag={tag}"),
            ("To", f"<sip:1001@pbx.example>;tag={ours}"),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq or self.cseq} {method}"),
            ("Contact", "<sip:pbx@192.0.2.10:5060>"),
            ("Event", event),
            *([("Subscription-State", state)] if state else []),
        ]
        request = Request(method, "sip:1001@192.0.2.1:5060", Headers(pairs), body)
        first, *rest = self.subscription.received(server_key(request), request, now)
        assert isinstance(first, Answer)
        return first.response, rest

    def watching(self, version: int = 1) -> Watched:
        self.gets(self.asks(), 200, 0.0, ("Expires", "600"))
        assert self.notified(body=document("terminated", version))[0].status == 200
        return self


def asked(outputs: Sequence[Output]) -> Request:
    (ask,) = [output for output in outputs if isinstance(output, Ask)]
    return ask.request


def test_section_4_1_2_1_a_subscribe_names_the_extension_the_package_and_how_long() -> None:
    request = Watched().asks()
    assert (request.method, request.uri, request.to_tag) == ("SUBSCRIBE", "sip:1001@pbx.example", "")
    wanted = {name: request.headers.get(name) for name in ("Event", "Accept", "Expires", "Contact")}
    assert wanted == {
        "Event": "dialog",
        "Accept": "application/dialog-info+xml",
        "Expires": "600",
        "Contact": "<sip:1001@192.0.2.1:5060>",
    }


def test_the_lamp_follows_what_notify_says() -> None:
    watched = Watched().watching()
    shown = [watched.lamp]
    for version, state in ((2, "early"), (3, "confirmed"), (4, "terminated")):
        watched.notified(body=document(state, version))
        shown.append(watched.lamp)
    assert shown == [FREE, RINGING, TALKING, FREE]


def test_section_4_4_1_a_notify_before_the_200_makes_the_subscription() -> None:
    watched = Watched()
    request = watched.asks()
    watched.notified(body=document("confirmed", 1))
    assert (watched.state, watched.lamp) == (State.WATCHING, TALKING)
    assert watched.gets(request, 200, 0.1, ("Expires", "600")) == []
    assert watched.subscription.deadline is not None
    assert 480 <= watched.subscription.deadline <= 540.1


def test_a_refresh_goes_within_the_dialog_at_eighty_to_ninety_percent() -> None:
    watched = Watched().watching()
    now, outputs = watched.wakes()
    assert 480 <= now <= 540
    refresh = asked(outputs)
    assert (refresh.uri, refresh.to_tag) == ("sip:pbx@192.0.2.10:5060", "pbx")
    watched.gets(refresh, 200, now, ("Expires", "100"))
    again, _ = watched.wakes()
    assert now + 80 <= again <= now + 90


def test_section_4_1_2_4_without_a_notify_it_is_asked_anew_after_a_pause() -> None:
    watched = Watched()
    first = watched.asks()
    watched.gets(first, 200, 0.0, ("Expires", "600"))
    now, _ = watched.wakes()
    assert (now, watched.state, watched.subscription.why) == (32.0, State.WAITING, "no NOTIFY")
    later, outputs = watched.wakes()
    assert now + 15 <= later <= now + 30
    second = asked(outputs)
    assert (second.call_id, second.from_tag) != (first.call_id, first.from_tag)


def test_a_challenge_is_met_once_and_a_wrong_password_is_no_reason_to_hammer() -> None:
    watched = Watched()
    signed = asked(watched.gets(watched.asks(), 401, 0.0, CHALLENGE))
    assert "Authorization" in signed.headers
    watched.gets(signed, 401, 0.0, CHALLENGE)
    assert watched.state is State.REFUSED
    assert watched.subscription.deadline is not None
    assert watched.subscription.deadline >= REFUSED_WAIT


def test_423_is_followed_as_far_as_a_day() -> None:
    watched = Watched(expires=60)
    longer = asked(watched.gets(watched.asks(), 423, 0.0, ("Min-Expires", "900")))
    assert longer.headers.get("Expires") == "900"
    watched.gets(longer, 423, 0.0, ("Min-Expires", "900"))
    assert watched.state is State.WAITING


@pytest.mark.parametrize("status", [403, 404, 405, 489, 501, 603])
def test_a_pbx_without_such_a_thing_is_asked_again_after_an_hour_only(status: int) -> None:
    watched = Watched()
    watched.gets(watched.asks(), status)
    assert watched.state is State.REFUSED
    now, outputs = watched.wakes()
    assert REFUSED_WAIT <= now <= 1.5 * REFUSED_WAIT
    assert asked(outputs)


@pytest.mark.parametrize("status", [481, 401])
def test_a_refresh_that_finds_nothing_begins_anew_at_once_and_the_next_time_after_a_pause(status: int) -> None:
    watched = Watched().watching()
    now, outputs = watched.wakes()
    watched.gets(asked(outputs), status, now)
    assert (watched.state, watched.lamp) == (State.WAITING, UNKNOWN)
    soon, outputs = watched.wakes()
    assert soon - now <= 2
    assert asked(outputs).to_tag == ""
    watched.cseq = 0
    watched.notified(now=soon, body=document("confirmed", 1))
    watched.notified("terminated;reason=deactivated", soon)
    later, _ = watched.wakes()
    assert later - soon >= 15


def test_section_4_1_2_2_a_refresh_that_fails_leaves_what_was_granted() -> None:
    watched = Watched().watching()
    watched.notified(body=document("confirmed", 2))
    now, outputs = watched.wakes()
    watched.gets(asked(outputs), 500, now)
    assert (watched.state, watched.lamp) == (State.WATCHING, TALKING)
    while watched.state is State.WATCHING:
        now, outputs = watched.wakes()
        for ask in outputs:
            if isinstance(ask, Ask):
                watched.gets(ask.request, 500, now)
    assert now <= 600
    assert watched.lamp is UNKNOWN


def test_silence_spares_the_address() -> None:
    watched = Watched()
    request = watched.asks()
    assert Unreachable(PBX, 60) in watched.subscription.unanswered(request, 408, 32.0)
    assert watched.state is State.WAITING


def test_a_pbx_without_an_address_is_asked_when_it_has_one() -> None:
    watched = Watched(way=None)
    assert not [output for output in watched.subscription.start(0.0) if isinstance(output, Ask)]
    watched.way = PBX
    assert asked(watched.wakes()[1])


@pytest.mark.parametrize(
    ("state", "least", "most"),
    [
        ("terminated;reason=deactivated", 0, 2),
        ("terminated;reason=timeout", 0, 2),
        ("terminated;reason=probation;retry-after=200", 200, 200),
        ("terminated;reason=giveup", 15, 30),
        ("terminated", 15, 30),
        ("TERMINATED ; reason=rejected", REFUSED_WAIT, 1.5 * REFUSED_WAIT),
        ("terminated;reason=noresource", REFUSED_WAIT, 1.5 * REFUSED_WAIT),
        ("terminated;reason=invariant", REFUSED_WAIT, 1.5 * REFUSED_WAIT),
        ("terminated;reason=giveup;retry-after=99999999999", 1800, 1800),
    ],
)
def test_section_4_1_3_a_reason_says_when_to_ask_again(state: str, least: float, most: float) -> None:
    watched = Watched().watching()
    answer, _ = watched.notified(state, 10.0)
    assert (answer.status, watched.lamp) == (200, UNKNOWN)
    assert watched.subscription.deadline is not None
    assert least <= watched.subscription.deadline - 10.0 <= most


def test_section_4_1_3_pending_says_nothing_yet() -> None:
    watched = Watched()
    watched.asks()
    watched.notified("pending;expires=600", body=document("confirmed", 1))
    assert (watched.state, watched.lamp) == (State.WATCHING, UNKNOWN)
    watched.notified(body=document("confirmed", 2))
    assert watched.lamp is TALKING


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"event": "presence"}, 489),
        ({"event": ""}, 489),
        ({"method": "INFO"}, 405),
        ({"tag": "fork"}, 481),
        ({"cseq": 1}, 500),
    ],
)
def test_what_does_not_belong_there_is_refused(wrong: dict[str, Any], status: int) -> None:
    watched = Watched().watching()
    answer, rest = watched.notified(body=document("confirmed", 2), **wrong)
    assert (answer.status, rest, watched.lamp) == (status, [], FREE)


def test_a_document_that_can_not_be_read_changes_nothing() -> None:
    watched = Watched().watching()
    answer, _ = watched.notified(body=b"<!DOCTYPE d><dialog-info/>")
    assert (answer.status, watched.lamp) == (200, FREE)
    assert watched.subscription.why


def test_rfc_4235_section_4_3_a_gap_asks_for_a_full_document_and_not_too_often() -> None:
    watched = Watched().watching()
    _, missed = watched.notified(body=document("confirmed", 5, full=False))
    refresh = asked(missed)
    _, nothing = watched.notified(body=document("confirmed", 7, full=False))
    assert nothing == []
    watched.gets(refresh, 200, 1.0, ("Expires", "600"))
    watched.notified(now=1.0, body=document("confirmed", 8))
    assert watched.lamp is TALKING
    assert watched.notified(now=2.0, body=document("confirmed", 20, full=False))[1] == []
    assert asked(watched.notified(now=GAP_WAIT + 1, body=document("confirmed", 22, full=False))[1])


def test_stopping_ends_the_subscription_within_its_dialog() -> None:
    watched = Watched().watching()
    goodbye = asked(watched.subscription.stop(1.0))
    assert (goodbye.to_tag, goodbye.headers.get("Expires")) == ("pbx", "0")
    watched.notified("terminated;reason=timeout", 1.0)
    watched.gets(goodbye, 200, 1.0)
    assert (watched.state, watched.subscription.deadline) == (State.OVER, None)


def test_stopping_what_does_not_stand_needs_nobody() -> None:
    watched = Watched()
    watched.asks()
    assert [type(output).__name__ for output in watched.subscription.stop(1.0)] == ["Turned"]
    assert watched.subscription.over


@pytest.mark.parametrize("seed", range(40))
def test_the_lamp_is_right_in_the_end_over_a_link_that_loses_doubles_and_reorders(seed: int) -> None:
    """Twenty minutes with a grant of one, the PBX ending it in the middle; then nothing is left of it on either side."""
    world = World(seed)
    pbx = Notifier(BOB)
    world.bob.agent = cast("Any", pbx)
    party: Party = world.alice
    subscription = Subscription(
        extension=Uri("sip", "1001", "", BOB.host, BOB.port),
        watcher=Uri("sip", "alice", "", BOB.host),
        expires=120,
        me=party.agent.me,
        timers=party.agent.timers,
        login=lambda: None,
        way=lambda: BOB,
    )
    party.agent.act(subscription, subscription.start(0.0), 0.0)
    for place, state in enumerate(["early", "confirmed", "terminated", "trying", "confirmed"] * 4):
        world.at(50.0 * place + 1, lambda state=state: pbx.turn(state, world.now))  # type: ignore[misc]
    world.at(500.0, lambda: pbx.end("deactivated", world.now))
    world.run(1_000)
    world.loss = 0.0
    world.run(1_200)  # past the longest pause and a refresh
    assert (subscription.state, subscription.lamp) == (State.WATCHING, TALKING)
    assert party.agent.watched == 1
    party.agent.act(subscription, subscription.stop(world.now), world.now)
    world.run(2_000)
    assert subscription.over
    assert (party.agent.pending, party.agent.next_deadline, pbx.pending) == (0, None, 0)
