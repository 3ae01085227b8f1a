"""The table of a call: which fact means what in which state. `step` is the only function that changes a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import callback, conference, ending, inbound, outbound, reoffers, talking, taping, transfer, turns, voice
from . import commands as do
from . import events as on
from .call import Call, State, Step, World
from .change import changed
from .events import Event
from .outcome import Ending, TransferFailure


def step(call: Call, event: Event, world: World) -> Step:
    """The call after a fact, and what has to be done. Facts that came too late change nothing."""
    if call.state is State.ENDED:
        return call, []
    handler = _TABLE.get(call.state, {}).get(type(event))
    if handler is None and call.state is not State.NEW:
        handler = _IN_ANY_STATE.get(type(event))
    if handler is None:
        return call, []
    answered, commands = handler(call, event, world)
    after, more = taping.begun(call, answered, world)
    commands += more
    if after.operators and after is not call:
        view = after.view
        if call.state is State.NEW or after.operators != call.operators or view != call.view:
            commands.append(do.ShowCall(call=call.id, operators=after.operators, view=view))
    return after, commands


def _registered(call: Call, event: on.CallRegistered, world: World) -> Step:
    known = changed(call, card=event.card)
    return known, turns.card_for(known, known.operators)


def _not_drawn(call: Call, event: on.CardNotDrawn, world: World) -> Step:
    """A page draws one card; that of the call before may just have gone."""
    return call, [do.ShowCard(call=call.id, card=call.card, operators=(event.operator,))] if call.card else []


def _failed(call: Call, event: on.CommandFailed, world: World) -> Step:
    """A neighbour could not do what it was told; what matters is whether the call can go on without it."""
    if event.command == "ReofferMedia":
        return call, [do.RefusePbxReoffer(call=call.id, status=488, phrase="Not Acceptable Here")]
    if call.state is State.TRANSFERRING and event.command in {"TransferPbx", "ConnectPbx"}:
        return transfer.give_back(call, TransferFailure.FAILED, world)
    if call.state is State.TRANSFERRING and event.command in {"HoldMedia", "ReofferPbx"}:
        return transfer.hold_impossible(call)
    if event.command in {"StartRecording", "ResumeRecording"}:
        return taping.failed(call, event, world)
    if event.command == "OfferMedia":
        return call, [do.RefusePbxReferral(call=call.id, status=488)]
    if event.command == "JoinConference":
        return conference.failed(call)
    if event.command == "HoldMedia":
        return conference.hold_impossible(call)
    if event.command == "ReofferPbx":
        return conference.hold_refused(call, event, world)
    if event.command in {"AnswerPbx", "RingPbx", "DialPbx"}:
        return ending.end(call, Ending.PBX_LOST, world)
    if event.command == "AcceptPbxAnswer":
        return ending.end(call, Ending.MEDIA_FAILED, world)
    if event.command in {"ConnectBrowser", "JoinMedia"} and call.state in {State.JOINING, State.DIALLING}:
        return ending.end(call, Ending.MEDIA_FAILED, world)
    return call, []


def _stopped(call: Call, event: Event, world: World) -> Step:
    return ending.end(call, Ending.BRIDGE_STOPPED, world)


_Handler = Callable[[Call, Any, World], Step]

_BEFORE_THE_ANSWER: dict[type[Event], _Handler] = {
    on.PbxCancelled: inbound.cancelled,
    on.OperatorDeclined: inbound.declined,
    on.OperatorHungUp: inbound.declined,
    on.MediaOffered: voice.offered,
    on.EarlyMediaReady: inbound.early_media,
    on.PbxLegMoved: reoffers.moved_early,
}
_AFTER_THE_ANSWER: dict[type[Event], _Handler] = {
    on.OperatorHungUp: talking.hung_up,
    on.PbxFellSilent: talking.pbx_silent,
    on.QualityChanged: talking.sounded,
    on.OperatorMuted: voice.muted,
    on.OperatorHeld: reoffers.hold_wished,
    on.OperatorPressed: talking.pressed,
    on.OperatorRecorded: taping.wished,
    on.OperatorTook: voice.took,
    on.VoiceStarted: voice.started,
    on.VoiceFailed: voice.voice_trouble,
    on.MediaReoffered: reoffers.hold_offered,
    on.MediaHeld: reoffers.hold_kept,
    on.PbxReanswered: reoffers.agreed,
    on.PbxRefusedReoffer: conference.hold_refused,
    on.OperatorSplit: conference.split,
    on.PbxTransferred: transfer.done,
    on.PbxLegMoved: reoffers.moved,
}
_WITH_VOICE: dict[type[Event], _Handler] = {
    **_AFTER_THE_ANSWER,
    on.TabLeft: voice.voice_lost,
    on.BrowserLost: voice.voice_lost,
    on.MediaOffered: voice.reconnected,
    on.OperatorTransferred: transfer.wished,
    on.OperatorConnected: transfer.connect_wished,
    on.OperatorMerged: conference.merged,
}
_TABLE: dict[State, dict[type[Event], _Handler]] = {
    State.NEW: {on.PbxInvited: inbound.invited, on.OperatorDialled: outbound.dialled, on.CallbackAsked: callback.asked},
    State.DIALLING: {
        on.MediaOffered: outbound.voice_offered,
        on.MediaReady: outbound.voice_up,
        on.VoiceStarted: voice.started,
        on.VoiceFailed: outbound.voice_failed,
        on.TabLeft: outbound.voice_lost,
        on.BrowserLost: outbound.voice_lost,
        on.PbxLegMoved: reoffers.moved_early,
        on.PbxRang: outbound.far_end_rings,
        on.PbxProgressed: outbound.early_media,
        on.PbxAnswered: outbound.far_end_answered,
        on.PbxRefused: outbound.far_end_refused,
        on.OperatorHungUp: outbound.given_up,
        on.OperatorDeclined: outbound.given_up,
        on.OperatorMuted: voice.muted,
        on.OperatorPressed: talking.pressed,
        on.DeadlinePassed: outbound.late,
    },
    State.RINGING: {
        **_BEFORE_THE_ANSWER,
        on.OperatorAnswered: inbound.answered,
        on.VoiceFailed: inbound.answer_failed,
        on.BrowserLost: voice.warm_leg_lost,
        on.DeadlinePassed: turns.over,
    },
    State.JOINING: {
        **_BEFORE_THE_ANSWER,
        on.MediaReady: inbound.joined,
        on.VoiceStarted: voice.started,
        on.VoiceFailed: inbound.join_failed,
        on.TabLeft: inbound.join_failed,
        on.BrowserLost: inbound.leg_lost,
        on.DeadlinePassed: inbound.join_late,
    },
    State.TALKING: _WITH_VOICE,
    State.HELD: _WITH_VOICE,
    State.TRANSFERRING: {
        on.OperatorHungUp: talking.hung_up,
        on.OperatorMuted: voice.muted,
        on.OperatorRecorded: taping.wished,
        on.OperatorTook: voice.took,
        on.VoiceFailed: voice.voice_trouble,
        on.MediaOffered: transfer.voice_offered,
        on.TabLeft: transfer.voice_lost,
        on.BrowserLost: transfer.voice_lost,
        on.PbxLegMoved: reoffers.moved,
        on.MediaReoffered: reoffers.hold_offered,
        on.MediaHeld: transfer.hold_settled,
        on.PbxReanswered: transfer.hold_settled,
        on.PbxRefusedReoffer: transfer.hold_settled,
        on.PbxTransferProgressed: transfer.progressed,
        on.PbxTransferred: transfer.done,
        on.PbxTransferFailed: transfer.failed,
        on.PbxHungUp: transfer.pbx_left,
        on.DeadlinePassed: transfer.late,
    },
    State.REJOINING: {
        **_AFTER_THE_ANSWER,
        on.VoiceFailed: voice.rejoin_failed,
        on.TabLeft: voice.rejoin_broken,
        on.BrowserLost: voice.rejoin_broken,
        on.MediaOffered: voice.rejoin_offered,
        on.MediaReady: voice.rejoined,
        on.DeadlinePassed: voice.rejoin_late,
    },
}
_IN_ANY_STATE: dict[type[Event], _Handler] = {
    on.CardNotDrawn: _not_drawn,
    on.BrowserAnswered: voice.browser_answered,
    on.CodecChanged: voice.codec_changed,
    on.PbxConfirmed: talking.confirmed,
    on.PbxPartyChanged: talking.party_changed,
    on.PbxReferred: talking.referred,
    on.RecordingFailed: taping.failed,
    on.ConferenceOver: conference.over,
    on.MediaOfferMade: talking.offer_made,
    on.DigitsUnsent: talking.digits_unsent,
    on.PbxHungUp: talking.pbx_hung_up,
    on.PbxReoffered: talking.reoffered,
    on.MediaReanswered: talking.reanswered,
    on.CallRegistered: _registered,
    on.CallerFound: turns.found,
    on.CommandFailed: _failed,
    on.BridgeStopped: _stopped,
}
