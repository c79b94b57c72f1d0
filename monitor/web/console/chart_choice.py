"""What a flag's chart shows without the script: chosen by a plain form, kept in the address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, Self

import numpy as np
from starlette.datastructures import QueryParams

from monitor.web.console.chart_data import DAY, Picture, label_of, year_label
from monitor.web.console.i18n import Text, _
from thresholds.model import BoolArray, FloatArray, IntArray

PARTS = {
    "points": _("监测点"),
    "others": _("其他监测点"),
    "neighbours": _("邻近地区"),
    "band": _("预期与界限"),
    "years": _("往年"),
}
SPANS = {"shown": _("提示前后"), "90": _("近%(n)s天", n=90), "365": _("近1年"), "all": _("全部")}
USUAL = frozenset({"points", "band"})
OWN, MOST = 6, 8
"""lines of the flag's own points, and of other points and of areas, at most"""
INKS = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """Which parts of PARTS are drawn, and over which of SPANS. `made`: somebody chose."""

    parts: frozenset[str] = USUAL
    span: str = "shown"
    made: bool = False

    @classmethod
    def of(cls, query: QueryParams) -> Self:
        """From the address; what cannot be meant is left out."""
        if "span" not in query:
            return cls()
        span = query["span"]
        return cls(frozenset(query.getlist("show")) & PARTS.keys(), span if span in SPANS else "shown", made=True)

    def within(self, shown: Picture) -> tuple[int, int]:
        """The first and the last second that is drawn."""
        first, last = shown.shown
        at = shown.curves.main.at
        if self.span == "all":
            return int(at[0]), max(last, int(at[-1]))
        if self.span in ("90", "365"):
            last = max(last, int(at[-1]))
            return max(int(at[0]), last - int(self.span) * DAY), last
        return first, last


class Stroke(NamedTuple):
    """A line of the chart: how it looks (classes), what it is called, where it goes.

    aside     it has a column of its own in the table
    doubtful  readings that the picture leaves out
    """

    css: str
    label: str
    at: IntArray
    value: FloatArray
    aside: bool = True
    doubtful: BoolArray | None = None


def offered(shown: Picture) -> list[tuple[str, Text]]:
    """The parts that this chart has, in their order."""
    curves = shown.curves
    several = len(curves.points) > 1
    there = {
        "points": several and curves.of_flag > 0,
        "others": several and len(curves.points) > curves.of_flag,
        "neighbours": bool(curves.neighbours),
        "band": curves.band is not None,
        "years": bool(curves.years),
    }
    return [(part, label) for part, label in PARTS.items() if there[part]]


def strokes(shown: Picture, choice: Choice) -> list[Stroke]:
    """The lines, those that are drawn over the others last."""
    curves, parts = shown.curves, choice.parts
    own = curves.points[: curves.of_flag][:OWN] if "points" in parts and len(curves.points) > 1 else ()
    others = curves.points[curves.of_flag :][:MOST] if "others" in parts and len(curves.points) > 1 else ()
    areas = curves.neighbours[:MOST] if "neighbours" in parts else ()
    plain = parts.isdisjoint(
        ("others", "neighbours", "years")
    )  # alone, the flag's own points need no looks of their own
    looks = count(1)
    lines = [
        Stroke(
            "point" if plain else look(looks, kind),
            label_of(kind, one, curves),
            one.at,
            one.value,
            True,
            one.doubtful,
        )
        for kind, some in (("point", own), ("other", others), ("area", areas))
        for one in some
    ]
    if "years" in parts:
        lines += [
            Stroke(
                f"s{4 if y.calendar == 'lunar' else 3} y{y.years}",
                str(year_label(y.years, y.calendar)),
                y.at,
                y.value,
            )
            for y in curves.years
        ]
    if (b := curves.band) is not None and "band" in parts:
        for css, label, value in (
            ("limit", _("下限"), b.low),
            ("limit", _("上限"), b.high),
            ("expected", _("参照值"), b.expected),
        ):
            lines.append(Stroke(css, str(label), b.at, value, aside=False))
    main = curves.main
    lines.append(Stroke("main", label_of("main", main, curves), main.at, main.value, aside=False))
    return [one for one in lines if np.isfinite(one.value).any()]


def look(looks: Iterator[int], kind: str) -> str:
    """The next look: colours first, then dashes; sixteen of them, and areas are drawn thicker."""
    number = next(looks)
    return f"s{number % INKS + 1} d{number // INKS % 4}" + (" wide" if kind == "area" else "")


def legend(lines: Sequence[Stroke]) -> list[tuple[str, str]]:
    """(look, name) of the lines, the main one first; the limits and the grey points each once."""
    named: dict[tuple[str, str], None] = {}
    for one in [*lines[-1:], *lines[:-1]]:
        label = str(_("上限、下限")) if one.css == "limit" else str(_("监测点")) if one.css == "point" else one.label
        named[one.css, label] = None
    return list(named)
