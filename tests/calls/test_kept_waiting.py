"""A hold of which the PBX is told nothing: the caller hears what we play."""

from __future__ import annotations

from dataclasses import replace

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.commands import NO_MUSIC, PBX_MUSIC
from bridge.calls.sounds import SoundBook, Sounds

from .story import ANNA, ANSWERED, DIRECTORY, ID, INVITED, OFFERED, READY, TAB, Story, names

HOLD = on.OperatorHeld(call=ID, operator=ANNA, held=True)
RESUME = replace(HOLD, held=False)
KEPT = on.MediaHeld(call=ID)
BLIND = on.OperatorTransferred(call=ID, operator=ANNA, number="300")


def talking() -> Story:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    return story


def test_the_call_is_held_as_soon_as_the_music_plays() -> None:
    story = talking()
    assert names(story.tell(HOLD)) == ["HoldMedia"]
    assert not story.call.view.held
    assert names(story.tell(KEPT)) == []
    assert (story.state, story.call.view.held) == ("held", True)
    story.tell(RESUME, KEPT)
    assert (story.state, story.call.view.held) == ("talking", False)
    assert story.of(do.ReofferPbx) == []


def test_what_was_not_wished_changes_nothing() -> None:
    story = talking()
    assert story.tell(KEPT) == []
    assert story.state == "talking"


def test_a_call_that_waits_for_its_operators_page_comes_back_held() -> None:
    story = talking()
    story.tell(HOLD, on.TabLeft(call=ID, operator=ANNA, tab=TAB, online=True), KEPT)
    assert (story.state, story.call.view.held) == ("rejoining", True)
    story.tell(OFFERED, READY)
    assert story.state == "held"


def test_a_transfer_goes_on_once_the_music_plays_and_gives_the_call_back_if_it_fails() -> None:
    story = talking()
    assert names(story.tell(BLIND)) == ["HoldMedia"]
    assert names(story.tell(KEPT)) == ["TransferPbx"]
    failed = on.PbxTransferFailed(call=ID, status=486, phrase="", refused=False)
    assert names(story.tell(failed)) == ["HoldMedia"]
    story.tell(KEPT)
    assert (story.state, story.call.view.held) == ("talking", False)


def test_what_is_heard_is_said_by_the_line_the_trunk_the_portal_or_for_all() -> None:
    book = SoundBook(
        lines={"100": Sounds(music="/line.mp3")},
        trunks={"pbx": Sounds(music=NO_MUSIC)},
        portals={"portal": Sounds(music=PBX_MUSIC)},
        everywhere=Sounds(music="/all.mp3"),
    )
    cases: tuple[tuple[dict[str, dict[str, Sounds]], str], ...] = (
        ({}, "/line.mp3"),
        ({"lines": {}}, NO_MUSIC),
        ({"lines": {}, "trunks": {}}, PBX_MUSIC),
        ({"lines": {}, "trunks": {}, "portals": {}}, "/all.mp3"),
    )
    for changes, music in cases:
        story = Story(directory=replace(DIRECTORY, sounds=replace(book, **changes)))  # type: ignore[arg-type]
        story.tell(INVITED, OFFERED)
        (connect,) = story.of(do.ConnectBrowser)
        assert connect.policy.music == music
    story = Story(directory=replace(DIRECTORY, sounds=book))
    story.tell(on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=None), OFFERED)
    assert story.of(do.ConnectBrowser)[0].policy.music == NO_MUSIC, "a line is a number that was called from outside"
