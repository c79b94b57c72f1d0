"""What the wall shows: worked out for the whole city every few seconds at most, then cut to a visitor's areas."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from starlette.requests import Request

from monitor.documents.periodic import group_of
from monitor.rights import Areas
from monitor.store import duties, overview
from monitor.store.demo import is_demo_source
from monitor.store.duties import PointDay
from monitor.store.overview import Newest, Place
from monitor.web.console.known import catalogue, shelf_of
from monitor.web.context import WebContext
from thresholds.catalogue import Catalogue, Measure

KEPT = timedelta(seconds=10)
"""for which one look serves all who ask"""
FRESH = timedelta(hours=40)
"""a move is today's where its newest quote is younger than this"""
MOVERS = 6
FINANCE = "金融指标"  # i18n: headings of goods stay Chinese, as the classes do
OTHER_COUNTS = "投诉和其他"  # i18n: the same
LARGEST = 1.0
"""log change beyond which a move is taken for an error and is not shown among the movers"""
lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Cell:
    """Open flags of one place: how many of each kind, and the highest grade among the moves."""

    moves: int = 0
    doubts: int = 0
    silent: int = 0
    rank: int = 0
    grade: str = ""
    colour: str = ""

    def __or__(self, other: Cell) -> Cell:
        high = self if self.rank >= other.rank else other
        return replace(
            high,
            moves=self.moves + other.moves,
            doubts=self.doubts + other.doubts,
            silent=self.silent + other.silent,
        )

    @property
    def total(self) -> int:
        return self.moves + self.doubts + self.silent


@dataclass(frozen=True, slots=True)
class Mover:
    """One kind of goods whose mean over `points` points moved from `before` to `value`; of one area, or merged."""

    item: str
    spec: str
    unit: str
    areas: tuple[str, ...]
    value: float
    before: float
    points: int
    demo: bool

    @property
    def change(self) -> float:
        """Ratio of change."""
        return self.value / self.before - 1


@dataclass(frozen=True, slots=True)
class City:
    """The whole city: cut it to a visitor's areas with `seen`."""

    at: datetime
    cells: dict[tuple[str, str], Cell]  # (area, group)
    graded: dict[tuple[str, int, str, str], int]  # open moves by (area, rank, grade, colour)
    movers: tuple[Mover, ...]
    points: tuple[PointDay, ...]
    areas: tuple[str, ...]

    def seen(self, areas: Areas) -> City:
        return replace(
            self,
            cells={key: cell for key, cell in self.cells.items() if key[0] in areas},
            graded={key: count for key, count in self.graded.items() if key[0] in areas},
            movers=tuple(one for one in self.movers if one.areas[0] in areas),
            points=tuple(one for one in self.points if one.area in areas),
            areas=tuple(area for area in self.areas if area in areas),
        )


def city_of(request: Request) -> City:
    """The city now; one look in KEPT seconds, whoever asks."""
    ctx: WebContext = request.app.state.context
    shelf = shelf_of(request, "wall")
    now = ctx.now()
    with lock:  # the others wait for the first one's look instead of looking themselves
        held = shelf.get("city", now.timestamp())
        if isinstance(held, City) and now - held.at <= KEPT:
            return held
        made = look(ctx, now)
        shelf.put("city", made, now.timestamp())
        return made


def look(ctx: WebContext, now: datetime) -> City:
    sorted_by = catalogue(ctx)
    newest = overview.newest(ctx.db)
    known = newest.known
    names = {area for area in known.areas if area}
    places = overview.open_places(ctx.db)
    graded: dict[tuple[str, int, str, str], int] = {}
    for one in places:
        if one.kind == "move":
            key = (one.area, one.rank, one.grade, one.colour)
            graded[key] = graded.get(key, 0) + one.count
    return City(
        at=now,
        cells=cells_of(places, sorted_by, newest),
        graded=graded,
        movers=tuple(movers_of(newest, sorted_by, now)),
        points=tuple(duties.today(ctx.db, ctx.zone, now, reports=False, by=ctx.entry())),
        areas=tuple(sorted(names)),
    )


def cells_of(places: Sequence[Place], sorted_by: Catalogue, newest: Newest) -> dict[tuple[str, str], Cell]:
    """Open flags by area and group of goods; a flag about a whole point stands under the empty group."""
    first = {key.item: key for key in newest.known.keys}
    cells: dict[tuple[str, str], Cell] = {}
    for place in places:
        key = first.get(place.item)
        group = ""
        if key is not None:
            found = sorted_by.classify(key)
            group = group_word(found.domain, found.measure, found.chain)
        one = Cell(
            moves=place.count if place.kind == "move" else 0,
            doubts=place.count if place.kind == "data" else 0,
            silent=place.count if place.kind == "silence" else 0,
            rank=place.rank if place.kind == "move" else 0,
            grade=place.grade if place.kind == "move" else "",
            colour=place.colour if place.kind == "move" else "",
        )
        at = (place.area, group)
        cells[at] = cells.get(at, Cell()) | one
    return cells


def group_word(domain: str, measure: Measure, chain: Sequence[str]) -> str:
    if domain == "finance":
        return FINANCE
    return OTHER_COUNTS if measure is not Measure.PRICE else group_of(chain)


def movers_of(newest: Newest, sorted_by: Catalogue, now: datetime) -> list[Mover]:
    """Goods by area, each with its mean over the points that have quotes now and before."""
    known = newest.known
    fresh = newest.at > (now - FRESH).timestamp()
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.log(newest.value / newest.before)
    usable = fresh & (newest.value > 0) & (newest.before > 0) & (np.abs(step) < LARGEST)
    goods: dict[tuple[str, str, str, str, str], list[int]] = {}
    for s in np.flatnonzero(usable).tolist():
        key = known.keys[s]
        found = sorted_by.classify(key)
        if found.domain == "price" and found.measure is Measure.PRICE:
            goods.setdefault((key.item, key.spec, key.unit, key.channel, known.areas[s]), []).append(s)
    movers = []
    for (item, spec, unit, _channel, area), members in goods.items():
        value, before = float(newest.value[members].mean()), float(newest.before[members].mean())
        demo = any(is_demo_source(known.sources[s]) for s in members)
        movers.append(Mover(item, spec, unit, (area,), value, before, len(members), demo))
    return movers


def top(movers: Sequence[Mover], up: bool) -> list[Mover]:
    """The largest of one direction that moved at all, each kind of goods once: over all areas that are seen."""
    goods: dict[tuple[str, str, str], Mover] = {}
    for one in movers:
        key = (one.item, one.spec, one.unit)
        goods[key] = merged(goods[key], one) if key in goods else one
    wanted = [one for one in goods.values() if (one.change > 0.0005 if up else one.change < -0.0005)]
    return sorted(wanted, key=lambda one: (-abs(one.change), one.item, one.spec))[:MOVERS]


def merged(one: Mover, other: Mover) -> Mover:
    """Both areas as one: means weighted by points."""
    points = one.points + other.points
    return replace(
        one,
        areas=(*one.areas, *other.areas),
        value=(one.value * one.points + other.value * other.points) / points,
        before=(one.before * one.points + other.before * other.points) / points,
        points=points,
        demo=one.demo or other.demo,
    )
