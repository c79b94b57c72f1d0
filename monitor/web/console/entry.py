"""/entry: the day's prices of a monitoring point, typed in; what is due by when; questions to the point."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from monitor.accounts import digest
from monitor.entry import typed
from monitor.entry.duties import Timeliness, date_of, day_number
from monitor.entry.model import Line
from monitor.entry.typed import Field, Typed
from monitor.rights import Visitor
from monitor.store import audit, duties, forms, points, questions
from monitor.store.acts import Who
from monitor.web.console import assets, render
from monitor.web.console.entry_access import (
    SOURCE,
    Reporter,
    Sent,
    day_asked,
    form_key,
    local_today,
    midnight,
    new_form_id,
    own_points,
    point_for,
    text,
    worked_out,
)
from monitor.web.console.entry_words import REASONS, STATES, asked
from monitor.web.console.i18n import Text, _, ngettext
from monitor.web.console.visit import Hidden, flash, go, viewed
from monitor.web.context import WebContext
from monitor.web.security import Context
from thresholds.catalogue import UNCLASSED
from thresholds.model import ObservationBatch

router = APIRouter(include_in_schema=False)

ON_A_PAGE = 150
"""Lines of a form; a point with more has further parts."""
SHOWN_DAYS = 400
"""What was not reported for so long is not offered any more."""
RECORD_DAYS = 14
KEPT_FOR = "X-Entry-Form"
"""Header of a form that the device of its owner may keep: for whom, in a word that says nothing else."""
NEW = "new"
NEW_FIELDS = ("item", "spec", "unit", "channel", "v", "n", "wrong", "confirm")
"""Field names of an item that the point did not report before end in this instead of a series' number."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the form, ready to show. `question` is what is asked, `wrong` what cannot be read."""

    name: str
    line: Line
    typed: Typed
    wrong: str = ""
    question: Text | None = None
    to_confirm: bool = False
    limit: float | None = None
    due: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page is about."""

    point: str
    area: str
    day: date
    part: int

    def path(self, today: date) -> str:
        """The address of this page."""
        query = {"point": self.point} | ({"day": self.day.isoformat()} if self.day != today else {})
        return "/entry?" + urlencode(query | ({"part": str(self.part)} if self.part > 1 else {}))


@router.get("/entry/worker.js")
def worker(request: Request) -> Response:
    """The service worker that keeps the form on the device; for everybody, because it says nothing of anybody."""
    path = assets.path("entry-worker.js")
    if path is None:
        raise HTTPException(404)
    text = f"self.ENTRY_BUILD={json.dumps(assets.build())};\n{path.read_text('utf-8')}"
    headers = {
        "Cache-Control": "no-cache",
        "Service-Worker-Allowed": request.scope.get("root_path", "") + "/entry",
    }
    return Response(text, media_type="text/javascript", headers=headers)


@router.get("/entry")
def show(request: Request, ctx: Context, who: Reporter, point: str = "", day: str = "", part: int = 1) -> Response:
    own = own_points(ctx, who)
    if not own:
        return render.message(
            request, 200, _("报送"), _("您还没有监测点，请联系价格监测员或系统管理员。"), visitor=who
        )
    about = what_is_asked(ctx, own, point, day, part)
    if about is None:
        text = _("只能补报最近 %(n)s 天以内的价格。", n=ctx.entry().options.late_days)
        return render.message(request, 404, _("不能填报这一天"), text, visitor=who)
    viewed(request, who, f"point:{about.point}")
    worked_out(ctx)
    return form_page(request, ctx, who, own, about, {}, 200)


def what_is_asked(ctx: WebContext, own: Mapping[str, str], point: str, day: str, part: int) -> Asked | None:
    """Raises Hidden for a point that is not the visitor's; None for a day that cannot be reported."""
    chosen = point_for(own, point)
    found = day_asked(day, local_today(ctx.now(), ctx.zone), ctx.entry().options.late_days)
    return None if found is None else Asked(chosen, own.get(chosen, ""), found, max(1, min(part, 1000)))


def lines_of(ctx: WebContext, about: Asked) -> list[Line]:
    """All lines of the point: those of the catalogue's first classes in front, as on the forms."""
    start = midnight(about.day, ctx.zone)
    end = midnight(about.day + timedelta(days=1), ctx.zone)
    found = points.lines(ctx.db, about.point, start, end, oldest=start - timedelta(days=SHOWN_DAYS))
    catalogue = ctx.entry().catalogue
    order = {name: k for k, name in enumerate(catalogue.classes) if name != UNCLASSED}
    return sorted(found, key=lambda one: (order.get(catalogue.classify(one.key).name, len(order)), one.key))


def of_part(lines: Sequence[Line], part: int) -> Sequence[Line]:
    return lines[(part - 1) * ON_A_PAGE : part * ON_A_PAGE]


def form_page(
    request: Request,
    ctx: WebContext,
    who: Visitor,
    own: Mapping[str, str],
    about: Asked,
    fields: Mapping[str, Field],
    status: int,
    *,
    saved: int = 0,
    new: Mapping[str, str] | None = None,
) -> Response:
    now = ctx.now()
    today = local_today(now, ctx.zone)
    lines = lines_of(ctx, about)
    here = of_part(lines, about.part)
    state = next(iter(duties.today(ctx.db, ctx.zone, now, points={about.point}, by=ctx.entry())), None)
    missing = [r for r in state.reports if r.state in (Timeliness.MISSING, Timeliness.AWAITED)] if state else []
    due = {r.series_id for r in missing} if about.day == today else set()
    rows = [row_of(ctx, one, fields.get(str(one.id)), one.id in due) for one in here]
    first = day_number(now, ctx.zone) - RECORD_DAYS
    record = duties.history(ctx.db, first, first + RECORD_DAYS - 1, points={about.point}).get(about.point, [])
    answer = render.page(
        request,
        "console/entry.html",
        visitor=who,
        title=_("报送价格"),
        status=status,
        about=about,
        own=own,
        own_options=[(name, name) for name in own],
        today=today,
        earliest=today - timedelta(days=ctx.entry().options.late_days),
        rows=rows,
        parts=-(-len(lines) // ON_A_PAGE),
        part_path=lambda k: replace(about, part=k).path(today),
        state=state,
        states=STATES,
        missing=missing,
        record=[(date_of(d.day), d) for d in record],
        questions=questions.questions_to(ctx.db, [about.point], unanswered=True),
        reasons=REASONS,
        form_id=new_form_id(),
        saved=saved,
        asked=sum(bool(r.question or r.wrong) for r in rows) + bool(new and new.get("wrong")),
        new=dict.fromkeys(NEW_FIELDS, "") | dict(new or {}),
        now=now,
        zone=ctx.zone.key,
    )
    if status == 200 and about.day == today:
        answer.headers[KEPT_FOR] = digest(f"form:{who.account_id}")  # the device may keep it: entry-worker.js
    return answer


def row_of(ctx: WebContext, line: Line, field: Field | None, due: bool) -> Row:
    """A line as it is shown: what was typed where it is asked about, else what is stored."""
    tools = ctx.entry()
    limit = tools.limits.of(tools.catalogue.classify(line.key))
    typed_ = Typed("" if line.day is None else f"{line.day.value:g}", "" if line.day is None else line.day.note)
    shown = Row(str(line.id), line, typed_, limit=limit if limit < 100 else None, due=due)
    if field is None or field.ready or not field.typed.value.strip():
        return shown
    if field.question is None:
        return replace(shown, typed=field.typed, wrong=field.error)
    question = asked(field.question, line.key.unit)
    if not field.question.possible:
        return replace(shown, typed=field.typed, wrong=str(question))
    return replace(shown, typed=field.typed, question=question, to_confirm=field.question.to_confirm)


@router.post("/entry")
def send(request: Request, ctx: Context, who: Reporter, form: Sent) -> Response:
    """Store what can be stored, once; ask about the rest."""
    own = own_points(ctx, who)
    given = text(form, "part", 5)
    about = what_is_asked(
        ctx, own, text(form, "point", 500), text(form, "day", 10), int(given) if given.isdecimal() else 1
    )
    if about is None or not about.point:
        raise Hidden
    tools = ctx.entry()
    lines = lines_of(ctx, about)
    fields = {
        str(line.id): typed.understood(line, typed_in(form, str(line.id)), tools.catalogue.classify, tools.limits)
        for line in of_part(lines, about.part)
    }
    new = new_item(ctx, form, about, lines)
    if isinstance(new, Field):
        fields[NEW] = new
    saved = store(ctx, who, about, list(fields.values()), form_key(form))
    wrong = new if isinstance(new, str) else ""
    open_ = [one for one in fields.values() if not one.ready and one.typed.value.strip()]
    today = local_today(ctx.now(), ctx.zone)
    is_open = bool(open_ or wrong)
    if not is_open:
        tell(ctx, who, saved)
    if wants_json(request):
        state = "asked" if is_open else "done"
        return JSONResponse({"state": state, "saved": saved, "asked": len(open_), "next": about.path(today)})
    if is_open:
        kept = {name: text(form, f"{name}-{NEW}", 500) for name in ("item", "spec", "unit", "channel", "v", "n")}
        if isinstance(new, Field):
            wrong = new_wrong(new)
        shown = {**kept, "wrong": wrong, "confirm": "1"} if wrong else {}
        return form_page(request, ctx, who, own, about, fields, 422, saved=saved, new=shown)
    return go(request, about.path(today))


def tell(ctx: WebContext, who: Visitor, saved: int) -> None:
    """Say on the next page what became of a form."""
    words: Text = _("没有填写任何价格，没有保存。")
    if saved:
        words = ngettext("已保存 %(num)s 个价格。", "已保存 %(num)s 个价格。", saved)
    kind = "done" if saved else "note"
    if (kind, str(words)) not in who.session.flash:  # a form that is sent again is told once
        flash(ctx, who, kind, words)


def wants_json(request: Request) -> bool:
    return request.headers.get("accept", "").startswith("application/json")


def typed_in(form: FormData, name: str) -> Typed:
    return Typed(text(form, f"v-{name}", 100), text(form, f"n-{name}"), bool(text(form, f"s-{name}")))


def new_item(ctx: WebContext, form: FormData, about: Asked, lines: Sequence[Line]) -> Field | str | None:
    """The item that was added by name: understood, what is wrong with it, or None where nothing was written."""
    given = typed_in(form, NEW)
    parts = {name: text(form, f"{name}-{NEW}", 600) for name in ("item", "spec", "unit", "channel")}
    if not given.value.strip():
        return None
    line = typed.new_line(parts, about.point, about.area)
    if isinstance(line, str):
        return line
    line = next((one for one in lines if one.key == line.key), line)
    tools = ctx.entry()
    return typed.understood(line, given, tools.catalogue.classify, tools.limits)


def new_wrong(field: Field) -> str:
    """What is wrong with, or asked about, the added item; empty where it is ready."""
    if field.error:
        return field.error
    return str(asked(field.question, field.line.key.unit)) if field.question else ""


def store(ctx: WebContext, who: Visitor, about: Asked, fields: Sequence[Field], key: str) -> int:
    """Store what is ready; gives the number of prices that are stored now."""
    at = midnight(about.day, ctx.zone)
    ready = typed.observations_of(fields, at, about.area)
    if not ready:
        return 0
    try:
        form, added = forms.store_values(
            ctx.db,
            ObservationBatch.of(ready),
            actor=who.actor,
            form_id=key,
            kind="prices",
            source=SOURCE,
            name=f"{SOURCE} {about.point} {about.day.isoformat()} ({who.actor})",
            now=ctx.now(),
            answer={"stored": len(ready)},
        )
    except forms.AlreadyStored as again:
        return int(again.form.answer.get("stored", 0))
    ctx.on_stored(SOURCE, added.counts, {})
    if added.counts.accepted or added.counts.revised:
        ctx.on_observations()
    detail = {"day": about.day.isoformat(), "batch": form.batch_id, "rows": len(ready)}
    audit.note(ctx.db, who, "entry.report", f"point:{about.point}", detail, ctx.now())
    return len(ready)


# --- questions ------------------------------------------------------------------------------------------------------


@router.post("/entry/questions/{id}")
def answer(request: Request, ctx: Context, who: Reporter, form: Sent, id: int) -> Response:
    """The point answers: the price is right, it was corrected, or something else in words."""
    if not 0 < id < 2**63:
        raise Hidden
    own = own_points(ctx, who)
    back = f"/entry?{urlencode({'point': text(form, 'point', 500)})}"
    words = text(form, "answer", questions.LENGTH)
    choice = {"right": _("价格属实，无误。"), "corrected": _("填报有误，已更正。")}.get(text(form, "choice", 20))
    said = " ".join(part for part in (choice.message if choice else "", words.strip()) if part)
    if not said:
        flash(ctx, who, "fault", _("请选择或写明答复。"))
        return go(request, back)
    try:
        done = questions.answer(ctx.db, id, own, said, Who(who.account_id, who.actor, who.shown), ctx.now())
    except questions.QuestionNotFound:
        raise Hidden from None
    except questions.AlreadyAnswered:
        flash(ctx, who, "note", _("这个问题已有人答复。"))
        return go(request, back)
    audit.note(ctx.db, who, "question.answer", f"flag:{done.flag}", {"question": id, "point": done.point}, ctx.now())
    flash(ctx, who, "done", _("已答复，谢谢。"))
    return go(request, back)
