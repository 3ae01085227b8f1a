"""How an installation stands, in words that say what to do: for the administrators' page and for `bridge portals` (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..config import Portal
from ..store.portals import EnrolledPortal, Spare
from ..store.worker_history import Happening
from . import guardian
from .form import domain_of
from .guardian import Rule, Watch
from .trouble import NEEDS_LOGIN, NOT_INSTALLED, Trouble, sentence

SHOWN = 5
"""Lines of the worker's history."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line with a green or a red light."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one portal of the configuration."""

    portal: Portal
    enrolled: EnrolledPortal | None
    spares: Sequence[Spare]
    happenings: Sequence[Happening]
    """Of the worker, oldest first."""
    rule: Rule
    now: float


def checks(facts: Facts) -> tuple[Check, ...]:
    enrolled = facts.enrolled
    if enrolled is None or enrolled.trouble == Trouble.REMOVED:
        return (Check("application", False, sentence(enrolled.trouble) if enrolled else NOT_INSTALLED),)
    found = [_application(enrolled), _administrators(enrolled, facts.spares), _account(enrolled)]
    return (*found, _address(facts.portal, enrolled), _worker(facts), _line(facts.portal, enrolled))


def summary(facts: Facts) -> str:
    """One or two words for a table."""
    enrolled = facts.enrolled
    if enrolled is None:
        return "not installed"
    if enrolled.trouble:
        return {"removed": "uninstalled", "plan": "free plan"}.get(enrolled.trouble, enrolled.trouble)
    if enrolled.needs_login:
        return "needs login"
    return "installed" if enrolled.installed else "installation not finished"


def people(facts: Facts) -> str:
    """The administrators whose tokens are here, by user id: `1, spare 2, lost 3`."""
    enrolled = facts.enrolled
    if enrolled is None or not enrolled.access:
        return ""
    first = f"{'lost ' if enrolled.needs_login else ''}{enrolled.admin_user}"
    return ", ".join([first, *(f"{'lost' if spare.dead else 'spare'} {spare.user}" for spare in facts.spares)])


def slow_loads(facts: Facts) -> str:
    """`3 of 10`."""
    return f"{remembered(facts.happenings, facts.rule).count(facts.now)} of {facts.rule.loads}"


def remembered(happenings: Iterable[Happening], rule: Rule) -> Watch:
    """The watch as the history tells it."""
    watch = Watch()
    for row in happenings:
        match row.what:
            case "slow":
                watch, _ = guardian.loaded(watch, row.user, rule.seconds + 1, rule, row.at)
            case "bound":
                watch = guardian.bound(watch, frozenset({row.user}), row.at)
            case "removed":
                watch = Watch()
    return watch


def _application(enrolled: EnrolledPortal) -> Check:
    return Check("application", enrolled.installed, "It is installed." if enrolled.installed else NOT_INSTALLED)


def _administrators(enrolled: EnrolledPortal, spares: Sequence[Spare]) -> Check:
    if enrolled.needs_login:
        return Check("administrators", False, NEEDS_LOGIN)
    alive = [str(spare.user) for spare in spares if not spare.dead]
    lost = [str(spare.user) for spare in spares if spare.dead]
    text = f"The bridge works with the authorisation of user {enrolled.admin_user}."
    if lost:
        text += f" The authorisation of user {', '.join(lost)} is not valid any more: open this page as that user, if it is still an administrator."
    if alive:
        return Check("administrators", True, f"{text} In reserve: user {', '.join(alive)}.")
    advice = (
        "Should this person leave, the telephone stops: let a second administrator open this page and press Install."
    )
    return Check("administrators", not lost, f"{text} {advice}")


def _account(enrolled: EnrolledPortal) -> Check:
    trouble = sentence(enrolled.trouble)
    return Check("Bitrix24", not trouble, trouble or "It answered the last time it was asked.")


def _address(portal: Portal, enrolled: EnrolledPortal) -> Check:
    if enrolled.domain == domain_of(portal.id):
        return Check("address", True, f"The portal is {enrolled.domain}.")
    text = f"The portal is called {enrolled.domain} now; the configuration may keep its old name, {portal.id}."
    return Check("address", True, text)


def _worker(facts: Facts) -> Check:
    watch = remembered(facts.happenings, facts.rule)
    count = watch.count(facts.now)
    text = f"{count} of {facts.rule.loads} slow loads that Bitrix24 bears a day."
    if facts.portal.roll_out:
        text = f"Only users {', '.join(map(str, facts.portal.roll_out))} have the telephone (roll_out). {text}"
    told = [f"{_clock(row.at)} {row.text}" for row in facts.happenings if facts.now - row.at < 7 * guardian.DAY]
    history = " · ".join(told[-SHOWN:])
    alarming = count >= facts.rule.alarm or facts.now - watch.bound_at < guardian.DAY
    advice = " Pages load too slowly: look at the network and the proxy in front of the bridge." if alarming else ""
    return Check("worker", not alarming, f"{text}{advice}{f' Lately: {history}' if history else ''}")


def _line(portal: Portal, enrolled: EnrolledPortal) -> Check:
    if enrolled.lines:
        return Check("line", True, f"Calls are logged on {', '.join(enrolled.lines)}.")
    wanted = enrolled.line or portal.line
    if wanted:
        return Check("line", False, f"The line {wanted} is not registered yet: press Install.")
    return Check("line", True, "None is registered: calls are logged without a line. Enter a number and press Install.")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC:")
