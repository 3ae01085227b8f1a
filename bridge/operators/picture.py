"""What a call looks like from a page. Pure.

Most pages of an operator stand at the same angle to every call: what they are told is put together once for all of them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..calls import events
from ..calls.commands import CallView
from ..calls.events import CallId, Operator, TabId
from ..tones import Tone as Heard
from .presence import Roster, Tab
from .protocol import (
    Call,
    CallState,
    Client,
    ClientKind,
    Ended,
    Quality,
    Recording,
    Tone,
    TonePart,
    TransferFailure,
    Trouble,
    VoiceFailure,
)

UNSPOKEN = {CallState.DIALLING, CallState.REJOINING}
"""States in which a call without a voice waits for a page to offer one unasked."""
PROGRESS: dict[str, Literal["", "ringing", "early"]] = {"": "", "ringing": "ringing", "early": "early"}


class Angle(NamedTuple):
    """All that makes one page of an operator see a call differently from another one."""

    call: CallId
    sound: bool
    """The page makes its noise."""
    away: bool
    """Another browser has its voice."""


def voice_of(view: CallView, operator: Operator, roster: Roster) -> TabId | None:
    """The page that speaks for this operator, or that shall."""
    if view.voice is None and view.answered_by == operator and view.state in UNSPOKEN:
        return roster.volunteer(operator)
    return view.voice


def angle(view: CallView, tab: Tab, roster: Roster, sounding: TabId | None) -> Angle:
    """`sounding` is the page where the call rings."""
    voice = voice_of(view, tab.operator, roster)
    speaker = roster.tab(voice)
    noisy = voice
    if view.state == CallState.RINGING:
        noisy = sounding
    elif view.state == CallState.DIALLING and voice is None and view.answered_by == tab.operator:
        noisy = roster.lead(tab.operator)
    return Angle(
        call=view.id,
        sound=(view.state != CallState.ENDED or view.tone is not None) and noisy == tab.id,
        away=speaker is not None and speaker.browser != tab.browser,
    )


def picture(view: CallView, operator: Operator, seen: Angle, voice: TabId | None, now: float) -> Call:
    """The call as pages of this operator shall show it; `now` in Unix seconds."""
    ending = Ended(view.ending)
    taken = view.answered_by not in {None, operator}
    return Call(
        id=view.id,
        state=CallState(view.state),
        direction=view.direction.value,
        number=view.number,
        name=view.name,
        client=_client(view.client, operator),
        extension=view.extension,
        line=view.line,
        referrer=view.referrer,
        diverter=view.diverter,
        card=view.card,
        voice=voice or "",
        sound=seen.sound,
        elsewhere=taken or ending is Ended.ANSWERED_ELSEWHERE or seen.away,
        muted=view.muted,
        held=view.held,
        pbx_holds=view.pbx_holds,
        progress=PROGRESS[view.progress],
        talk_seconds=None if view.answered is None else max(0.0, (view.ended or now) - view.answered),
        ended=ending,
        notice=VoiceFailure(view.notice) if view.notice else "",
        quality=_quality(view.quality),
        recording=Recording(view.recording),
        recording_pausable=view.recording_pausable,
        consults=view.consults or "",
        conference=view.conference or "",
        conference_failed=view.conference_failed,
        transfer_to=view.transfer_to,
        transfer_rings=view.transfer_rings,
        transfer_failed=TransferFailure(view.transfer_failed) if view.transfer_failed else "",
        tone=_tone(view.tone) if seen.sound else None,
    )


def _tone(tone: Heard | None) -> Tone | None:
    if tone is None:
        return None
    parts = [TonePart(hertz=list(part.hertz), seconds=part.seconds) for part in tone.parts]
    return Tone(parts=parts, times=tone.times, volume=tone.volume)


def _client(client: events.Client | None, operator: Operator) -> Client | None:
    if client is None:
        return None
    return Client(
        kind=ClientKind(client.kind.value),
        id=client.id,
        responsible=client.responsible_name,
        mine=client.responsible == operator,
    )


def _quality(quality: events.Quality | None) -> Quality | None:
    if quality is None:
        return None
    return Quality(heard=quality.heard, said=quality.said, trouble=Trouble(quality.trouble.value))
