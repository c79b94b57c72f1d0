"""/duties: who reports what by when (P15), as the office lays it down; kept with its history, in force at once.

Who manages duties in some areas manages those of the points there; a rule for every point, or for one that never
reported, needs the right for the whole city. Rules of the configuration file are shown and not changed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from monitor.entry.duties import EPOCH, EVERY_DAY, bits_of, date_of, day_number
from monitor.entry.options import CLOCK, WEEKDAYS, DutyOptions, minutes
from monitor.rights import Action, Visitor
from monitor.schema import series
from monitor.store import audit, duties, duty_rules, points
from monitor.store.duty_rules import Revision, Rule
from monitor.store.text import storable
from monitor.web.console import render
from monitor.web.console.entry_access import Sent, text
from monitor.web.console.i18n import Text, _
from monitor.web.console.visit import Hidden, flash, go, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context
from thresholds.catalogue import UNCLASSED

router = APIRouter(include_in_schema=False)
Manager = Annotated[Visitor, Depends(visitor(Action.DUTIES_MANAGE))]

FIELDS = ("point", "items", "item_class", "days", "every", "only_working", "due", "since", "until", "note")
PARTS = re.compile(r"[、，,;；\n\r]+")
SHOWN_POINTS = 1000

DAYS: dict[str, Text] = {
    "working": _("每个工作日"),
    "daily": _("每天（含节假日）"),
    "weekdays": _("每周的某几天"),
    "every": _("每隔若干天"),
    "usual": _("按以往的报送规律"),
    "emergency": _("应急报送：每天，节假日照报"),
    "none": _("免报"),
}
WEEK: tuple[Text, ...] = (_("周一"), _("周二"), _("周三"), _("周四"), _("周五"), _("周六"), _("周日"))


DutyAct = Literal["duty.add", "duty.change", "duty.end"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A rule as it is shown: of the office with its revision, of the configuration file without."""

    rule: Rule
    state: tuple[Text, str]
    revision: Revision | None = None
    mine: bool = False


@router.get("/duties")
def show(request: Request, ctx: Context, who: Manager) -> Response:
    viewed(request, who, "duties:*")
    return page(request, ctx, who, {}, {}, 200)


def page(
    request: Request, ctx: WebContext, who: Visitor, given: Mapping[str, Any], faults: Mapping[str, str], status: int
) -> Response:
    today = today_of(ctx)
    found = [shown(who, one, today) for one in duty_rules.list_rules(ctx.db) if visible(who, one)]
    found += [of_file(one, today) for one in ctx.entry().options.duty]
    tools = ctx.entry()
    return render.page(
        request,
        "console/duties.html",
        visitor=who,
        title=_("报送任务"),
        status=status,
        list=found,
        due=tools.options.due,
        years=[(year, one.source) for year, one in sorted(tools.workdays.years.items())],
        last_known=tools.workdays.last_known,
        known=tools.workdays.is_known(date_of(today)),
        **form(
            ctx, who, {"days": "working", "due": tools.options.due, "since": str(date_of(today)), **given}, faults
        ),
    )


def form(ctx: WebContext, who: Visitor, given: Mapping[str, Any], faults: Mapping[str, str]) -> dict[str, Any]:
    """What the form of a rule needs."""
    reach = who.reach(Action.DUTIES_MANAGE)
    names = sorted(points.points_where(ctx.db, reach.where(series.c.area, series.c.point)))
    return {
        "given": dict.fromkeys(FIELDS, "") | {"weekdays": ()} | dict(given),
        "faults": faults,
        "point_options": names[:SHOWN_POINTS],
        "classes": [(name, name) for name in ctx.entry().catalogue.classes if name != UNCLASSED],
        "days_options": DAYS,
        "week": list(zip(WEEKDAYS, WEEK, strict=True)),
        "everywhere": who.may(Action.DUTIES_MANAGE, ""),
        "words": words,
        "day": date_of,
    }


@router.post("/duties")
def add(request: Request, ctx: Context, who: Manager, sent: Sent) -> Response:
    rule, given, faults = understood(ctx, who, sent)
    if not faults:
        try:
            made = duty_rules.add(ctx.db, rule, given["note"], who.actor, ctx.now(), ctx.classes())
        except duty_rules.RuleError as error:
            faults = {field: wrong.zh for field, wrong in error.faults.items()}
        else:
            return done(request, ctx, who, made, "duty.add", {}, _("已保存，立即生效。"))
    return page(request, ctx, who, given, faults, 422)


@router.get("/duties/{id}")
def show_one(request: Request, ctx: Context, who: Manager, id: str) -> Response:
    history = of_id(ctx, who, id)
    viewed(request, who, f"duty:{history[-1].id}")
    return one_page(request, ctx, who, history, {}, {}, 200)


def one_page(
    request: Request, ctx: WebContext, who: Visitor, history: list[Revision], given: Mapping[str, Any],
    faults: Mapping[str, str], status: int,
) -> Response:  # fmt: skip
    newest = history[-1]
    return render.page(
        request,
        "console/duty.html",
        visitor=who,
        title=_("报送任务"),
        status=status,
        one=shown(who, newest, today_of(ctx)),
        history=history[::-1],
        today=date_of(today_of(ctx)),
        **form(ctx, who, {**fields_of(newest.rule), "since": str(date_of(today_of(ctx))), **given}, faults),
    )


@router.post("/duties/{id}")
def change(request: Request, ctx: Context, who: Manager, sent: Sent, id: str) -> Response:
    """What the rule says from a day on; the days before stay as they were."""
    history = of_id(ctx, who, id, act=True)
    rule, given, faults = understood(ctx, who, sent)
    if not faults:
        try:
            made = duty_rules.change(
                ctx.db, history[-1].id, revision_in(sent), rule, given["note"], who.actor, ctx.now(), ctx.classes()
            )
        except duty_rules.Changed:
            return changed(request, ctx, who, id)
        except duty_rules.RuleError as error:
            faults = {field: wrong.zh for field, wrong in error.faults.items()}
        else:
            return done(request, ctx, who, made, "duty.change", facts(history[-1].rule), _("已保存，立即生效。"))
    return one_page(request, ctx, who, history, given, faults, 422)


@router.post("/duties/{id}/end")
def end(request: Request, ctx: Context, who: Manager, sent: Sent, id: str) -> Response:
    """The rule holds no longer from today on, or from a later day."""
    history = of_id(ctx, who, id, act=True)
    since = day_in(text(sent, "since", 10))
    if since is None:
        return one_page(request, ctx, who, history, {}, {"since": str(_("请写日期，如 2026-03-02"))}, 422)
    note = text(sent, "note", duty_rules.NOTE_LENGTH)
    try:
        made = duty_rules.end(ctx.db, history[-1].id, revision_in(sent), since, note, who.actor, ctx.now())
    except duty_rules.Changed:
        return changed(request, ctx, who, id)
    return done(request, ctx, who, made, "duty.end", facts(history[-1].rule), _("已终止；原任务和修改记录保留。"))


def done(
    request: Request, ctx: WebContext, who: Visitor, made: Revision, action: DutyAct, before: Mapping[str, Any],
    said: Text,
) -> Response:  # fmt: skip
    """Write the act down, put the rule into force, and go back to the list."""
    detail = {"revision": made.revision, "before": before, "after": facts(made.rule), "note": made.note}
    audit.note(ctx.db, who, action, f"duty:{made.id}", detail, ctx.now())
    tools = ctx.entry()
    duties.refresh(ctx.db, ctx.zone, tools.options, tools.sources, tools.catalogue, ctx.now(), tools.workdays)
    flash(ctx, who, "done", said)
    return go(request, "/duties")


def changed(request: Request, ctx: WebContext, who: Visitor, id: str) -> Response:
    flash(ctx, who, "fault", _("这条任务已被他人修改，没有保存。请核对后重新提交。"))
    return go(request, f"/duties/{id}")


# --- whose rules ----------------------------------------------------------------------------------------------------


def may_manage(who: Visitor, area: str, point: str) -> bool:
    """A rule for every point concerns the whole city; so does one for a point of which no area is known."""
    return who.may(Action.DUTIES_MANAGE, area if point else "", point)


def visible(who: Visitor, one: Revision) -> bool:
    """Rules for every point are there for whoever manages duties: they hold for the points of each."""
    return not one.rule.point or may_manage(who, one.area, one.rule.point)


def of_id(ctx: WebContext, who: Visitor, id: str, *, act: bool = False) -> list[Revision]:
    """All revisions of a rule. Raises Hidden where there is none for this visitor to see, or to act on."""
    found = duty_rules.history(ctx.db, storable(id[:100]))
    if not found or not visible(who, found[-1]):
        raise Hidden
    if act and not may_manage(who, found[-1].area, found[-1].rule.point):
        raise Hidden
    return found


def shown(who: Visitor, one: Revision, today: int) -> Shown:
    return Shown(one.rule, state_of(one, today), one, may_manage(who, one.area, one.rule.point))


def state_of(one: Revision, today: int) -> tuple[Text, str]:
    since, until = one.rule.since, one.rule.until
    if one.ended:
        return (_("已终止"), "idle") if since <= today else (_("将于 %(day)s 终止", day=date_of(since)), "warn")
    if since > today:
        return (_("%(day)s 起", day=date_of(since)), "idle")
    return (_("已到期"), "idle") if until is not None and until < today else (_("有效"), "ok")


def of_file(one: DutyOptions, today: int) -> Shown:
    """A rule of the configuration file."""
    rule = Rule(
        point=one.point,
        items=(one.item,) if one.item else (),
        item_class=one.item_class,
        weekdays=bits_of(one.weekdays),
        every=one.every,
        due=minutes(one.due),
        working_days=one.working_days,
        emergency=one.emergency,
        none=one.none,
        since=number(one.valid_from) or 0,
        until=number(one.valid_to),
    )
    return Shown(rule, (_("有效"), "ok") if one.holds_on(date_of(today)) else (_("不在有效期内"), "idle"))


# --- words and forms ------------------------------------------------------------------------------------------------


def words(rule: Rule) -> str:
    """The days and the time of a rule."""
    if rule.none:
        return str(_("免报"))
    if rule.emergency:
        days = str(_("应急：每天"))
    elif rule.every > 1:
        days = str(_("每 %(n)s 天", n=rule.every))
    elif rule.weekdays == EVERY_DAY or rule.every == 1 or (rule.working_days and not rule.weekdays):
        days = str(_("每天")) if not rule.working_days else str(_("每个工作日"))
    elif rule.weekdays:
        days = str(_("、")).join(str(WEEK[k]) for k in range(7) if rule.weekdays >> k & 1)
    else:
        days = str(_("按以往规律"))
    if rule.working_days and (rule.weekdays or rule.every > 1):
        days = str(_("%(days)s（仅工作日）", days=days))
    return str(_("%(days)s %(due)s 前", days=days, due=clock(rule.due)))


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def facts(rule: Rule) -> dict[str, Any]:
    """A rule as the audit keeps it."""
    return fields_of(rule) | {"weekdays": [name for k, name in enumerate(WEEKDAYS) if rule.weekdays >> k & 1]}


def fields_of(rule: Rule) -> dict[str, Any]:
    """A rule as its form shows it."""
    days = (
        "none" if rule.none
        else "emergency" if rule.emergency
        else "every" if rule.every
        else "daily" if rule.weekdays == EVERY_DAY and not rule.working_days
        else "weekdays" if rule.weekdays
        else "working" if rule.working_days
        else "usual"
    )  # fmt: skip
    return {
        "point": rule.point,
        "items": "、".join(rule.items),  # i18n: as items are listed
        "item_class": rule.item_class,
        "days": days,
        "weekdays": tuple(name for k, name in enumerate(WEEKDAYS) if rule.weekdays >> k & 1),
        "every": str(rule.every or ""),
        "only_working": "1" if rule.working_days else "",
        "due": clock(rule.due),
        "since": str(date_of(rule.since)),
        "until": "" if rule.until is None else str(date_of(rule.until)),
    }


def understood(ctx: WebContext, who: Visitor, sent: Any) -> tuple[Rule, dict[str, Any], dict[str, str]]:
    """(the rule, what was written, what is wrong by field). Raises Hidden for a point that is not the visitor's."""
    given: dict[str, Any] = {name: text(sent, name, 5000).strip() for name in FIELDS}
    given["weekdays"] = tuple(str(one) for one in sent.getlist("weekdays") if str(one) in WEEKDAYS)
    faults: dict[str, str] = {}
    days = given["days"]
    if days not in DAYS:
        faults["days"] = str(_("请选择报送日"))
    if not CLOCK.fullmatch(given["due"]):
        faults["due"] = str(_("请写时间，如 10:00"))
    since, until = day_in(given["since"]), day_in(given["until"])
    if since is None:
        faults["since"] = str(_("请写日期，如 2026-03-02"))
    if given["until"] and until is None:
        faults["until"] = str(_("请写日期，如 2026-03-02"))
    every = int(given["every"]) if given["every"].isdecimal() and len(given["every"]) < 5 else 0
    if days == "every" and not 1 <= every <= 366:
        faults["every"] = str(_("请写天数，1 至 366"))
    if days == "weekdays" and not given["weekdays"]:
        faults["days"] = str(_("请选择星期"))
    area = duty_rules.area_of(ctx.db, given["point"]) if given["point"] else ""
    if not may_manage(who, area or "", given["point"]):
        faults["point"] = str(_("请写本地区的监测点；面向所有监测点、或尚未报送过的监测点的任务由全市管理。"))
    rule = Rule(
        point=given["point"],
        items=tuple(dict.fromkeys(part.strip() for part in PARTS.split(given["items"]) if part.strip())),
        item_class=given["item_class"],
        due=minutes(given["due"]) if "due" not in faults else 600,
        since=since or 0,
        until=until,
    )
    return of_days(rule, days, given, every), given, faults


def of_days(rule: Rule, days: str, given: Mapping[str, Any], every: int) -> Rule:
    only = bool(given["only_working"])
    match days:
        case "working":
            return replace(rule, working_days=True)
        case "daily":
            return replace(rule, weekdays=EVERY_DAY)
        case "weekdays":
            return replace(rule, weekdays=bits_of(given["weekdays"]), working_days=only)
        case "every":
            return replace(rule, every=every, working_days=only)
        case "emergency":
            return replace(rule, emergency=True)
        case "none":
            return replace(rule, none=True)
        case _:
            return rule


def day_in(given: str) -> int | None:
    """A date as a local day, None for what is none."""
    try:
        return number(date.fromisoformat(given)) if re.fullmatch(r"20\d{2}-\d{2}-\d{2}", given, re.ASCII) else None
    except ValueError:
        return None


def number(day: date | None) -> int | None:
    return None if day is None else (day - EPOCH) // timedelta(days=1)


def revision_in(sent: Mapping[str, object]) -> int:
    given = text(sent, "revision", 9)
    return int(given) if given.isdecimal() else 0


def today_of(ctx: WebContext) -> int:
    return day_number(ctx.now(), ctx.zone)
