"""When a PBX leg leaves its address, in virtual time: never for a moment's whim, never without a way to speak and to hear."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.media.relocation import AGAIN, LINGER, SETTLE, Deed, Phase, Relocation

HERE, THERE, ELSEWHERE = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Leg:
    """Its addresses, and what was done."""

    def __init__(self) -> None:
        self.relocation = Relocation()
        self.now, self.home = 100.0, HERE
        self.places = [HERE]
        """What is listened at, the old one first."""
        self.speaks_from = HERE
        self.told = 0
        self.dead = self.heard = False
        self.ready = True

    def look(self, seconds: float = 0.1) -> list[Deed]:
        self.now += seconds
        done = []
        while deed := self.relocation.look(
            self.now,
            here=self.places[0],
            home=self.home,
            dead=self.dead,
            ready=self.ready,
            heard=self.heard and len(self.places) > 1,
        ):
            done.append(deed)
            self.do(deed)
        return done

    def do(self, deed: Deed) -> None:
        if deed is Deed.MOVE:
            assert len(self.places) == 1, "one move at a time"
            self.places.append(self.home)
            self.told, self.heard = self.told + 1, False
        elif deed is Deed.TELL:
            self.told += 1
        elif deed is Deed.TURN:
            self.speaks_from = self.places[-1]
        else:
            assert len(self.places) == 2, "what is left was moved from"
            self.places.pop(0)
            self.dead = False

    def refuse(self) -> None:
        if self.relocation.refused(self.now, dead=self.dead):
            self.places.pop()
            self.speaks_from = self.places[0]


def test_another_address_counts_once_it_has_stood_for_a_while() -> None:
    leg = Leg()
    leg.home = THERE
    assert not leg.look()
    leg.home = HERE
    assert not leg.look(SETTLE)
    leg.home = THERE
    assert not leg.look()
    assert leg.look(SETTLE) == [Deed.MOVE]
    assert leg.speaks_from == HERE, "the PBX does not know the new one yet"


def test_where_nothing_can_be_sent_any_more_nobody_waits() -> None:
    leg = Leg()
    leg.home, leg.dead = THERE, True
    assert leg.look() == [Deed.MOVE, Deed.TURN]


def test_without_any_way_nothing_moves() -> None:
    leg = Leg()
    leg.home, leg.dead = "", True
    assert not leg.look(3600)


def moved() -> Leg:
    leg = Leg()
    leg.home = THERE
    leg.look()
    leg.look(SETTLE)
    assert leg.relocation.phase is Phase.ASKED
    return leg


def test_the_old_place_is_listened_at_until_the_voice_comes_to_the_new_one() -> None:
    leg = moved()
    leg.relocation.agreed(leg.now)
    assert leg.look() == [Deed.TURN]
    assert leg.places == [HERE, THERE]
    leg.heard = True
    assert leg.look() == [Deed.LEAVE]
    assert leg.places == [THERE]


def test_or_until_a_pbx_that_agreed_has_been_silent_for_long() -> None:
    leg = moved()
    leg.relocation.agreed(leg.now)
    leg.look()
    assert not leg.look(LINGER - 0.2)
    assert leg.look(0.2) == [Deed.LEAVE]


def test_voice_at_the_new_place_is_worth_any_agreement() -> None:
    leg = moved()
    leg.heard = True
    assert leg.look() == [Deed.TURN, Deed.LEAVE]


def test_a_new_place_that_is_not_up_yet_is_not_spoken_from() -> None:
    leg = moved()
    leg.ready = False
    leg.relocation.agreed(leg.now)
    assert not leg.look()
    leg.ready = True
    assert leg.look() == [Deed.TURN]


def test_a_pbx_that_refuses_leaves_the_call_where_it_was_and_is_not_asked_again() -> None:
    leg = moved()
    leg.refuse()
    assert leg.places == [HERE]
    assert not leg.look(3600)
    leg.home = ELSEWHERE
    leg.look()
    assert leg.look(SETTLE) == [Deed.MOVE], "this is another wish"


def test_but_it_is_asked_again_where_there_is_no_way_back() -> None:
    leg = moved()
    leg.dead = True
    assert leg.look() == [Deed.TURN]
    leg.refuse()
    assert leg.places == [HERE, THERE]
    assert not leg.look(AGAIN - 0.1)
    assert leg.look(0.2) == [Deed.TELL]
    leg.relocation.agreed(leg.now)
    leg.look(LINGER)
    assert leg.places == [THERE]


def test_what_could_not_be_opened_is_tried_again_later() -> None:
    leg = Leg()
    leg.home, leg.dead = THERE, True
    assert leg.relocation.look(leg.now, here=HERE, home=THERE, dead=True, ready=True, heard=False) is Deed.MOVE
    leg.relocation.failed(leg.now)
    assert not leg.look(AGAIN - 0.1)
    assert Deed.MOVE in leg.look(0.2)


@given(
    st.lists(
        st.sampled_from(["look", "agree", "refuse", "hear", "die", HERE, THERE, ELSEWHERE, "", "up", "down"]),
        max_size=80,
    )
)
def test_whatever_happens_one_place_at_most_is_left_behind_and_in_the_end_the_call_is_at_home(
    happenings: list[str],
) -> None:
    leg = Leg()
    for happening in happenings:
        match happening:
            case "look":
                leg.look(0.7)
            case "agree":
                leg.relocation.agreed(leg.now)
            case "refuse":
                leg.refuse()
            case "hear":
                leg.heard = True
            case "die":
                leg.dead = True
            case "up" | "down":
                leg.ready = happening == "up"
            case address:
                leg.home = address
        assert 1 <= len(leg.places) <= 2
        assert leg.speaks_from in leg.places
        assert leg.relocation.settled == (len(leg.places) == 1)
    leg.home, leg.ready, leg.dead = ELSEWHERE, True, True
    for _ in range(60):
        leg.relocation.agreed(leg.now)
        leg.look(0.5)
        leg.dead = leg.dead or leg.places[-1] != leg.home
    assert leg.places == [ELSEWHERE]
    assert leg.speaks_from == ELSEWHERE
