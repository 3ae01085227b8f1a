"""A call is recorded: from its answer on, or when its operator asks for it; they may interrupt it, and it may fail."""

from __future__ import annotations

from . import commands as do
from . import events as on
from .call import Call, State, Step, World
from .change import changed
from .recording import Recording, RecordingMode
from .routing import recording_of


def begun(before: Call, after: Call, world: World) -> Step:
    """A call that has just been answered, with the rules of its line or portal."""
    if before.answered or not after.answered or after.state is State.ENDED:
        return after, []
    rules = recording_of(world.directory, after.owner.portal, after.line)
    ruled = changed(after, recording_rules=rules)
    match rules.mode:
        case RecordingMode.NEVER:
            return after, []
        case RecordingMode.ASKED:
            return changed(ruled, recording=Recording.OFF), []
        case RecordingMode.ALWAYS:
            return changed(ruled, recording=Recording.ON), [_start(ruled)]


def wished(call: Call, event: on.OperatorRecorded, world: World) -> Step:
    """An absolute state, so that repeating it changes nothing."""
    if event.operator != call.answered_by:
        return call, []
    match call.recording, event.recorded:
        case ((Recording.OFF | Recording.FAILED), True):
            return changed(call, recording=Recording.ON), [_start(call)]
        case Recording.PAUSED, True:
            return changed(call, recording=Recording.ON), [do.ResumeRecording(call=call.id)]
        case Recording.ON, False if call.recording_rules.pausable:
            return changed(call, recording=Recording.PAUSED), [do.PauseRecording(call=call.id)]
    return call, []


def failed(call: Call, event: on.RecordingFailed | on.CommandFailed, world: World) -> Step:
    """The call goes on without; somebody has to know."""
    if call.recording is Recording.NONE:
        return call, []
    alarm = do.RaiseRecordingAlarm(call=call.id, operator=call.owner, why=event.why)
    return changed(call, recording=Recording.FAILED), [alarm]


def _start(call: Call) -> do.StartRecording:
    rules = call.recording_rules
    return do.StartRecording(
        call=call.id,
        portal=call.owner.portal,
        announcement=rules.announcement,
        beep_seconds=rules.beep_seconds,
    )
