"""What an operator hears of a call in place of a voice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.sounds import SoundBook, Sounds
from bridge.tones import Tone, plan_of, reminder

from .story import ANNA, ANSWERED, DIRECTORY, ID, INVITED, OFFERED, READY, TAB, Story

BOOK = SoundBook(trunks={"pbx": Sounds(tones="GB")}, portals={"portal": Sounds(tones="US", reminder=45)})
BRITAIN = plan_of("GB")
DIALLED = on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=TAB)


def dialled(book: SoundBook = BOOK) -> Story:
    story = Story(directory=replace(DIRECTORY, sounds=book))
    story.tell(DIALLED, on.MediaReady(call=ID, tab=TAB, sdp=b"offer"))
    return story


def heard(story: Story) -> Tone | None:
    shown = story.of(do.ShowCall)[-1]
    assert isinstance(shown, do.ShowCall)
    return shown.view.tone


def refused(status: int, cause: int = 0) -> on.PbxRefused:
    return on.PbxRefused(call=ID, status=status, phrase="", cause=cause, provisional=True)


def test_it_rings_at_the_far_end_in_the_tone_of_the_trunks_country_until_the_pbx_plays_its_own() -> None:
    story = dialled()
    assert heard(story) is None
    story.tell(on.PbxRang(call=ID))
    assert heard(story) == BRITAIN.ringback
    story.tell(on.PbxProgressed(call=ID, sdp=b"early"))
    assert heard(story) is None
    story.tell(on.PbxRang(call=ID))
    assert heard(story) is None, "sip.md: a later 180 does not stop early media"


@pytest.mark.parametrize(
    ("status", "cause", "tone"),
    [
        (486, 0, BRITAIN.busy),
        (600, 0, BRITAIN.busy),
        (503, 17, BRITAIN.busy),
        (404, 0, BRITAIN.unobtainable),
        (484, 0, BRITAIN.unobtainable),
        (604, 0, BRITAIN.unobtainable),
        (503, 0, BRITAIN.congestion),
        (500, 0, BRITAIN.congestion),
        (480, 0, BRITAIN.congestion),
        (403, 0, BRITAIN.congestion),
        (408, 0, BRITAIN.congestion),
    ],
)
def test_why_nobody_was_reached_is_heard_for_a_few_seconds(status: int, cause: int, tone: Tone) -> None:
    story = dialled()
    story.tell(refused(status, cause))
    assert story.state == "ended"
    failed = heard(story)
    assert failed is not None
    assert failed.parts == tone.parts
    assert 0 < failed.times * failed.seconds <= 6


def test_whoever_declines_is_a_short_busy() -> None:
    declined, busy = dialled(), dialled()
    declined.tell(refused(603))
    busy.tell(refused(486))
    short, long = heard(declined), heard(busy)
    assert short is not None
    assert long is not None
    assert short.parts == long.parts
    assert short.times < long.times


def test_nothing_is_heard_of_a_call_that_the_operator_gave_up_or_that_was_answered() -> None:
    given_up = dialled()
    given_up.tell(on.PbxRang(call=ID), on.OperatorHungUp(call=ID, operator=ANNA))
    assert heard(given_up) is None
    talked = dialled()
    talked.tell(on.PbxAnswered(call=ID, sdp=b"answer"))
    assert heard(talked) is None
    talked.tell(on.PbxHungUp(call=ID, why="BYE"))
    assert (talked.state, heard(talked)) == ("ended", None)


def test_nothing_is_heard_of_a_call_that_came_in_and_was_missed() -> None:
    story = Story(directory=replace(DIRECTORY, sounds=BOOK))
    story.tell(INVITED, on.PbxCancelled(call=ID, elsewhere=False))
    assert (story.state, heard(story)) == ("ended", None)


def test_an_operator_is_reminded_of_a_call_on_hold_where_the_portal_wants_it() -> None:
    for book, tone in ((BOOK, reminder(45)), (SoundBook(), None)):
        story = Story(directory=replace(DIRECTORY, sounds=book))
        story.tell(INVITED, OFFERED, ANSWERED, READY)
        story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=True))
        story.tell(on.MediaReoffered(call=ID, sdp=b"offer"), on.PbxReanswered(call=ID, sdp=b"answer"))
        assert (story.state, heard(story)) == ("held", tone)
        story.tell(on.OperatorHeld(call=ID, operator=ANNA, held=False))
        story.tell(on.MediaReoffered(call=ID, sdp=b"offer"), on.PbxReanswered(call=ID, sdp=b"answer"))
        assert (story.state, heard(story)) == ("talking", None)


def test_a_lines_word_counts_before_a_trunks_and_that_before_a_portals_each_for_itself() -> None:
    book = replace(BOOK, lines={"100": Sounds(tones="DE")})
    assert book.of("portal", "pbx", "100") == Sounds(tones="DE", reminder=45)
    assert book.of("portal", "pbx", "") == Sounds(tones="GB", reminder=45)
    assert book.of("portal", "other", "") == Sounds(tones="US", reminder=45)
    assert book.of("other", "other", "") == Sounds()
