"""The curves behind a flag: its series, what was expected at every reading, the limits of its rule, other years.

Everything is computed by the code that raised the flag (thresholds.detect), on the observations that somebody may
see; nothing here asks who that is. Times are epoch seconds, values are in the unit of the series.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import select

from monitor.memory import Held, panel_of
from monitor.rights import Reach
from monitor.schema import series as table
from monitor.store.database import Database
from monitor.store.histories import Histories
from thresholds import lunar
from thresholds.calendar import TOLERANCE, Lag
from thresholds.catalogue import folded
from thresholds.conditions import Score, log_change, sign
from thresholds.detect import Detection, Prepared, prepare
from thresholds.evidence import YEARS, same_date
from thresholds.model import BoolArray, Direction, Flag, FloatArray, Grade, IntArray, Kind, SeriesKey
from thresholds.panel import Panel
from thresholds.plan import Policy, Rule
from thresholds.view import RATIOS, View

CARRY = 10 * 86_400
"""Seconds for which a reading stands for its point or area in a mean over several"""
LEAST_OF_A_YEAR = 5
"""readings that an earlier year needs to be drawn"""

Group = tuple[str, str, str]
"""spec, unit, channel"""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: at int64[n] rising, value float64[n] (NaN: nothing). `doubtful`: bool[n], readings that the gate or a
    reviewer holds to be errors."""

    point: str
    area: str
    at: IntArray
    value: FloatArray
    doubtful: BoolArray | None = None

    def since(self, begin: int) -> Curve:
        first = int(np.searchsorted(self.at, begin))
        doubtful = None if self.doubtful is None else self.doubtful[first:]
        return Curve(self.point, self.area, self.at[first:], self.value[first:], doubtful)


@dataclass(frozen=True, slots=True)
class Band:
    """What the rule of a flag held to be usual at each reading of the main curve; NaN where it does not know.

    expected is what the value was compared with; beyond `low` or `high` the rule is true.
    """

    at: IntArray
    expected: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True)
class Year:
    """The main curve so many years before, at the dates that it is compared with. calendar: gregorian, lunar."""

    years: int
    calendar: str
    at: IntArray
    value: FloatArray


@dataclass(frozen=True)
class Curves:
    """What a flag's chart shows.

    main        of the area, of the one point, or the mean of several areas
    points      the points of the flag, then the others of its area
    neighbours  other areas
    series      id of the stored series behind each of `points`, for corrections
    """

    spec: str
    unit: str
    channel: str
    main: Curve
    points: tuple[Curve, ...] = ()
    of_flag: int = 0
    """how many of `points` are the flag's own"""
    neighbours: tuple[Curve, ...] = ()
    band: Band | None = None
    years: tuple[Year, ...] = ()
    series: tuple[int, ...] = field(default=())

    @cached_property
    def newest(self) -> int:
        return int(self.main.at[-1]) if len(self.main.at) else 0


def curves_of(flag: Flag, held: Sequence[Held], policy: Policy, zone: ZoneInfo, city: str) -> Curves | None:
    """The curves of a flag from the series of its item; None where no value is known.

    held  series of the item with their observations, those that may be seen, and of the items that its rule needs
    """
    own_item = [one for one in held if len(one.at) and one.key.item == flag.item]
    if not own_item:
        return None
    group = group_of(flag, own_item)
    beside = [one for one in held if one.key.item != flag.item]
    panel, mine = panel_of([*(one for one in own_item if group_key(one) == group), *beside], zone)
    seen = prepare(panel, policy, Detection())
    rule, own = rule_of(flag, policy), set(flag.points) or {flag.point} - {""}
    item = [s for s, key in enumerate(panel.keys) if key.item == flag.item]
    whole = flag.area in ("", city) or all(panel.areas[s] != flag.area for s in item)
    here = [s for s in item if whole or panel.areas[s] == flag.area]
    alone = [s for s in here if panel.keys[s].point in own]
    every = np.unique(seen.areas.cell[item])
    if len(alone) == 1 and (rule is None or rule.scope == "point"):
        view, cells = seen.points, np.array(alone, np.int64)
    else:
        view, cells = seen.wide, np.unique(seen.areas.cell[here]).astype(np.int64)
    main = combined([curve(view.panel, cell) for cell in cells.tolist()])
    ordered = sorted(here, key=lambda s: (panel.keys[s].point not in own, panel.areas[s], panel.keys[s].point))
    elsewhere = [cell for cell in every.tolist() if whole or seen.wide.panel.areas[cell] != flag.area]
    return Curves(
        spec=group[0],
        unit=group[1],
        channel=group[2],
        main=main,
        points=tuple(point_curve(panel, s, seen) for s in ordered),
        of_flag=len(alone),
        neighbours=tuple(curve(seen.wide.panel, cell) for cell in elsewhere) if len(every) > 1 else (),
        band=None if rule is None else band_of(rule, view, cells),
        years=tuple(earlier_years(main, zone)),
        series=tuple(mine[s].id for s in ordered),
    )


def warm(policy: Policy, zone: ZoneInfo) -> None:
    """Load the compiled code that charts are drawn with, by drawing some of nothing: one for each kind of rule."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    kinds = {type(rule.when): rule.id for pack in policy.packs for rule in pack.rules}
    at = int(begin.timestamp()) + 86_400 * np.arange(60, dtype=np.int64)
    value, mark = np.linspace(1.0, 1.1, 60, dtype=np.float64), np.zeros(60, np.uint8)
    made_up = [Held(n, SeriesKey("", point=str(n)), "", "", at, value, mark) for n in (1, 2)]
    for rule in kinds.values() or ("",):
        flag = Flag(
            id="", kind=Kind.MOVE, plan="", plan_version="", rule=rule, rule_version="", item="", point="", area="",
            direction=Direction.UP, start=begin, first_flagged=begin, last_hit=begin, end=None, end_reason="",
            peak=1.0, peak_grade=Grade(0, "", ""), value=1.0, expected=1.0, threshold=1.0, reason="", findings=(),
            points=(),
        )  # fmt: skip
        curves_of(flag, made_up, policy, zone, "")


def read_held(db: Database, histories: Histories, flag: Flag, policy: Policy, reach: Reach, since: int) -> list[Held]:
    """The series of a flag's item, and of those that its rule compares it with, as far as they are within reach, in
    order of their ids; with their observations from `since` (epoch seconds) on."""
    rule = rule_of(flag, policy)
    needs = rule.when.needs() if rule else frozenset()
    items = {flag.item}
    if needs:
        with db.connect() as connection:
            every = connection.execute(select(table.c.item).distinct()).scalars()
            items |= {item for item in every if folded(item) in needs}
    return [
        Held(one.id, one.key, one.area, one.source, one.at, one.value, one.mark)
        for one in sorted(histories.of(db, items, since), key=lambda one: one.id)
        if reach.covers(one.area, one.key.point)
    ]


def group_key(one: Held) -> Group:
    return one.key.spec, one.key.unit, one.key.channel


def group_of(flag: Flag, held: Sequence[Held]) -> Group:
    """Which spec, unit and channel a flag is about: those whose values stand in its evidence, else the most frequent.

    A flag names its item only; several qualities of it may be quoted at one point.
    """
    at = int(flag.findings[0].at.timestamp()) if flag.findings else int(flag.first_flagged.timestamp())
    values = {(c.area, c.point): c.value for f in flag.findings[:1] for c in f.contributions}
    score: dict[Group, tuple[int, int]] = {}
    for one in held:
        place = int(one.at.searchsorted(at))
        now = float(one.value[place]) if place < len(one.at) and one.at[place] == at else float("nan")
        named = values.get((one.area, one.key.point), flag.value if one.key.point == flag.point else float("nan"))
        hits, rows = score.get(group_key(one), (0, 0))
        score[group_key(one)] = hits + math.isclose(now, named, rel_tol=1e-5, abs_tol=1e-8), rows + len(one.at)
    return max(score, key=lambda group: (score[group], group))


def rule_of(flag: Flag, policy: Policy) -> Rule | None:
    """The rule of a flag in the policy in force; None for the checks of the data gate and of silence."""
    return next((rule for pack in policy.packs for rule in pack.rules if rule.id == flag.rule), None)


def curve(panel: Panel, series: int) -> Curve:
    part = slice(int(panel.start[series]), int(panel.start[series + 1]))
    return Curve(panel.keys[series].point, panel.areas[series], panel.time[part], panel.value[part])


def point_curve(panel: Panel, series: int, seen: Prepared) -> Curve:
    one = curve(panel, series)
    part = slice(int(panel.start[series]), int(panel.start[series + 1]))
    return Curve(one.point, one.area, one.at, one.value, ~seen.points.real[part])


def combined(parts: Sequence[Curve]) -> Curve:
    """Several areas as one line: their mean at every time at which one has a reading, each standing for CARRY."""
    if len(parts) == 1:
        return parts[0]
    at = np.unique(np.concatenate([one.at for one in parts]))
    return Curve("", "", at, mean_of([(one.at, one.value) for one in parts], at))


def mean_of(parts: Sequence[tuple[IntArray, FloatArray]], at: IntArray) -> FloatArray:
    """float64[len(at)]: the mean of what each part last said, no longer than CARRY ago."""
    total, count = np.zeros(len(at)), np.zeros(len(at))
    for times, values in parts:
        place = np.searchsorted(times, at, "right") - 1
        known = (place >= 0) & (at - times[np.maximum(place, 0)] <= CARRY)
        value = values[np.maximum(place, 0)]
        known &= np.isfinite(value)
        total[known] += value[known]
        count += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def band_of(rule: Rule, view: View, cells: IntArray) -> Band | None:
    """What the rule expected of these series at each reading, and its limits; their mean where they are several."""
    parts: list[Band] = []
    for cell in cells.tolist():
        at = np.arange(int(view.panel.start[cell]), int(view.panel.start[cell + 1]))
        columns: dict[str, FloatArray] = {name: np.full(len(at), np.nan) for name in ("expected", "low", "high")}
        if isinstance(rule.when, Score):
            columns |= scored(rule.when, view, at, rule.directions)
            parts.append(Band(view.panel.time[at], **columns))
            continue
        for direction in rule.directions:
            measured = rule.when.measure(view, at, direction)
            if measured is None:
                continue
            columns["high" if direction is Direction.UP else "low"] = measured.limit
            known = np.isfinite(measured.expected)
            columns["expected"] = np.where(known, measured.expected, columns["expected"])
        parts.append(Band(view.panel.time[at], **columns))
    band = parts[0]
    if len(parts) > 1:
        times = np.unique(np.concatenate([one.at for one in parts]))
        band = Band(
            times,
            expected=mean_of([(one.at, one.expected) for one in parts], times),
            low=mean_of([(one.at, one.low) for one in parts], times),
            high=mean_of([(one.at, one.high) for one in parts], times),
        )
    some = any(np.isfinite(column).any() for column in (band.expected, band.low, band.high))
    return band if some else None


def scored(when: Score, view: View, at: IntArray, directions: Sequence[Direction]) -> dict[str, FloatArray]:
    """What a robust score expected and where it is exceeded, at every reading: the rule itself asks only about the
    steps that are large enough to matter, so its own numbers have gaps between."""
    found = view.scores(when.window, when.least, when.over)
    median, scale = found.median[at], found.scale[at]
    columns = {"expected": view.stepped(at, median, when.over)}
    ratio = view.measure_is(*RATIOS)[at]
    for direction in directions:
        step = median + sign(direction) * when.value * scale
        if when.percent:  # a step is to be larger than both
            least = sign(direction) * log_change(when.percent / 100, direction)
            further = np.maximum if direction is Direction.UP else np.minimum
            step = np.where(ratio & np.isfinite(step), further(step, least), step)
        columns["high" if direction is Direction.UP else "low"] = view.stepped(at, step, when.over)
    return columns


def earlier_years(main: Curve, zone: ZoneInfo) -> list[Year]:
    """The main curve 1, 2, … years before: on the same date, and as far from Spring Festival where that differs."""
    from thresholds.panel import civil_days

    if not len(main.at):
        return []
    days = civil_days(main.at, zone)
    found = []
    for years in range(1, YEARS + 1):
        gregorian = same_date(days, years)
        by_moon = lunar.years_earlier(days, years, gregorian)
        for calendar, wanted in (("gregorian", gregorian), ("lunar", by_moon)):
            place = np.searchsorted(days, wanted, "right") - 1
            known = (place >= 0) & (wanted - days[np.maximum(place, 0)] <= TOLERANCE[Lag.YEAR])
            if known.sum() >= LEAST_OF_A_YEAR and not (calendar == "lunar" and (by_moon == gregorian).all()):
                value = np.where(known, main.value[np.maximum(place, 0)], np.nan)
                found.append(Year(years, calendar, main.at, value))
    return found
