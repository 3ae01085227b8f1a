"""A headless operator, for self-tests, monitoring and load: joins like the worker page, answers with aiortc."""

from .page import Orders, Robot
from .simulator import ticket_from_simulator

__all__ = ["Orders", "Robot", "ticket_from_simulator"]
