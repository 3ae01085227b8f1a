"""The portal's pages as HTML: an own, sober design in Bitrix24's layout."""

from __future__ import annotations

import html
import json
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import urlencode

from .crm import CONTACTS, DEALS, Deal
from .placements import WORKER
from .world import User, World

STATIC = files(__package__) / "pages"
_MENU = (
    ("/", "Home", "home"),
    ("/crm/deal/", "Deals", "deals"),
    ("/crm/contact/", "Contacts", "contacts"),
    ("/crm/calls/", "Calls", "calls"),
    ("/company/", "Employees", "company"),
    ("/marketplace/app/1/", "Telephone", "app"),
    ("/sim/", "Simulator", "sim"),
)
_STAGES = ("New", "Proposal", "Negotiation", "Won")


@cache
def _template(name: str) -> Template:
    return Template((STATIC / f"{name}.html").read_text(encoding="utf-8"))


def _fill(template: str, **values: str) -> str:
    return _template(template).substitute(values)


class Visit:
    """One page for one employee; `keep` are the query fields that links carry on (`user`, `prompt`)."""

    def __init__(self, world: World, user: User | None, *, path: str, query: dict[str, str], can_call: bool) -> None:
        self._world = world
        self._user = user
        self._path = path
        self._query = query
        self._slider = query.get("IFRAME") == "Y"
        self._keep: dict[str, str] = {name: query[name] for name in ("user", "prompt") if name in query}
        self._can_call = can_call

    def link(self, path: str) -> str:
        return html.escape(f"{path}?{urlencode(self._keep)}" if self._keep else path)

    def page(self, title: str, content: str, *, section: str = "") -> str:
        """A whole document: with menu and header, or bare inside a slider."""
        values = {
            "title": html.escape(title),
            "content": content,
            "config": json.dumps(self._config()).replace("<", "\\u003c"),
            "worker": WORKER,
        }
        if self._slider:
            return _fill("slider", **values)
        return _fill(
            "layout",
            **values,
            home=self.link("/"),
            menu=self._menu(section),
            person=self._person(),
            notice=self._notice(),
        )

    def _config(self) -> dict[str, Any]:
        """What the page's scripts need to know."""
        faults, user = self._world.faults, self._user
        return {
            "user": user.id if user else 0,
            "keep": self._keep,
            "slider": self._slider,
            "worker": WORKER,
            "loadWorker": bool(user and self._world.installed and self._world.placements.of(WORKER, user.id)),
            "installed": self._world.installed,
            "slowLoadMs": faults.slow_load_ms,
            "registersLate": faults.card_registers_late,
            "qualityEvent": faults.quality_event,
            "commentMs": faults.comment_seconds * 1000,
            "transferByType": faults.transfer_by_type,
            "desktopApp": faults.desktop_app,
            "prompt": faults.prompt and self._query.get("prompt") != "0",
            "people": [
                {"id": person.id, "name": person.name, "extension": person.extension}
                for person in self._world.users
                if user is None or person.id != user.id
            ],
        }

    def _menu(self, section: str) -> str:
        return "".join(
            f'<a href="{self.link(path)}" class="{"here" if name == section else ""}">'
            f'<svg class="icon"><use href="/static/icons.svg#{name}"></use></svg>{title}</a>'
            for path, title, name in _MENU
        )

    def _person(self) -> str:
        if self._user is None:
            return '<span class="who">nobody is signed in</span>'
        role = "administrator" if self._user.admin else "sales"
        extension = f", extension {html.escape(self._user.extension)}" if self._user.extension else ""
        call = '<button class="primary" data-call-me>Call me</button>' if self._can_call else ""
        return (
            f'{call}<a class="who" href="{self.link("/")}">{avatar(self._user.name)}'
            f"<span><b>{html.escape(self._user.name)}</b><small>{role}{extension}</small></span></a>"
        )

    def _notice(self) -> str:
        if self._world.installed:
            return ""
        open_it = f'<a href="{self.link("/marketplace/app/1/")}">Open it to install it.</a>'
        text = open_it if self._user and self._user.admin else "An administrator has to open it once."
        return f'<div class="notice">The telephone application is not installed yet. {text}</div>'

    # ---- the pages

    def home(self) -> str:
        if self._user is None:
            return self.page("Sign in", _fill("welcome", people=self._sign_in_list()), section="home")
        button = '<button class="primary big" data-call-me>Call me</button>' if self._can_call else ""
        content = _fill(
            "home",
            name=html.escape(self._user.name.split(" ")[0]),
            button=button,
            people=self._sign_in_list(),
            calls=self.link("/crm/calls/"),
            simulator=self.link("/sim/"),
        )
        return self.page("Home", content, section="home")

    def _sign_in_list(self) -> str:
        rows = []
        for person in self._world.users:
            here = self._user is not None and self._user.id == person.id
            action = "<em>signed in</em>" if here else f'<a class="button" href="/sign-in?user={person.id}">Sign in</a>'
            role = "Administrator" if person.admin else "Sales"
            extension = f" · ext. {html.escape(person.extension)}" if person.extension else ""
            rows.append(
                f"<li>{avatar(person.name)}<span><b>{html.escape(person.name)}</b>"
                f"<small>{role}{extension}</small></span>{action}</li>"
            )
        return "".join(rows)

    def deals(self) -> str:
        columns = "".join(self._column(stage) for stage in _STAGES)
        return self.page("Deals", f'<div class="board">{columns}</div>', section="deals")

    def _column(self, stage: str) -> str:
        cards = "".join(self._deal(deal) for deal in DEALS if deal.stage == stage)
        return f'<section class="stage {stage.lower()}"><h2>{stage}</h2>{cards}</section>'

    def _deal(self, deal: Deal) -> str:
        contact = next(contact for contact in CONTACTS if contact.id == deal.contact)
        return (
            f'<div class="deal"><a href="{self.link(f"/crm/deal/details/{deal.id}/")}"><b>{html.escape(deal.title)}</b>'
            f"<span>{deal.amount}</span><small>{html.escape(contact.name)}</small></a>{_phone(contact.number)}</div>"
        )

    def contacts(self) -> str:
        rows = "".join(
            f'<tr><td class="person">{avatar(contact.name)}<a '
            f'href="{self.link(f"/crm/{contact.kind.lower()}/details/{contact.id}/")}">{html.escape(contact.name)}</a></td>'
            f"<td>{html.escape(contact.note)}</td><td>{_phone(contact.number)}</td></tr>"
            for contact in CONTACTS
        )
        table = f"<table><thead><tr><th>Name</th><th>Company</th><th>Telephone</th></tr></thead><tbody>{rows}</tbody></table>"
        return self.page("Contacts", f'<div class="sheet">{table}</div>', section="contacts")

    def company(self) -> str:
        rows = "".join(
            f'<tr><td class="person">{avatar(person.name)}{html.escape(person.name)}</td>'
            f"<td>{'Administrator' if person.admin else 'Sales'}</td><td>{html.escape(person.extension) or '–'}</td></tr>"
            for person in self._world.users
        )
        table = f"<table><thead><tr><th>Name</th><th>Department</th><th>Extension</th></tr></thead><tbody>{rows}</tbody></table>"
        return self.page("Employees", f'<div class="sheet">{table}</div>', section="company")

    def details(self, kind: str, id_: int) -> str | None:
        """A deal, contact or company; None if there is no such thing."""
        deal = next((deal for deal in DEALS if kind == "deal" and deal.id == id_), None)
        contact_id = deal.contact if deal else id_
        contact = next((c for c in CONTACTS if c.id == contact_id and (deal or c.kind.lower() == kind)), None)
        if contact is None:
            return None
        head = f"<h2>{html.escape(deal.title)}</h2><p>{deal.stage} · {deal.amount}</p>" if deal else ""
        person = (
            f'<p class="person">{avatar(contact.name)}<span><b>{html.escape(contact.name)}</b>'
            f"<small>{html.escape(contact.note)}</small></span></p><p>{_phone(contact.number)}</p>"
        )
        title, section = (deal.title, "deals") if deal else (contact.name, "contacts")
        return self.page(title, f'<div class="sheet padded">{head}{person}</div>', section=section)

    def calls(self) -> str:
        return self.page("Calls", _fill("calls"), section="calls")

    def simulator(self, content: str) -> str:
        """What the simulator can be told to do."""
        return self.page("Simulator", content, section="sim")

    def app(self, options: str) -> str:
        """The application's own page, in the menu or in a slider."""
        content = f'<div class="app-host" data-app="{html.escape(options)}"></div>'
        return self.page("Telephone", content, section="app")


def avatar(name: str) -> str:
    """Initials on a colour of their own."""
    initials = "".join(word[:1] for word in name.split()[:2]).upper()
    hue = sum(place * ord(letter) for place, letter in enumerate(name, 1)) * 47 % 360
    return f'<i class="avatar" style="--hue:{hue}">{html.escape(initials)}</i>'


def _phone(number: str) -> str:
    """A link that calls the number."""
    text = html.escape(number)
    return f'<a class="phone" href="tel:{text}" data-phone="{text}">{text}</a>'
