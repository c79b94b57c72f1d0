"""A city for the tests of the review: points, prices and flags in two areas, as an evaluation stores them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from monitor.store import flags
from monitor.store.database import Database
from monitor.store.dirty import dirty_series
from monitor.store.observations import add
from monitor.store.stamps import Stamp, data_revision
from tests.web.conftest import NOW
from tests.web.make import flag
from thresholds.model import Contribution, Direction, Flag, Grade, Kind, Observation, ObservationBatch, SeriesKey

EAST, WEST = "东区", "西区"
POINTS = {EAST: ("东一市场", "东二市场", "东三市场"), WEST: ("西一市场", "西二市场")}
MIDNIGHT = NOW.replace(hour=16, minute=0) - timedelta(days=1)  # 00:00 in Shanghai
DAYS = 80
RED, YELLOW = Grade(4, "一级", "红"), Grade(2, "三级", "黄")


def prices(db: Database, *items: str, hostile: str = "") -> None:
    """Daily prices of the items at every point, the last two days 40 % higher in the east."""
    rows = []
    for item in items:
        for area, points in POINTS.items():
            for number, point in enumerate(points):
                key = SeriesKey(item, "", "元/500克", "零售", point)
                for day in range(DAYS):
                    value = 4 + 0.1 * number + 0.05 * math.sin(day)
                    value *= 1.4 if area == EAST and day >= DAYS - 2 else 1
                    at = MIDNIGHT - timedelta(days=DAYS - 1 - day)
                    rows.append(Observation(key, at, round(value, 2), area=area, source="测试", note=hostile))
    add(db, ObservationBatch.of(rows), source="测试", name="prices.csv", now=NOW)


def one(flag_id: str, item: str, area: str = EAST, **changes: Any) -> Flag:
    """A flag on an item of `prices`."""
    start = MIDNIGHT - timedelta(days=1)
    points = POINTS.get(area, ())
    finding = flag("x").findings[0]
    parts = tuple(Contribution(point, area, 5.6, 4.0, 0.4) for point in points)
    fields: dict[str, Any] = {
        "item": item,
        "area": area,
        "point": "",
        "points": points,
        "rule": "stat-robust/step",
        "plan": "price-daqing",
        "start": start,
        "first_flagged": start,
        "last_hit": MIDNIGHT,
        "value": 5.6,
        "expected": 4.0,
        "peak": 5.6,
        "peak_grade": YELLOW,
        "reason": f"{item}在{area}3个监测点为5.6元/500克，比上期上涨40%，属异常上涨。依据：本期变动远超常态，关注。",
        "findings": (
            *[
                type(finding)(
                    rule="stat-robust/step",
                    rule_version="1",
                    at=start,
                    direction=Direction.UP,
                    value=5.6,
                    expected=4.0,
                    scale=0.01,
                    score=33.6,
                    threshold=5.25,
                    unit="σ",
                    window="前250期以内的变动",
                    n_used=78,
                    reason="本期变动远超近期常态",
                    contributions=parts,
                )
            ],
        ),
    }
    return flag(flag_id, **fields | changes)


def evaluate(db: Database, *computed: Flag) -> None:
    """Store flags as the evaluation of all items would, with the data as it is."""

    def nobody(_connection: object, _changes: Sequence[flags.FlagChange]) -> None: ...

    with db.connect() as connection:
        stamp = Stamp("policy", "settings", data_revision(connection), 0, "1")
    items = {each.item for each in computed} | {each.flag.item for each in flags.list_flags(db, limit=5000)}
    flags.save_evaluation(
        db,
        computed,
        items=items,
        since=dict.fromkeys(items, 0),
        dirty=dirty_series(db),
        now=NOW,
        notify=nobody,
        stamp=stamp,
    )


def hundred(db: Database, count: int = 100) -> list[str]:
    """So many flags on as many items, of three grades; ids in the order of the queue."""
    names = [f"菜{n:03}" for n in range(count)]
    prices(db, *names[:10])
    made = [
        one(
            f"f{n:03}", name, EAST if n % 3 else WEST, peak_grade=RED if n < 5 else YELLOW if n < 40 else Grade(0, "")
        )
        for n, name in enumerate(names)
    ]
    evaluate(db, *made)
    order = sorted(made, key=lambda f: (f.peak_grade.rank, f.first_flagged, f.id), reverse=True)
    return [each.id for each in order]


__all__ = ["EAST", "WEST", "Kind", "evaluate", "hundred", "one", "prices"]
