"""A call's leg at a PBX: its session, and one that may take its place (pure).

An heir comes in with Replaces (RFC 3891), or goes out because the PBX asked us to call somebody else (REFER, RFC 3515). It
becomes the session of the call when it is answered; until then, and if it comes to nothing, everything stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from ..calls.commands import (
    AnswerPbxReoffer,
    CancelPbx,
    HangUpPbx,
    PbxCommand,
    RefusePbxReferral,
    RefusePbxReoffer,
    ReofferPbx,
)
from ..calls.events import (
    CallId,
    Event,
    PbxAnswered,
    PbxConfirmed,
    PbxHungUp,
    PbxPartyChanged,
    PbxReferred,
    PbxRefusedReoffer,
)
from .callee import Inbound
from .caller import Outbound
from .message import Request, caller_of
from .output import Accepted, Fact, HungUp, Output, Progressed, Rang, Reanswered, Referred, Refused, ReofferRefused
from .peer import Peer
from .phrasebook import NORMAL_CLEARING, carried_out, told
from .session import Stage
from .usage import Usage

DIALLED = re.compile(r"\+?[0-9*#]{1,40}")
"""Nothing else is called: whoever may write a whole URI may call at the expense of others."""

Deed: TypeAlias = Event | tuple[Usage, list[Output]]
"""Something to tell the call, or to do in a session."""


@dataclass(slots=True, kw_only=True, eq=False)
class Leg:
    call: CallId
    usage: Usage
    peer: Peer
    account: str
    consulted: CallId | None = None
    """An attended transfer is on its way: the call whose far end takes our place."""
    heir: Usage | None = None
    arrival: Request | None = None
    """The INVITE that the heir came with."""
    owes_a_word: bool = False
    """The call offers something anew, and has not heard what became of it."""
    orphaned: str = ""
    """Why the session ended while an heir was being called."""

    @property
    def usages(self) -> tuple[Usage, ...]:
        return (self.usage, self.heir) if self.heir else (self.usage,)

    # ---- what the call wants

    def carried_out(self, command: PbxCommand, now: float) -> list[Deed]:
        heir = self.heir
        if isinstance(heir, Inbound) and isinstance(command, AnswerPbxReoffer | RefusePbxReoffer):
            return self._settled(heir, command, now)
        if isinstance(command, RefusePbxReferral):
            return [(self.usage, self.usage.refuse_referral(command.status, now))]
        deeds: list[Deed] = []
        if heir is not None and isinstance(command, HangUpPbx | CancelPbx):
            self.heir = None
            deeds.append((heir, heir.hang_up(NORMAL_CLEARING, now)))
        self.owes_a_word = self.owes_a_word or isinstance(command, ReofferPbx)
        return [*deeds, (self.usage, carried_out(command, self.usage, now))]

    def follow(self, heir: Outbound, now: float) -> list[Deed]:
        """Let somebody else be called; the PBX hears how it goes on."""
        self.heir = heir
        return [(self.usage, self.usage.follow_referral(now))]

    # ---- what happened

    def happened(self, usage: Usage, fact: Fact, now: float) -> list[Deed]:
        if usage is self.heir:
            return self._heir(usage, fact, now)
        if usage is not self.usage:
            return []  # its place is taken
        if isinstance(fact, HungUp) and isinstance(self.heir, Outbound):
            self.orphaned = fact.why
            return []
        if isinstance(fact, Referred):
            return self._referred(fact, now)
        if isinstance(fact, Reanswered | ReofferRefused):
            self.owes_a_word = False
        event = told(self.call, fact)
        return [event] if event else []

    def _referred(self, fact: Referred, now: float) -> list[Deed]:
        """Toll fraud: only to numbers that the operator might dial."""
        number = unquote(fact.target.user)
        if not DIALLED.fullmatch(number) or self.heir is not None:
            return [(self.usage, self.usage.refuse_referral(603, now))]
        return [PbxReferred(call=self.call, number=number)]

    def _settled(self, heir: Inbound, command: AnswerPbxReoffer | RefusePbxReoffer, now: float) -> list[Deed]:
        if isinstance(command, RefusePbxReoffer) or heir.stage is not Stage.INVITING:
            self.heir = None
            return [(heir, heir.refuse(488, "", now))]
        was_early = self.usage.stage is Stage.INVITING
        party = caller_of(self.arrival) if self.arrival else ("", "")
        deeds: list[Deed] = [(heir, heir.answer(command.sdp, now)), *self._take_over(now)]
        deeds += [PbxAnswered(call=self.call, sdp=b"")] if was_early else []
        return [*deeds, PbxPartyChanged(call=self.call, number=party[0], name=party[1]), *self._owed()]

    def _heir(self, heir: Usage, fact: Fact, now: float) -> list[Deed]:
        match fact:
            case Rang() | Progressed():
                return [(self.usage, self.usage.tell_referral(180, "", now))]
            case Accepted(sdp) if isinstance(heir, Outbound):
                told_it: Deed = (self.usage, self.usage.tell_referral(200, "", now))
                deeds = [told_it, *self._take_over(now)]
                confirmed = [PbxConfirmed(call=self.call, answer=sdp)] if sdp else []
                return [*deeds, *confirmed, PbxPartyChanged(call=self.call, number=heir.number, name=""), *self._owed()]
            case Refused(status, phrase):
                self.heir = None
                return [(self.usage, self.usage.tell_referral(status, phrase, now)), *self._alone()]
            case HungUp():  # an heir that came in and left before it was answered
                self.heir = None
                return self._alone()
            case _:
                return []

    def _alone(self) -> list[Deed]:
        return [PbxHungUp(call=self.call, why=self.orphaned)] if self.orphaned else []

    def _owed(self) -> list[Deed]:
        """What was offered in the session that goes will not be answered any more; the one that comes has its own description."""
        owed, self.owes_a_word = self.owes_a_word, False
        return [PbxRefusedReoffer(call=self.call, status=487)] if owed else []

    def _take_over(self, now: float) -> list[Deed]:
        assert self.heir is not None, "somebody takes over"
        former, self.usage, self.heir = self.usage, self.heir, None
        self.orphaned = ""
        return [(former, former.hang_up(NORMAL_CLEARING, now))]
