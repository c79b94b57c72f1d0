"""Faults, and the panels that they are put into at seeded random places (tests/thresholds/fault_injection.py)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from collectors.demo_city import SHANGHAI, City
from collectors.demo_items import CLASSES, ITEMS, SPRING_FESTIVALS
from collectors.sheet import read_sheet
from tests.thresholds.build import seconds, shipped
from thresholds.catalogue import Measure
from thresholds.detect import detect
from thresholds.load import watched
from thresholds.model import BoolArray, Flag, FloatArray, IntArray, Kind
from thresholds.panel import DAY, Panel
from thresholds.quality import weight_of
from thresholds.replay import panel_of

FOOD = Path(__file__).parents[3] / "shared" / "data" / "food_monthly.csv.gz"
OFTEN = 0.3
"""Share of reports with another price from which a price that stands for long is odd."""
FESTIVE = 0.05
"""Rise before Spring Festival, of the simulator's classes, from which it is worth replaying."""
BEFORE, AFTER = 20, 50
"""Days around Spring Festival that are replayed."""
Span = slice


@dataclass(frozen=True)
class Market:
    """A panel and what its rhythm makes of a fault.

    month    reports that stand for 30 days of the daily panel (stuck), tenth for 10 days (missing)
    weeks    weeks from one report to the next
    history  reports of a series before anything is put into it; rest: reports between two faults of an item
    watch    reports from the first wrong one in which a step is to be seen; late: after the last one, as for events
    """

    name: str
    panel: Panel
    stuck: int
    missing: int
    weeks: float
    history: int
    rest: int
    watch: int
    late: int
    rounds: int = 1

    @cached_property
    def items(self) -> dict[str, list[int]]:
        """Series of prices by item."""
        found = defaultdict(list)
        for s, key in enumerate(self.panel.keys):
            if shipped().catalogue.classify(key).measure is Measure.PRICE:
                found[key.item].append(s)
        return dict(found)

    @cached_property
    def axis(self) -> dict[str, IntArray]:
        """Times at which anything of an item was reported."""
        return {i: np.unique(np.concatenate([self.times(s) for s in m])) for i, m in self.items.items()}

    @cached_property
    def flags(self) -> list[Flag]:
        """What the policy raises where nothing is put in."""
        return judged(self.panel)

    @cached_property
    def percent(self) -> float:
        """Ratio beyond which a change is an alarm of the one-line rule: as many alarms as `flags`."""
        changes = np.sort(np.abs(steps(self.panel)))
        return float(changes[-len(self.flags) - 1])

    @cached_property
    def series_weeks(self) -> float:
        return watched(self.panel).series_weeks

    def span(self, s: int) -> Span:
        return slice(int(self.panel.start[s]), int(self.panel.start[s + 1]))

    def times(self, s: int) -> IntArray:
        return self.panel.time[self.span(s)]


@dataclass(frozen=True)
class Place:
    """Where a fault is put: reports of `members` (the one that counts first) from `begin` on.

    end, until  times of its last report, and of the last one at which a flag is still in time
    """

    item: str
    members: tuple[int, ...]
    begin: int
    end: int
    until: int


Edit = Callable[[Market, FloatArray, BoolArray, Place, int, Span], None]
"""Change values, or what is kept, of one series: (market, values, kept, place, series, its reports that are hit)."""


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    right      kinds of flag that are right; none: right is that no price warning comes (`graded`: none with a grade)
    lasts      reports in which it is made; stays: and goes on behind them
    fits       whether it makes sense in a series with so many reports before it
    """

    name: str
    right: tuple[Kind, ...]
    edit: Edit
    lasts: Callable[[Market], int] = lambda _: 1
    watch: bool = False
    stays: bool = False
    everywhere: bool = False
    fits: Callable[[Market, int, int], bool] = lambda *_: True
    up: bool = True
    graded: bool = False
    markets: tuple[str, ...] = ()
    """those it makes sense in; empty for all"""


# --- faults ---


def times(factor: float) -> Edit:
    def edit(_m: Market, value: FloatArray, _k: BoolArray, _p: Place, _s: int, here: Span) -> None:
        value[here] *= factor

    return edit


def creep(market: Market, value: FloatArray, _k: BoolArray, place: Place, s: int, here: Span) -> None:
    weeks = (market.panel.time[here] - place.begin) / (7 * DAY) + market.weeks
    value[here] *= 1.01 ** np.minimum(weeks, WEEKS)


def stick(_m: Market, value: FloatArray, _k: BoolArray, _p: Place, _s: int, here: Span) -> None:
    value[here] = value[here.start - 1]


def drop(_m: Market, _v: FloatArray, kept: BoolArray, _p: Place, _s: int, here: Span) -> None:
    kept[here] = False


def festival(market: Market, value: FloatArray, _k: BoolArray, place: Place, s: int, here: Span) -> None:
    """Last year's course again, from this year's level of the three weeks before."""
    now, before = feast_after(place.begin)
    whole = market.span(s)
    time, old = market.panel.time[whole], market.panel.value[whole]
    level = [np.median(old[(time >= t - 2 * BEFORE * DAY) & (time < t - BEFORE * DAY)]) for t in (now, before)]
    last = np.searchsorted(time, market.panel.time[here] - now + before, "right") - 1
    value[here] = old[last] * level[0] / level[1]


def leave(_m: Market, _v: FloatArray, _k: BoolArray, _p: Place, _s: int, _h: Span) -> None:
    """Nothing put in: for comparison."""


def feast_after(begin: int) -> tuple[int, int]:
    """Midnight of the first Spring Festival after a time, and of the one before that."""
    known = [seconds(first=day) for day in SPRING_FESTIVALS]
    k = int(np.searchsorted(known, begin))
    return known[k], known[k - 1]


def changes_often(market: Market, s: int, before: int) -> bool:
    value = market.panel.value[market.span(s)][:before]
    return bool((np.diff(value[-market.history :]) != 0).mean() >= OFTEN)


def weighed(market: Market, s: int, _before: int) -> bool:
    return bool(weight_of(market.panel.keys[s].unit) & 1)


def festive(market: Market, s: int, _before: int) -> bool:
    kinds = {one.name: one.kind for one in ITEMS}
    return CLASSES[kinds[market.panel.keys[s].item]].festival >= FESTIVE


WEEKS = 26
"""How long a creep goes on."""
MOVE, DATA, SILENCE = (Kind.MOVE,), (Kind.DATA,), (Kind.SILENCE,)
CREEP = {"edit": creep, "stays": True, "lasts": lambda m: round(WEEKS / m.weeks)}
FEAST = {"everywhere": True, "fits": festive, "markets": ("simulator",)}
FAULTS = (
    Fault("spike x1.3, one report", (Kind.MOVE, Kind.DATA), times(1.3)),
    Fault("digit slip x10", DATA, times(10)),
    Fault("unit x2 (goods by weight)", DATA, times(2), fits=weighed),
    Fault("shift +8 %, one point", MOVE, times(1.08), watch=True, stays=True),
    Fault("shift +8 %, all points", MOVE, times(1.08), watch=True, stays=True, everywhere=True),
    Fault("creep +1 % a week, one point", MOVE, **CREEP),  # type: ignore[arg-type]
    Fault("creep +1 % a week, all points", MOVE, **CREEP, everywhere=True),  # type: ignore[arg-type]
    Fault("stuck price", DATA, stick, lasts=lambda m: m.stuck, fits=changes_often, up=False),
    Fault("missing", SILENCE, drop, lasts=lambda m: m.missing, up=False),
    Fault("all markets +15 %", MOVE, times(1.15), watch=True, stays=True, everywhere=True),
    Fault("Spring Festival as it came, no flag", (), leave, **FEAST),  # type: ignore[arg-type]
    Fault("last year's festival again, no flag", (), festival, **FEAST),  # type: ignore[arg-type]
    Fault("Spring Festival as it came, no grade", (), leave, **FEAST, graded=True),  # type: ignore[arg-type]
    Fault("last year's festival again, no grade", (), festival, **FEAST, graded=True),  # type: ignore[arg-type]
)


# --- markets ---


def food() -> Market:
    """Food prices of two countries by market, monthly; series of a few reports are there, and left alone."""
    batch = read_sheet(FOOD, name=FOOD.name, timezone=str(SHANGHAI)).batch
    return Market("food", panel_of(batch, None, SHANGHAI), 12, 10, 30.4375 / 7, 24, 8, 3, 1, rounds=3)


def simulator(seed: int = 7, points: int = 12, days: int = 1100) -> Market:
    """The demonstration city: daily, with its own crises, errors and silences."""
    last = date(2026, 6, 30)
    end = datetime(last.year, last.month, last.day, 20, tzinfo=SHANGHAI)
    city = City(seed, last, points)
    panel = panel_of(city.observations(end - timedelta(days=days), end), None, SHANGHAI)
    return Market("simulator", panel, 30, 10, 1 / 7, 120, 30, 7, 3)


# --- putting in ---


def places(market: Market, fault: Fault, rng: np.random.Generator) -> list[Place]:
    """Random places, one after the other within each item; one of each item for a fault that stays, because one after
    the other they would become what is usual.
    """
    if not fault.right:
        return feasts(market, fault)
    some = one_place if fault.stays else places_in_turn
    return [place for item in market.items for place in some(market, fault, item, rng)]


def one_place(market: Market, fault: Fault, item: str, rng: np.random.Generator) -> list[Place]:
    """A place at any time; none where twenty times are no good."""
    for at in rng.permutation(market.axis[item])[:20].tolist():
        place = place_at(market, fault, item, at, rng)
        if place is not None:
            return [place]
    return []


def places_in_turn(market: Market, fault: Fault, item: str, rng: np.random.Generator) -> list[Place]:
    found = []
    axis = market.axis[item]
    k = market.history + int(rng.integers(market.rest + 1))
    while k < len(axis):
        place = place_at(market, fault, item, int(axis[k]), rng)
        if place is None:
            k += 1 + market.rest // 4
            continue
        found.append(place)
        over = int(np.searchsorted(axis, place.until))
        k = over + market.rest + int(rng.integers(market.rest + 1))
    return found


def place_at(market: Market, fault: Fault, item: str, at: int, rng: np.random.Generator) -> Place | None:
    """A place from the report at time `at`, in a point by chance; None where no series has enough reports around."""
    lasts = fault.lasts(market)
    until = (market.watch if fault.watch else lasts) + market.late
    open_to = []
    members = market.items[item]
    for s in members:
        time = market.times(s)
        k = int(np.searchsorted(time, at))
        enough = market.history <= k and k + until < len(time) and time[k] == at
        if enough and steady(market, time[k - 3 : k + until]) and fault.fits(market, s, k):
            open_to.append(s)
    if not open_to:
        return None
    first = int(rng.choice(open_to))
    time = market.times(first)
    k = int(np.searchsorted(time, at))
    others = [s for s in members if s != first] if fault.everywhere else []
    return Place(item, (first, *others), at, int(time[k + lasts - 1]), int(time[k + until - 1]))


def steady(market: Market, time: IntArray) -> bool:
    """Whether reports come in their rhythm here: what came late anyway says nothing about a fault."""
    return bool(np.diff(time).max() <= 2.5 * market.weeks * 7 * DAY)


def feasts(market: Market, fault: Fault) -> list[Place]:
    """Every Spring Festival of every festive item that the panel holds with the one before."""
    first, last = int(market.panel.time.min()), int(market.panel.time.max())
    known = [seconds(first=day) for day in SPRING_FESTIVALS]
    found = []
    for item, members in market.items.items():
        for before, now in pairwise(known):
            inside = before - 2 * BEFORE * DAY > first and now + AFTER * DAY < last
            if inside and fault.fits(market, members[0], 0):
                end = now + AFTER * DAY
                found.append(Place(item, tuple(members), now - BEFORE * DAY, end, end))
    return found


def injected(market: Market, fault: Fault, where: Iterable[Place]) -> Panel:
    """The panel with the fault at all these places; prices in two decimals, as they are reported."""
    panel = market.panel
    value, kept = panel.value.copy(), np.ones(len(panel), np.bool_)
    for place in where:
        for s in place.members:
            whole = market.span(s)
            a = whole.start + int(np.searchsorted(panel.time[whole], place.begin))
            b = whole.start + int(np.searchsorted(panel.time[whole], place.end, "right"))
            here = slice(a, whole.stop if fault.stays else b)
            if here.start < here.stop:
                fault.edit(market, value, kept, place, s, here)
    changed = value != panel.value
    value[changed] = np.round(value[changed], 2)
    return replace(panel, value=value).only(kept)


# --- what is raised ---


def judged(panel: Panel) -> list[Flag]:
    newest = datetime.fromtimestamp(int(panel.time.max()), UTC)
    detection = detect(panel, shipped(), newest, axis=np.unique(panel.time))
    assert not detection.failed, detection.failed
    return detection.flags


def steps(panel: Panel) -> FloatArray:
    """float64[n]: relative change since the report before; 0 for the first of a series and after a zero."""
    before = np.append(np.nan, panel.value[:-1])
    before[panel.start[:-1][np.diff(panel.start) > 0]] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        change = panel.value / before - 1
    return np.where(np.isfinite(change), change, 0.0)
