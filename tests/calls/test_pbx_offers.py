"""Offers that stand elsewhere than in the INVITE, and who is at the other end by now."""

from __future__ import annotations

from dataclasses import replace

from bridge.calls import commands as do
from bridge.calls import events as on
from bridge.calls.routing import TrunkPolicy

from .story import ANNA, ANSWERED, DIRECTORY, ID, INVITED, OFFERED, READY, TAB, Story, names

DIALLED = on.OperatorDialled(call=ID, operator=ANNA, number="100", voice=TAB)
MOVED = on.PbxLegMoved(call=ID, sdp=b"moved")
NEW_OFFER = on.PbxReoffered(call=ID, offer=b"v=1")


def test_a_late_offer_is_ours_and_the_ack_brings_its_answer() -> None:
    story = Story()
    story.tell(replace(INVITED, offer=b""), OFFERED, ANSWERED, READY)
    assert story.of(do.ConnectBrowser)[0].pbx_offer == b""
    assert story.of(do.AnswerPbx) == [do.AnswerPbx(call=ID, sdp=b"answer")]
    assert story.tell(on.PbxConfirmed(call=ID, answer=b"theirs")) == [do.AcceptPbxAnswer(call=ID, sdp=b"theirs")]


def test_an_ack_without_a_description_changes_nothing() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    assert story.tell(on.PbxConfirmed(call=ID)) == []


def test_an_early_session_follows_a_new_offer_and_one_that_only_rings_refuses_it() -> None:
    story = Story()
    story.tell(DIALLED, READY, on.PbxRang(call=ID))
    assert names(story.tell(NEW_OFFER)) == ["RefusePbxReoffer"]
    story.tell(on.PbxProgressed(call=ID, sdp=b"v=0"))
    assert names(story.tell(NEW_OFFER)) == ["ReofferMedia"]


def test_a_200_that_brings_nothing_new_leaves_the_early_answer_standing() -> None:
    story = Story()
    story.tell(DIALLED, READY, on.PbxProgressed(call=ID, sdp=b"v=0"))
    assert names(story.tell(on.PbxAnswered(call=ID, sdp=b""))) == ["RecordAnswer"]
    assert story.state == "talking"


def test_a_new_party_is_shown_and_the_record_stays_with_the_first_one() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY, on.PbxPartyChanged(call=ID, number="300", name="Vera"))
    assert (story.call.view.number, story.call.view.name) == ("300", "Vera")
    assert [register.number for register in story.of(do.RegisterCall)] == ["+49301"]


def test_keys_go_the_way_that_the_trunk_wants_and_another_where_that_is_closed() -> None:
    pressed = on.OperatorPressed(call=ID, operator=ANNA, digits="1#")
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    assert names(story.tell(pressed)) == ["SendDigits"]
    assert story.tell(on.DigitsUnsent(call=ID, digits="1#")) == [do.PressPbx(call=ID, digits="1#")]
    by_info = Story(directory=replace(DIRECTORY, trunks={"pbx": TrunkPolicy(dtmf="info")}))
    by_info.tell(INVITED, OFFERED, ANSWERED, READY)
    assert names(by_info.tell(pressed)) == ["PressPbx"]


def test_a_pbx_that_refers_us_is_followed_with_a_full_offer() -> None:
    referred = on.PbxReferred(call=ID, number="300")
    story = Story()
    assert names([*story.tell(INVITED, OFFERED), *story.tell(referred)])[-1] == "RefusePbxReferral"
    story.tell(ANSWERED, READY)
    assert names(story.tell(referred)) == ["OfferMedia"]
    made = on.MediaOfferMade(call=ID, sdp=b"all")
    assert story.tell(made) == [do.FollowPbxReferral(call=ID, sdp=b"all")]
    failed = on.CommandFailed(call=ID, command="OfferMedia", why="")
    assert story.tell(failed) == [do.RefusePbxReferral(call=ID, status=488)]


def test_a_trunk_may_forbid_to_be_followed() -> None:
    story = Story(directory=replace(DIRECTORY, trunks={"pbx": TrunkPolicy(follow_transfers=False)}))
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    refused = story.tell(on.PbxReferred(call=ID, number="300"))
    assert refused == [do.RefusePbxReferral(call=ID, status=603)]


def test_a_pbx_leg_that_has_moved_is_offered_to_the_pbx_and_the_call_goes_on_as_it_was() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY)
    assert story.tell(MOVED) == [do.ReofferPbx(call=ID, sdp=b"moved", tentative=True)]
    assert story.tell(on.PbxReanswered(call=ID, sdp=b"theirs")) == [do.AcceptPbxAnswer(call=ID, sdp=b"theirs")]
    assert story.state == "talking"
    story.tell(on.BrowserLost(call=ID, tab=TAB, why="died"))
    assert names(story.tell(MOVED)) == ["ReofferPbx"], "also while it waits for the operator's next page"


def test_a_pbx_that_does_not_follow_is_spoken_with_where_it_was() -> None:
    story = Story()
    story.tell(INVITED, OFFERED, ANSWERED, READY, MOVED)
    assert story.tell(on.PbxRefusedReoffer(call=ID, status=488)) == [do.KeepAddress(call=ID)]
    assert story.state == "talking"


def test_a_pbx_leg_that_moves_before_the_far_end_answers_is_offered_with_the_answer() -> None:
    story = Story()
    story.tell(DIALLED, READY)
    assert story.tell(MOVED) == []
    answered = story.tell(on.PbxAnswered(call=ID, sdp=b"v=0"))
    assert names(answered)[:2] == ["AcceptPbxAnswer", "ReofferPbx"]
    assert story.of(do.ReofferPbx) == [do.ReofferPbx(call=ID, sdp=b"moved", tentative=True)]


def test_a_page_whose_warm_leg_is_lost_makes_another_one() -> None:
    story = Story()
    story.tell(INVITED, OFFERED)
    assert story.tell(on.BrowserLost(call=ID, tab=TAB, why="died")) == [do.AskReoffer(call=ID, tab=TAB, anew=True)]
    story.tell(ANSWERED)
    lost = story.tell(on.BrowserLost(call=ID, tab=TAB, why="died"))
    assert names(lost) == ["AskReoffer"], "and may answer once more"
    assert story.state == "ringing"
