"""What a caller hears from us before anybody answers."""

from __future__ import annotations

from dataclasses import replace

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.routing import RINGBACK, Directory, TrunkPolicy
from bridge.calls.sounds import SoundBook, Sounds
from bridge.tones import ELSEWHERE, plan_of

from .story import ANNA, ANSWERED, DIRECTORY, ID, INVITED, OFFERED, READY, Story, names

EARLY = on.EarlyMediaReady(call=ID, sdp=b"early")


def with_early(early: str = RINGBACK, **lines: str) -> Directory:
    return replace(DIRECTORY, trunks={"pbx": TrunkPolicy(early=early)}, early_lines=lines)


def test_by_default_the_pbx_plays_its_own_tone() -> None:
    story = Story()
    story.tell(INVITED)
    assert story.of(do.SpeakEarly) == []


def test_it_rings_at_once_and_the_callers_pbx_is_told_when_there_is_something_to_hear() -> None:
    story = Story(directory=with_early())
    commands = story.tell(INVITED)
    assert names(commands)[0] == "RingPbx"
    (speak,) = story.of(do.SpeakEarly)
    assert (speak.pbx_offer, speak.sound) == (b"v=0", ELSEWHERE.ringback)
    assert story.tell(EARLY) == [do.ProgressPbx(call=ID, sdp=b"early")]


def test_the_tone_is_that_of_the_lines_country() -> None:
    book = SoundBook(lines={INVITED.line: Sounds(tones="GB")}, trunks={"pbx": Sounds(tones="US")})
    for line, country in ((INVITED.line, "GB"), ("other", "US")):
        story = Story(directory=replace(with_early(), sounds=book))
        story.tell(replace(INVITED, line=line))
        assert story.of(do.SpeakEarly)[0].sound == plan_of(country).ringback


def test_a_line_has_its_own_announcement_or_none() -> None:
    for line, sounds in (("/hello.wav", ["/hello.wav"]), ("", [])):
        story = Story(directory=with_early(**{INVITED.line: line}))
        story.tell(INVITED)
        assert [speak.sound for speak in story.of(do.SpeakEarly)] == sounds


def test_a_call_without_an_offer_and_a_call_for_nobody_hear_nothing_of_ours() -> None:
    late = Story(directory=with_early())
    late.tell(replace(INVITED, offer=b""))
    alone = Story(directory=with_early(), online=frozenset())
    alone.tell(INVITED)
    assert late.of(do.SpeakEarly) == alone.of(do.SpeakEarly) == alone.of(do.CloseMedia) == []


def test_what_can_not_be_played_leaves_the_call_ringing() -> None:
    story = Story(directory=with_early())
    story.tell(INVITED)
    assert story.tell(on.CommandFailed(call=ID, command="SpeakEarly", why="no G.711")) == []
    story.tell(OFFERED, ANSWERED, READY)
    assert story.state == "talking"


def test_an_answer_ends_it_and_what_comes_late_says_nothing() -> None:
    story = Story(directory=with_early())
    story.tell(INVITED, EARLY, OFFERED, ANSWERED, READY)
    assert story.of(do.AnswerPbx)[0].sdp == b"answer"
    assert story.tell(EARLY) == []


def test_a_caller_who_gives_up_closes_what_was_open() -> None:
    story = Story(directory=with_early())
    story.tell(INVITED, EARLY, on.PbxCancelled(call=ID, elsewhere=False))
    assert len(story.of(do.CloseMedia)) == 1
    declined = Story(directory=with_early())
    declined.tell(INVITED, on.OperatorDeclined(call=ID, operator=ANNA))
    assert len(declined.of(do.CloseMedia)) == 1
