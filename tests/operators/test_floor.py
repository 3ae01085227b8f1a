"""Any number of pages and machines, any order of events: one ring, one microphone, one opened application, one conversation."""

from __future__ import annotations

from collections import Counter, deque
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import Call, State, World
from bridge.calls.commands import Command
from bridge.calls.events import CallId, Event, Operator, TabId
from bridge.calls.routing import Directory, colleagues_of
from bridge.calls.step import step
from bridge.operators import protocol as say
from bridge.operators.clicks import Clicks
from bridge.operators.floor import Floor
from bridge.operators.presence import Tab
from bridge.operators.protocol import Capture, PageKind

from .test_presence import ANNA, BORIS, tab

OPERATORS = (ANNA, BORIS)
DIRECTORY = Directory(
    accounts={("pbx", "1"): ANNA, ("pbx", "2"): BORIS}, lines={"100": OPERATORS}, ring_seconds=60, rejoin_seconds=30
)
LIVE = {State.TALKING, State.JOINING, State.DIALLING, State.REJOINING}


class Office:
    """The floor, the calls as they really are, and a PBX that agrees to everything."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.floor = Floor()
        self.calls: dict[CallId, Call] = {}
        self.joining: dict[CallId, TabId] = {}
        self.opens: list[tuple[CallId, Operator, TabId, str]] = []
        """Call, operator, page, and the state of the call at that time."""
        self._numbers = count(1)
        self._commands: deque[Command] = deque()
        self.claimed: set[tuple[Operator, str]] = set()
        self.clicks = Clicks(
            floor=self.floor,
            post=self.post,
            new_call_id=self.new_call,
            reachable=lambda operator: colleagues_of(DIRECTORY, operator),
            claim=self.claim,
            notify=lambda operator, view: None,
            mixes=True,
        )

    def new_call(self) -> CallId:
        return CallId(f"call-{next(self._numbers)}")

    def claim(self, operator: Operator, card: str, number: str) -> bool:
        first = (operator, card) not in self.claimed
        self.claimed.add((operator, card))
        return first

    def post(self, event: Event) -> None:
        known = self.calls.get(event.call, Call(id=event.call))
        world = World(now=self.now, online=self.floor.roster.online(self.now), directory=DIRECTORY)
        self.calls[event.call], commands = step(known, event, world)
        self._commands.extend(commands)

    def settle(self) -> None:
        while self._commands:
            self._perform(self._commands.popleft())
        for lead, view in self.floor.drain()[1]:
            page = self.floor.roster.tab(lead)
            assert page is not None
            assert self.floor.roster.lead(page.operator) == lead
            self.opens.append((view.id, page.operator, lead, view.state))

    def _perform(self, command: Command) -> None:
        match command:
            case do.ShowCall(view=view, operators=operators):
                self.floor.show(view, operators, self.now)
            case do.RingOperators(call=call, operators=operators):
                self.floor.ring(call, operators)
            case do.JoinMedia(call=call, tab=name):
                self.joining[call] = name
            case do.HoldMedia(call=call):
                self.post(on.MediaReoffered(call=call, sdp=b""))
            case do.ReofferPbx(call=call):
                self.post(on.PbxReanswered(call=call, sdp=b""))
            case _:
                pass

    def pages(self) -> list[Tab]:
        return [page for operator in OPERATORS for page in self.floor.roster.tabs(operator)]

    def sees(self, page: Tab) -> say.State:
        return self.floor.state(self.floor.outlook(page, {}), {}, self.now)


class Day(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.office = Office()
        self.roster = self.office.floor.roster
        self.leads: dict[Operator, TabId | None] = {}
        """Who led at the end of the last rule, unless the operator has chosen a page since."""

    @initialize(second=st.booleans())
    def the_day_begins_in_a_call(self, second: bool) -> None:
        """Deep states are rarely reached by chance."""
        page = tab("t0", visible=True)
        self.office.floor.put(page, self.office.now)
        for _ in range(1 + second):
            call = self.office.new_call()
            self._invite(call, "1", "1")
            self.office.clicks.on_call(page, "answer", say.CallCommand(call=call), self.office.now)
            self.office.settle()
            self.office.post(on.MediaReady(call=call, tab=self.office.joining.pop(call), sdp=b""))
            self.office.settle()

    @rule(
        number=st.integers(0, 9),
        browser=st.integers(0, 2),
        phone=st.booleans(),
        capture=st.sampled_from([Capture.YES, Capture.ASK, Capture.NO]),
        visible=st.booleans(),
        slider=st.booleans(),
    )
    def open_or_change(
        self, number: int, browser: int, phone: bool, capture: Capture, visible: bool, slider: bool
    ) -> None:
        known = self.roster.tab(TabId(f"t{number}"))
        page = tab(
            f"t{number}",
            operator=OPERATORS[number % 2],
            browser=known.browser if known else f"browser-{browser}",
            kind=known.kind if known else (PageKind.PHONE if phone else PageKind.WORKER),
            visible=visible,
            capture=capture,
            slider=slider,
        )
        self.office.floor.put(page, self.office.now)
        self.office.settle()

    @precondition(lambda self: self.office.pages())
    @rule(data=st.data(), returns=st.booleans())
    def close(self, data: st.DataObject, returns: bool) -> None:
        page = data.draw(st.sampled_from(self.office.pages()))
        self.office.floor.remove(page.id, self.office.now, returns=returns)
        online = page.operator in self.roster.online(self.office.now)
        for call in list(self.office.floor.board.of(page.operator)):
            self.office.post(on.TabLeft(call=call, operator=page.operator, tab=page.id, online=online))
        self.office.settle()

    @rule(line=st.sampled_from(["100", "2"]), account=st.sampled_from(["1", "2"]))
    def ring(self, line: str, account: str) -> None:
        self._invite(self.office.new_call(), line, account)

    def _invite(self, call: CallId, line: str, account: str) -> None:
        self.office.post(
            on.PbxInvited(call=call, trunk="pbx", account=account, line=line, caller="9", caller_name="", offer=b"")
        )
        self.office.settle()

    @rule(seconds=st.sampled_from([0.5, 5.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.office.now += seconds
        for call in list(self.office.calls.values()):
            if call.deadline is not None and call.deadline <= self.office.now:
                self.office.post(on.DeadlinePassed(call=call.id))
        due = self.office.floor.tick(self.office.now)
        assert due is None or due > self.office.now
        self.office.settle()

    @precondition(lambda self: self.office.pages())
    @rule(
        data=st.data(),
        what=st.sampled_from(["answer", "answer", "take", "hold", "resume", "decline", "hangUp", "dial", "card"]),
    )
    def click(self, data: st.DataObject, what: str) -> None:
        page = data.draw(st.sampled_from(self.office.pages()))
        calls = sorted(self.office.floor.board.of(page.operator))
        if what == "dial":
            name = f"wish-{data.draw(st.integers(0, 9))}"
            self.office.clicks.dial(page, say.Dial(dial=name, number="123"))
        elif what == "card":
            self.office.clicks.dial_card(page, "123", f"card-{data.draw(st.integers(0, 3))}")
        elif calls:
            call = data.draw(st.sampled_from(calls))
            message: Any = say.CallCommand(call=call)
            if what in {"hold", "resume"}:
                message = say.Hold(call=call, held=what == "hold")
            self.office.clicks.on_call(page, what, message, self.office.now)
        self.leads.pop(page.operator, None)  # wherever the operator clicked may lead now
        self.office.settle()

    @precondition(lambda self: self.office.joining)
    @rule(data=st.data())
    def voice_arrives(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(sorted(self.office.joining)))
        self.office.post(on.MediaReady(call=call, tab=self.office.joining.pop(call), sdp=b""))
        if self.office.calls[call].state is State.DIALLING:
            self.office.post(on.PbxAnswered(call=call, sdp=b""))
        self.office.settle()

    @rule(data=st.data())
    def a_missing_voice_is_offered(self, data: st.DataObject) -> None:
        speakers = [(page, call) for page in self.office.pages() for call in self._wants_voice_of(page)]
        if speakers:
            page, call = data.draw(st.sampled_from(speakers))
            self.leads.pop(page.operator, None)
            self.office.clicks.on_call(page, "offer", say.Offer(call=call.id, offer="o", sdp="v=0"), self.office.now)
            self.office.settle()

    def _wants_voice_of(self, page: Tab) -> list[say.Call]:
        """Calls for which this page captures, as it reads its state."""
        state = self.office.sees(page)
        waiting = {say.CallState.REJOINING, say.CallState.DIALLING}
        return [
            call
            for call in state.calls
            if call.voice == page.id
            or (call.voice == "" and state.lead and call.state in waiting and not call.elsewhere)
        ]

    @invariant()
    def a_call_rings_on_exactly_one_page_of_each_operator_who_has_one(self) -> None:
        sounds: Counter[tuple[Operator, str]] = Counter()
        for page in self.office.pages():
            for call in self.office.sees(page).calls:
                if call.state is say.CallState.RINGING:
                    sounds[page.operator, call.id] += call.sound
                    assert not call.sound or page.kind is PageKind.WORKER
        for (operator, _), sounding in sounds.items():
            assert sounding == bool(self.roster.workers(operator))

    @invariant()
    def a_call_has_one_microphone(self) -> None:
        microphones = Counter(call.id for page in self.office.pages() for call in self._wants_voice_of(page))
        assert all(pages == 1 for pages in microphones.values())

    @invariant()
    def the_application_opens_once_and_again_only_on_another_page_where_it_has_to_speak(self) -> None:
        again = State.REJOINING.value
        first = Counter((call, operator) for call, operator, _, state in self.office.opens if state != again)
        later = Counter((call, operator, page) for call, operator, page, state in self.office.opens if state == again)
        assert all(times == 1 for times in (*first.values(), *later.values()))

    @invariant()
    def a_click_on_a_number_makes_one_call(self) -> None:
        made = Counter((call.answered_by, call.card) for call in self.office.calls.values() if call.card)
        assert all(calls == 1 for calls in made.values())

    @rule(user=st.sampled_from(OPERATORS), number=st.integers(0, 3))
    def the_portal_reports_a_click(self, user: Operator, number: int) -> None:
        connecting = {State.JOINING, State.DIALLING}
        if any(call.answered_by == user and call.state in connecting for call in self.office.calls.values()):
            return  # nobody clicks while the card of another call is being dialled
        if self.office.claim(user, f"card-{number}", "123"):
            call = self.office.new_call()
            dialled = on.OperatorDialled(call=call, operator=user, number="123", voice=None, card=f"card-{number}")
            self.office.clicks.hold_others(user)  # as the room does when the call is shown
            self.office.post(dialled)
            self.leads.pop(user, None)
            self.office.settle()

    @invariant()
    def an_operator_is_in_one_conversation(self) -> None:
        live = Counter(call.answered_by for call in self.office.calls.values() if call.state in LIVE and not call.held)
        assert all(calls == 1 for operator, calls in live.items())

    @invariant()
    def a_call_keeps_its_lead(self) -> None:
        for operator in OPERATORS:
            lead = self.roster.lead(operator)
            before = self.leads.get(operator)
            if before and self.office.floor.board.of(operator) and self.roster.tab(before):
                assert lead == before
            self.leads[operator] = lead if self.office.floor.board.of(operator) else None
            assert lead is None or lead in {page.id for page in self.roster.workers(operator)}


TestDay = Day.TestCase
TestDay.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def test_the_application_is_not_opened_over_a_telephone_that_is_in_sight() -> None:
    office = Office()
    office.floor.put(tab("worker"), office.now)
    office.floor.put(tab("phone", visible=True, kind=PageKind.PHONE), office.now)
    view = Call(id=CallId("c"), state=State.RINGING, operators=(ANNA,)).view
    office.floor.show(view, [ANNA], office.now)
    office.floor.ring(view.id, {ANNA})
    assert office.floor.drain()[1] == []


def test_the_application_is_opened_when_the_telephone_lies_in_a_hidden_tab() -> None:
    office = Office()
    office.floor.put(tab("worker"), office.now)
    office.floor.put(tab("phone", kind=PageKind.PHONE, visible=False), office.now)
    view = Call(id=CallId("c"), state=State.RINGING, operators=(ANNA,)).view
    office.floor.show(view, [ANNA], office.now)
    office.floor.ring(view.id, {ANNA})
    assert [lead for lead, _ in office.floor.drain()[1]] == ["worker"]


def test_where_only_the_application_may_speak_it_opens_again_on_the_next_page_of_a_call() -> None:
    office, call = Office(), CallId("call")
    office.floor.put(tab("w1", capture=Capture.NO), office.now)
    office.post(on.PbxInvited(call=call, trunk="pbx", account="1", line="1", caller="2", caller_name="", offer=b""))
    office.settle()
    office.floor.put(tab("p1", kind=PageKind.PHONE), office.now)
    office.clicks.on_call(tab("p1", kind=PageKind.PHONE), "answer", say.CallCommand(call=call), office.now)
    office.settle()
    office.post(on.MediaReady(call=call, tab=office.joining[call], sdp=b""))
    for name in ("p1", "w1"):
        office.floor.remove(TabId(name), office.now)
        office.post(on.TabLeft(call=call, operator=ANNA, tab=TabId(name), online=False))
    office.settle()
    for _ in range(2):
        office.floor.put(tab("w2", capture=Capture.NO), office.now)
        office.settle()
    assert [(page, state) for _, _, page, state in office.opens] == [("w1", "ringing"), ("w2", "rejoining")]


def test_it_opens_again_for_a_call_that_the_operator_has_dialled() -> None:
    office, call = Office(), CallId("call")
    office.floor.put(tab("w1"), office.now)
    office.post(on.OperatorDialled(call=call, operator=ANNA, number="123", voice=None, card="card"))
    office.settle()
    office.post(on.PbxAnswered(call=call, sdp=b""))
    office.settle()
    office.floor.remove(TabId("w1"), office.now)
    office.post(on.TabLeft(call=call, operator=ANNA, tab=TabId("w1"), online=False))
    office.settle()
    office.floor.put(tab("w2", capture=Capture.NO), office.now)
    office.settle()
    assert [page for _, _, page, _ in office.opens] == ["w2"]
