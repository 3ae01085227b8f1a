"""The INVITE usage of a dialog (RFC 5057): a session, and what its two parties ask of one another beside it (pure).

Keys of the keypad (INFO), transfers that we ask for, and transfers that are asked of us (REFER, RFC 3515).
"""

from __future__ import annotations

from .dialog import ALLOW, PRODUCT, Identity
from .flow import Flow
from .info import RELAY, body_of, key_in
from .login import Login
from .matching import Key
from .message import Request, Response, SipError, respond
from .output import Answer, Output, Pressed, Referred, TransferFailed
from .refer import Transfer, referred_by
from .referral import Referral
from .session import REOFFER_SECONDS, Session, Stage, Timer, is_due, unheeded
from .transaction import Timers

MOST_KEYS = 64
FAREWELL_SECONDS = 0.5
"""How long a peer that has taken a transfer may take to end the session that nobody needs any more."""


class Usage(Session):
    """One session with one peer, and everything else that is done within its dialog."""

    def __init__(
        self,
        *,
        call_id: str,
        me: Identity,
        timers: Timers,
        user: str,
        peer: Flow,
        login: Login | None,
        made_call_id: bool,
        secure: bool = False,
    ) -> None:
        super().__init__(
            call_id=call_id,
            me=me,
            timers=timers,
            user=user,
            peer=peer,
            login=login,
            made_call_id=made_call_id,
            secure=secure,
        )
        self._transfer: Transfer | None = None
        self.referral: Referral | None = None
        """A REFER of the peer's that waits for us, or that we follow."""
        self._referrals = 0
        self.replaced = False
        """The peer has put its end through to somebody else, in a transfer of ours."""
        self._keys = ""
        """Those that wait to be sent; the first one is on its way."""

    @property
    def deadline(self) -> float | None:
        is_up = self._transfer is not None and self.stage is Stage.CONFIRMED
        times = [super().deadline, self._transfer.deadline if self._transfer and is_up else None]
        return min((when for when in times if when is not None), default=None)

    def wake(self, now: float) -> list[Output]:
        outputs = super().wake(now)
        if self.stage is Stage.CONFIRMED and self._transfer and is_due(self._transfer.deadline, now):
            outputs += self._transfer.wake()
        return outputs

    # ---- what the user wants

    def hang_up(self, cause: int, now: float) -> list[Output]:
        """BYE; after a transfer the peer is left a moment to say it itself, as most do."""
        was_passed_on = self.replaced or (self._transfer is not None and self._transfer.succeeded)
        if self.stage is not Stage.CONFIRMED or not was_passed_on or self._cause is not None:
            return super().hang_up(cause, now)
        self._cause = cause
        self._due[Timer.FAREWELL] = now + FAREWELL_SECONDS
        return []

    def press(self, keys: str, now: float) -> list[Output]:
        """INFO for each key, one after the other: what overtakes is pressed in the wrong order."""
        if self.stage is not Stage.CONFIRMED:
            return []
        waits, self._keys = bool(self._keys), (self._keys + keys)[:MOST_KEYS]
        return [] if waits else self._press_next()

    def transfer(self, refer_to: str, now: float) -> list[Output]:
        """REFER: the peer shall call somebody else and put them through (RFC 3515)."""
        if self.stage is not Stage.CONFIRMED or self.dialog is None or (self._transfer and not self._transfer.told):
            return [TransferFailed(491, "", refused=True)]
        headers = [
            ("Contact", str(self._contact)),
            ("Refer-To", refer_to),
            ("Referred-By", referred_by(self.dialog)),
            ("Allow", ALLOW),
        ]
        self._transfer = Transfer(self.dialog.local_cseq + 1, self._timers)
        return self._errands.ask(self.dialog, self.login, "REFER", self._refer_answered, headers)

    def follow_referral(self, now: float) -> list[Output]:
        """Take the peer's REFER; `tell_referral` says how it goes on."""
        if self.referral is None or self.referral.taken or self.dialog is None:
            return []
        self.referral.taken = True
        self._due.pop(Timer.REFERRAL, None)
        headers = [("Contact", str(self._contact)), ("Server", PRODUCT)]
        headers += [("Refer-Sub", "false")] if self.referral.is_silent else []
        accepted = respond(self.referral.request, 202, to_tag=self.tag, headers=headers)
        return [Answer(self.referral.key, accepted), *self.tell_referral(100, "", now)]

    def tell_referral(self, status: int, phrase: str, now: float) -> list[Output]:
        """NOTIFY what the new party's telephone said; a final status ends the referral."""
        referral = self.referral
        if referral is None or not referral.taken or self.dialog is None or self.stage is not Stage.CONFIRMED:
            return []
        if status >= 200:
            self.referral = None
        if referral.is_silent:
            return []
        headers, body = referral.news(status, phrase)
        headers = [("Contact", str(self._contact)), *headers]
        return self._errands.ask(self.dialog, self.login, "NOTIFY", unheeded, headers, body)

    def refuse_referral(self, status: int, now: float) -> list[Output]:
        if self.referral is None or self.referral.taken:
            return []
        refused, self.referral = self.referral, None
        self._due.pop(Timer.REFERRAL, None)
        return [self._reply(refused.key, refused.request, status)]

    # ---- within

    def _granted(self, key: Key, request: Request, now: float) -> list[Output] | None:
        if request.method == "NOTIFY" and self._transfer and self._transfer.owns(request):
            return [self._reply(key, request, 200), *self._transfer.notified(request)]
        if self.stage is Stage.LEAVING:
            return None
        if request.method == "REFER":
            return self._referred(key, request, now)
        if request.method == "INFO" and (pressed := key_in(request)):
            return [self._reply(key, request, 200), Pressed(pressed)]
        return None

    def _timed_out(self, timer: Timer, now: float) -> list[Output]:
        if timer is Timer.FAREWELL:
            return super().hang_up(self._cause or 0, now)
        return self.refuse_referral(603, now) if timer is Timer.REFERRAL else super()._timed_out(timer, now)

    def _drop_open(self) -> list[Output]:
        return [*super()._drop_open(), *self.refuse_referral(487, 0)]

    def _referred(self, key: Key, request: Request, now: float) -> list[Output]:
        if self.stage is not Stage.CONFIRMED:
            return [self._reply(key, request, 603)]
        if self.referral is not None:
            return [self._reply(key, request, 491)]
        try:
            self.referral = Referral(key, request, first=not self._referrals)
        except SipError:
            return [self._reply(key, request, 400)]
        self._referrals += 1
        self._due[Timer.REFERRAL] = now + REOFFER_SECONDS
        return [Referred(self.referral.target)]

    def _press_next(self) -> list[Output]:
        if not self._keys or self.dialog is None:
            return []
        headers, body = [("Content-Type", RELAY)], body_of(self._keys[0])
        return self._errands.ask(self.dialog, self.login, "INFO", self._key_answered, headers, body)

    def _key_answered(self, status: int, response: Response | None, now: float) -> list[Output]:
        """A peer that does not take one key takes none."""
        self._keys = self._keys[1:] if status < 300 else ""
        if self.stage is not Stage.CONFIRMED:
            return []
        return self._lost("481 to our INFO") if status == 481 else self._press_next()

    def _refer_answered(self, status: int, response: Response | None, now: float) -> list[Output]:
        """A peer that does not know the dialog any more has no session either (RFC 5057, 5.1)."""
        if self._transfer is None or self.stage is not Stage.CONFIRMED:
            return []
        return self._lost("481 to our REFER") if status == 481 else self._transfer.answered(status, response, now)
