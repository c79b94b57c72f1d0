"""Short ways to make batches and flags for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from thresholds.model import (
    Contribution,
    Direction,
    Finding,
    Flag,
    Grade,
    Kind,
    Observation,
    ObservationBatch,
    SeriesKey,
)

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
CABBAGE = SeriesKey("大白菜", "", "元/500克", "零售", "城南市场")
PORK = SeriesKey("猪肉", "精瘦肉", "元/500克", "零售", "城北市场")


def day(n: int) -> datetime:
    """Midnight in Shanghai, n days after the first of January 2026."""
    return datetime(2025, 12, 31, 16, tzinfo=UTC) + timedelta(days=n)


def epoch(n: int) -> int:
    return int(day(n).timestamp())


def batch(*rows: tuple[int, float], key: SeriesKey = CABBAGE, area: str = "", note: str = "") -> ObservationBatch:
    """A batch of (day, value) rows of one series."""
    return ObservationBatch.of([Observation(key, day(n), value, area=area, note=note) for n, value in rows])


def mixed(*rows: tuple[SeriesKey, int, float]) -> ObservationBatch:
    """A batch of (series, day, value) rows."""
    return ObservationBatch.of([Observation(key, day(n), value) for key, n, value in rows])


def finding(n: int, **changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "rule": "veg-week",
        "rule_version": "3",
        "at": day(n),
        "direction": Direction.UP,
        "value": 4.2,
        "expected": 2.1,
        "scale": 0.25,
        "score": 8.4,
        "threshold": 0.3,
        "unit": "%",
        "window": "1w",
        "n_used": 7,
        "reason": "一周上涨 100%，超过 30%",
        "contributions": (Contribution("城南市场", "南区", 4.2, 2.1, 1.0),),
    }
    return Finding(**fields | changes)


def flag(flag_id: str = "f1", start: int = 10, **changes: Any) -> Flag:
    fields: dict[str, Any] = {
        "id": flag_id,
        "kind": Kind.MOVE,
        "plan": "price",
        "plan_version": "2022",
        "rule": "veg-week",
        "rule_version": "3",
        "item": CABBAGE.item,
        "point": CABBAGE.point,
        "area": "",
        "direction": Direction.UP,
        "start": day(start),
        "first_flagged": day(start),
        "last_hit": day(start),
        "end": None,
        "end_reason": "",
        "peak": 4.2,
        "peak_grade": Grade(1, "Ⅲ级", "yellow"),
        "value": 4.2,
        "expected": 2.1,
        "threshold": 0.3,
        "reason": "一周上涨 100%，超过 30%",
        "findings": (finding(start),),
        "points": (CABBAGE.point,),
    }
    return Flag(**fields | changes)
