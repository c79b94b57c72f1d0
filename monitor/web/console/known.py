"""What there is to choose from on pages: items with their classes, areas, points; kept for a minute per application.

Everything is for one person: only what lies in his or her areas is offered (monitor/rights.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from sqlalchemy import select
from starlette.requests import Request

from monitor.rights import Areas
from monitor.schema import series
from monitor.store.database import Database
from monitor.web.context import WebContext
from thresholds.catalogue import Catalogue, load_catalogue
from thresholds.model import SeriesKey

KEPT = 60.0
"""Seconds that an answer is kept"""
MOST = 500
T = TypeVar("T")


class Shelf(Generic[T]):
    """Answers by key for KEPT seconds, MOST of them; by a clock that is handed in."""

    def __init__(self, kept: float = KEPT, most: int = MOST) -> None:
        self._kept, self._most = kept, most
        self._lock = threading.Lock()
        self._held: dict[object, tuple[float, T]] = {}

    def get(self, key: object, now: float) -> T | None:
        with self._lock:
            found = self._held.get(key)
        return found[1] if found and abs(now - found[0]) < self._kept else None

    def put(self, key: object, value: T, now: float) -> None:
        with self._lock:
            self._held.pop(key, None)
            self._held[key] = (now, value)
            while len(self._held) > self._most:
                del self._held[next(iter(self._held))]

    def forget(self, unwanted: Callable[[object], bool]) -> None:
        with self._lock:
            for key in [key for key in self._held if unwanted(key)]:
                del self._held[key]


@dataclass(frozen=True, slots=True)
class Known:
    """The places that series of one person's areas are in, each list in order of names.

    classes   (name, how many classes are above it) in the order of the catalogue
    by_class  class -> its items, those of the classes below it too
    points    area -> its points
    """

    areas: tuple[str, ...]
    classes: tuple[tuple[str, int], ...]
    by_class: dict[str, frozenset[str]]
    points: dict[str, tuple[str, ...]]


def known(request: Request, areas: Areas) -> Known:
    """What there is in these areas."""
    ctx: WebContext = request.app.state.context
    shelf = shelf_of(request, "known")
    now = ctx.now().timestamp()
    found = shelf.get(areas, now)
    if found is None:
        found = look(ctx.db, areas, catalogue(ctx))
        shelf.put(areas, found, now)
    assert isinstance(found, Known)
    return found


def shelf_of(request: Request, name: str, most: int = 5_000) -> Shelf[object]:
    """The application's shelf of this name, which holds so many answers."""
    state = request.app.state
    if not hasattr(state, "shelves"):
        state.shelves = {}
    shelves: dict[str, Shelf[object]] = state.shelves
    return shelves.setdefault(name, Shelf(most=most))


def look(db: Database, areas: Areas, sorted_by: Catalogue) -> Known:
    s = series.c
    query = select(s.item, s.unit, s.area, s.point).where(areas.where(s.area)).distinct()
    with db.connect() as connection:
        rows = connection.execute(query).all()
    by_class: dict[str, set[str]] = {}
    depth: dict[str, int] = {}
    points: dict[str, set[str]] = {}
    for item, unit, area, point in rows:
        chain = sorted_by.classify(SeriesKey(item, unit=unit)).chain
        for above, name in enumerate(chain):
            by_class.setdefault(name, set()).add(item)
            depth[name] = len(chain) - 1 - above
        if point:
            points.setdefault(area, set()).add(point)
    return Known(
        areas=tuple(sorted({row.area for row in rows if row.area})),
        classes=in_order(sorted_by, depth),
        by_class={name: frozenset(items) for name, items in by_class.items()},
        points={area: tuple(sorted(names)) for area, names in sorted(points.items())},
    )


def in_order(sorted_by: Catalogue, depth: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """Each class behind the one that it belongs to."""
    below: dict[str, list[str]] = {}
    for name in sorted_by.classes:
        if name in depth:
            parent = sorted_by.classes[name].parent
            below.setdefault(parent if parent in depth else "", []).append(name)

    def walk(parent: str) -> list[str]:
        return [one for name in below.get(parent, ()) for one in (name, *walk(name))]

    return tuple((name, depth[name]) for name in walk(""))


def catalogue(ctx: WebContext) -> Catalogue:
    """The catalogue in force; the shipped one where there is no daemon behind."""
    policy = ctx.policy()
    return shipped_catalogue() if policy is None else policy.catalogue


@cache
def shipped_catalogue() -> Catalogue:
    found, faults = load_catalogue()
    assert found is not None, faults
    return found
