"""Hold, resume and a new address of ours: offered to the PBX one at a time, and none of them lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.call import TRANSFER_SECONDS
from bridge.calls.events import Event
from bridge.calls.routing import RINGBACK, TrunkPolicy

from .story import ANNA, ANSWERED, DIRECTORY, ID, INVITED, OFFERED, OTHER, READY, TAB, Story, names

MOVED = on.PbxLegMoved(call=ID, sdp=b"moved")
OFFER = on.MediaReoffered(call=ID, sdp=b"hold")
YES = on.PbxReanswered(call=ID, sdp=b"theirs")
NO = on.PbxRefusedReoffer(call=ID, status=488)
BLIND = on.OperatorTransferred(call=ID, operator=ANNA, number="300")
TAKEN = on.PbxTransferProgressed(call=ID, status=100)


def held(wish: bool) -> on.OperatorHeld:
    return on.OperatorHeld(call=ID, operator=ANNA, held=wish)


def talking() -> Story:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    return story


@pytest.mark.parametrize(("word", "told"), [(YES, "AcceptPbxAnswer"), (NO, "KeepAddress")])
def test_a_hold_wished_while_a_move_is_open_is_carried_out_after_it_whatever_the_pbx_says(
    word: Event, told: str
) -> None:
    story = talking()
    story.tell(MOVED)
    assert story.tell(held(True)) == []
    assert (story.state, story.call.view.held) == ("talking", False), "nothing is shown before it is so"
    assert names(story.tell(word)) == [told, "HoldMedia"]
    assert story.tell(OFFER) == [do.ReofferPbx(call=ID, sdp=b"hold")]
    story.tell(YES)
    assert story.state == "held"


def test_a_hold_that_waits_for_a_move_may_be_taken_back() -> None:
    story = talking()
    story.tell(MOVED, held(True), held(False))
    assert names(story.tell(YES)) == ["AcceptPbxAnswer"]
    assert story.state == "talking"


def test_a_resume_waits_for_a_move_too() -> None:
    story = talking()
    story.tell(held(True), OFFER, YES, MOVED)
    assert story.tell(held(False)) == []
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "HoldMedia"]
    story.tell(OFFER, YES)
    assert story.state == "talking"


def test_a_move_while_a_hold_is_open_is_told_after_it_with_what_is_so_by_then() -> None:
    story = talking()
    story.tell(held(True), OFFER)
    assert story.tell(MOVED) == []
    told = story.tell(YES)
    assert names(told) == ["AcceptPbxAnswer", "ReofferPbx"]
    assert do.ReofferPbx(call=ID, sdp=b"moved", tentative=True) in told
    assert story.state == "held"


def test_after_a_refused_hold_the_pbx_is_told_the_address_and_not_the_hold() -> None:
    story = talking()
    story.tell(held(True), OFFER, MOVED)
    assert names(story.tell(NO)) == ["HoldMedia"]
    back = on.MediaReoffered(call=ID, sdp=b"as before, elsewhere")
    assert story.tell(back) == [do.ReofferPbx(call=ID, sdp=back.sdp, tentative=True)]
    assert names(story.tell(YES)) == ["AcceptPbxAnswer"]
    assert story.state == "talking"


def test_an_answer_to_an_offer_from_before_the_move_says_nothing_of_the_address() -> None:
    story = talking()
    story.tell(held(True), OFFER, MOVED, YES, YES)
    assert [answer.knows_address for answer in story.of(do.AcceptPbxAnswer)] == [False, True]


def test_a_click_right_after_a_refused_hold_waits_until_the_voice_room_has_taken_it_back() -> None:
    story = talking()
    story.tell(held(True), OFFER)
    assert story.tell(NO) == [do.HoldMedia(call=ID, held=False)]
    assert story.tell(held(True)) == []
    back = on.MediaReoffered(call=ID, sdp=b"as before")
    assert story.tell(back) == [do.HoldMedia(call=ID, held=True)]
    assert story.tell(OFFER) == [do.ReofferPbx(call=ID, sdp=b"hold")]


def test_a_move_after_the_answer_of_the_far_end_is_open_until_its_word() -> None:
    story = Story()
    story.tell(on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=TAB), READY, MOVED)
    story.tell(on.PbxAnswered(call=ID, sdp=b"v=0"))
    assert story.tell(held(True)) == []
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "HoldMedia"]


def test_a_move_while_the_caller_hears_us_before_the_answer_is_told_with_it() -> None:
    story = Story(directory=replace(DIRECTORY, trunks={"pbx": TrunkPolicy(early=RINGBACK)}))
    story.tell(INVITED, OFFERED, on.EarlyMediaReady(call=ID, sdp=b"early"))
    assert story.tell(MOVED) == []
    assert names(story.tell(ANSWERED, READY))[-2:] == ["AnswerPbx", "ReofferPbx"]
    assert story.of(do.ReofferPbx) == [do.ReofferPbx(call=ID, sdp=b"moved", tentative=True)]
    assert story.tell(held(True)) == []
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "HoldMedia"]


def test_a_hold_that_waits_is_carried_out_while_the_call_waits_for_the_next_page() -> None:
    story = talking()
    story.tell(MOVED, held(True), on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=True))
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "HoldMedia"]
    story.tell(OFFER, YES, on.MediaOffered(call=ID, operator=ANNA, tab=OTHER, offer="o2", sdp="v=0"))
    story.tell(on.MediaReady(call=ID, tab=OTHER, sdp=b"v=0"))
    assert story.state == "held"


def test_a_hold_that_the_pbx_is_not_told_of_waits_for_a_move_as_well() -> None:
    story = talking()
    story.tell(MOVED, held(True))
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "HoldMedia"]
    story.tell(on.MediaHeld(call=ID))
    assert story.state == "held"


def test_a_room_that_can_not_offer_a_move_ends_the_waiting() -> None:
    story = talking()
    story.tell(MOVED, held(True))
    failed = on.CommandFailed(call=ID, command="ReofferPbx", why="")
    assert names(story.tell(failed)) == ["KeepAddress", "HoldMedia"]


def test_a_hang_up_waits_for_nothing() -> None:
    story = talking()
    story.tell(MOVED, held(True))
    assert "HangUpPbx" in names(story.tell(on.OperatorHungUp(call=ID, operator=ANNA)))


@pytest.mark.parametrize("word", [YES, NO])
def test_a_transfer_holds_after_the_move_and_refers_after_the_hold(word: Event) -> None:
    story = talking()
    story.tell(MOVED)
    assert names(story.tell(BLIND)) == []
    assert names(story.tell(word))[1:] == ["HoldMedia"]
    assert names(story.tell(OFFER)) == ["ReofferPbx"]
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "TransferPbx"]


def test_a_transfer_right_after_a_resume_holds_after_the_pbxs_word() -> None:
    story = talking()
    story.tell(held(True), OFFER, YES, held(False), OFFER)
    assert names(story.tell(BLIND)) == []
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "HoldMedia"]
    assert story.of(do.HoldMedia)[-1].held
    story.tell(OFFER)
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "TransferPbx"]


def test_a_move_during_a_transfer_waits_for_the_hold_and_keeps_a_later_resume_waiting() -> None:
    story = talking()
    story.tell(BLIND, OFFER)
    assert story.tell(MOVED) == []
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "TransferPbx", "ReofferPbx"]
    failed = on.PbxTransferFailed(call=ID, status=486, phrase="", refused=False)
    assert names(story.tell(TAKEN, failed)) == []
    assert story.state == "held"
    assert names(story.tell(YES)) == ["AcceptPbxAnswer", "HoldMedia"]
    assert not story.of(do.HoldMedia)[-1].held


def test_a_transfer_that_still_waits_for_a_move_when_its_time_is_over_leaves_the_call_talking() -> None:
    story = talking()
    story.tell(MOVED, BLIND)
    assert names(story.tell(on.DeadlinePassed(call=ID), after=TRANSFER_SECONDS)) == []
    assert story.state == "talking"
    assert names(story.tell(YES)) == ["AcceptPbxAnswer"]


# ---- whatever comes when


@dataclass(frozen=True, order=True)
class Description:
    version: int
    held: bool
    address: int

    @classmethod
    def of(cls, sdp: bytes) -> Description:
        version, held, address = map(int, sdp.split())
        return cls(version, bool(held), address)

    @property
    def sdp(self) -> bytes:
        return f"{self.version} {int(self.held)} {self.address}".encode()


@dataclass
class Rooms:
    """A voice room and a PBX that take their time, in the order that they are asked in."""

    story: Story
    dead: bool
    """Nothing can be sent from an address that was left."""
    asked: deque[do.Command] = field(default_factory=deque)
    """What the voice room has still to do."""
    media: Description = field(default_factory=lambda: Description(1, False, 1))
    pbx: Description = field(default_factory=lambda: Description(1, False, 1))
    """What the PBX agreed to."""
    open: Description | None = None
    moving: bool = False
    """The voice room waits to hear whether the PBX follows."""

    def tell(self, event: Event) -> None:
        for command in self.story.tell(event):
            if isinstance(command, do.ReofferPbx):
                assert self.open is None, "one offer at a time"
                self.open = Description.of(command.sdp)
                assert self.open.version >= self.pbx.version, "versions only rise"
            elif isinstance(command, do.HoldMedia | do.AcceptPbxAnswer | do.KeepAddress):
                self.asked.append(command)

    def click(self) -> None:
        self.tell(held(not self.story.call.will_be_held))

    def move(self) -> None:
        """No sooner than the PBX is done with the move before, and this room with every answer."""
        if not self.moving and not any(isinstance(command, do.AcceptPbxAnswer) for command in self.asked):
            self.moving = True
            self._describe(address=self.media.address + 1)
            self.tell(on.PbxLegMoved(call=ID, sdp=self.media.sdp))

    def work(self) -> None:
        if not self.asked:
            return
        match self.asked.popleft():
            case do.HoldMedia(held=wish):
                self._describe(held=wish)
                self.tell(on.MediaReoffered(call=ID, sdp=self.media.sdp))
            case do.AcceptPbxAnswer(knows_address=True):
                self.moving = False
            case do.KeepAddress() if self.moving and not self.dead:
                self.moving = False
                self._describe(address=self.pbx.address)

    def agree(self) -> None:
        if self.open is not None:
            self.pbx, self.open = self.open, None
            self.tell(YES)

    def refuse(self) -> None:
        if self.open is not None:
            self.open = None
            self.tell(NO)

    def _describe(self, *, held: bool | None = None, address: int | None = None) -> None:
        before = self.media
        self.media = Description(
            before.version + 1,
            before.held if held is None else held,
            before.address if address is None else address,
        )


STEPS: list[Callable[[Rooms], None]] = [Rooms.click, Rooms.move, Rooms.work, Rooms.work, Rooms.agree, Rooms.refuse]


@given(steps=st.lists(st.sampled_from(STEPS), max_size=60), dead=st.booleans())
def test_whatever_comes_when_one_offer_is_open_and_in_the_end_all_know_what_is_so(
    steps: list[Callable[[Rooms], None]], dead: bool
) -> None:
    rooms = Rooms(talking(), dead)
    rooms.asked.clear()
    for step in steps:
        step(rooms)
    wish = rooms.story.call.will_be_held
    while rooms.asked or rooms.open:
        rooms.work()
        if not rooms.asked:
            rooms.agree()
    call = rooms.story.call
    assert (call.following, call.returning, call.moved, call.hold_wish, call.hold_next) == (
        False,
        False,
        b"",
        None,
        None,
    )
    assert call.held == rooms.media.held == rooms.pbx.held == wish
    if not (dead and rooms.moving):
        assert rooms.media.address == rooms.pbx.address
