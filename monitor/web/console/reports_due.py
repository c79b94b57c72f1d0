"""/reports-due: which point reports by when, who is on time, late or missing, today and in the last weeks (P15)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from monitor.entry.duties import SATURDAY, date_of, day_number
from monitor.rights import Action, Reach, Visitor
from monitor.schema import series
from monitor.schema_entry import report_day
from monitor.store import duties
from monitor.store.duties import DayCount, Past, PointDay
from monitor.store.text import storable
from monitor.web.console import render
from monitor.web.console.entry_access import worked_out
from monitor.web.console.entry_words import STATES
from monitor.web.console.i18n import _
from monitor.web.console.visit import Hidden, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
Watcher = Annotated[Visitor, Depends(visitor(Action.OBSERVATIONS_VIEW))]

WEEKS = 28
SHORT = 7
ON_A_PAGE = 100
FILTERS = ("", "missing", "late", "done")


@dataclass(frozen=True, slots=True)
class Shares:
    """Completeness and timeliness over some days, None where nothing was expected."""

    expected: int
    complete: float | None
    on_time: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One point: today, and the last days."""

    point: str
    area: str
    today: PointDay | None
    week: Shares
    weeks: Shares


def shares(days: Sequence[DayCount]) -> Shares:
    expected = sum(d.expected for d in days)
    if not expected:
        return Shares(0, None, None)
    came, on_time = sum(d.on_time + d.late for d in days), sum(d.on_time for d in days)
    return Shares(expected, came / expected, on_time / expected)


@router.get("/reports-due")
def show(
    request: Request, ctx: Context, who: Watcher, area: str = "", state: str = "", page: int = 1, point: str = ""
) -> Response:
    reach = who.reach(Action.OBSERVATIONS_VIEW)
    now, worked = ctx.now(), worked_out(ctx)
    here = reach.where(series.c.area, series.c.point)
    if point:
        point = storable(point[:500])
        found = duties.today(ctx.db, ctx.zone, now, points={point}, where=here, by=ctx.entry())
        return one_point(request, ctx, who, {p.point: p for p in found}, point)
    today = {p.point: p for p in counted_today(request, ctx, reach)}
    viewed(request, who, "reports-due:*")
    first = day_number(now, ctx.zone) - WEEKS
    mine = reach.where(report_day.c.area, report_day.c.point)
    past = duties.past(ctx.db, first, first + WEEKS - 1, first + WEEKS - SHORT, where=mine)
    rows = [row_of(name, today.get(name), past.get(name)) for name in sorted({*today, *past})]
    areas = sorted({row.area for row in rows if row.area})
    rows = [row for row in rows if (not area or row.area == area) and fits(row, state)]
    rows.sort(key=lambda row: (-(row.today.missing if row.today else 0), row.area, row.point))
    page = max(1, min(page, 1 + len(rows) // ON_A_PAGE))
    counted = [row.today for row in rows if row.today]
    return render.page(
        request,
        "console/reports_due.html",
        visitor=who,
        title=_("报送情况"),
        rows=rows[(page - 1) * ON_A_PAGE : page * ON_A_PAGE],
        total=sum_of(counted),
        points=len(counted),
        area=area,
        area_options=[(name, name) for name in areas],
        state=state,
        page=page,
        pages=-(-len(rows) // ON_A_PAGE),
        link=lambda page: "/reports-due?" + urlencode({"area": area, "state": state, "page": page}),
        day=date_of(day_number(now, ctx.zone)),
        due=ctx.entry().options.due,
        worked_out=worked,
        weeks=WEEKS,
        short=SHORT,
        kind=day_kind(ctx),
        may_manage=who.may(Action.DUTIES_MANAGE),
    )


@dataclass(frozen=True, slots=True)
class DayKind:
    """What today is to those who report on working days only. `name`: the holiday it belongs to, or is worked for."""

    works: bool
    weekend: bool
    name: str
    known: bool


def day_kind(ctx: WebContext) -> DayKind:
    today, days = ctx.now().astimezone(ctx.zone).date(), ctx.entry().workdays
    return DayKind(days.is_working(today), today.weekday() >= SATURDAY, days.name_of(today), days.is_known(today))


def row_of(point: str, today: PointDay | None, past: Past | None) -> Row:
    area = today.area if today else (past.area if past else "")
    return Row(point, area, today, shares([past.recent] if past else []), shares([past.all] if past else []))


class Counted:
    """Today's counts, by who may see which, as long as nothing came and the minute has not passed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: object = None
        self._found: dict[Reach, list[PointDay]] = {}

    def get(self, ctx: WebContext, reach: Reach) -> list[PointDay]:
        now = ctx.now()
        state = (now.replace(second=0, microsecond=0), *duties.state_of(ctx.db))
        with self._lock:  # the others wait for the first one's look instead of looking themselves
            if self._state != state:
                self._state, self._found = state, {}
            if (known := self._found.get(reach.rows)) is None:
                here = reach.where(series.c.area, series.c.point)
                known = duties.today(ctx.db, ctx.zone, now, where=here, reports=False, by=ctx.entry())
                self._found[reach.rows] = known
        return known


def counted_today(request: Request, ctx: WebContext, reach: Reach) -> list[PointDay]:
    """Today by point, for this reach; the same for all who look in the same minute."""
    state = request.app.state
    if not hasattr(state, "reports_due"):
        state.reports_due = Counted()
    kept: Counted = state.reports_due
    return kept.get(ctx, reach)


def fits(row: Row, state: str) -> bool:
    today = row.today
    match state:
        case "missing":
            return today is not None and today.missing > 0
        case "late":
            return today is not None and today.late > 0
        case "done":
            return today is not None and today.expected == today.reported
        case _:
            return True


def sum_of(days: Sequence[PointDay]) -> PointDay:
    total = PointDay("", "", 0)
    for one in days:
        total.on_time += one.on_time
        total.late += one.late
        total.missing += one.missing
        total.awaited += one.awaited
    return total


def one_point(request: Request, ctx: WebContext, who: Visitor, today: dict[str, PointDay], point: str) -> Response:
    """The reports of one point: each of today, and day by day."""
    reach = who.reach(Action.OBSERVATIONS_VIEW)
    now = ctx.now()
    first = day_number(now, ctx.zone) - WEEKS
    past = duties.history(
        ctx.db,
        first,
        first + WEEKS - 1,
        points={point},
        where=reach.where(report_day.c.area, report_day.c.point),
    ).get(point, [])
    if point not in today and not past:
        raise Hidden
    viewed(request, who, f"reports-due:{point}")
    days: list[tuple[date, DayCount]] = [(date_of(d.day), d) for d in reversed(past)]
    return render.page(
        request,
        "console/reports_due_point.html",
        visitor=who,
        title=_("报送情况"),
        point=point,
        today=today.get(point),
        states=STATES,
        whole_day=any(day_number(r.due_at, ctx.zone) > one.day for one in today.values() for r in one.reports),
        days=days,
        shares=shares(past),
        weeks=WEEKS,
        may_report=who.may(Action.OBSERVATIONS_REPORT, today[point].area, point) if point in today else False,
    )
