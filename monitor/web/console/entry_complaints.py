"""/records/complaints: how many complaints about what in which area (12315; P11, P36), as counts that rules watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from collectors.sheet_values import CellError, clean_note
from monitor.entry.complaints import ALL, ITEM, count_of, goods_of, point_of, series_of
from monitor.rights import Action, Visitor
from monitor.store import audit, forms, points
from monitor.web.console import render
from monitor.web.console.entry_access import (
    SOURCE,
    Sent,
    areas_to_choose,
    day_asked,
    form_key,
    local_today,
    midnight,
    new_form_id,
    text,
)
from monitor.web.console.i18n import Text, _, ngettext
from monitor.web.console.visit import Hidden, flash, go, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context
from thresholds.model import Observation, ObservationBatch

router = APIRouter(include_in_schema=False)
Observer = Annotated[Visitor, Depends(visitor(Action.RECORDS_OBSERVE))]

EMPTY_ROWS = 4
MOST_ROWS = 100
SHOWN_DAYS = 400


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the form. `goods` is empty where it is to be written."""

    goods: str
    before: float | None
    before_at: date | None
    value: str = ""
    note: str = ""
    wrong: str | Text = ""


@router.get("/records/complaints")
def show(request: Request, ctx: Context, who: Observer, area: str = "", day: str = "") -> Response:
    chosen, on = about(ctx, who, area, day)
    if not chosen:
        words = _("还没有可以登记的区域。")
        return render.message(request, 200, _("投诉举报件数"), words, visitor=who)
    viewed(request, who, f"complaints:{chosen}")
    return page(request, ctx, who, chosen, on, [], 200)


def about(ctx: WebContext, who: Visitor, area: str, day: str) -> tuple[str, date]:
    """The area and the day that the page is about. Raises Hidden for an area or a day that cannot be entered."""
    areas = areas_to_choose(ctx, who.areas(Action.RECORDS_OBSERVE))
    on = day_asked(day, local_today(ctx.now(), ctx.zone), ctx.entry().options.late_days)
    if on is None or (area and area not in areas):
        raise Hidden
    return area or next(iter(areas), ""), on


def known_rows(ctx: WebContext, area: str, on: date) -> list[Row]:
    """What was counted in this area before, all complaints together in front."""
    start = midnight(on, ctx.zone)
    end = midnight(on + timedelta(days=1), ctx.zone)
    found = []
    for line in points.lines(ctx.db, point_of(area), start, end, oldest=start - timedelta(days=SHOWN_DAYS)):
        goods = goods_of(line.key)
        if goods is not None:
            before = line.before
            at = None if before is None else before.at.astimezone(ctx.zone).date()
            today = "" if line.day is None else f"{line.day.value:g}"
            note = "" if line.day is None else line.day.note
            found.append(Row(goods, None if before is None else before.value, at, today, note))
    if not any(row.goods == ALL for row in found):
        found.append(Row(ALL, None, None))
    return sorted(found, key=lambda row: (row.goods != ALL, row.goods))[: MOST_ROWS - EMPTY_ROWS]


def page(
    request: Request, ctx: WebContext, who: Visitor, area: str, on: date, wrong: Sequence[Row], status: int
) -> Response:
    today = local_today(ctx.now(), ctx.zone)
    rows = list(wrong) or [*known_rows(ctx, area, on), *[Row("", None, None)] * EMPTY_ROWS]
    return render.page(
        request,
        "console/complaints.html",
        visitor=who,
        title=_("投诉举报件数"),
        status=status,
        areas=[(name, name) for name in areas_to_choose(ctx, who.areas(Action.RECORDS_OBSERVE))],
        area=area,
        day=on,
        today=today,
        earliest=today - timedelta(days=ctx.entry().options.late_days),
        rows=rows,
        faults=[(f"v-{k}", f"{row.goods} {row.wrong}".strip()) for k, row in enumerate(rows) if row.wrong],
        all_goods=ALL,
        form_id=new_form_id(),
    )


@router.post("/records/complaints")
def send(request: Request, ctx: Context, who: Observer, form: Sent) -> Response:
    """Store the counts of a day, or nothing where one of them cannot be read."""
    area, on = about(ctx, who, text(form, "area", 200), text(form, "day", 10))
    if not area:
        raise Hidden
    rows = sent_rows(ctx, form, area, on)
    if any(row.wrong for row in rows):
        return page(request, ctx, who, area, on, rows, 422)
    back = "/records/complaints?" + urlencode({"area": area, "day": on.isoformat()})
    at, counted = midnight(on, ctx.zone), [row for row in rows if row.value.strip()]
    found = [
        Observation(series_of(row.goods, area), at, float(count_of(row.value)), area, "", row.note) for row in counted
    ]
    if not found:
        flash(ctx, who, "note", _("没有填写任何件数，没有保存。没有投诉请填 0。"))
        return go(request, back)
    try:
        form_, added = forms.store_values(
            ctx.db,
            ObservationBatch.of(found),
            actor=who.actor,
            form_id=form_key(form),
            kind="complaints",
            source=SOURCE,
            name=f"{ITEM} {area} {on.isoformat()} ({who.actor})",
            now=ctx.now(),
            answer={"stored": len(found)},
        )
        ctx.on_stored(SOURCE, added.counts, {})
        if added.counts.accepted or added.counts.revised:
            ctx.on_observations()
        detail = {"day": on.isoformat(), "batch": form_.batch_id, "rows": len(found)}
        audit.note(ctx.db, who, "entry.complaints", f"complaints:{area}", detail, ctx.now())
    except forms.AlreadyStored:
        pass  # sent twice: stored once
    words = ngettext("已保存 %(num)s 项件数。", "已保存 %(num)s 项件数。", len(found))
    flash(ctx, who, "done", words)
    return go(request, back)


def sent_rows(ctx: WebContext, form: FormData, area: str, on: date) -> list[Row]:
    """The lines as sent, each with what is wrong with it."""
    before = {row.goods: row for row in known_rows(ctx, area, on)}
    rows, seen = [], set()
    for k in range(MOST_ROWS):
        if f"v-{k}" not in form:
            continue
        goods, value, note = text(form, f"g-{k}", 600).strip(), text(form, f"v-{k}", 40), text(form, f"n-{k}")
        known = before.get(goods)
        wrong: str | Text = ""
        if value.strip():
            try:
                count_of(value)
                key = series_of(goods, area)
                if key in seen:
                    wrong = _("同一品种写了两次")
                seen.add(key)
            except CellError as error:
                wrong = str(error)
        elif goods and known is None and goods != ALL:
            wrong = _("请写件数")
        last = (known.before, known.before_at) if known else (None, None)
        rows.append(Row(goods, *last, value, clean_note(note), wrong))
    return rows
