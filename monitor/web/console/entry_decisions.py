"""/records and /records/decisions: legal decisions (P13) and phenomena, entered, lifted, never overwritten.

Who enters a decision does not take it: grades II and I come from the State Council or the province (P14).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from monitor.rights import Action, Visitor
from monitor.schema_entry import patrol
from monitor.store import audit, patrols, records
from monitor.store.records import Revision
from monitor.store.text import moment, seconds, storable
from monitor.web.console import render
from monitor.web.console.entry_access import Sent, areas_to_choose, text
from monitor.web.console.entry_words import ISSUERS, MEASURES, PATROLS, SEEN
from monitor.web.console.i18n import _
from monitor.web.console.visit import Hidden, flash, go, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context
from thresholds.records import Record

router = APIRouter(include_in_schema=False)
Reading = Annotated[Visitor, Depends(visitor(Action.RECORDS_VIEW))]
Decider = Annotated[Visitor, Depends(visitor(Action.RECORDS_DECIDE))]
Ender = Annotated[Visitor, Depends(visitor(Action.RECORDS_DECIDE, Action.RECORDS_OBSERVE))]

LAST_DAYS = 30
MOST = 100


@router.get("/records")
def overview(request: Request, ctx: Context, who: Reading) -> Response:
    """What can be entered, and what was entered lately."""
    viewed(request, who, "records:*")
    now = ctx.now()
    counts = patrols.count_since(
        ctx.db, now - timedelta(days=LAST_DAYS), who.areas(Action.RECORDS_VIEW).where(patrol.c.area)
    )
    return render.page(
        request,
        "console/records.html",
        visitor=who,
        title=_("登记"),
        in_force=seen_by(who, records.list_records(ctx.db, at=now)),
        counts=[(PATROLS[kind], counts.get(kind, 0)) for kind in PATROLS],
        days=LAST_DAYS,
        may_observe=who.may(Action.RECORDS_OBSERVE),
        words=words_of,
    )


def seen_by(who: Visitor, found: list[Revision]) -> list[Revision]:
    """Those that concern an area of the visitor; one without areas concerns all of them."""
    areas = who.areas(Action.RECORDS_VIEW)
    return [one for one in found if not one.record.areas or any(a in areas for a in one.record.areas)]


def words_of(record: Record) -> str:
    """The measure or phenomenon in words."""
    return str(MEASURES.get(record.measure) or SEEN.get(record.measure) or record.measure)


@router.get("/records/decisions")
def show(request: Request, ctx: Context, who: Reading) -> Response:
    viewed(request, who, "records:decisions")
    return page(request, ctx, who, {}, {}, 200)


def page(
    request: Request, ctx: WebContext, who: Visitor, given: Mapping[str, str], faults: Mapping[str, str], status: int
) -> Response:
    now = ctx.now()
    found = seen_by(who, records.list_records(ctx.db))
    mine = who.areas(Action.RECORDS_DECIDE)
    return render.page(
        request,
        "console/decisions.html",
        visitor=who,
        title=_("决定和现象"),
        status=status,
        list=found[:MOST],
        more=len(found) > MOST,
        moment=moment,
        now=now,
        in_force=lambda one: one.record.start <= seconds(now) and (one.record.end or seconds(now) + 1) > seconds(now),
        words=words_of,
        may_end=lambda one: may_end(who, one.record),
        may_decide=bool(mine),
        whole="" in mine,
        areas=[a for a in areas_to_choose(ctx, mine) if a != ctx.city] if mine else [],
        classes=sorted(ctx.entry().catalogue.classes),
        measures=MEASURES,
        issuers=ISSUERS,
        given=dict(given),
        faults=faults,
        today=now.astimezone(ctx.zone).date().isoformat(),
    )


def may_end(who: Visitor, record: Record) -> bool:
    """Decisions are ended by who may enter them, phenomena by who may observe them; in all of their areas."""
    action = Action.RECORDS_DECIDE if record.kind == "decision" else Action.RECORDS_OBSERVE
    return all(who.may(action, area) for area in record.areas or ("",))


@router.post("/records/decisions")
def add(request: Request, ctx: Context, who: Decider, form: Sent) -> Response:
    """Enter a decision that was taken elsewhere."""
    names = ("measure", "issuer", "document", "start", "end", "items", "classes", "note")
    given = {name: text(form, name, 5000).strip() for name in names}
    areas = tuple(dict.fromkeys(storable(a[:200]) for a in form.getlist("areas") if isinstance(a, str) and a))
    if any(not who.may(Action.RECORDS_DECIDE, area) for area in areas or ("",)):
        raise Hidden
    faults: dict[str, str] = {}
    start, end = day_start(ctx, given["start"]), day_start(ctx, given["end"]) if given["end"] else None
    if start is None:
        faults["start"] = str(_("请写生效日期"))
    if given["end"] and end is None:
        faults["end"] = str(_("解除日期应为年月日"))
    if faults or start is None:
        return page(request, ctx, who, given, faults, 422)
    scope = (parts(given["items"]), parts(given["classes"]), areas)
    one = Record(
        "", "decision", given["measure"], given["issuer"], given["document"], seconds(start),
        None if end is None else seconds(end), *scope,
    )  # fmt: skip
    if one.document and (same := repeated(ctx, one)):
        flash(ctx, who, "note", _("同一文号、措施和范围的决定已经登记（%(id)s），没有重复登记。", id=same))
        return go(request, "/records/decisions")
    try:
        made = records.add(ctx.db, one, given["note"], who.actor, ctx.now(), ctx.classes())
    except records.RecordError as error:
        return page(request, ctx, who, given, {f: w.zh for f, w in error.faults.items()}, 422)
    ctx.on_observations()
    detail = {"measure": one.measure, "issuer": one.issuer, "document": one.document}
    audit.note(ctx.db, who, "record.decide", f"record:{made.record.id}", detail, ctx.now())
    flash(ctx, who, "done", _("已登记；所涉品种从生效之日起重新评估。"))
    return go(request, "/records/decisions")


def repeated(ctx: WebContext, one: Record) -> str:
    """The id of a record that says exactly this already: the form was sent twice. Empty where there is none."""
    fields = ("kind", "measure", "issuer", "document", "start", "end", "items", "classes", "areas")
    for known in records.list_records(ctx.db):
        if all(getattr(known.record, f) == getattr(one, f) for f in fields):
            return known.record.id
    return ""


def parts(given: str) -> tuple[str, ...]:
    """Names one after the other, however they are divided."""
    return tuple(dict.fromkeys(name for part in re.split(r"[、，,;；\n]+", given) if (name := part.strip())))


def day_start(ctx: WebContext, given: str) -> datetime | None:
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=ctx.zone) if 1980 <= day.year <= 2100 else None


@router.post("/records/{id}/end")
def end(request: Request, ctx: Context, who: Ender, form: Sent, id: str) -> Response:
    """Lift a decision, or say that a phenomenon is over: a further revision."""
    history = records.revisions(ctx.db, storable(id[:100]))
    if not history or not may_end(who, history[-1].record):
        raise Hidden
    at = day_start(ctx, text(form, "end", 10))
    if at is None:
        flash(ctx, who, "fault", _("解除日期应为年月日"))
        return go(request, "/records/decisions")
    try:
        records.lift(ctx.db, history[-1].record.id, at, text(form, "note"), who.actor, ctx.now())
    except records.RecordError as error:
        flash(ctx, who, "fault", "；".join(fault.zh for fault in error.faults.values()))
        return go(request, "/records/decisions")
    ctx.on_observations()
    audit.note(
        ctx.db, who, "record.end", f"record:{history[-1].record.id}", {"end": at.date().isoformat()}, ctx.now()
    )
    flash(ctx, who, "done", _("已登记解除；原来的内容保留。"))
    return go(request, "/records/decisions")
