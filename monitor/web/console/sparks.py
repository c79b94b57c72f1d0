"""Small charts for lists: SVG made by the server from the last readings of what a flag is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from starlette.requests import Request

from monitor.reasoning import number
from monitor.store.flags import FlagRecord
from monitor.store.tails import Place, Tail, read_tails
from monitor.store.text import seconds
from monitor.web.console.i18n import _
from monitor.web.console.known import shelf_of
from monitor.web.context import WebContext
from thresholds.model import Flag

HEIGHT = 30
AFTER = 5 * 86_400
"""Seconds that are shown beyond the end of a flag"""


@dataclass(frozen=True, slots=True)
class Spark:
    """A small chart: one unit across for each reading, HEIGHT units from the lowest value to the highest.

    parts  (class, path) of what lies before, within and after the time of the flag; `end` is the newest reading
    """

    parts: tuple[tuple[str, str], ...]
    end: str
    readings: int
    low: float
    high: float
    last: float

    def __html__(self) -> str:
        """The SVG element; words for those who cannot see it are in the language of the reader."""
        said = _(
            "最近 %(n)s 期：最低 %(low)s，最高 %(high)s，最新 %(last)s",
            n=self.readings,
            low=number(self.low),
            high=number(self.high),
            last=number(self.last),
        )
        lines = Markup("").join(Markup('<path class="{}" d="{}"/>').format(css, path) for css, path in self.parts)
        return Markup(
            '<svg class="spark" viewBox="0 -2 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}'
            '<path class="end" d="M{}h0"/></svg>'
        ).format(self.readings - 1, HEIGHT + 4, str(said), lines, self.end)


def sparks(request: Request, flags: Sequence[FlagRecord]) -> dict[str, Spark | None]:
    """The small chart of each flag by id, None where nothing is known; those not made within a minute in one go."""
    ctx: WebContext = request.app.state.context
    shelf, now = shelf_of(request, "sparks"), ctx.now().timestamp()
    found: dict[str, Spark | None] = {}
    missing: list[Flag] = []
    for record in flags:
        held = shelf.get((record.flag.item, record.flag.id), now)
        if held is None:
            missing.append(record.flag)
        else:
            assert isinstance(held, Holder)
            found[record.flag.id] = held.spark
    tails = read_tails(ctx.db, [place_of(flag, ctx.city) for flag in missing]) if missing else []
    for flag, tail in zip(missing, tails, strict=True):
        found[flag.id] = spark(tail, flag)
        shelf.put((flag.item, flag.id), Holder(found[flag.id]), now)
    return found


@dataclass(frozen=True, slots=True)
class Holder:
    """What is known of a flag's chart, also that there is none."""

    spark: Spark | None


def place_of(flag: Flag, city: str) -> Place:
    points = flag.points or ((flag.point,) if flag.point else ())
    until = 2**40 if flag.end is None else seconds(max(flag.end, flag.last_hit)) + AFTER
    return Place(flag.item, None if flag.area in ("", city) else flag.area, tuple(points), until)


def spark(tail: Tail, flag: Flag) -> Spark | None:
    """None for fewer than two readings."""
    if len(tail.at) < 2:
        return None
    low, high = float(tail.value.min()), float(tail.value.max())
    height = high - low
    share = (tail.value - low) / height if height > 0 else np.full(len(tail.value), 0.5)
    y = np.rint(HEIGHT * (1 - share)).astype(np.int64).tolist()
    newest = len(y) - 1
    over = 2**40 if flag.end is None else seconds(flag.end)
    first, end = np.searchsorted(tail.at, [seconds(flag.start), over + 1]).tolist()
    first = min(max(first - 1, 0), newest)  # from the reading before, so that the step itself is seen
    last = min(max(end - 1, first), newest)
    parts = (("line", 0, first), ("line hot", first, last), ("line", last, newest))
    return Spark(
        parts=tuple((css, path_of(y, a, b)) for css, a, b in parts if b > a),
        end=f"{newest} {y[-1]}",
        readings=len(y),
        low=low,
        high=high,
        last=float(tail.value[-1]),
    )


def path_of(y: Sequence[int], first: int, last: int) -> str:
    """The line from one reading to another, each step relative to the one before: it is short so."""
    steps = "".join(f"l1 {b - a}" if b != a else "h1" for a, b in zip(y[first:last], y[first + 1 :], strict=False))
    return f"M{first} {y[first]}{steps}"
