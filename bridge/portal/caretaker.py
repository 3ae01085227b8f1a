"""Looks after what is installed: the worker that must not be thrown out, tokens that must not die, trouble that may be over.

The guardian decides; this is its shell. What the error door or a page says is a hint: the portal itself is asked before
anything is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from ..config import Portal, Settings, Worker
from ..errors import BridgeError
from ..store.portals import Portals
from ..store.worker_history import Happening, WorkerHistory
from . import guardian
from .guardian import Load, Rule, Slow, Watch
from .keyring import Keyring
from .notices import Notice
from .placement import GENERAL, Placement
from .rest import Rest
from .standing import Check, Facts, checks, remembered

log = structlog.get_logger()

TICK_SECONDS = 5.0
LOOK_SECONDS = 3600.0
"""Bitrix24 tells once that it removed a worker, and does not repeat it."""
PROBE_SECONDS = 600.0
DAILY_SECONDS = 86400.0
SHOWN_SECONDS = 30 * 86400.0
LONGEST_QUEUE = 1_000
REMOVED = (
    "Bitrix24 had removed the telephone from its pages because they loaded too slowly. It is registered again; reload open "
    "pages. If this comes back, ask your provider to look at the network between you and the telephone server."
)
MOST_SLOW_KEPT = 3
"""Slow loads in the history, as a multiple of what the portal bears."""


class Caretaker:
    """`reopened` hears of a portal that answers again, `tell` brings a notice to its administrators."""

    def __init__(
        self,
        *,
        settings: Settings,
        portals: Portals,
        history: WorkerHistory,
        placement: Placement,
        keyring: Keyring,
        rest: Rest,
        tell: Callable[[Notice], None],
        reopened: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._configured = {portal.id: portal for portal in settings.portal}
        self._worker = settings.worker
        self._rule = rule_of(settings.worker)
        self._portals = portals
        self._history = history
        self._placement = placement
        self._keyring = keyring
        self._rest = rest
        self._tell = tell
        self._reopened = reopened
        self._clock = clock
        self._watches: dict[str, Watch] = {portal: Watch() for portal in self._configured}
        self._hinted: set[str] = set()
        self._seen: set[str] = set()
        """Portals whose worker is known to have stood since the start."""
        self._unwritten: asyncio.Queue[Happening] = asyncio.Queue(LONGEST_QUEUE)
        self._next: dict[str, float] = {}
        self._wake = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        for portal in self._configured:
            self._watches[portal] = remembered(
                await self._history.since(portal, self._clock() - guardian.DAY), self._rule
            )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._write()), group.create_task(self._tend())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await self.written()

    # ---- what pages and portals report

    def loaded(self, portal: str, user: int, load: Load) -> None:
        """A page of this user tells how its frame was loaded."""
        watch = self._watches.get(portal)
        if watch is None:
            return
        handler = self._placement.handler_of(portal, user)
        watch, slow = guardian.loaded(watch, handler, load.total, self._rule, self._clock())
        self._watches[portal] = watch
        if slow is not None:
            self._slow(portal, user, slow, load)

    def _slow(self, portal: str, user: int, slow: Slow, load: Load) -> None:
        of, cause = self._rule.loads, load.cause
        log.warning("worker_loaded_slowly", portal=portal, user=user, count=slow.count, of=of, cause=cause)
        if slow.count <= MOST_SLOW_KEPT * of:
            self._note(portal, slow.user, "slow", f"slow load {slow.count} of {of}, user {user}: {cause}")
        if slow.alarming:
            todo = "look at the network and the proxy: Bitrix24 removes the telephone after so many slow loads"
            log.error("worker_in_danger", portal=portal, count=slow.count, of=of, cause=cause, todo=todo)
        if slow.count > of:
            self._watches[portal] = guardian.doubted(self._watches[portal], self._clock())
            self._wake.set()

    def thrown_out(self, portal: str) -> None:
        """The error door was told that the portal removed the worker; it may be so."""
        if portal not in self._watches:
            return
        now = self._clock()
        watch = self._watches[portal] = guardian.doubted(self._watches[portal], now)
        log.error("worker_said_to_be_removed", portal=portal, seconds_to_look=round((watch.look_at or now) - now))
        if portal not in self._hinted:
            self._note(portal, GENERAL, "hinted", "Bitrix24 said that it removed the telephone for slowness")
        self._hinted.add(portal)
        self._wake.set()

    def placed(self, portal: str) -> None:
        """An installation has just bound the worker: if it is missing from now on, it was taken away."""
        self._seen.add(portal)

    def removed(self, portal: str) -> None:
        """The application was uninstalled, and its handlers with it."""
        self._watches[portal] = Watch()
        self._hinted.discard(portal)
        self._note(portal, GENERAL, "removed", "the application was uninstalled")

    def administrator_lost(self, portal: str, user: int) -> None:
        """This user's tokens died, and those of another administrator took their place."""
        text = f"the authorisation of user {user} is not valid any more, another administrator's is used"
        self._note(portal, GENERAL, "administrator", text)
        advice = (
            f"The telephone's authorisation of user {user} is not valid any more; it works with another administrator's. "
            "Let a second administrator open the application, choose “Administration” and press Install."
        )
        self._tell(Notice(portal=portal, text=advice, tag="BRIDGE|ADMINISTRATOR"))

    async def moved(self, portal: str) -> None:
        """A page came from another address than the portal's: if the old one redirects, the OAuth server knows the new one."""
        if self._clock() >= self._next.get(f"moved {portal}", 0.0):
            self._next[f"moved {portal}"] = self._clock() + guardian.HINT_SECONDS
            await self._rest.call(portal, "server.time", {})

    async def probe(self, portal: str) -> None:
        """Is what stood against the portal over? Its next answer says so."""
        await self._rest.call(portal, "server.time", {})
        self._reopened(portal)

    async def forget(self, portal: str) -> None:
        await self._history.forget(portal)

    async def state(self, portal: str) -> tuple[Check, ...]:
        known = self._configured[portal]
        return checks(await facts_of(known, self._worker, self._portals, self._history, self._clock()))

    # ---- what has to be done

    async def _tend(self) -> None:
        while True:
            try:
                await self.tend()
            except Exception:
                log.exception("caretaker_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def tend(self) -> None:
        """Does what is due by now."""
        now = self._clock()
        for portal in self._configured:
            known = self._portals.get(portal)
            if known is None or not known.installed or not known.usable:
                continue
            if known.trouble and self._is_time(f"probe {portal}", PROBE_SECONDS):
                await self._try(portal, self.probe(portal))
            if self._is_time(f"look {portal}", LOOK_SECONDS):
                self._watches[portal] = guardian.doubted(self._watches[portal], now)
            if guardian.is_due(self._watches[portal], now) and not await self._try(portal, self._look(portal)):
                self._watches[portal] = guardian.failed(self._watches[portal], now)
        if self._is_time("daily", DAILY_SECONDS):
            await self._history.prune(now)
            await self._try("", self._keyring.keep_alive())

    async def _look(self, portal: str) -> None:
        """Asks the portal what stands, binds what is gone, tells the administrators."""
        now = self._clock()
        gone = await self._placement.missing(portal)
        if await self._placement.bind_worker(portal):
            log.warning("worker_bound_again", portal=portal, users=sorted(gone))
        expected = portal not in self._seen and portal not in self._hinted  # a roll-out may have been changed
        self._seen.add(portal)
        if not gone:
            self._watches[portal] = guardian.stands(self._watches[portal], now, hinted=portal in self._hinted)
            if portal in self._hinted:
                self._note(portal, GENERAL, "stands", "the telephone was still there when Bitrix24 was asked")
            self._hinted.discard(portal)
            return
        self._hinted.discard(portal)
        self._watches[portal] = guardian.bound(self._watches[portal], gone, now)
        for user in sorted(gone):
            whose = f" of user {user}" if user != GENERAL else ""
            self._note(portal, user, "bound", f"the telephone{whose} was missing and was registered again")
        if not expected:
            log.error("worker_was_removed", portal=portal, users=sorted(gone), times=self._watches[portal].losses)
            self._tell(Notice(portal=portal, text=REMOVED, tag="BRIDGE|REMOVED"))

    def _is_time(self, name: str, every: float) -> bool:
        now = self._clock()
        if now < self._next.get(name, 0.0):
            return False
        self._next[name] = now + every
        return True

    async def _try(self, portal: str, work: Awaitable[object]) -> bool:
        """False when it failed; nothing that a portal does may end this task."""
        try:
            await work
        except BridgeError as error:
            log.warning("caretaker_waits", portal=portal, why=str(error))
            return False
        return True

    # ---- the history

    def _note(self, portal: str, user: int, what: str, text: str) -> None:
        happening = Happening(portal=portal, user=user, at=self._clock(), what=what, text=text)
        try:
            self._unwritten.put_nowait(happening)
        except asyncio.QueueFull:
            log.warning("happening_not_kept", portal=portal, what=what)

    async def _write(self) -> None:
        while True:
            await self._keep(await self._unwritten.get())

    async def written(self) -> None:
        """Writes what waits to be written."""
        while not self._unwritten.empty():
            await self._keep(self._unwritten.get_nowait())
        await self._unwritten.join()

    async def _keep(self, happening: Happening) -> None:
        try:
            await self._history.add(happening)
        except Exception:
            log.exception("happening_not_kept", portal=happening.portal, what=happening.what)
        finally:
            self._unwritten.task_done()


def rule_of(worker: Worker) -> Rule:
    return Rule(worker.slow_seconds, worker.slow_loads)


async def facts_of(portal: Portal, worker: Worker, portals: Portals, history: WorkerHistory, now: float) -> Facts:
    """What the store knows of a portal."""
    return Facts(
        portal=portal,
        enrolled=portals.get(portal.id),
        spares=portals.spares(portal.id),
        happenings=await history.since(portal.id, now - SHOWN_SECONDS),
        rule=rule_of(worker),
        now=now,
    )
