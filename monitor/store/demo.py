"""Which series and flags rest on simulated data: the word 演示数据 stands wherever they are shown."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from monitor.schema import series
from monitor.store.database import Database
from thresholds.catalogue import is_basket, point_in_basket
from thresholds.model import Flag, SeriesKey

PREFIX = "演示"
"""what the source of a simulated series begins with"""
CHUNK = 500

OF_ITEMS = (
    select(series.c.item, series.c.area, series.c.point)
    .distinct()
    .where(series.c.item.in_(bindparam("wanted", expanding=True)), series.c.source.startswith(PREFIX))
)

Places = Collection[tuple[str, str, str]]
"""(item, area, point) of simulated series"""


def is_demo_source(source: str) -> bool:
    return source.startswith(PREFIX)


def demo_places(db: Database, items: Collection[str]) -> set[tuple[str, str, str]]:
    """Where the simulated series of these items are; the item "" stands for all items of a point."""
    every, c = sorted(items), series.c
    found: set[tuple[str, str, str]] = set()
    with db.connect() as connection:
        if "" in items:
            anywhere = select(c.area, c.point).distinct().where(c.source.startswith(PREFIX))
            found.update(("", area, point) for area, point in connection.execute(anywhere))
        if baskets := [item for item in every if is_basket(item)]:
            those = select(c.item, c.spec, c.area, c.point).distinct().where(c.source.startswith(PREFIX))
            for item, spec, area, point in connection.execute(those):
                named = point_in_basket(SeriesKey(item, spec, point=point))
                found.update((basket, area, named) for basket in baskets)
        for start in range(0, len(every), CHUNK):
            rows = connection.execute(OF_ITEMS, {"wanted": every[start : start + CHUNK]})
            found.update((item, area, point) for item, area, point in rows)
    return found


def is_demo(flag: Flag, places: Places) -> bool:
    """Whether any series that the flag is about is simulated; one on the whole city is about points of any area."""
    here = [(area, point) for item, area, point in places if item == flag.item]
    points = set(flag.points) or ({flag.point} if flag.point else set())
    whole = flag.area not in {area for area, _ in here}
    return any((whole or area == flag.area) and (not points or point in points) for area, point in here)
