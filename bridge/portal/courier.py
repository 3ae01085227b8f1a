"""Carries the outbox's promises to the portals: the one owner of retries.

The rules: a promise is marked as sent before it goes out; what certainly was not carried out is simply sent again; what
may have been carried out is sent again as well, because Bitrix24 recognises a repeated register for 30 minutes and a
repeated finish for ever. A register of unknown outcome that is older is looked up and never repeated unseen. What Bitrix24
refuses for good, or fails at while it carries out others, is set aside for a person. What piled up goes in batches; what
a batch does not carry out is tried again alone, and judged there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import structlog

from ..calls.events import CallRegistered, Event
from ..errors import NetworkError
from ..store.outbox import Outbox
from ..store.promises import Kind, Promise, Slot
from ..store.writer import StoreDownError
from .batch import Done, Missing, Outcome, Refusal, Size
from .bucket import Lane
from .deeds import Deeds, card_in, fits_a_batch
from .http import UnansweredError
from .lane import PortalLane, Verdict
from .oauth import PortalClosedError
from .rest import LONGEST_REQUEST, MethodClosedError, PortalBusyError, PortalRefusedError, Rest
from .setback import Setbacks

log = structlog.get_logger()

RECOGNISED_SECONDS = 30 * 60 - 60
"""A repeated register is recognised for 30 minutes; a minute is left for its way."""
QUESTION = "server.time"
"""Needs no scope and changes nothing."""


class Courier:
    def __init__(
        self,
        *,
        outbox: Outbox,
        rest: Rest,
        post: Callable[[Event], None],
        opened: Callable[[Path], BinaryIO],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`opened` opens a recording for reading."""
        self._outbox = outbox
        self._rest = rest
        self._deeds = Deeds(rest, opened)
        self._post = post
        self._clock = clock
        self._lanes: dict[str, PortalLane] = {}
        self._setbacks = Setbacks(outbox, clock)
        self._group: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On the way out, requests under way get a moment; whatever is cut off stays promised."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for portal in await self._outbox.waiting_portals():
                self.wake(portal)
            try:
                yield
            finally:
                self._group = None
                await asyncio.gather(*(lane.stop() for lane in self._lanes.values()))
                self._lanes.clear()

    def wake(self, portal: str, slots: Collection[Slot] = tuple(Slot)) -> None:
        """Something new is promised to this portal, in one of these."""
        if lane := self._lanes.get(portal):
            lane.wake(slots)
        elif self._group is not None:
            lane = self._lanes[portal] = PortalLane(portal, self._outbox, self, self._group, self._clock)
            lane.start()

    def reopen(self, portal: str) -> None:
        """The portal was installed or logged in: what waited for that goes out now."""
        if lane := self._lanes.get(portal):
            lane.reopen()
        self.wake(portal)

    # ---- for the lanes

    @property
    def forgotten(self) -> float:
        """A register sent before this time is not recognised any more."""
        return self._clock() - RECOGNISED_SECONDS

    async def is_back(self, portal: str) -> Verdict:
        """Asks a portal that was silent something harmless."""
        try:
            await self._rest.call(portal, QUESTION, {}, Lane.REGISTER)
        except PortalClosedError as error:
            return self._setbacks.closed(portal, error)
        except PortalBusyError:
            return Verdict(busy=True)
        except PortalRefusedError:
            return Verdict()
        except NetworkError as error:
            log.warning("portal_silent", portal=portal, why=str(error))
            return Verdict(silent=True)
        return Verdict()

    async def carry(self, promise: Promise) -> Verdict:
        """One attempt."""
        try:
            return await self._attempt(promise)
        except StoreDownError:
            raise
        except Exception as error:  # noqa: BLE001 – it is judged by its kind
            return await self._setbacks.met(promise, error)

    async def carry_together(self, promises: Sequence[Promise], size: Size) -> Verdict:
        """One attempt for all of them, registers or finishes of calls that are over, none of them sent before."""
        await self._single_out([one for one in promises if not fits_a_batch(one)], "it can't go in a batch")
        if not (promises := [one for one in promises if fits_a_batch(one)]):
            return Verdict()
        begun = self._clock()
        await asyncio.gather(*(self._outbox.sending(promise, begun) for promise in promises))
        try:
            outcomes = await self._deeds.together(promises)
        except StoreDownError:
            raise
        except (MethodClosedError, PortalRefusedError) as error:
            await self._single_out(promises, str(error))
            return Verdict()
        except Exception as error:  # noqa: BLE001 – it is judged by its kind
            size.failed()
            verdicts = await asyncio.gather(*(self._setbacks.met(promise, error) for promise in promises))
            return verdicts[0]
        size.answered(len(promises), self._clock() - begun)
        log.info("batch_carried", portal=promises[0].portal, kind=promises[0].kind, count=len(promises))
        await asyncio.gather(*map(self._settle, promises, outcomes))
        return Verdict()

    async def _settle(self, promise: Promise, outcome: Outcome) -> None:
        match outcome:
            case Done() if promise.kind is Kind.FINISH:
                await self._kept(promise, "call_logged")
                self._setbacks.succeeded(promise)
            case Done(result) if card := card_in(result):
                await self._registered(promise, card)
                self._setbacks.succeeded(promise)
            case Done():
                await self._single_out([promise], "a registration without a CALL_ID")
            case Refusal(code, text):
                await self._single_out([promise], f"{code} ({text})")
            case Missing():
                await self._setbacks.met(promise, UnansweredError("the answer to the batch does not tell"))

    async def _single_out(self, promises: Sequence[Promise], why: str) -> None:
        await asyncio.gather(*(self._outbox.single_out(promise, self._clock(), why) for promise in promises))

    async def _attempt(self, promise: Promise) -> Verdict:
        if promise.kind is Kind.REGISTER and promise.first_sent is not None and promise.first_sent < self.forgotten:
            card = await self._deeds.registered_as(promise)
            log.warning("call_found", call=promise.call, portal=promise.portal, card=card)
            await self._registered(promise, card)
            return Verdict()
        await self._outbox.sending(promise, self._clock())
        match promise.kind:
            case Kind.REGISTER:
                card = await self._deeds.register(promise)
                # An earlier request may still be under way there, and must find the call unfinished when it arrives.
                in_doubt = promise.first_sent is not None
                await self._registered(promise, card, self._clock() + LONGEST_REQUEST if in_doubt else None)
            case Kind.FINISH:
                await self._deeds.finish(promise)
                await self._kept(promise, "call_logged")
            case Kind.RECORD:
                await self._deeds.record(promise)
                await self._kept(promise, "record_attached")
                if promise.payload["delete"]:
                    await asyncio.to_thread(Path(promise.payload["path"]).unlink, missing_ok=True)
            case Kind.TRANSCRIPT:
                await self._deeds.transcript(promise)
                await self._kept(promise, "transcript_attached")
        self._setbacks.succeeded(promise)
        return Verdict()

    async def _registered(self, promise: Promise, card: str, settles: float | None = None) -> None:
        alive = await self._outbox.registered(promise, card, settles)
        log.info("call_registered", call=promise.call, portal=promise.portal, card=card)
        if alive:
            self._post(CallRegistered(call=promise.call, card=card))

    async def _kept(self, promise: Promise, what: str) -> None:
        await self._outbox.kept(promise)
        log.info(what, call=promise.call, portal=promise.portal)
