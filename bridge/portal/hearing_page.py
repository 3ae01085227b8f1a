"""The page that shows an administrator how calls sounded: a day, and one call of it; pure. All its words stand here."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from ..calls.events import Quality, Trouble
from ..calls.hearing import BAD, TROUBLES, Stretch, complaint, stretches
from ..store.hearings import Hearing
from .plot import Dot, Steps, drawn

PATH: Final = "/b24/voice"

TITLE = "How calls sounded"
INTRO = (
    "Mean opinion scores: 4 and more is good, below 3.1 nearly everybody is dissatisfied. Each call is shown by the worse of"
    " its two directions, on average. Times are UTC."
)
NOTHING = "No call of this day was long enough to be judged."
DAY_PLOT = "The calls of the day by the hour; the table below says the same."
CALL_PLOT = "What the operator heard and what the other side heard, from the answer to the end."
HEARD, SAID = "The operator heard", "The other side heard"
EARLIER, LATER, SHOW, BACK = "Day before", "Next day", "Show", "Back to the day"
COLUMNS = ("Answered", "Operator", "Number", "Length", "MOS", "What was wrong", "Course")
GOOD = "nothing"

STYLE = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:1.5rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}
svg{width:100%;height:auto;border:1px solid #8884;border-radius:6px}text{font:11px system-ui,sans-serif;fill:currentColor}
.tick{text-anchor:middle}.score{text-anchor:end}.grid{stroke:#8884}.good{fill:#2a7f3f}.bad{fill:#c62828}
path{fill:none;stroke-width:2}.line0{stroke:#1565c0}.line1{stroke:#b45309;stroke-dasharray:6 3}
form{display:inline}button{font:inherit;padding:.2rem .7rem}.key0{color:#1565c0}.key1{color:#b45309}
"""

Named = Callable[[int], str]


def day_page(day: date, hearings: Sequence[Hearing], name: Named, ticket: str) -> str:
    """All calls that ended on a day."""
    plot = drawn(
        DAY_PLOT,
        ticks=[f"{hour:02d}:00" for hour in range(0, 25, 3)],
        dots=[_dot(hearing, day, name) for hearing in hearings],
    )
    rows = "".join(_row(hearing, name, ticket, day) for hearing in hearings)
    head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    ways = "".join(
        _button(label, ticket, day=(day + timedelta(days=step)).isoformat())
        for step, label in ((-1, EARLIER), (1, LATER))
    )
    body = f"<p>{INTRO}</p><p>{ways}</p>" + (plot + table if hearings else f"<p>{NOTHING}</p>")
    return _page(f"{TITLE}: {day.isoformat()}", body)


def call_page(day: date, hearing: Hearing, name: Named, ticket: str) -> str:
    """One call from its answer to its end."""
    begin, length = hearing.answered, max(1.0, hearing.ended - hearing.answered)
    places = [((v.at - begin) / length, v.quality) for v in hearing.verdicts]
    plot = drawn(
        CALL_PLOT,
        ticks=[_clock(length * part / 4) for part in range(5)],
        lines=[
            Steps(name=HEARD, points=[(at, quality.heard) for at, quality in places]),
            Steps(name=SAID, points=[(at, quality.said) for at, quality in places]),
        ],
    )
    key = f'<p><span class="key0">── {HEARD}</span> · <span class="key1">╌╌ {SAID}</span></p>'
    rows = "".join(
        f"<tr><td>{_clock(v.at - begin)}</td><td>{v.quality.heard:.1f}</td><td>{v.quality.said:.1f}</td>"
        f"<td>{html.escape(_why(v.quality.trouble))}</td></tr>"
        for v in hearing.verdicts
    )
    head = "".join(f'<th scope="col">{column}</th>' for column in ("From", HEARD, SAID, COLUMNS[5]))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    said = complaint(hearing.verdicts, hearing.ended)
    body = f"<p>{_button(BACK, ticket, day=day.isoformat())}</p><p>{html.escape(said)}</p>{plot}{key}{table}"
    return _page(f"{name(hearing.user)}, {hearing.number}, {_time(begin)}", body)


def mean(hearing: Hearing) -> float:
    """The worse direction, on average."""
    heard = list(stretches(hearing.verdicts, hearing.ended))
    seconds = sum(stretch.seconds for stretch in heard)
    if not seconds:
        return min(stretch.worse for stretch in heard)
    return sum(stretch.worse * stretch.seconds for stretch in heard) / seconds


def _worst(hearing: Hearing) -> Quality:
    found: list[Stretch] = list(stretches(hearing.verdicts, hearing.ended))
    return min(found, key=lambda stretch: stretch.worse).quality


def _dot(hearing: Hearing, day: date, name: Named) -> Dot:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    mos = mean(hearing)
    title = f"{_time(hearing.answered)} {name(hearing.user)}, {hearing.number}: {mos:.1f}"
    return Dot(at=(hearing.answered - midnight) / 86_400, mos=mos, title=title, bad=mos < BAD)


def _row(hearing: Hearing, name: Named, ticket: str, day: date) -> str:
    why = _why(_worst(hearing).trouble)
    cells = (
        _time(hearing.answered),
        name(hearing.user),
        hearing.number,
        _clock(hearing.ended - hearing.answered),
        f"{mean(hearing):.1f}",
        why,
    )
    shown = _button(SHOW, ticket, day=day.isoformat(), call=hearing.call, name=f"{SHOW} {cells[0]} {cells[1]}")
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + f"<td>{shown}</td></tr>"


def _why(trouble: Trouble) -> str:
    return TROUBLES.get(trouble, GOOD)


def _button(label: str, ticket: str, *, name: str = "", **fields: str) -> str:
    """A form: tickets travel in bodies only."""
    given = {"ticket": ticket, **fields}
    hidden = "".join(f'<input type="hidden" name="{key}" value="{html.escape(v)}">' for key, v in given.items())
    spoken = f' aria-label="{html.escape(name)}"' if name else ""
    return f'<form method="post" action="{PATH}">{hidden}<button{spoken}>{html.escape(label)}</button></form> '


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    return f"{minutes}:{rest:02d}"


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )
