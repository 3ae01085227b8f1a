"""An operator presses Hold in the second in which a new address is told: call and SIP together, in virtual time, over a bad link."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.commands import Command, PbxCommand
from bridge.calls.events import Event
from bridge.sip.caller import Outbound
from bridge.sip.output import Reoffered
from bridge.sip.phrasebook import carried_out, told
from bridge.sip.usage import Usage

from ..calls.story import ANNA, ID, READY, TAB, Story
from .parties import ANSWER, OFFER, World
from .test_back_to_back import begin

DIALLED = on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=TAB)
VOICE_SECONDS = 0.02
"""What the voice room takes."""


class Desk:
    """A call of Alice's whose room for the voice describes what is so, under a new version each time."""

    def __init__(self, world: World, usage: Outbound) -> None:
        self.world, self.usage, self.story = world, usage, Story()
        self.story.tell(DIALLED, READY, on.PbxAnswered(call=ID, sdp=ANSWER))
        self._versions = count(2)
        self._held = False
        self.newest = b""
        world.alice.react = lambda usage, fact: self._hear(told(ID, fact))

    def moves(self) -> None:
        self._hear(on.PbxLegMoved(call=ID, sdp=self._describe()))

    def holds(self, held: bool) -> None:
        self._hear(on.OperatorHeld(call=ID, operator=ANNA, held=held))

    def _hear(self, event: Event | None) -> None:
        for command in self.story.tell(event) if event else []:
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        match command:
            case PbxCommand():
                self.world.act(self.world.alice, self.usage, carried_out(command, self.usage, self.world.now))
            case do.HoldMedia(held=held):
                self._later(lambda: self._hold(held))
            case do.ReofferMedia():
                self._later(lambda: self._hear(on.MediaReanswered(call=ID, sdp=self._describe(), held=False)))

    def _hold(self, held: bool) -> None:
        self._held = held
        self._hear(on.MediaReoffered(call=ID, sdp=self._describe()))

    def _later(self, act: Callable[[], None]) -> None:
        self.world.at(self.world.now + VOICE_SECONDS, act)

    def _describe(self) -> bytes:
        way = b"a=sendonly\r\n" if self._held else b"a=sendrecv\r\n"
        self.newest = OFFER.replace(b"o=- 1 1", b"o=- 1 %d" % next(self._versions)) + way
        return self.newest


def talking(seed: int, loss: float) -> tuple[World, Desk, Usage]:
    world = World(seed, loss=loss)
    call = begin(world)
    world.run(80)
    (callee,) = world.bob.told
    return world, Desk(world, call), callee


def heard(world: World, callee: Usage) -> list[bytes]:
    """The offers that Bob said yes to."""
    return [fact.offer for fact in world.bob.told[callee] if isinstance(fact, Reoffered)]


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(30))
def test_the_hold_is_carried_out_after_the_move(seed: int, loss: float) -> None:
    world, desk, callee = talking(seed, loss)
    world.at(81, desk.moves)
    world.at(81 + seed * 0.03, lambda: desk.holds(True))
    world.run(200)
    assert desk.story.state == "held"
    assert b"a=sendonly" in desk.newest
    assert heard(world, callee)[-1] == desk.newest
    world.at(201, desk.moves)
    world.at(201 + seed * 0.03, lambda: desk.holds(False))
    world.run(320)
    assert desk.story.state == "talking"
    assert b"a=sendrecv" in heard(world, callee)[-1] == desk.newest


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(30))
def test_a_pbx_that_offers_at_the_same_time_delays_both_and_prevents_neither(seed: int, loss: float) -> None:
    """Glare, 491 (RFC 3261 14.1)."""
    world, desk, callee = talking(seed, loss)
    world.at(81, desk.moves)
    world.at(81 + seed % 7 * 0.05, lambda: world.act(world.bob, callee, callee.reoffer(OFFER, world.now)))
    world.at(81.1, lambda: desk.holds(True))
    world.run(250)
    assert desk.story.state == "held"
    assert b"a=sendonly" in heard(world, callee)[-1]
