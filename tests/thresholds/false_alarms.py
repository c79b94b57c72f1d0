"""How often rules fire where nothing happens: the tables of docs/detectors.md, by seeded simulation.

`python -m tests.thresholds.false_alarms` writes them into the page. Two markets without events: `staple`, a price
that changes on two days of five, by 1 % (standard deviation); `vegetable`, one that changes on four days of five, by
5 %. Prices are in cents, wander, and return to their level over about fifty changes. 200 series, two years, daily.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.thresholds.build import FIRST, found, policy_of, rule, seconds
from thresholds.model import FloatArray, Kind, SeriesKey
from thresholds.panel import DAY, Panel
from thresholds.plan import Policy

PAGE = Path(__file__).parents[2] / "docs" / "detectors.md"
BLOCK = re.compile(r"<!-- measured -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)
SERIES, DAYS, POINTS = 200, 730, 4
MARKETS = {"staple": (0.4, 0.01), "vegetable": (0.8, 0.05)}
"""share of days with a change, standard deviation of a change"""


@cache
def prices(market: str) -> FloatArray:
    """float64[DAYS, SERIES], in yuan with two decimals."""
    often, size = MARKETS[market]
    rng = np.random.default_rng(20_260_101)
    level = np.zeros(SERIES)
    out = np.empty((DAYS, SERIES))
    for day in range(DAYS):
        change = (rng.random(SERIES) < often) * rng.normal(0, size, SERIES)
        level = np.where(change != 0, 0.98 * level + change, level)
        out[day] = np.round(6 * np.exp(level), 2)
    return out


@cache
def market_panel(market: str, *, together: bool = False, gaps: bool = False) -> Panel:
    """Every series an item of its own, or (`together`) four points of one item; `gaps`: weekends and 5 % missing."""
    value = prices(market)
    keys = [
        SeriesKey(f"大米{s // POINTS if together else s}", unit="元/500克", channel="零售", point=f"点{s % POINTS}")
        for s in range(SERIES)
    ]
    day, series = (a.ravel() for a in np.indices(value.shape))
    keep = np.ones(day.shape, np.bool_)
    if gaps:
        weekday = (day + FIRST.weekday()) % 7
        keep = (weekday < 5) & (np.random.default_rng(7).random(day.shape) > 0.05)
    at = seconds(0) + day * DAY
    return Panel.build(keys, ["甲区"] * SERIES, series[keep], at[keep], value.ravel()[keep])


def per_100_series_weeks(panel: Panel, policy: Policy, kind: Kind) -> float:
    """Flags of a kind, per 100 weeks of one series."""
    flags = [f for f in found(panel, policy).flags if f.kind is kind]
    return 100 * len(flags) / (panel.n_series * DAYS / 7)


RULES: dict[str, tuple[dict[str, Any], bool, str]] = {
    "`change` previous > 5 %": ({"kind": "change", "over": "previous", "percent": 5}, False, "point"),
    "`change` 10d > 10 %": ({"kind": "change", "over": "10d", "percent": 10}, False, "point"),
    "`change` 30d > 20 %": ({"kind": "change", "over": "30d", "percent": 20}, False, "point"),
    "`change` 1w >= 30 %": ({"kind": "change", "over": "1w", "op": ">=", "percent": 30}, False, "point"),
    "`score` over 1, window 250, > 6": ({"kind": "score", "window": 250, "value": 6}, False, "point"),
    "`score` over 1, window 60, > 3.5": ({"kind": "score", "window": 60, "value": 3.5}, False, "point"),
    "`score` over 5, window 250, > 4.5": ({"kind": "score", "over": 5, "window": 250, "value": 4.5}, False, "point"),
    "the same, at least 8 %": (
        {"kind": "score", "over": 5, "window": 250, "value": 4.5, "percent": 8},
        False,
        "point",
    ),
    "`score` over 20, window 500, > 4": ({"kind": "score", "over": 20, "window": 500, "value": 4}, False, "point"),
    "`level` above 7.20 (start 6.00)": ({"kind": "level", "above": 7.2}, False, "point"),
    "`lasting` 2 of `change` 1w >= 30 %": (
        {"kind": "lasting", "readings": 2, "of": {"kind": "change", "over": "1w", "op": ">=", "percent": 30}},
        False,
        "point",
    ),
    "`m_of_n` 3 of 5 of `change` previous > 5 %": (
        {"kind": "m_of_n", "m": 3, "n": 5, "of": {"kind": "change", "over": "previous", "percent": 5}},
        False,
        "point",
    ),
    "`staying` 1w > 30 %": ({"kind": "staying", "over": "1w", "percent": 30}, False, "point"),
    "`reach` 2 of 200 items of `change` 1w >= 30 %": (
        {"kind": "reach", "count": "items", "of": {"kind": "change", "over": "1w", "op": ">=", "percent": 30}},
        False,
        "point",
    ),
    "`breadth` 2 of 4 of `change` previous > 5 %": (
        {"kind": "breadth", "at_least": 2, "of": {"kind": "change", "over": "previous", "percent": 5}},
        True,
        "point",
    ),
    "the same, `unusual` 0.99": (
        {
            "kind": "breadth",
            "at_least": 2,
            "unusual": 0.99,
            "of": {"kind": "change", "over": "previous", "percent": 5},
        },
        True,
        "point",
    ),
    "`ewma` 0.2, 2.962": ({"kind": "ewma"}, False, "point"),
    "the same, not whitened": ({"kind": "ewma", "white": False}, False, "point"),
    "`cusum` 0.5, 5": ({"kind": "cusum"}, False, "point"),
    "`cusum` 0.5, 8": ({"kind": "cusum", "limit": 8}, False, "point"),
    "`volatility` 1.5 times": ({"kind": "volatility", "times": 1.5}, False, "point"),
    "`volatility` 2 times": ({"kind": "volatility"}, False, "point"),
    "`extremes` 7 of 60": ({"kind": "extremes"}, False, "point"),
    "`extremes` 8 of 60": ({"kind": "extremes", "exact": True}, False, "point"),
    "`outlier` among 200 of a class": ({"kind": "outlier"}, True, "point"),
    "`dispersion` of 4 points": ({"kind": "dispersion", "points": 4}, True, "point"),
    "`diffusion` 0.75 of 4 points": ({"kind": "diffusion", "share": 0.75, "points": 4}, True, "point"),
    "`diffusion` 0.25 of 200 of a class": ({"kind": "diffusion", "share": 0.25, "among": "class"}, True, "point"),
    "mean of 4 points, `change` previous > 5 %": (
        {"all": [{"kind": "change", "over": "previous", "percent": 5}, {"kind": "points", "at_least": 2}]},
        True,
        "area",
    ),
}


def measured() -> dict[str, list[float]]:
    """{what: rate in each market}, in flags per 100 series-weeks."""
    out: dict[str, list[float]] = {}
    for name, (when, together, scope) in RULES.items():
        policy = policy_of(rule(when, scope=scope))
        out[name] = [per_100_series_weeks(market_panel(m, together=together), policy, Kind.MOVE) for m in MARKETS]
    nothing = policy_of(rule({"kind": "level", "above": 1e9}))
    out["data gate"] = [per_100_series_weeks(market_panel(m), nothing, Kind.DATA) for m in MARKETS]
    out["silence, weekends and 5 % gaps"] = [
        per_100_series_weeks(market_panel(m, gaps=True), nothing, Kind.SILENCE) for m in MARKETS
    ]
    return out


def table(rates: dict[str, list[float]]) -> str:
    lines = [f"| rule | {' | '.join(MARKETS)} |", "|---|" + "---|" * len(MARKETS)]
    lines += [f"| {name} | {' | '.join(f'{r:.2f}' for r in row)} |" for name, row in rates.items()]
    return "\n".join(lines) + "\n"


def stated(page: str) -> dict[str, list[float]]:
    """The rates that stand in the page."""
    block = BLOCK.search(page)
    assert block is not None
    rows = [line.strip("| ").split(" | ") for line in block["body"].splitlines()[2:]]
    return {name: [float(x) for x in row] for name, *row in rows}


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    PAGE.write_text(BLOCK.sub(lambda _: f"<!-- measured -->\n{table(measured())}<!-- end -->", text), "utf-8")
