"""Class baskets: the mean of all items of a class, area by area, and the rules on it (scope = "class").

What is averaged are the means by area of the class's items (one series for each item, spec and unit), channel by
channel. From one time to the next the basket changes by the geometric mean of the ratios of those items that stood
before and stand now (a matched sample, Jevons): items are sold by 500 g, by the 5 litres and by the box, so that
their prices cannot be added, and one expensive item must not outweigh the others. A mean of logarithms can be chained
without drift while the same items stand; the arithmetic mean of ratios cannot, it rises by itself. How long an item's
price stands, what becomes of one that joins or drops out, and of one whose level begins anew, is as of points within
an area (thresholds.aggregate).

Where all items have one unit the value is the geometric mean of their prices, else an index, 100 at its first time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from thresholds.aggregate import LEAST_CARRY, MOST_CARRY, Areas, by_area
from thresholds.catalogue import Catalogue, Classified, Measure, basket_of, point_in_basket
from thresholds.exits import with_exits
from thresholds.grading import RuleHits, hits_of
from thresholds.model import BoolArray, Flag, IntArray, SeriesKey
from thresholds.panel import Panel
from thresholds.plan import Pack, Policy, Rule
from thresholds.view import View
from thresholds.writing import grade_moves

INDEX = "指数"
"""Unit of a basket whose items have several."""
InForce = Callable[[Rule, Pack, View], BoolArray]
Failed = dict[str, str]


@dataclass(frozen=True)
class Basket:
    """The basket of one class.

    points  the quotes of its items, each named after the basket as its item, and after point and item as its point
    areas   the basket by area and channel, and which points stand behind it; `view` the same as rules see it
    """

    points: View
    areas: Areas
    view: View


def on_classes(policy: Policy) -> dict[str, list[tuple[Rule, Pack]]]:
    """By class: the rules on its basket."""
    found: dict[str, list[tuple[Rule, Pack]]] = {}
    for pack in policy.packs:
        for rule in pack.rules:
            for name in rule.classes if rule.scope == "class" else ():
                found.setdefault(name, []).append((rule, pack))
    return found


def basket_flags(
    points: View, wide: View, cell: NDArray[np.int32], policy: Policy, city: str, in_force: InForce, failed: Failed
) -> Iterator[Flag]:
    """Flags of the rules on baskets. `cell`: as in Areas, the series of `wide` behind which each of `points` stands.

    failed  takes the error of a rule that fails, by its id
    """
    for name, rules in on_classes(policy).items():
        basket = basket_for(name, points, wide, cell, policy.catalogue)
        if basket is None:
            continue
        found: list[RuleHits] = []
        for rule, pack in rules:
            try:
                valid = in_force(rule, pack, basket.view)
                if valid.any():
                    found += hits_of(rule, pack, basket.view, valid)
            except Exception as error:  # noqa: BLE001  # as in thresholds.detect: the others go on
                failed[rule.id] = f"{type(error).__name__}: {error}"
        flags = grade_moves(found, basket.areas, basket.points, policy, city)
        yield from with_exits(flags, found, basket.view, policy, city, in_force)


def basket_for(name: str, points: View, wide: View, cell: NDArray[np.int32], catalogue: Catalogue) -> Basket | None:
    """The basket of a class, None where no price of it is known."""
    prices = wide.of_classes([name]) & wide.series_where(lambda c: c.measure is Measure.PRICE)
    items = np.flatnonzero(prices)
    if not len(items):
        return None
    label = basket_of(name)
    logs, real, rebased = logarithms(wide, prices, label)
    means = by_area(logs, real, rebased, np.zeros(logs.n_series, np.bool_))
    panel = priced(means, wide.panel, items, label)
    behind = np.flatnonzero(prices[cell])
    part = renamed(points, behind, label)
    member = np.full(wide.panel.n_series, -1, np.int64)
    member[items] = means.cell  # of each area's mean: the basket that it is in
    own = member[cell[behind]]
    members = [np.flatnonzero(own == b) for b in range(panel.n_series)]
    count = standing_points(panel, part, members, [points.panel.keys[s].point for s in behind.tolist()])
    areas = Areas(panel, members, own.astype(np.int32), count, part.real)
    chain = catalogue.chain(name)
    kind = Classified(chain, catalogue.classes[name].domain, Measure.PRICE, state_set=False)
    n = len(panel)
    usual = np.ones(n, np.bool_)
    usual[expected(panel, wide, items, means.cell)] = False
    every, never = np.ones(n, np.bool_), np.zeros(n, np.bool_)
    view = View(panel, [kind] * panel.n_series, every, usual, count, never, every, records=points.records)
    return Basket(part, areas, view)


def logarithms(wide: View, keep: BoolArray, label: str) -> tuple[Panel, BoolArray, BoolArray]:
    """The real prices of some series as logarithms, each as a point of the basket; which are usable (all), and where
    a level begins anew."""
    panel = wide.panel
    rows = keep[panel.series] & wide.real & (panel.value > 0)
    part = panel.only(rows)
    kept = np.flatnonzero(keep)
    start = part.start[np.append(kept, panel.n_series)] if len(kept) else part.start[:1]
    keys = [panel.keys[s] for s in kept.tolist()]
    named = [SeriesKey(label, "", "", k.channel, "\x1f".join((k.item, k.spec, k.unit, k.point))) for k in keys]
    areas = [panel.areas[s] for s in kept.tolist()]
    logs = Panel(named, areas, start, part.time, part.day, np.log(part.value), part.mark)
    return logs, np.ones(len(logs), np.bool_), wide.rebased[rows]


def priced(means: Areas, wide: Panel, items: IntArray, label: str) -> Panel:
    """The means of logarithms as prices, or as indices where units differ."""
    panel = means.panel
    value = np.exp(panel.value)
    keys = []
    for b, key in enumerate(panel.keys):
        units = {wide.keys[int(items[m])].unit for m in np.flatnonzero(means.cell == b)}
        here = slice(int(panel.start[b]), int(panel.start[b + 1]))
        if len(units) > 1:
            value[here] *= 100 / value[here][:1]
        keys.append(SeriesKey(label, "", INDEX if len(units) > 1 else units.pop(), key.channel, ""))
    return replace(panel, keys=keys, value=value, mark=np.zeros(len(panel), np.uint8))


def renamed(points: View, series: IntArray, label: str) -> View:
    """The points of the items as points of the basket: 东市场（大白菜）."""
    part = points.part(series)
    keys = [
        SeriesKey(label, "\x1f".join((k.item, k.spec)), k.unit, k.channel, point_in_basket(k))
        for k in part.panel.keys
    ]
    return replace(part, panel=replace(part.panel, keys=keys))


def standing_points(
    panel: Panel, points: View, members: Sequence[IntArray], names: Sequence[str]
) -> NDArray[np.int32]:
    """int32[n]: how many different points, by `names`, have a quote of some item that stands."""
    quotes = points.panel
    found = np.zeros(len(panel), np.int32)
    for b, series in enumerate(members):
        here = slice(int(panel.start[b]), int(panel.start[b + 1]))
        times = panel.time[here]
        standing: dict[str, BoolArray] = {}
        for s in series.tolist():
            at = np.arange(quotes.start[s], quotes.start[s + 1])[points.real[quotes.start[s] : quotes.start[s + 1]]]
            if len(at):
                stood = stands(quotes.time[at], times)
                standing[names[s]] = standing.get(names[s], np.zeros(len(times), np.bool_)) | stood
        if standing:
            found[here] = np.sum(list(standing.values()), axis=0)
    return found


def stands(quoted: IntArray, times: IntArray) -> BoolArray:
    """bool: at which of `times` a quote stands of those that came at `quoted`."""
    gaps = np.diff(quoted, prepend=quoted[0] - LEAST_CARRY)
    until = quoted + np.clip(3 * gaps, LEAST_CARRY, MOST_CARRY)
    place = np.searchsorted(quoted, times, "right") - 1
    found: BoolArray = (place >= 0) & (times <= until[np.maximum(place, 0)])
    return found


def expected(panel: Panel, wide: View, items: IntArray, cell: NDArray[np.int32]) -> IntArray:
    """Positions of the basket at whose time an item had a price that a reviewer expected: no measure of what is
    usual."""
    found = []
    for member, series in enumerate(items.tolist()):
        a, b = int(wide.panel.start[series]), int(wide.panel.start[series + 1])
        for time in wide.panel.time[a:b][wide.real[a:b] & ~wide.usable[a:b]].tolist():
            basket = int(cell[member])
            first, end = int(panel.start[basket]), int(panel.start[basket + 1])
            at = first + int(np.searchsorted(panel.time[first:end], time))
            if at < end and panel.time[at] == time:
                found.append(at)
    return np.array(found, np.int64)
