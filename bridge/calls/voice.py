"""The operator's voice: offered, lost, brought back, taken elsewhere."""

from __future__ import annotations

from . import commands as do
from . import ending
from . import events as on
from .call import Call, State, Step, World
from .change import changed
from .events import Event
from .outcome import Ending


def offered(call: Call, event: on.MediaOffered, world: World) -> Step:
    if event.operator not in call.operators or call.answered_by not in {None, event.operator}:
        return call, []
    connect = do.ConnectBrowser(
        call=call.id,
        tab=event.tab,
        offer=event.offer,
        sdp=event.sdp,
        pbx_offer=call.pbx_offer,
        codecs=call.policy.codecs,
        policy=call.policy.media,
    )
    return changed(call, media_open=True), [connect]


def browser_answered(call: Call, event: on.BrowserAnswered, world: World) -> Step:
    return call, [do.SendMediaAnswer(call=call.id, tab=event.tab, offer=event.offer, sdp=event.sdp)]


def started(call: Call, event: on.VoiceStarted, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return call, [do.JoinMedia(call=call.id, tab=event.tab, speaks=True)]


def codec_changed(call: Call, event: on.CodecChanged, world: World) -> Step:
    return call, [do.AskReoffer(call=call.id, tab=event.tab)]


def warm_leg_lost(call: Call, event: on.BrowserLost, world: World) -> Step:
    """Nobody speaks yet, and the page may not notice before it is to."""
    return call, [do.AskReoffer(call=call.id, tab=event.tab, anew=True)]


def muted(call: Call, event: on.OperatorMuted, world: World) -> Step:
    return (changed(call, muted=event.muted) if event.operator == call.answered_by else call), []


def voice_trouble(call: Call, event: on.VoiceFailed, world: World) -> Step:
    return (changed(call, notice=event.why) if event.tab == call.voice else call), []


def voice_lost(call: Call, event: on.TabLeft | on.BrowserLost, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    deadline = world.now + world.directory.rejoin_seconds
    return changed(call, state=State.REJOINING, resume=call.state, voice=None, deadline=deadline), []


def reconnected(call: Call, event: on.MediaOffered, world: World) -> Step:
    """The page that speaks found its own leg broken before we did, and offers a new one."""
    return rejoin_offered(call, event, world) if event.tab == call.voice else (call, [])


def rejoin_failed(call: Call, event: on.VoiceFailed, world: World) -> Step:
    """The page that was about to take the voice may not speak: the call waits for another one, and says why."""
    return (changed(call, voice=None, notice=event.why) if event.tab == call.voice else call), []


def rejoin_broken(call: Call, event: on.TabLeft | on.BrowserLost, world: World) -> Step:
    """The page that was about to take the voice is gone too; the deadline goes on."""
    return (changed(call, voice=None) if event.tab == call.voice else call), []


def rejoin_offered(call: Call, event: on.MediaOffered, world: World) -> Step:
    if event.operator != call.answered_by:
        return call, []
    after, commands = offered(call, event, world)
    return changed(after, voice=event.tab), [*commands, do.JoinMedia(call=call.id, tab=event.tab)]


def rejoined(call: Call, event: on.MediaReady, world: World) -> Step:
    if event.tab != call.voice:
        return call, []
    return changed(call, state=call.resume, deadline=None, notice=""), []


def rejoin_late(call: Call, event: Event, world: World) -> Step:
    return ending.end(call, Ending.VOICE_LOST, world)


def took(call: Call, event: on.OperatorTook, world: World) -> Step:
    """The old leg speaks on until the new one does."""
    if event.operator != call.answered_by or event.voice == call.voice:
        return call, []
    return changed(call, voice=event.voice, media_open=True, notice=""), [do.JoinMedia(call=call.id, tab=event.voice)]
