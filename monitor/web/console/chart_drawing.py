"""A flag's chart without the script: a picture made by the server, and the table below it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from monitor.store.text import moment, seconds
from monitor.web.console.chart_choice import Choice, legend, strokes
from monitor.web.console.chart_data import DAY, Picture, holidays_between
from thresholds.model import FloatArray, IntArray

USUAL = Choice()
FINEST = 400
"""columns of the picture in which a line is drawn: of more readings the lowest and the highest in each"""
ROWS, ROWS_CHOSEN, FEW = 30, 120, 4
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 800, 340, 56, 24, 12


@dataclass(frozen=True, slots=True)
class Drawing:
    """The picture as SVG paths, in a box of WIDTH by HEIGHT.

    lines   (class, path); bands (class, x, width) behind them; ticks (x, text) below, levels (y, text) at the side;
            legend (class, name) of the lines
    """

    lines: tuple[tuple[str, str], ...]
    bands: tuple[tuple[str, float, float], ...]
    ticks: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str], ...]
    legend: tuple[tuple[str, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM
    top: int = TOP


def drawing(shown: Picture, choice: Choice = USUAL) -> Drawing:
    """The main curve with what is chosen behind it, holidays and the flag's time."""
    begin, end = choice.within(shown)
    end = max(end, begin + DAY)
    lines = strokes(shown, choice)
    inside = []
    for one in lines:
        keep = (one.at >= begin) & (one.at <= end)
        value = one.value if one.doubtful is None else np.where(one.doubtful, np.nan, one.value)
        inside.append((one.css, one.at[keep], value[keep]))
    every = np.concatenate([v[np.isfinite(v)] for _, _, v in inside] or [np.empty(0)])
    if not len(every):
        every = np.array([0.0, 1.0])
    low, high = scale_of(every)

    def x_of(at: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 8) * (at - begin) / (end - begin), 1)

    def y_of(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value - low) / (high - low), 1)

    paths = tuple((css, path(*thinned(at, v), x_of, y_of)) for css, at, v in inside if np.isfinite(v).any())
    form = "%m-%d" if end - begin <= 400 * DAY else "%Y-%m"
    until = end if shown.flag.end is None else seconds(shown.flag.end)
    spans = [("holiday", a, b) for _name, a, b in holidays_between(begin, end, shown.zone)]
    spans.append(("this", seconds(shown.flag.start), max(until, seconds(shown.flag.start) + DAY)))
    bands = tuple(
        (css, x_of(max(a, begin)), round(max(x_of(min(b, end)) - x_of(max(a, begin)), 1.5), 1))
        for css, a, b in spans
        if b > begin and a < end
    )
    return Drawing(
        lines=paths,
        bands=bands,
        ticks=tuple((x_of(at), moment(at).astimezone(shown.zone).strftime(form)) for at in ticks(begin, end)),
        levels=tuple((y_of(value), f"{value:.6g}") for value in levels(low, high)),
        legend=tuple(legend(lines)),
    )


def thinned(at: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """No more than a picture can show: of each of FINEST parts of the time the lowest and the highest value."""
    if len(at) <= 2 * FINEST:
        return at, values
    part = (at - at[0]) * FINEST // (at[-1] - at[0] + 1)
    order = np.lexsort((values, part))
    first = np.flatnonzero(np.diff(part[order], prepend=-1))
    last = np.append(first[1:], len(order)) - 1
    keep = np.unique(order[np.concatenate([first, last])])
    return at[keep], values[keep]


def scale_of(every: FloatArray) -> tuple[float, float]:
    """The lowest and the highest value that the picture has room for; a single slip does not flatten the rest."""
    low, high = float(every.min()), float(every.max())
    margin = 0.06 * (high - low) or max(abs(high) * 0.05, 0.5)
    return low - margin, high + margin


def path(at: IntArray, values: FloatArray, x_of: Any, y_of: Any) -> str:
    """A line that is broken where a value is missing."""
    out, pen = [], False
    for t, v in zip(at.tolist(), values.tolist(), strict=True):
        if v != v:
            pen = False
            continue
        out.append(f"{'L' if pen else 'M'}{x_of(t):g} {y_of(v):g}")
        pen = True
    return "".join(out)


def ticks(begin: int, end: int) -> list[int]:
    step = max((end - begin) // 7, DAY)
    return list(range(begin + step // 2, end, step))


def levels(low: float, high: float) -> list[float]:
    """Three to six round numbers between."""
    rough = (high - low) / 4
    unit = 10.0 ** np.floor(np.log10(rough)) if rough > 0 else 1.0
    step = next((unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= rough), unit * 10)
    first = np.ceil(low / step)
    return [float(step * k) for k in np.arange(first, np.floor(high / step) + 1)]


@dataclass(frozen=True, slots=True)
class Reading:
    """A row of the table below the chart."""

    at: datetime
    value: float
    expected: float
    low: float
    high: float
    points: tuple[float | None, ...]


def readings(shown: Picture, choice: Choice = USUAL) -> tuple[list[str], list[Reading]]:
    """Names of the lines in the table beside the main one, and the newest rows of it first: more where chosen."""
    curves = shown.curves
    own = [one for one in strokes(shown, choice) if one.aside]
    if not own and not choice.made:
        own = strokes(shown, Choice(frozenset({"others"})))[:-1][:FEW]
    begin, last = choice.within(shown)
    within = curves.main.at[(curves.main.at >= begin) & (curves.main.at <= last)]
    at = within[-(ROWS_CHOSEN if choice.made else ROWS) :]
    values = dict(zip(curves.main.at.tolist(), curves.main.value.tolist(), strict=True))
    band: dict[int, tuple[float, float, float]] = {}
    if curves.band is not None:
        b = curves.band
        three = zip(b.expected.tolist(), b.low.tolist(), b.high.tolist(), strict=True)
        band = dict(zip(b.at.tolist(), three, strict=True))
    by_point = [dict(zip(one.at.tolist(), one.value.tolist(), strict=True)) for one in own]
    nothing = (float("nan"),) * 3
    rows = [
        Reading(moment(t), values[t], *band.get(t, nothing), tuple(one.get(t) for one in by_point))
        for t in reversed(at.tolist())
    ]
    return [one.label for one in own], rows
