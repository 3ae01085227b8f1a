"""Words to a portal's administrators, as notifications in Bitrix24. They help or they don't: what can't be delivered is logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from ..calls.commands import CallView, NoticeCommand, RaiseRecordingAlarm, RaiseTollAlarm
from ..calls.events import Operator
from ..errors import BridgeError
from ..store.portals import Portals
from .rest import Rest

log = structlog.get_logger()

LONGEST_QUEUE = 100
NO_FUNDS = (
    "[USER={user}]An operator[/USER] could not call {number}: the telephone system answered that the call is not paid for. "
    "Top up the account at your telephony provider, or ask it what is missing."
)
ALARM_SECONDS = 3600.0
"""A portal's administrators hear of the same cause once within it."""
TOLL = (
    "[USER={user}]An operator[/USER] wanted to call {number}, and the call was refused. {why}. "
    "If it was not them, take their access away and change the password of their telephone; "
    "if it was, the rules in the configuration of the telephone bridge are too narrow. More of the kind is not told for an hour."
)

RECORDING = (
    "Calls are not recorded now: {why}. Calls themselves go on as ever. Tell whoever runs the telephone bridge. "
    "More of the kind is not told for an hour."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    portal: str
    text: str
    """May hold Bitrix24's BB code."""
    tag: str
    """A newer notice replaces the older one of the same tag."""


class Notices:
    def __init__(self, *, portals: Portals, rest: Rest, clock: Callable[[], float] = time.time) -> None:
        self._portals = portals
        self._rest = rest
        self._clock = clock
        self._alarmed: dict[tuple[str, str], float] = {}
        """When a portal last heard of a cause, in Unix seconds."""
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(LONGEST_QUEUE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Delivers one notice after the other until the end."""
        async with asyncio.TaskGroup() as group:
            postman = group.create_task(self._deliver())
            try:
                yield
            finally:
                postman.cancel()

    def tell(self, notice: Notice) -> None:
        """Returns at once; what a full queue can't take is logged."""
        try:
            self._queue.put_nowait(notice)
        except asyncio.QueueFull:
            log.warning("notice_dropped", portal=notice.portal, tag=notice.tag)

    def unpaid_call(self, operator: Operator, view: CallView) -> None:
        """An operator asks the administrators for help with a call that the telephone system wants to be paid for."""
        text = NO_FUNDS.format(user=operator.user, number=view.number)
        self.tell(Notice(portal=operator.portal, text=text, tag="BRIDGE|NO_FUNDS"))

    async def perform(self, command: NoticeCommand) -> None:
        match command:
            case RaiseTollAlarm():
                self._toll_alarm(command)
            case RaiseRecordingAlarm(operator=operator, why=why):
                self.recording_failed(operator.portal, why)

    def recording_failed(self, portal: str, why: str) -> None:
        """The log has it already, for every call."""
        if self._is_news(portal, "RECORDING"):
            self.tell(Notice(portal=portal, text=RECORDING.format(why=why), tag="BRIDGE|RECORDING"))

    def _toll_alarm(self, command: RaiseTollAlarm) -> None:
        operator, cause = command.operator, command.breach
        log.error(
            "toll_rule_broken",
            call=command.call,
            portal=operator.portal,
            user=operator.user,
            number=command.number,
            rule=cause.name.lower(),
        )
        if not self._is_news(operator.portal, f"TOLL|{cause.name}"):
            return
        text = TOLL.format(user=operator.user, number=command.number, why=cause.value)
        self.tell(Notice(portal=operator.portal, text=text, tag=f"BRIDGE|TOLL|{cause.name}"))

    def _is_news(self, portal: str, cause: str) -> bool:
        now, key = self._clock(), (portal, cause)
        if now - self._alarmed.get(key, -ALARM_SECONDS) < ALARM_SECONDS:
            return False
        self._alarmed[key] = now
        return True

    async def _deliver(self) -> None:
        while True:
            notice = await self._queue.get()
            for user in self._administrators(notice.portal):
                words = {"USER_ID": user, "MESSAGE": notice.text, "TAG": notice.tag}
                try:
                    await self._rest.call(notice.portal, "im.notify.system.add", words)
                except BridgeError as error:
                    log.warning("notice_undelivered", portal=notice.portal, user=user, tag=notice.tag, why=str(error))
            self._queue.task_done()

    async def delivered(self) -> None:
        """Returns when nothing waits any more."""
        await self._queue.join()

    def _administrators(self, portal: str) -> list[int]:
        """Those who let us in, whether their tokens still work or not."""
        enrolled = self._portals.get(portal)
        return (
            [] if enrolled is None else [enrolled.admin_user, *(spare.user for spare in self._portals.spares(portal))]
        )
