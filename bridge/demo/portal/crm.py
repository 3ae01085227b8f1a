"""The customers in the simulated CRM (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A contact, company or lead with its telephone number."""

    kind: str
    id: int
    name: str
    number: str
    note: str = ""
    responsible: int = 1
    """User id of whoever looks after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    id: int
    title: str
    stage: str
    amount: str
    contact: int


CONTACTS = (
    Entity(kind="CONTACT", id=11, name="Alice Marlow", number="+442079460101", note="Marlow Coffee Roasters"),
    Entity(kind="CONTACT", id=12, name="Jonas Weber", number="+4930123456", note="Weber Tools GmbH", responsible=2),
    Entity(kind="CONTACT", id=13, name="Ines Duarte", number="+351210000134", note="Duarte Ceramics"),
    Entity(kind="CONTACT", id=14, name="Samuel Okoro", number="+442079460188", note="Okoro & Partners", responsible=2),
    Entity(kind="COMPANY", id=21, name="Northern Paper Ltd", number="+441134960020", note="wholesale"),
)
DEALS = (
    Deal(id=301, title="Espresso machines, second order", stage="Negotiation", amount="€ 12,400", contact=11),
    Deal(id=302, title="Service contract 2027", stage="Proposal", amount="€ 3,900", contact=12),
    Deal(id=303, title="Tiles for the harbour hotel", stage="New", amount="€ 28,750", contact=13),
    Deal(id=304, title="Office furniture", stage="Won", amount="€ 6,120", contact=14),
)
_LEADS_KEPT = 500


def digits(number: str) -> str:
    return re.sub(r"\D", "", number)


class Customers:
    """Finds who has a number; makes leads for strangers."""

    def __init__(self) -> None:
        self._leads: dict[str, Entity] = {}
        self._made = 0

    def find(self, number: str) -> Entity | None:
        wanted = digits(number)
        known = next((entity for entity in CONTACTS if wanted and digits(entity.number) == wanted), None)
        return known or self._leads.get(wanted)

    def make_lead(self, number: str) -> Entity:
        self._made += 1
        lead = Entity(kind="LEAD", id=500 + self._made, name=f"Call from {number}", number=number)
        self._leads[digits(number)] = lead
        while len(self._leads) > _LEADS_KEPT:
            del self._leads[next(iter(self._leads))]
        return lead
