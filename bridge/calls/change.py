"""A call of which some facts are others now.

`dataclasses.replace` goes through all of `__init__` once more, 18 µs for a record as large as a call, and there are ten changes to
a call that is answered. Here what is known is copied at once, in a tenth of that.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from .call import Call

__all__ = ["changed"]

if TYPE_CHECKING:
    from dataclasses import replace as changed  # names and types of the facts are checked as they are there
else:
    _FACTS = frozenset(field.name for field in fields(Call))

    def changed(call: Call, /, **facts: Any) -> Call:
        """TypeError for what is no fact of a call."""
        if not facts.keys() <= _FACTS:
            raise TypeError(f"a call has no {', '.join(facts.keys() - _FACTS)}")
        after = object.__new__(Call)
        known = after.__dict__
        known.update(call.__dict__)
        known.pop("view", None)  # which was that of the call before
        known.update(facts)
        return after
