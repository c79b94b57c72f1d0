"""The history of one kind of goods as SVG: mean of the points, and the range from the lowest to the highest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from markupsafe import Markup

from monitor.reasoning import number
from monitor.store.overview import as_date
from monitor.web.console.i18n import _
from thresholds.model import FloatArray, IntArray

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 240, 56, 26, 10, 12
CARRIED = 10
"""days for which a point's last quote stands, so that the mean does not jump with who reported"""


def history_svg(parts: Sequence[tuple[IntArray, FloatArray]], first: int, last: int, unit: str) -> Markup:
    """The days from `first` to `last` (days since 1970); empty without data. parts: day and value of each series."""
    table = np.full((len(parts), last - first + 1), np.nan)
    days = np.arange(first, last + 1)
    for row, (day, value) in enumerate(parts):
        places = np.searchsorted(day, days, side="right") - 1
        known = (places >= 0) & (days - day[np.maximum(places, 0)] <= CARRIED)
        table[row, known] = value[places[known]]
    some = np.flatnonzero(np.isfinite(table).any(axis=0))
    if not len(some):
        return Markup("")
    shown = table[:, some]
    mean, low, high = np.nanmean(shown, axis=0), np.nanmin(shown, axis=0), np.nanmax(shown, axis=0)
    return drawn(some, mean, low, high, first, last, unit, len(parts))


def drawn(
    days: IntArray, mean: FloatArray, low: FloatArray, high: FloatArray, first: int, last: int, unit: str, n: int
) -> Markup:
    bottom, top = float(low.min()), float(high.max())
    margin = (top - bottom) * 0.05 or abs(top) * 0.05 or 1.0
    bottom, top = bottom - margin, top + margin

    def x(day: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * day / max(1, last - first)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (top - value) / (top - bottom)

    def points(values: FloatArray) -> list[str]:
        return [f"{x(day):.1f},{y(value):.1f}" for day, value in zip(days.tolist(), values.tolist(), strict=True)]

    parts = []
    if n > 1:
        ring = " ".join([*points(high), *reversed(points(low))])
        parts.append(Markup('<polygon class="area" points="{}"/>').format(ring))
    parts.append(Markup('<polyline class="line s1" points="{}"/>').format(" ".join(points(mean))))
    ticks = [(bottom + margin), (bottom + top) / 2, top - margin]
    parts += [
        Markup('<text x="{}" y="{:.1f}" class="tick end">{}</text>').format(LEFT - 6, y(v) + 4, number(round(v, 2)))
        for v in ticks
    ]
    for place in (0.0, 0.5, 1.0):
        day = as_date(first) + timedelta(days=round((last - first) * place))
        anchor = {0.0: "start", 0.5: "", 1.0: "end"}[place]
        at = LEFT + (WIDTH - LEFT - RIGHT) * place
        parts.append(
            Markup('<text x="{:.0f}" y="{}" class="tick {}">{}</text>').format(
                at, HEIGHT - 6, anchor, day.isoformat()
            )
        )
    said = _(
        "均价走势：最低 %(low)s，最高 %(high)s，最新 %(last)s（%(unit)s）",
        low=number(float(mean.min())), high=number(float(mean.max())), last=number(float(mean[-1])), unit=unit,
    )  # fmt: skip
    return Markup('<svg class="plot history" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, str(said), Markup("").join(parts)
    )
