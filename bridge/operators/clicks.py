"""What an operator's wish means: events of the calls, or a sentence that says why not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..calls import events as on
from ..calls.commands import CallView
from ..calls.events import CallId, Event, Operator, TabId
from . import protocol as say
from .colleagues import Reachable
from .conferences import DONE, NOT_YET, NOT_YOURS, Conferences
from .floor import Floor
from .presence import Tab
from .protocol import Ack, CallState

MAX_CALLS = 8
"""Live calls of an operator beyond which none is dialled."""
MAX_WISHES, MAX_WISHERS = 128, 10_000

ENDED = Ack(ok=False, error="This call has already ended.")
TAKEN = Ack(ok=False, error="Somebody else has answered this call.")
CONNECTING = Ack(ok=False, error="Another call of yours is still being connected: wait for it or hang it up first.")
TOO_MANY = Ack(ok=False, error="You have too many calls at once: end one first.")
NO_PAGE = Ack(ok=False, error="No page of the portal is open that could speak: open one and try again.")
NO_MICROPHONE = Ack(ok=False, error="No page of this browser may use the microphone: allow it and try again.")

NOT_RECORDED = Ack(ok=False, error="This call can't be recorded.")
NOT_PAUSABLE = Ack(ok=False, error="The recording of this call may not be interrupted.")

UP = {CallState.TALKING, CallState.HELD, CallState.REJOINING}

NOBODY = Ack(ok=False, error="Say to whom: a number, or a colleague.")
NOT_THERE = Ack(ok=False, error="This colleague has no telephone at your telephone system.")
NO_CONSULTATION = Ack(ok=False, error="The call that this one asks about has ended.")

OnCall = (
    say.CallCommand
    | say.Speaking
    | say.Mute
    | say.Hold
    | say.Digits
    | say.Offer
    | say.VoiceFailed
    | say.Transfer
    | say.Consult
)

OnPast = say.Rate | say.Comment
"""Wishes that may come when the call is over."""


class Clicks:
    """`claim` takes operator, CALL_ID and number of a click in the portal: False when its call was made already.
    `notify` tells the portal's administrators that the operator could not make this call."""

    def __init__(
        self,
        *,
        floor: Floor,
        post: Callable[[Event], None],
        new_call_id: Callable[[], CallId],
        reachable: Reachable,
        claim: Callable[[Operator, str, str], bool],
        notify: Callable[[Operator, CallView], None],
        mixes: bool,
    ) -> None:
        """`mixes`: the voice room can make a conference of two calls."""
        self._floor = floor
        self._conferences = Conferences(floor=floor, post=post, mixes=mixes)
        self._reachable = reachable
        self._post = post
        self._new_call_id = new_call_id
        self._claim = claim
        self._notify = notify
        self._wishes = Wishes()

    def dial(self, tab: Tab, message: say.Dial) -> Ack:
        return self._dial_once(tab, message.dial, message.number)

    def _dial_once(self, tab: Tab, wish: str, number: str, consults: CallId | None = None) -> Ack:
        if self._wishes.granted(tab.operator, wish):
            return DONE
        voice = self._voice_to_dial(tab)
        if isinstance(voice, Ack):
            return voice
        self._wishes.grant(tab.operator, wish)
        return self._dial(tab.operator, number, voice, consults=consults)

    def dial_card(self, tab: Tab, number: str, card: str) -> Ack:
        """The call for a card that the portal has drawn for a click on a number: as if dialled by hand, and once only."""
        if any(view.card == card for view in self._floor.board.of(tab.operator).values()):
            return DONE
        voice = self._voice_to_dial(tab)
        if isinstance(voice, Ack):
            return voice
        if not self._claim(tab.operator, card, number):
            return DONE
        return self._dial(tab.operator, number, voice, card=card)

    def _voice_to_dial(self, tab: Tab) -> TabId | Ack:
        """The page that would speak, or why nothing can be dialled now."""
        if self._connecting(tab.operator):
            return CONNECTING
        if sum(view.answered_by == tab.operator for view in self._floor.board.of(tab.operator).values()) >= MAX_CALLS:
            return TOO_MANY
        voice = self._floor.roster.tab(self._floor.roster.voice_for(tab.id))
        if voice is None or not voice.may_capture:
            return NO_MICROPHONE if voice else NO_PAGE
        return voice.id

    def _dial(
        self, operator: Operator, number: str, voice: TabId, *, card: str = "", consults: CallId | None = None
    ) -> Ack:
        self.hold_others(operator)
        self._post(
            on.OperatorDialled(
                call=self._new_call_id(), operator=operator, number=number, voice=voice, card=card, consults=consults
            )
        )
        return DONE

    def on_call(self, tab: Tab, event: str, message: OnCall, now: float) -> Ack:
        """A wish about one of the operator's live calls."""
        view = self._floor.board.of(tab.operator).get(CallId(message.call))
        if view is None:
            return ENDED
        call, operator = view.id, tab.operator
        match message:
            case say.Offer(offer=name, sdp=sdp):
                self._post(on.MediaOffered(call=call, operator=operator, tab=tab.id, offer=name, sdp=sdp))
            case say.Speaking():
                self._post(on.VoiceStarted(call=call, operator=operator, tab=tab.id))
            case say.VoiceFailed(why=why):
                self._post(on.VoiceFailed(call=call, operator=operator, tab=tab.id, why=why.value))
            case say.Mute(muted=muted):
                for each in self._conferences.members(operator, view):
                    self._post(on.OperatorMuted(call=each.id, operator=operator, muted=muted))
            case say.Hold(held=held):
                return self._hold(operator, view, held)
            case say.Digits():
                return self._press(operator, view, message)
            case say.Transfer():
                return self._transfer(operator, view, message)
            case say.Consult():
                return self._consult(tab, view, message)
            case say.CallCommand() if event == "answer":
                return self._answer(tab, view, now)
            case say.CallCommand() if event == "complete":
                return self._complete(operator, view)
            case say.CallCommand() if event == "back":
                return self._back(operator, view)
            case say.CallCommand() if event == "take":
                return self._take(tab, view)
            case say.CallCommand() if event in ("record", "pauseRecording"):
                return self._record(operator, view, event == "record")
            case say.CallCommand() if event == "decline":
                self._post(on.OperatorDeclined(call=call, operator=operator))
            case say.CallCommand() if event == "merge":
                return self._conferences.merge(operator, view)
            case say.CallCommand() if event == "split":
                return self._conferences.split(operator, view)
            case say.CallCommand() if event == "drop":
                self._post(on.OperatorHungUp(call=call, operator=operator))
            case say.CallCommand():
                for each in self._conferences.members(operator, view):
                    self._post(on.OperatorHungUp(call=each.id, operator=operator))
        return DONE

    def on_past(self, tab: Tab, message: OnPast) -> Ack:
        """What is said about a call counts while it lasts; afterwards it disturbs nobody."""
        view = self._floor.board.of(tab.operator).get(CallId(message.call))
        if view is None or view.answered_by != tab.operator:
            return DONE
        match message:
            case say.Rate(mark=mark):
                self._post(on.OperatorRated(call=view.id, operator=tab.operator, mark=mark))
            case say.Comment(text=text):
                self._post(on.OperatorCommented(call=view.id, operator=tab.operator, comment=text))
        return DONE

    def notify_admin(self, tab: Tab, message: say.CallCommand) -> Ack:
        view = self._floor.board.unpaid(tab.operator, CallId(message.call))
        if view is None:
            return NOT_YOURS
        wish = f"notify {view.id}"
        if not self._wishes.granted(tab.operator, wish):
            self._wishes.grant(tab.operator, wish)
            self._notify(tab.operator, view)
        return DONE

    def hold_others(self, operator: Operator, besides: Collection[CallId] = ()) -> None:
        """One conversation at a time: hold what the operator talks on, or will talk on as soon as it has rejoined."""
        for view in list(self._floor.board.of(operator).values()):
            if self._is_up(operator, view) and not view.held and view.id not in besides:
                self._post(on.OperatorHeld(call=view.id, operator=operator, held=True))

    def _answer(self, tab: Tab, view: CallView, now: float) -> Ack:
        operator = tab.operator
        if view.answered_by not in {None, operator}:
            return TAKEN
        if view.state != CallState.RINGING.value:
            return DONE  # clicked twice, or on two pages
        if self._connecting(operator):
            return CONNECTING
        voice = self._floor.roster.voice_for(tab.id)
        if voice is None:
            return NO_PAGE
        self.hold_others(operator)
        self._post(on.OperatorAnswered(call=view.id, operator=operator, tab=tab.id, voice=voice))
        self._floor.lead_from(voice, now)
        return DONE

    def _hold(self, operator: Operator, view: CallView, held: bool) -> Ack:
        if view.answered_by != operator:
            return NOT_YOURS
        if not self._is_up(operator, view):
            return NOT_YET
        if not held and self._connecting(operator):
            return CONNECTING
        members = [each.id for each in self._conferences.members(operator, view)]
        if not held:
            self.hold_others(operator, besides=members)
        for call in members:
            self._post(on.OperatorHeld(call=call, operator=operator, held=held))
        return DONE

    def _record(self, operator: Operator, view: CallView, recorded: bool) -> Ack:
        if view.answered_by != operator:
            return NOT_YOURS
        if view.recording == say.Recording.NONE.value:
            return NOT_RECORDED
        if not recorded and not view.recording_pausable:
            return NOT_PAUSABLE
        self._post(on.OperatorRecorded(call=view.id, operator=operator, recorded=recorded))
        return DONE

    def _press(self, operator: Operator, view: CallView, message: say.Digits) -> Ack:
        if view.answered_by != operator:
            return NOT_YOURS
        if not self._wishes.granted(operator, message.press):
            self._wishes.grant(operator, message.press)
            self._post(on.OperatorPressed(call=view.id, operator=operator, digits=message.digits))
        return DONE

    def _take(self, tab: Tab, view: CallView) -> Ack:
        if view.answered_by != tab.operator:
            return NOT_YOURS
        if not self._is_up(tab.operator, view):
            return NOT_YET
        voice = self._floor.roster.tab(self._floor.roster.voice_for(tab.id))
        if voice is None or not voice.may_capture:
            return NO_MICROPHONE if voice else NO_PAGE
        for each in self._conferences.members(tab.operator, view):
            self._post(on.OperatorTook(call=each.id, operator=tab.operator, voice=voice.id))
        return DONE

    # ---- transfers

    def _transfer(self, operator: Operator, view: CallView, message: say.Transfer) -> Ack:
        if (refusal := self._cannot_pass_on(operator, view)) is not None:
            return refusal
        reached = message.user and self._reachable(operator).get(message.user, "")
        if not reached and not message.number:
            return NOT_THERE if message.user else NOBODY
        to = Operator(operator.portal, message.user) if reached else None
        number = "" if to else message.number
        self._post(on.OperatorTransferred(call=view.id, operator=operator, number=number, to=to))
        return DONE

    def _consult(self, tab: Tab, view: CallView, message: say.Consult) -> Ack:
        if (refusal := self._cannot_pass_on(tab.operator, view)) is not None:
            return refusal
        number = (message.user and self._reachable(tab.operator).get(message.user, "")) or message.number
        if not number:
            return NOT_THERE if message.user else NOBODY
        return self._dial_once(tab, message.dial, number, consults=view.id)

    def _complete(self, operator: Operator, view: CallView) -> Ack:
        first, second = self._conferences.ends(operator, view)
        if first is None:
            return NO_CONSULTATION
        for each in (first, second):
            if (refusal := self._cannot_pass_on(operator, each)) is not None:
                return refusal
        self._post(on.OperatorConnected(call=first.id, operator=operator, other=second.id, number=second.number))
        return DONE

    def _back(self, operator: Operator, view: CallView) -> Ack:
        """Whoever was asked is left, whether they answered yet or not; the held call goes on."""
        if view.answered_by != operator:
            return NOT_YOURS
        first = self._floor.board.of(operator).get(view.consults) if view.consults else None
        self._post(on.OperatorHungUp(call=view.id, operator=operator))
        if first is not None and self._is_up(operator, first):
            self._post(on.OperatorHeld(call=first.id, operator=operator, held=False))
        return DONE

    def _cannot_pass_on(self, operator: Operator, view: CallView) -> Ack | None:
        if view.answered_by != operator:
            return NOT_YOURS
        return None if view.state in {CallState.TALKING.value, CallState.HELD.value} else NOT_YET

    def _is_up(self, operator: Operator, view: CallView) -> bool:
        return view.answered_by == operator and CallState(view.state) in UP

    def _connecting(self, operator: Operator) -> bool:
        """Does a call of this operator's own wait for its voice or for the other end?"""
        states = {view.state for view in self._floor.board.of(operator).values() if view.answered_by == operator}
        return bool(states & {CallState.JOINING.value, CallState.DIALLING.value})


class Wishes:
    """Names of the latest wishes that were granted, so that a repeated one is not granted twice."""

    def __init__(self) -> None:
        self._names: dict[Operator, dict[str, None]] = {}

    def granted(self, operator: Operator, name: str) -> bool:
        return name in self._names.get(operator, {})

    def grant(self, operator: Operator, name: str) -> None:
        names = self._names.pop(operator, {})
        names[name] = None
        self._names[operator] = names  # the operator who wished last is forgotten last
        if len(names) > MAX_WISHES:
            del names[next(iter(names))]
        if len(self._names) > MAX_WISHERS:
            del self._names[next(iter(self._names))]
