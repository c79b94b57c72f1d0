"""The demonstration city: the price of every item at every point on every day, the same whenever it is asked.

A value depends on the seed, the anchor (the day of the first fetch, to which the crises are tied), the series and the
day, and on nothing else: not on the window asked for, nor on what was asked before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from collectors import demo_events as events
from collectors.demo_events import CRISES, Planted, Slip, What
from collectors.demo_items import AREAS, CLASSES, INDICATORS, INSTITUTION, ITEMS, MARK, SPRING_FESTIVALS
from collectors.demo_random import normal, smooth, uniform
from thresholds.model import BoolArray, Direction, FloatArray, IntArray, ObservationBatch, SeriesKey

SHANGHAI = ZoneInfo("Asia/Shanghai")
STICKY = 28
"""A quote is looked at anew at the latest after this many days, which also bounds how far back a value reaches."""
REPORTING_FROM, REPORTING_FOR = 8 * 3600, 2 * 3600
"""Points report between 8 and 10 in the morning, seconds after midnight."""
INDICATORS_DUE = 10
"""Day of the following month on which the institution reports its month's end."""
INFLATION, INFLATION_FROM = 0.015, date(2020, 1, 1).toordinal()

LEVEL, RIPPLE, OFFSET, LOCAL, JITTER, REPRICE, PHASE, FESTIVAL, REPORTED, FINANCE = range(1, 11)  # random streams


@dataclass(frozen=True)
class City:
    """A world by seed and anchor. Series are in item order, and within an item in point order."""

    seed: int
    anchor: date
    points: int = 12
    items: int = 60
    zone: ZoneInfo = SHANGHAI

    @cached_property
    def item(self) -> IntArray:
        """Item number of each series."""
        return np.repeat(np.arange(self.items, dtype=np.int64), self.points)

    @cached_property
    def point(self) -> IntArray:
        """Point number of each series, from 0."""
        return np.tile(np.arange(self.points, dtype=np.int64), self.items)

    @cached_property
    def keys(self) -> list[SeriesKey]:
        """Keys of the price series, then of the indicators."""
        prices = [
            SeriesKey(one.name, one.spec, one.unit, one.channel, point_name(p))
            for one in ITEMS[: self.items]
            for p in range(self.points)
        ]
        return prices + [SeriesKey(name, unit="%", point=INSTITUTION) for name, _, _ in INDICATORS]

    @cached_property
    def areas(self) -> list[str]:
        """Area of each of `keys`."""
        return [AREAS[p % len(AREAS)] for p in self.point.tolist()] + [AREAS[0]] * len(INDICATORS)

    # --- prices ---

    def prices(self, first: date, last: date) -> FloatArray:
        """Quotes as reported from `first` to `last`, [series, days]; NaN where nothing was reported."""
        days = day_range(first, last)
        partner = events.partners(self.items, self.item, self.point)
        reported = events.apply_slips(self.quotes(days), self.slips(days), partner)
        reported[self.unreported(days)] = np.nan
        return reported

    def quotes(self, days: IntArray) -> FloatArray:
        """Quotes without reporting errors: the point's level when it last looked, rounded as price tags are."""
        reach = np.arange(days[0] - STICKY + 1, days[-1] + 1, dtype=np.int64)
        looked = np.where(self.reprices(reach), np.arange(len(reach)), 0)
        latest = np.maximum.accumulate(looked, axis=1)[:, STICKY - 1 :]
        return tagged(np.exp(np.take_along_axis(self.levels(reach), latest, axis=1)))

    def levels(self, days: IntArray) -> FloatArray:
        """Logarithm of what each point would ask if it changed its quotes every day, [series, days]."""
        item, point = self.item, self.point
        each = np.arange(self.items, dtype=np.int64)
        mood = [CLASSES[one.kind] for one in ITEMS[: self.items]]
        sigma = np.array([b.sigma for b in mood])
        city = sigma[:, None] * (
            smooth(self.seed, LEVEL, each, days, 45) + 0.35 * smooth(self.seed, RIPPLE, each, days, 10)
        )
        city += seasons(each, days) + self.festivals(each, days)
        weekend = np.array([b.weekend for b in mood])
        city += weekend[:, None] * is_weekend(days)
        ids = item * 1000 + point
        local = 0.04 * normal(self.seed, OFFSET, ids)[:, None]
        local = local + 0.4 * sigma[item][:, None] * smooth(self.seed, LOCAL, ids, days, 21)
        jitter = np.array([b.jitter for b in mood])[item]
        rough = jitter > 0
        local[rough] += jitter[rough][:, None] * normal(self.seed, JITTER, ids[rough][:, None], days[None, :])
        shocks = events.crisis_effect(self.seed, self.anchor.toordinal(), item, point, days)
        return city[item] + local + shocks

    def reprices(self, days: IntArray) -> BoolArray:
        """Days on which a point looks at its quote anew, [series, days]."""
        ids = self.item * 1000 + self.point
        chance = np.array([CLASSES[one.kind].reprice for one in ITEMS[: self.items]])[self.item]
        by_chance = uniform(self.seed, REPRICE, ids[:, None], days[None, :]) < chance[:, None]
        phase = np.floor(STICKY * uniform(self.seed, PHASE, ids)).astype(np.int64)
        by_turn = (days[None, :] + phase[:, None]) % STICKY == 0
        anew = events.crisis_quotes(self.anchor.toordinal(), self.item, self.point, days)
        looked: BoolArray = by_chance | by_turn | anew
        return looked

    def festivals(self, each: IntArray, days: IntArray) -> FloatArray:
        """Rise before and fall after Spring Festival, [items, days]; differs by item and year."""
        height = np.array([CLASSES[one.kind].festival for one in ITEMS[: self.items]])
        effect = np.zeros((len(each), len(days)))
        for eve in SPRING_FESTIVALS:
            offset = (days - eve.toordinal()).astype(np.float64)
            if offset[-1] < -20 or offset[0] > 50:
                continue
            strength = 0.7 + 0.6 * uniform(self.seed, FESTIVAL, each, np.array(eve.year))
            effect += (height * strength)[:, None] * festival_course(offset)[None, :]
        return effect

    # --- what goes wrong ---

    def slips(self, days: IntArray) -> IntArray:
        """Reporting errors, [series, days] of Slip."""
        return events.slips(self.seed, self.anchor.toordinal(), self.items, self.item, self.point, days)

    def unreported(self, days: IntArray) -> BoolArray:
        """Where no quote came, [series, days]."""
        quiet = events.silent_days(self.seed, self.anchor.toordinal(), np.arange(self.points), days)
        return quiet[self.point] | events.missing_quotes(self.seed, self.item, self.point, days)

    def planted(self, first: date, last: date) -> list[Planted]:
        """Every crisis, error and silence between two days, in this order, each in order of time."""
        days = day_range(first, last)
        return self.crises(days) + self.errors(days) + self.silences(days)

    def crises(self, days: IntArray) -> list[Planted]:
        found = []
        for crisis in CRISES:
            begins = self.anchor.toordinal() + crisis.begins
            rows = np.nonzero(events.touched(crisis, self.item, self.point))[0].tolist()
            if rows and begins <= days[-1] and begins + crisis.length > days[0]:
                found.append(
                    Planted(
                        What.CRISIS,
                        crisis.name,
                        tuple(self.keys[r] for r in rows),
                        crisis.areas,
                        date.fromordinal(begins),
                        date.fromordinal(begins + crisis.length - 1),
                        Direction.UP if crisis.size > 0 else Direction.DOWN,
                        float(np.exp(crisis.size)),
                    )
                )
        return found

    def errors(self, days: IntArray) -> list[Planted]:
        slip = np.where(self.unreported(days), Slip.NONE, self.slips(days))
        factors = {Slip.DIGIT: 10.0, Slip.UNIT: 2.0, Slip.ZERO: 0.0, Slip.SWAPPED: float("nan")}
        found = []
        for column, row in np.argwhere(slip.T != Slip.NONE).tolist():
            kind = Slip(slip[row, column])
            day = date.fromordinal(int(days[column]))
            factor = factors[kind]
            direction = Direction.DOWN if factor < 1 else Direction.UP if factor > 1 else Direction.NONE
            found.append(
                Planted(What.ERROR, kind.name, (self.keys[row],), (self.areas[row],), day, day, direction, factor)
            )
        return found

    def silences(self, days: IntArray) -> list[Planted]:
        quiet = events.silent_days(self.seed, self.anchor.toordinal(), np.arange(self.points), days)
        found = [
            Planted(
                What.SILENCE,
                point_name(point),
                tuple(self.keys[row] for row in np.nonzero(self.point == point)[0].tolist()),
                (AREAS[point % len(AREAS)],),
                date.fromordinal(int(days[begin])),
                date.fromordinal(int(days[end])),
                Direction.NONE,
                float("nan"),
            )
            for point in range(self.points)
            for begin, end in events.runs(quiet[point])
        ]
        return sorted(found, key=lambda one: (one.first, one.name))

    # --- as observations ---

    def observations(self, after: datetime, until: datetime, source: str = MARK) -> ObservationBatch:
        """What was reported after `after` and not later than `until`, by series and time."""
        first, last = after.astimezone(self.zone).date(), until.astimezone(self.zone).date()
        days = day_range(first, last)
        midnights = np.array([self.midnight(int(d)) for d in days], np.int64)
        values = self.prices(first, last)
        received = midnights[None, :] + self.reported_at(days)[self.point]
        taken = ~np.isnan(values) & (received > after.timestamp()) & (received <= until.timestamp())
        row, column = np.nonzero(taken)
        series, at, value = [row], [midnights[column]], [values[row, column]]
        for number, day, level in self.indicators(after, until):
            series.append(np.array([len(self.item) + number], np.int64))
            at.append(np.array([self.midnight(day)], np.int64))
            value.append(np.array([level]))
        used, codes = np.unique(np.concatenate(series), return_inverse=True)
        return ObservationBatch(
            keys=[self.keys[i] for i in used],
            areas=[self.areas[i] for i in used],
            sources=[source] * len(used),
            series=codes.astype(np.int64),
            at=np.concatenate(at),
            value=np.concatenate(value),
            row=np.arange(1, len(codes) + 1, dtype=np.int64),
        )

    def reported_at(self, days: IntArray) -> IntArray:
        """Second of the day at which each point reports, [points, days]."""
        drawn = uniform(self.seed, REPORTED, np.arange(self.points)[:, None], days[None, :])
        return REPORTING_FROM + np.floor(REPORTING_FOR * drawn).astype(np.int64)

    def indicators(self, after: datetime, until: datetime) -> list[tuple[int, int, float]]:
        """The institution's figures reported in between: indicator number, day (month's end), value."""
        month = after.astimezone(self.zone).date().replace(day=1)
        found = []
        while (due := self.due(month)) <= until:
            if due > after:
                end = month.toordinal() - 1
                for number, (_, level, spread) in enumerate(INDICATORS):
                    drawn = smooth(self.seed, FINANCE + number, np.array([0]), np.array([end]), 180)
                    found.append((number, end, round(level + 2 * spread * float(drawn[0, 0]), 2)))
            month = (month + timedelta(days=31)).replace(day=1)
        return found

    def due(self, month: date) -> datetime:
        """When the figures of the month before `month` are reported."""
        return datetime(month.year, month.month, INDICATORS_DUE, 10, tzinfo=self.zone)

    def midnight(self, day: int) -> int:
        """Epoch second at which a day (proleptic ordinal) begins in the city."""
        one = date.fromordinal(day)
        return int(datetime(one.year, one.month, one.day, tzinfo=self.zone).timestamp())


def planted(
    now: datetime, seed: int, *, points: int = 12, items: int = 60, days: int = 500, zone: str = "Asia/Shanghai"
) -> list[Planted]:
    """What is planted in the `days` before `now`, for a city that is first fetched at `now`, and ten days on."""
    anchor = now.astimezone(ZoneInfo(zone)).date()
    city = City(seed, anchor, points, items, ZoneInfo(zone))
    return city.planted(anchor - timedelta(days=days), anchor + timedelta(days=10))


def point_name(number: int) -> str:
    """Name of a monitoring point, numbered from 0 here and from 01 in the name."""
    return f"演示监测点{number + 1:02d}"


def day_range(first: date, last: date) -> IntArray:
    """Proleptic ordinals of the days from `first` to `last`, both included."""
    return np.arange(first.toordinal(), last.toordinal() + 1, dtype=np.int64)


def is_weekend(days: IntArray) -> BoolArray:
    """Saturdays and Sundays."""
    weekend: BoolArray = (days - 1) % 7 >= 5
    return weekend


def seasons(each: IntArray, days: IntArray) -> FloatArray:
    """Base price, slow inflation and yearly swing, logarithms, [items, days]."""
    base = np.log([ITEMS[i].price for i in each])
    swing = np.array([ITEMS[i].season for i in each])
    peak = np.array([ITEMS[i].peak for i in each])
    of_year = days - date(2000, 1, 1).toordinal() + 1
    wave = np.cos(2 * np.pi * (of_year[None, :] - peak[:, None]) / 365.2425)
    trend = INFLATION * (days - INFLATION_FROM) / 365.2425
    level: FloatArray = base[:, None] + trend[None, :] + swing[:, None] * wave
    return level


def festival_course(offset: FloatArray) -> FloatArray:
    """Share of the rise by days from the festival: up from -20, high to +6, below normal at +26, over at +50."""
    return np.interp(offset, [-20, -10, -1, 6, 26, 50], [0.0, 0.3, 1.0, 1.0, -0.35, 0.0])


def tagged(price: FloatArray) -> FloatArray:
    """Prices rounded as on price tags: 0.05 below 5, 0.1 below 20, 0.5 below 100, 1 above."""
    step = np.select([price < 5, price < 20, price < 100], [0.05, 0.1, 0.5], 1.0)
    rounded: FloatArray = np.round(np.round(price / step) * step, 2)
    return rounded
