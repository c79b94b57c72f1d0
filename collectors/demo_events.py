"""What is planted in the demonstration city: three price crises, reporting errors, points that fall silent.

Crises, and one example of each fault, are placed relative to the anchor, the day of the first fetch; further errors
and silences happen by chance. `planted` (collectors/demo_city.py) lists all of them, to measure what is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum

import numpy as np

from collectors.demo_items import AREAS, ITEMS, swap_pairs
from collectors.demo_random import uniform
from thresholds.model import BoolArray, Direction, FloatArray, IntArray, SeriesKey


class What(StrEnum):
    """The sorts of planted events; they answer to the kinds of flags move, data and silence."""

    CRISIS = "crisis"
    ERROR = "error"
    SILENCE = "silence"


class Slip(IntEnum):
    """What went wrong in one quote."""

    NONE = 0
    DIGIT = 1
    """the decimal point slipped: ten times the price"""
    UNIT = 2
    """quoted per kilogram instead of per 500 g: twice the price"""
    ZERO = 3
    """0 entered where nothing was asked"""
    SWAPPED = 4
    """the quotes of two neighbouring rows were entered in each other's row"""


@dataclass(frozen=True, slots=True)
class Planted:
    """One event: which series it touches and from which to which day (both included).

    `factor` is the ratio to the price without the event at its strongest; NaN for silences and swapped rows.
    """

    what: What
    name: str
    series: tuple[SeriesKey, ...]
    areas: tuple[str, ...]
    first: date
    last: date
    direction: Direction
    factor: float


@dataclass(frozen=True, slots=True)
class Crisis:
    """A price crisis: up within `rise` days from `begins` (days after the anchor), `hold`, then back in `fall` days.

    `size` is the change at the top as a logarithm. The first days bring most of it, as in real panics.
    """

    name: str
    items: tuple[str, ...]
    areas: tuple[str, ...]
    begins: int
    rise: int
    hold: int
    fall: int
    size: float

    @property
    def length(self) -> int:
        """Days from the first to the last abnormal one."""
        return self.rise + self.hold + self.fall

    def course(self, days: FloatArray) -> FloatArray:
        """Share of `size` reached `days` after the beginning (day 0 is the first abnormal one)."""
        up = 1 - (1 - np.clip((days + 1) / self.rise, 0, 1)) ** 2
        down = np.clip((days - self.rise - self.hold + 1) / self.fall, 0, 1)
        return up * (1 - down)


CRISES = (
    Crisis("抢购粮食", ("籼米", "粳米", "面粉"), AREAS, -365, 5, 12, 20, 0.24),
    Crisis("暴雨菜价", ("芹菜", "大白菜", "油菜", "韭菜", "莴笋"), AREAS[:2], -120, 3, 6, 15, 0.75),
    Crisis("禽蛋断供", ("鸡蛋", "鸭蛋"), AREAS, -5, 8, 15, 25, 0.40),
)

EXAMPLES = (
    # days after the anchor, item, point number (from 0), slip: in the newest days of the first fetch, one of them of
    # the very day, because a faulty quote is of interest only until the next one comes
    (0, "青椒", 2, Slip.DIGIT),
    (-1, "土豆", 1, Slip.DIGIT),
    (-2, "鸡肉", 4, Slip.UNIT),
    (-3, "豆腐", 8, Slip.ZERO),
    (-4, "芹菜", 10, Slip.SWAPPED),
)
SILENT_NOW = (6, -3, 5)
"""Point number, first silent day after the anchor, days: a point that is silent when the daemon is first started."""

ERROR_RATE = 1 / 6000
MISSING_RATE = 0.003
SILENCE_BLOCK, SILENCE_RATE = 10, 0.02
"""In each block of this many days a point falls silent with this chance, for two to four days."""

ERRORS, KINDS, MISSING, SILENCES, LAG, STRENGTH = 101, 102, 103, 104, 105, 106  # random streams


def crisis_effect(seed: int, anchor: int, item: IntArray, point: IntArray, days: IntArray) -> FloatArray:
    """Logarithmic change by crises, [series, days]. Points follow within two days and not equally far."""
    effect = np.zeros((len(item), len(days)))
    for number, crisis in enumerate(CRISES):
        begins = anchor + crisis.begins
        if days[-1] < begins or days[0] > begins + crisis.length + 2:
            continue
        hit = touched(crisis, item, point)
        lag = np.floor(3 * uniform(seed, LAG, np.array(number), point[hit])).astype(np.int64)
        strength = 0.85 + 0.3 * uniform(seed, STRENGTH, np.array(number), item[hit], point[hit])
        course = crisis.course((days[None, :] - begins - lag[:, None]).astype(np.float64))
        effect[hit] += crisis.size * strength[:, None] * course
    return effect


def crisis_quotes(anchor: int, item: IntArray, point: IntArray, days: IntArray) -> BoolArray:
    """Where a crisis makes points quote anew, [series, days]: daily while prices run up, then every fourth day."""
    anew = np.zeros((len(item), len(days)), np.bool_)
    for crisis in CRISES:
        begins = anchor + crisis.begins
        since = days - begins
        running = (since >= 0) & (since < crisis.rise + 3)
        easing = (since >= 0) & (since < crisis.length + 3)
        turn = since[None, :] % 4 == point[:, None] % 4
        anew |= touched(crisis, item, point)[:, None] & (running[None, :] | (easing[None, :] & turn))
    return anew


def touched(crisis: Crisis, item: IntArray, point: IntArray) -> BoolArray:
    """Which series a crisis concerns."""
    names = np.array([one.name in crisis.items for one in ITEMS])
    areas = np.array([area in crisis.areas for area in AREAS])
    hit: BoolArray = names[item] & areas[point % len(AREAS)]
    return hit


def slips(seed: int, anchor: int, items: int, item: IntArray, point: IntArray, days: IntArray) -> IntArray:
    """Which quotes are wrong and how: Slip values, [series, days]."""
    at = (item[:, None], point[:, None], days[None, :])
    found = np.zeros((len(item), len(days)), np.int64)
    rows, columns = np.nonzero(uniform(seed, ERRORS, *at) < ERROR_RATE)
    which = uniform(seed, KINDS, item[rows], point[rows], days[columns])
    found[rows, columns] = 1 + np.searchsorted([0.4, 0.7, 0.85], which, side="right")
    for offset, name, number, slip in EXAMPLES:
        day = anchor + offset - int(days[0])
        if 0 <= day < len(days):
            row = np.nonzero((item == index_of(name)) & (point == number))[0]
            found[row, day] = slip
    weighed = np.array([one.weighed for one in ITEMS])[item]
    found[(found == Slip.UNIT) & ~weighed[:, None]] = Slip.DIGIT
    return settle_swaps(found, items, item, point)


def settle_swaps(found: IntArray, items: int, item: IntArray, point: IntArray) -> IntArray:
    """Both rows of a swap are wrong; an item without a neighbour to be mistaken for gets a digit slip instead."""
    partner = partners(items, item, point)
    rows, columns = np.nonzero(found == Slip.SWAPPED)
    found[rows, columns] = np.where(partner[rows] >= 0, Slip.SWAPPED, Slip.DIGIT)
    paired = partner[rows] >= 0
    found[partner[rows[paired]], columns[paired]] = Slip.SWAPPED
    return found


def partners(items: int, item: IntArray, point: IntArray) -> IntArray:
    """Row of the series that each series may be swapped with, -1 where there is none."""
    row = {(i, p): r for r, (i, p) in enumerate(zip(item.tolist(), point.tolist(), strict=True))}
    result = np.full(len(item), -1, np.int64)
    for one, other in swap_pairs(items):
        for number in np.unique(point).tolist():
            result[row[one, number]], result[row[other, number]] = row[other, number], row[one, number]
    return result


def apply_slips(quotes: FloatArray, found: IntArray, partner: IntArray) -> FloatArray:
    """The quotes as they were reported."""
    rows, columns = np.nonzero(found)
    slip, right = found[rows, columns], quotes[rows, columns]
    swapped = quotes[partner[rows], columns]
    wrong = np.select(
        [slip == Slip.DIGIT, slip == Slip.UNIT, slip == Slip.SWAPPED], [right * 10, right * 2, swapped], 0.0
    )
    reported = quotes.copy()
    reported[rows, columns] = np.round(wrong, 2)
    return reported


def silent_days(seed: int, anchor: int, point: IntArray, days: IntArray) -> BoolArray:
    """When points report nothing at all, [points, days]."""
    block, within = np.divmod(days, SILENCE_BLOCK)
    at = (point[:, None], block[None, :])
    struck = uniform(seed, SILENCES, *at) < SILENCE_RATE
    first = np.floor(7 * uniform(seed, SILENCES + 1000, *at))
    length = 2 + np.floor(3 * uniform(seed, SILENCES + 2000, *at))
    quiet: BoolArray = struck & (within >= first) & (within < np.minimum(first + length, SILENCE_BLOCK))
    number, begins, duration = SILENT_NOW
    now = (days >= anchor + begins) & (days < anchor + begins + duration)
    quiet |= (point == number)[:, None] & now[None, :]
    return quiet


def missing_quotes(seed: int, item: IntArray, point: IntArray, days: IntArray) -> BoolArray:
    """Single quotes that are not there because the item was sold out that day, [series, days]."""
    return uniform(seed, MISSING, item[:, None], point[:, None], days[None, :]) < MISSING_RATE


def index_of(name: str) -> int:
    """Place of the first spec of an item on the form."""
    return next(i for i, one in enumerate(ITEMS) if one.name == name)


def runs(marked: Sequence[bool] | BoolArray) -> list[tuple[int, int]]:
    """First and last place of each unbroken run of true values."""
    padded = np.diff(np.concatenate([[0], np.asarray(marked, np.int8), [0]]))
    return list(zip(np.nonzero(padded == 1)[0].tolist(), (np.nonzero(padded == -1)[0] - 1).tolist(), strict=True))
