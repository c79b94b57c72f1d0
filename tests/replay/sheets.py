"""Small observation sheets that tell a story, made by the tests."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from io import StringIO

from collectors.sheet import read_sheet
from tests.thresholds.build import quotes, shipped_catalogue
from thresholds.model import Observation, ObservationBatch
from thresholds.panel import SHANGHAI
from thresholds.plan import Policy
from thresholds.plan_files import load_policy

HEADER = ["date", "item", "point", "value", "unit", "area", "spec", "channel"]
POINTS = {"一号": "甲区", "二号": "甲区", "三号": "乙区", "四号": "丙区"}
WOBBLE = [3.0, 3.02, 3.01, 3.0, 2.99, 3.01, 3.0]
"""a week of a price at which nothing happens"""


def text_of(observations: Sequence[Observation]) -> str:
    """The sheet as CSV text, in order of time as an office would keep it."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for one in sorted(observations, key=lambda o: o.at):
        day = one.at.astimezone(SHANGHAI).date().isoformat()
        key = one.key
        writer.writerow([day, key.item, key.point, repr(one.value), key.unit, one.area, key.spec, key.channel])
    return out.getvalue()


def batch_of(text: str) -> ObservationBatch:
    result = read_sheet(text.encode(), name="sheet.csv")
    assert not result.rejects
    return result.batch


def calm(days: int) -> list[float]:
    return [WOBBLE[n % 7] for n in range(days)]


def with_moves(base: Sequence[float], moves: dict[int, float]) -> list[float | None]:
    """From each day on the price is so many times what it was; 0: that day nothing is reported."""
    factor, out = 1.0, list[float | None]()
    for n, price in enumerate(base):
        change = moves.get(n, 1.0)
        factor *= change or 1.0
        out.append(round(price * factor, 2) if change else None)
    return out


def crisis() -> list[Observation]:
    """Sixty days of rice at four points in three areas, and what happened:

    day 10  point 三号 reports 30.1 for 3.01; corrected the next day
    day 20  area 甲区 alone rises by 8 %
    day 28  all points rise by 12 %
    day 45  all points fall by 10 %
    day 50  point 四号 stops, and comes back on day 57
    """
    rows = []
    for point, area in POINTS.items():
        moves: dict[int, float] = {28: 1.12, 45: 0.9}
        if area == "甲区":
            moves[20] = 1.08
        if point == "四号":
            moves |= dict.fromkeys(range(50, 57), 0.0)
        rows += quotes(with_moves(calm(60), moves), point=point, area=area)
    return [
        Observation(o.key, o.at, 30.1, area=o.area)
        if o.key.point == "三号" and n == index_of(rows, "三号", 10)
        else o
        for n, o in enumerate(rows)
    ]


def index_of(rows: Sequence[Observation], point: str, day: int) -> int:
    first = next(n for n, o in enumerate(rows) if o.key.point == point)
    return first + day


@cache
def published_rules() -> Policy:
    """The rules that others published (packs 1, 2 and 4 of THRESHOLDS 8): their numbers are not tuned by anybody."""
    policy, faults = load_policy(enable=["ladder-30-50-100"], disable=["stat-robust"])
    assert policy is not None, faults
    assert policy.catalogue.classes == shipped_catalogue().classes
    return policy
