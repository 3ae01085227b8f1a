"""Where a call rings: on one page of an operator, from machine to machine until somebody answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..calls.events import Operator, TabId
from .presence import Roster

SOUND_SECONDS = 10.0
"""How long one machine rings before the sound moves on to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bell:
    """The sound of one call for one operator."""

    tab: TabId | None
    """The worker page that makes it, None while there is none."""
    browser: str
    lead: TabId | None
    """Who led when we last looked."""
    roams: bool
    """It has left the lead's machine: it stays where it is until its time is over."""
    due: float
    """When it moves on, Unix seconds."""


def ring_on(bell: Bell | None, operator: Operator, roster: Roster, now: float) -> Bell:
    """The bell as it shall be now; a new one if there was none. Call it whenever pages came, went or changed, and when due."""
    lead = roster.lead(operator)
    # A lead that is still there but leads no more: the operator has gone to another machine.
    if bell is None or (bell.lead != lead and roster.tab(bell.lead)):
        return _at_lead(operator, roster, now + SOUND_SECONDS)
    if bell.due <= now:
        return _moved_on(bell, operator, roster, now)
    if not bell.roams:
        return _at_lead(operator, roster, bell.due)
    if roster.tab(bell.tab):
        return replace(bell, lead=lead)
    return _at(operator, roster, bell.browser, bell.due) or _at_lead(operator, roster, bell.due)


def _moved_on(bell: Bell, operator: Operator, roster: Roster, now: float) -> Bell:
    due = now + SOUND_SECONDS
    workers = sorted(roster.workers(operator), key=lambda tab: tab.since)
    browsers = list(dict.fromkeys(tab.browser for tab in workers))
    others = [browser for browser in browsers if browser != bell.browser]
    if not others:
        return ring_on(replace(bell, due=due), operator, roster, now)
    after = browsers.index(bell.browser) + 1 if bell.browser in browsers else 0
    return _at(operator, roster, browsers[after % len(browsers)], due) or _at_lead(operator, roster, due)


def _at(operator: Operator, roster: Roster, browser: str, due: float) -> Bell | None:
    tab = roster.best_worker(operator, browser)
    if tab is None:
        return None
    return Bell(tab=tab, browser=browser, lead=roster.lead(operator), roams=True, due=due)


def _at_lead(operator: Operator, roster: Roster, due: float) -> Bell:
    """Without a lead, which may be on its way to its next page, any worker has to do."""
    tab = roster.tab(roster.lead(operator) or roster.best_worker(operator))
    name, browser = (tab.id, tab.browser) if tab else (None, "")
    return Bell(tab=name, browser=browser, lead=roster.lead(operator), roams=False, due=due)
