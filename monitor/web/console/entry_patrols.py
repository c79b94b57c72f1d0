"""/records/patrols: what market patrols found, and what was done (P10); kept for good, withdrawn but not changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from monitor.rights import Action, Visitor
from monitor.schema_entry import patrol
from monitor.store import audit, forms, patrols, records
from monitor.store.patrols import Patrol, PatrolKind
from monitor.store.text import seconds, storable
from monitor.web.console import render
from monitor.web.console.entry_access import Sent, areas_to_choose, form_key, new_form_id, text
from monitor.web.console.entry_words import PATROLS, SEEN
from monitor.web.console.i18n import Text, _
from monitor.web.console.visit import Hidden, flash, go, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context
from thresholds.records import Record

router = APIRouter(include_in_schema=False)
Reading = Annotated[Visitor, Depends(visitor(Action.RECORDS_VIEW))]
Observer = Annotated[Visitor, Depends(visitor(Action.RECORDS_OBSERVE))]

ON_A_PAGE = 50
CURSOR = re.compile(r"(-?\d{1,12})_([0-9a-f]{12})")
LOCAL = "%Y-%m-%dT%H:%M"


@router.get("/records/patrols")
def show(request: Request, ctx: Context, who: Reading, kind: str = "", area: str = "", after: str = "") -> Response:
    viewed(request, who, "patrols:*")
    return page(request, ctx, who, kind, storable(area[:200]), after, {}, {}, 200)


def page(
    request: Request,
    ctx: WebContext,
    who: Visitor,
    kind: str,
    area: str,
    after: str,
    given: Mapping[str, str],
    faults: Mapping[str, str],
    status: int,
) -> Response:
    wanted = PatrolKind(kind) if kind in set(PatrolKind) else None
    cursor = CURSOR.fullmatch(after)
    found = patrols.list_patrols(
        ctx.db,
        where=who.areas(Action.RECORDS_VIEW).where(patrol.c.area),
        kind=wanted,
        area=area or None,
        after=(int(cursor[1]), cursor[2]) if cursor else None,
        limit=ON_A_PAGE + 1,
    )
    shown, more = found[:ON_A_PAGE], len(found) > ON_A_PAGE
    query = {"kind": kind, "area": area}
    last = shown[-1].patrol if shown else None
    following = urlencode(query | {"after": f"{seconds(last.at)}_{last.id}"}) if more and last else ""
    mine = who.areas(Action.RECORDS_OBSERVE)
    return render.page(
        request,
        "console/patrols.html",
        visitor=who,
        title=_("市场巡查"),
        status=status,
        list=shown,
        kinds=PATROLS,
        kind=kind,
        area=area,
        area_options=pairs(areas_to_choose(ctx, who.areas(Action.RECORDS_VIEW))),
        writable=bool(mine),
        writable_options=pairs(areas_to_choose(ctx, mine)),
        may_withdraw=lambda one: who.may(Action.RECORDS_OBSERVE, one.patrol.area),
        following=following,
        seen=SEEN,
        given={"at": ctx.now().astimezone(ctx.zone).strftime(LOCAL)} | dict(given),
        faults=faults,
        form_id=new_form_id(),
    )


def pairs(names: list[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


@router.post("/records/patrols")
def add(request: Request, ctx: Context, who: Observer, form: Sent) -> Response:
    """Enter a record; with a phenomenon that rules know (抢购, 流言, …) also what they are to know."""
    names = ("kind", "at", "area", "place", "items", "body", "document", "amount", "measure")
    given = {name: text(form, name, 5000) for name in names}
    now = ctx.now()
    one, faults = understood(ctx, given)
    if one is not None and one.area and not who.may(Action.RECORDS_OBSERVE, one.area):
        raise Hidden
    if one is not None:
        faults |= {field: str(wrong.zh) for field, wrong in patrols.problems(one, now).items()}
    seen = None
    if one is not None and given["measure"] in SEEN:
        whole = one.area == ctx.city
        start, areas = seconds(one.at), () if whole else (one.area,)
        seen = Record("", "observed", given["measure"], who.shown, "", start, None, items=one.items, areas=areas)
        if not one.items:
            faults.setdefault("items", str(_("登记现象时请写明所涉品种")))
    if one is None or faults:
        return page(request, ctx, who, "", "", "", given, faults, 422)
    try:
        made = patrols.add(ctx.db, one, who.actor, now, form_id=form_key(form), seen=seen)
    except forms.AlreadyStored:
        return go(request, "/records/patrols")
    except records.RecordError as error:
        wrong = {field: fault.zh for field, fault in error.faults.items()}
        return page(request, ctx, who, "", "", "", given, wrong, 422)
    if seen is not None:
        ctx.on_observations()
    detail = {"kind": str(one.kind), "area": one.area, "record": made.patrol.record_id}
    audit.note(ctx.db, who, "patrol.add", f"patrol:{made.patrol.id}", detail, now)
    flash(ctx, who, "done", _("已登记。"))
    return go(request, "/records/patrols")


def understood(ctx: WebContext, given: Mapping[str, str]) -> tuple[Patrol | None, dict[str, str]]:
    """The record as written, or what of it cannot be read."""
    faults: dict[str, str] = {}
    at = local_moment(ctx, given["at"])
    if at is None:
        faults["at"] = str(_("请写时间，如 2026-03-02T09:30"))
    if given["kind"] not in set(PatrolKind):
        faults["kind"] = str(_("请选择类别"))
    amount = None
    if given["amount"].strip():
        plain = given["amount"].replace(",", "").strip()
        if re.fullmatch(r"\d{1,10}(\.\d{1,2})?", plain, re.ASCII):
            amount = round(float(plain) * 100)
        else:
            faults["amount"] = str(_("金额应为数，单位元，最多两位小数"))
    if faults or at is None:
        return None, faults
    items = tuple(dict.fromkeys(part for part in re.split(r"[、，,;；\s]+", given["items"]) if part))
    return Patrol(
        id="",
        kind=PatrolKind(given["kind"]),
        at=at,
        area=given["area"].strip(),
        place=given["place"].strip(),
        items=items,
        body=given["body"].strip(),
        document=given["document"].strip(),
        amount=amount,
    ), {}


def local_moment(ctx: WebContext, given: str) -> datetime | None:
    """What a field of date and time holds, in the installation's zone."""
    try:
        at = datetime.fromisoformat(given.strip())
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=ctx.zone)
    return at if 2000 <= at.year <= 2100 else None


@router.post("/records/patrols/{id}/withdraw")
def withdraw(request: Request, ctx: Context, who: Observer, form: Sent, id: str) -> Response:
    found = patrols.get(ctx.db, storable(id[:100]))
    if found is None or not who.may(Action.RECORDS_OBSERVE, found.patrol.area):
        raise Hidden
    revision = text(form, "revision", 9)
    try:
        patrols.withdraw(ctx.db, found.patrol.id, int(revision) if revision.isdecimal() else 0, who.actor, ctx.now())
    except patrols.Changed:
        flash(ctx, who, "fault", _("这条记录已有变化，没有撤回。"))
        return go(request, "/records/patrols")
    audit.note(ctx.db, who, "patrol.withdraw", f"patrol:{found.patrol.id}", {}, ctx.now())
    words: Text = (
        _("已撤回；原记录保留。随之登记的现象请在“决定和现象”中解除。")
        if found.patrol.record_id
        else _("已撤回；原记录保留。")
    )
    flash(ctx, who, "done", words)
    return go(request, "/records/patrols")
