"""Takes the PBX leg of a call to another address of ours, while both of its ends speak on."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ..calls.events import CallId, PbxLegMoved
from ..errors import BridgeError
from .equipment import Equipment
from .pages import nobody
from .pbx_leg import PbxLeg
from .pbx_legs import PbxLegs
from .pbx_session import PbxSession
from .relay import Relay
from .relocation import Deed, Relocation

log = structlog.get_logger()

Voice = Callable[[int, float], None]


class Removal:
    """One at a time. `former` is the leg at the old address, which is heard until the PBX's voice comes to the new one."""

    def __init__(self, call: CallId, equipment: Equipment, legs: PbxLegs, session: PbxSession) -> None:
        self.former: PbxLeg | None = None
        self._call, self._equipment, self._legs, self._session = call, equipment, legs, session
        self._relocation = Relocation()
        self._heard = False
        self._before = session.handshake

    def look(self, pbx: PbxLeg, relay: Relay, now: float) -> PbxLeg:
        """The call's leg from now on; nothing moves before the PBX has told where it is."""
        homes = self._equipment.homes
        if self.former is None and (self._session.codec is None or not homes.may_change):
            return pbx
        old, towards = self.former or pbx, self._session.towards
        if not towards and self.former is None:
            return pbx
        home = homes.towards(towards, now, ipv6=old.ipv6, hurry=old.stranded)
        here = old.address[0]
        if home == here:
            old.stranded = False
        while deed := self._relocation.look(
            now, here=here, home=home, dead=old.stranded, ready=pbx.ready, heard=self._heard
        ):
            if deed is Deed.MOVE:
                pbx = self._move(pbx, towards, now)
            elif deed is Deed.TURN:
                relay.turn_to(pbx)
            elif deed is Deed.TELL:
                self._tell(pbx)
            else:
                self._leave()
                return pbx
        return pbx

    def _move(self, pbx: PbxLeg, towards: str, now: float) -> PbxLeg:
        session = self._session
        try:
            moved = self._legs.open(by_dtls=session.by_dtls, ipv6=pbx.ipv6, towards=towards)
        except (BridgeError, OSError) as error:
            self._relocation.failed(now)
            log.warning("pbx_voice_stays", call=self._call, at=pbx.address[0], why=str(error))
            return pbx
        log.warning("pbx_voice_moves", call=self._call, before=pbx.address[0], now=moved.address[0])
        moved.take_over(pbx)
        self.former, self._heard, self._before = pbx, False, session.handshake
        session.begin(self._legs.fingerprint)
        self._tell(moved)
        return moved

    def _tell(self, pbx: PbxLeg) -> None:
        text = self._session.hold(self._session.held, pbx.address)
        pbx.expect(self._session.our_end)
        self._equipment.post(PbxLegMoved(call=self._call, sdp=text))

    def _leave(self) -> None:
        if self.former is not None:
            _close(self.former)
            self.former = None

    def ear(self, pbx: PbxLeg, voice: Voice) -> Voice:
        """What the call's leg is to give its voice to, so that its first word is noticed."""

        def first(length: int, now: float) -> None:
            self._heard, pbx.voice = True, voice
            voice(length, now)

        if self.former is None or self._heard:
            return voice
        self.former.voice = voice
        return first

    def agreed(self, now: float) -> None:
        """The PBX knows where the leg is."""
        self._relocation.agreed(now)

    def refused(self, pbx: PbxLeg, relay: Relay, now: float) -> PbxLeg:
        """The PBX does not follow: the leg that goes on."""
        former = self.former
        if former is None or not self._relocation.refused(now, dead=former.stranded):
            return pbx
        log.warning("pbx_voice_stays", call=self._call, at=former.address[0], why="the PBX refused the new address")
        self.former, self._session.handshake = None, self._before
        relay.turn_to(former)
        _close(pbx)
        return former

    def close(self) -> None:
        self._leave()


def _close(pbx: PbxLeg) -> None:
    """Nobody gets its voice: what would get it knows the leg, and both would wait for the garbage collector."""
    pbx.close()
    pbx.voice = nobody
