"""/wall: the state of the city at one look, read-only, refreshing itself; for a screen on the wall, for leaders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from monitor.areas import AreaOptions
from monitor.documents.periodic import FOOD, OTHERS, REST
from monitor.rights import EVERYWHERE, Action, Areas, Visitor
from monitor.store.duties import PointDay
from monitor.store.sources import read_sources
from monitor.web.console import render
from monitor.web.console.i18n import _
from monitor.web.console.visit import viewed, visitor
from monitor.web.console.wall_data import FINANCE, OTHER_COUNTS, Cell, City, city_of, top
from monitor.web.context import WebContext
from monitor.web.flag_words import colour_word
from monitor.web.page import SourceLine, source_lines
from monitor.web.security import Context, open_to

router = APIRouter(include_in_schema=False)

REFRESH_SECONDS = 60
GROUPS = (*(name for name, _classes in (*FOOD, *OTHERS)), REST, OTHER_COUNTS, FINANCE)
WIDEST, TALLEST = 12, 12
POINTS_NAMED = 12
look_in = visitor(Action.OVERVIEW_VIEW)


def reader(request: Request, ctx: Context) -> Visitor | None:
    """Who reads the wall: somebody with the right, or nobody in particular where `[web] open_page` lets anybody."""
    from monitor.web.signed import current

    if current(request, ctx) is None and open_to(request, ctx.settings.open_page):
        return None
    return look_in(request, ctx, "")


Reader = Annotated[Visitor | None, Depends(reader)]


@dataclass(frozen=True, slots=True)
class Tile:
    """One area on the map: where it stands, what is open there, how complete today's reports are."""

    area: str
    row: int
    column: int
    cell: Cell
    css: str
    expected: int
    reported: int


@dataclass(frozen=True, slots=True)
class Grade:
    label: str
    css: str
    count: int


@router.get("/wall")
def wall(request: Request, ctx: Context, who: Reader) -> HTMLResponse:
    areas = who.reach(Action.OVERVIEW_VIEW).areas if who else EVERYWHERE
    city = city_of(request).seen(areas)
    if who:
        viewed(request, who, "wall")
    groups = [group for group in GROUPS if any(key[1] == group for key in city.cells)]
    return render.page(
        request,
        "console/wall.html",
        visitor=who,
        title=_("总览"),
        refresh=REFRESH_SECONDS,
        city=city,
        tiles=tiles(ctx, city),
        whole=whole_city(ctx, city, areas),
        groups=groups,
        table=table(ctx, city, groups),
        grades=grades(city),
        doubts=sum(cell.doubts for cell in city.cells.values()),
        silent=sum(cell.silent for cell in city.cells.values()),
        up=top(city.movers, up=True),
        down=top(city.movers, up=False),
        points=late_first(city.points),
        expected=sum(one.expected for one in city.points),
        reported=sum(one.reported for one in city.points),
        late=sum(one.late for one in city.points),
        missing=sum(one.missing for one in city.points),
        sources=sources(ctx),
        colour=colour_word,
        queue=bool(who and who.may(Action.FLAGS_VIEW)),
    )


def tiles(ctx: WebContext, city: City) -> list[Tile]:
    """The areas where the configuration puts them; those that it does not name stand in rows of four below."""
    placed = positions(ctx.areas(), city.areas)
    made = []
    for area, (row, column) in placed.items():
        cell = area_cell(city, area)
        here = [one for one in city.points if one.area == area]
        made.append(
            Tile(
                area,
                row,
                column,
                cell,
                css_of(cell),
                sum(one.expected for one in here),
                sum(one.reported for one in here),
            )
        )
    return sorted(made, key=lambda tile: (tile.row, tile.column))


def positions(configured: Sequence[AreaOptions], seen: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(row, column) from 1 of each area that is seen; an area of the configuration without data is not shown."""
    found = {one.name: (one.row, one.column) for one in configured if one.name in seen and one.row}
    below = max((row for row, _column in found.values()), default=0) + 1
    rest = [area for area in seen if area not in found]
    return found | {area: (min(below + n // 4, TALLEST), n % 4 + 1) for n, area in enumerate(rest)}


def area_cell(city: City, area: str) -> Cell:
    total = Cell()
    for (name, _group), cell in city.cells.items():
        if name == area:
            total = total | cell
    return total


def whole_city(ctx: WebContext, city: City, areas: Areas) -> Cell | None:
    """What concerns the whole city; None for those who do not see it."""
    if ctx.city not in areas and "" not in areas:
        return None
    return area_cell(city, "") | area_cell(city, ctx.city)


def css_of(cell: Cell) -> str:
    """Class of a tile: by the colour of its highest grade, else by whether something is open."""
    if cell.rank:
        return colour_word(cell.grade, cell.colour)
    return "some" if cell.total else "calm"


def table(ctx: WebContext, city: City, groups: Sequence[str]) -> list[tuple[str, list[Cell]]]:
    """Areas by groups of goods; the whole city last."""
    rows = [(area, [city.cells.get((area, group), Cell()) for group in groups]) for area in city.areas]
    city_row = [city.cells.get(("", g), Cell()) | city.cells.get((ctx.city, g), Cell()) for g in groups]
    if any(cell.total for cell in city_row):
        rows.append((ctx.city, city_row))
    return rows


def grades(city: City) -> list[Grade]:
    """Open moves by grade, the highest first."""
    counted: dict[tuple[int, str, str], int] = {}
    for (_area, rank, label, colour), count in city.graded.items():
        kind = (rank, label, colour_word(label, colour))
        counted[kind] = counted.get(kind, 0) + count
    return [Grade(label, css, count) for (_rank, label, css), count in sorted(counted.items(), reverse=True)]


def late_first(points: Sequence[PointDay]) -> list[PointDay]:
    """Points that are not complete, those with most missing first."""
    behind = [one for one in points if one.missing or one.late or one.awaited]
    return sorted(behind, key=lambda p: (-p.missing, -p.awaited, p.point))[:POINTS_NAMED]


def sources(ctx: WebContext) -> list[SourceLine]:
    return source_lines(list(ctx.sources()), read_sources(ctx.db))
