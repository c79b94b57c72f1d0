"""/items: every item with its newest prices; /items/{item}: history, comparison of points, changes at every lag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse

from monitor.changes import LAGS, NAMES, Line, line_of, mean_of
from monitor.documents.comparison import number_of
from monitor.rights import Action, Visitor
from monitor.store import overview
from monitor.store.demo import is_demo_source
from monitor.store.overview import ItemLine, Usable, as_date
from monitor.web.console import render
from monitor.web.console.history_chart import history_svg
from monitor.web.console.i18n import _, word
from monitor.web.console.known import known
from monitor.web.console.visit import Hidden, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context
from thresholds.calendar import Lag, earlier
from thresholds.model import IntArray

router = APIRouter(include_in_schema=False)

View = Annotated[Visitor, Depends(visitor(Action.OVERVIEW_VIEW))]
PAGE = 100
SPANS = {"30": _("30 天"), "90": _("90 天"), "365": _("一年"), "1100": _("三年")}
COMPARED_DAYS = 420
"""days before the newest reading in which the value of a year ago is looked for"""


@dataclass(frozen=True, slots=True)
class PointLine:
    """One series of the item: its newest reading and its changes."""

    point: str
    area: str
    demo: bool
    line: Line
    day: date
    against: float | None  # ratio to the median of the points, minus one


@dataclass(frozen=True, slots=True)
class Goods:
    """The series of one spec, unit and channel."""

    spec: str
    unit: str
    channel: str
    mean: Line
    day: date
    points: list[PointLine]
    svg: Markup
    left_out: int


@router.get("/items")
def listed(request: Request, ctx: Context, who: View, q: str = "", cls: str = "", page: int = 1) -> HTMLResponse:
    areas = who.reach(Action.OVERVIEW_VIEW).areas
    there = known(request, areas)
    every = ctx.answers.get(ctx.db, ("items", areas), lambda: overview.list_items(ctx.db, areas))
    found = [one for one in every if wanted(one, q.strip(), cls, there.by_class)]
    page = max(1, page)
    shown = found[(page - 1) * PAGE : page * PAGE]
    viewed(request, who, "items")
    query = f"/items?q={Markup.escape(q)}&cls={cls}"
    return render.page(
        request,
        "console/items.html",
        visitor=who,
        title=_("品种"),
        found=shown,
        total=len(found),
        q=q,
        cls=cls,
        classes=[("", _("全部品类")), *((name, "　" * depth + name) for name, depth in there.classes)],
        before=f"{query}&page={page - 1}" if page > 1 else "",
        after=f"{query}&page={page + 1}" if page * PAGE < len(found) else "",
    )


def wanted(one: ItemLine, q: str, cls: str, by_class: dict[str, frozenset[str]]) -> bool:
    return (not q or q.lower() in one.item.lower()) and (not cls or one.item in by_class.get(cls, ()))


@router.get("/items/{item:path}")
def item_page(request: Request, ctx: Context, who: View, item: str, span: str = "90", area: str = "") -> HTMLResponse:
    areas = who.reach(Action.OVERVIEW_VIEW).areas
    span = span if span in SPANS else "90"
    days = int(span)
    today = ctx.now().astimezone(ctx.zone).date()
    since = midnight(ctx, today - timedelta(days=max(days, COMPARED_DAYS) + 40))
    history = overview.history_of(ctx.db, ctx.histories, item, areas, since)
    if not history:
        raise Hidden
    viewed(request, who, f"item:{item}")
    there = sorted({one.series.area for one in history if one.series.area})
    goods = goods_of(ctx, history, today, days, area if area in there else "")
    lags = lags_of([one.mean.day for one in goods])
    return render.page(
        request,
        "console/item.html",
        visitor=who,
        title=item,
        item=item,
        demo_item=any(is_demo_source(one.series.source) for one in history),
        goods=goods,
        names=[NAMES[lag] for lag in lags],
        words=[word(NAMES[lag]) for lag in lags],
        spans=list(SPANS.items()),
        span=span,
        area=area if area in there else "",
        areas=[("", _("全部区域")), *((name, name) for name in there)],
        queue=who.may(Action.FLAGS_VIEW),
    )


def lags_of(days: Sequence[int]) -> Sequence[Lag]:
    """The lags that are shown; away from Spring Festival the lunar year says what the Gregorian one says."""
    newest = np.array(days, np.int32)
    same = np.array_equal(earlier(newest, Lag.YEAR), earlier(newest, Lag.LUNAR_YEAR))
    return tuple(lag for lag in LAGS if not (same and lag is Lag.LUNAR_YEAR))


def midnight(ctx: WebContext, day: date) -> int:
    return int(datetime.combine(day, time(), ctx.zone).timestamp())


def goods_of(ctx: WebContext, history: Sequence[Usable], today: date, days: int, area: str) -> list[Goods]:
    """The goods with any reading, those with most points first."""
    ends = np.cumsum([len(one.series.at) for one in history])
    local = np.split(local_days(ctx, np.concatenate([one.series.at for one in history])), ends[:-1])
    groups: dict[tuple[str, str, str], list[tuple[Usable, IntArray]]] = {}
    for one, day in zip(history, local, strict=True):
        key = one.series.key
        if not area or one.series.area == area:
            groups.setdefault((key.spec, key.unit, key.channel), []).append((one, day))
    found = [goods for group, members in groups.items() if (goods := one_goods(group, members, today, days))]
    return sorted(found, key=lambda goods: (-len(goods.points), goods.spec, goods.unit, goods.channel))


def one_goods(
    group: tuple[str, str, str], members: Sequence[tuple[Usable, IntArray]], today: date, days: int
) -> Goods | None:
    """`members` are the series with the local days of their readings; None where there is no reading."""
    lines = [(one.series, line) for one, day in members if (line := line_of(day, one.series.value)) is not None]
    mean = mean_of([line for _one, line in lines])
    if mean is None:
        return None
    parts = [(day, one.series.value) for one, day in members if len(day)]
    middle = float(np.median([line.value for _one, line in lines]))
    points = [
        PointLine(
            one.key.point,
            one.area,
            is_demo_source(one.source),
            line,
            as_date(line.day),
            line.value / middle - 1 if middle > 0 and len(lines) > 1 else None,
        )
        for one, line in lines
    ]
    points.sort(key=lambda one: (-one.line.day, one.area, one.point))
    first = number_of(today) - days
    svg = history_svg(parts, first, number_of(today), group[1])
    return Goods(*group, mean, as_date(mean.day), points, svg, sum(one.left_out for one, _day in members))


def local_days(ctx: WebContext, at: IntArray) -> IntArray:
    """int64[n]: local days since 1970-01-01."""
    if not len(at):
        return at
    low = datetime.fromtimestamp(int(at.min()), ctx.zone).date()
    high = datetime.fromtimestamp(int(at.max()), ctx.zone).date()
    edges = [midnight(ctx, low + timedelta(days=n)) for n in range((high - low).days + 1)]
    found: IntArray = np.searchsorted(np.array(edges, np.int64), at, side="right") - 1 + number_of(low)
    return found
