"""/reports: drafts made by the daemon or on demand, edited, signed, downloaded as DOCX and XLSX."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from monitor.documents.model import TITLES, Report, ReportKind
from monitor.documents.text import COLUMNS, cells, file_name, foot, head
from monitor.reporting import Maker
from monitor.rights import Action, Areas, Visitor
from monitor.store import audit, reports
from monitor.store.flags import get_flag
from monitor.web.console import render
from monitor.web.console.i18n import Text, _, word
from monitor.web.console.report_chart import svg_of
from monitor.web.console.visit import Hidden, flash, go, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)

View = Annotated[Visitor, Depends(visitor(Action.REPORTS_VIEW))]
Edit = Annotated[Visitor, Depends(visitor(Action.REPORTS_EDIT))]
Sign = Annotated[Visitor, Depends(visitor(Action.REPORTS_SIGN))]
Field = Annotated[str, Form()]
Number = Annotated[int, Form()]

PAGE = 50
LONGEST_TEXT = 5000
FIRST_DAY = date(2000, 1, 1)
STATES = {reports.DRAFT: _("草稿"), reports.SIGNED: _("已签发")}
ACTS = {
    "made": _("生成"),
    "edited": _("修改"),
    "signed": _("签发"),
    "reopened": _("撤回签发"),
    "redrawn": _("重新生成"),
}
CHANGED = _("报告已被他人修改，您的改动没有保存。请核对现在的内容后重新提交。")
SIGNED = _("报告已签发，不能再修改。需要更正时，请有签发权的人先撤回签发。")
TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def areas_of(who: Visitor, action: Action = Action.REPORTS_VIEW) -> Areas:
    return who.reach(action).areas


def maker_of(ctx: WebContext) -> Maker:
    """Raises Hidden where there is no daemon that could make reports."""
    if ctx.report_maker is None:
        raise Hidden
    return ctx.report_maker()


def stored_for(ctx: WebContext, report_id: int, areas: Areas) -> reports.Stored:
    """The report. Raises Hidden where it does not exist for these areas."""
    try:
        return reports.get(ctx.db, report_id, areas)
    except reports.ReportNotFound:
        raise Hidden from None


@router.get("/reports")
def listed(request: Request, ctx: Context, who: View, kind: str = "", before: int | None = None) -> HTMLResponse:
    wanted = ReportKind(kind) if kind in set(ReportKind) else None
    found = reports.list_reports(ctx.db, areas_of(who), wanted, PAGE + 1, before)
    more = f"/reports?kind={kind if wanted else ''}&before={found[PAGE - 1].id}" if len(found) > PAGE else ""
    today = ctx.now().astimezone(ctx.zone).date()
    return render.page(
        request,
        "console/reports.html",
        visitor=who,
        title=_("报告"),
        found=found[:PAGE],
        after=more,
        kind=kind if wanted else "",
        kinds=[("", _("全部")), *((one.value, word(title)) for one, title in TITLES.items())],
        makes=[(one.value, word(TITLES[one])) for one in (ReportKind.DAILY, ReportKind.WEEKLY)],
        shown=shown_name,
        states=STATES,
        may_make=areas_of(who, Action.REPORTS_EDIT).everywhere and ctx.report_maker is not None,
        yesterday=(today - timedelta(days=1)).isoformat(),
        today=today.isoformat(),
        fault="",
    )


@router.post("/reports")
def make(request: Request, ctx: Context, who: Edit, kind: Field, last: Field = "", flag: Field = "") -> Response:
    """Make a report now; where it exists, go to it."""
    maker = maker_of(ctx)
    if kind == ReportKind.ABNORMAL.value:
        report_id, new = about_flag(ctx, maker, who, flag)
    else:
        if not areas_of(who, Action.REPORTS_EDIT).everywhere:
            raise Hidden  # it tells of the whole city
        day = day_of(last, ctx.now().astimezone(ctx.zone).date())
        if day is None or kind not in (ReportKind.DAILY.value, ReportKind.WEEKLY.value):
            flash(ctx, who, "fault", _("请选择报告的种类，以及今天或以前的日期。"))
            return go(request, "/reports")
        report_id, new = maker.make(ReportKind(kind), day, who.actor, ctx.now())
    if new:
        audit.note(ctx.db, who, "make", f"report:{report_id}", "", ctx.now())
    flash(ctx, who, "done" if new else "note", _("已生成草稿。") if new else _("这份报告已经有了，没有重新生成。"))
    return go(request, f"/reports/{report_id}")


def about_flag(ctx: WebContext, maker: Maker, who: Visitor, flag_id: str) -> tuple[int, bool]:
    """The report of clause P5 about a flag that the visitor may see, in an area where he may write reports."""
    record = get_flag(ctx.db, flag_id)
    if record is None:
        raise Hidden
    area, point = record.flag.area, record.flag.point
    if not who.reach(Action.FLAGS_VIEW).covers(area, point) or area not in areas_of(who, Action.REPORTS_EDIT):
        raise Hidden
    return maker.make_abnormal(record, who.actor, ctx.now())


def day_of(text: str, today: date) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= today else None


@router.get("/reports/{report_id}")
def one(request: Request, ctx: Context, who: View, report_id: int) -> HTMLResponse:
    stored = stored_for(ctx, report_id, areas_of(who))
    viewed(request, who, f"report:{report_id}")
    return report_page(request, ctx, who, stored)


def report_page(
    request: Request, ctx: WebContext, who: Visitor, stored: reports.Stored, fault: Text | str = "", status: int = 200
) -> HTMLResponse:
    report = stored.report
    may_edit = stored.area in areas_of(who, Action.REPORTS_EDIT) and not stored.signed
    return render.page(
        request,
        "console/report.html",
        visitor=who,
        title=report.title,
        status=status,
        stored=stored,
        report=report,
        head=head(report),
        foot=foot(report, shown_name(stored.signed_by)),
        columns=COLUMNS,
        cells=cells,
        svg=svg_of,
        log=reports.log_of(ctx.db, stored.id),
        acts=ACTS,
        states=STATES,
        shown=shown_name,
        may_edit=may_edit,
        may_sign=stored.area in areas_of(who, Action.REPORTS_SIGN),
        may_redraw=may_edit and report.kind is not ReportKind.ABNORMAL and ctx.report_maker is not None,
        longest=LONGEST_TEXT,
        fault=fault,
    )


def shown_name(actor: str) -> str:
    """An actor of a log as people read it."""
    return str(_("系统")) if actor == "monitor" else actor.removeprefix("user:")


@router.post("/reports/{report_id}")
def edit(
    request: Request,
    ctx: Context,
    who: Edit,
    report_id: int,
    revision: Number,
    text: Annotated[list[str], Form()],
    author: Field = "",
    phone: Field = "",
    remark: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Keep what was written. Where somebody else was quicker, it is shown again beside what stands there now."""
    areas = areas_of(who, Action.REPORTS_EDIT)
    stored = stored_for(ctx, report_id, areas)
    new = [one.replace("\r\n", "\n")[:LONGEST_TEXT] for one in text]
    try:
        changed = reports.with_texts(stored.report, new, [one[:200] for one in remark or []], author[:80], phone[:80])
    except ValueError:
        return report_page(request, ctx, who, stored, CHANGED, 409)
    try:
        after = reports.edit(ctx.db, report_id, changed, who.actor, ctx.now(), revision=revision, areas=areas)
    except (reports.ReportChanged, reports.ReportSigned) as error:
        fault = SIGNED if isinstance(error, reports.ReportSigned) else CHANGED
        mine = replaced(reports.get(ctx.db, report_id, areas), changed)
        return report_page(request, ctx, who, mine, fault, 409)
    if after.revision != revision:
        audit.note(ctx.db, who, "edit", f"report:{report_id}", "", ctx.now())
    flash(ctx, who, "done", _("已保存。"))
    return go(request, f"/reports/{report_id}")


def replaced(stored: reports.Stored, mine: Report) -> reports.Stored:
    """What stands there now with the texts that were written here: nothing that was typed is lost."""
    from dataclasses import replace

    return stored if stored.signed else replace(stored, report=mine)


Act = Callable[..., reports.Stored]


def act(
    request: Request, ctx: WebContext, who: Visitor, report_id: int, what: Act, name: audit.Act, said: Text
) -> Response:
    """Run an act that may find the report changed meanwhile."""
    try:
        what()
    except reports.ReportNotFound:
        raise Hidden from None
    except reports.ReportSigned:
        flash(ctx, who, "fault", SIGNED)
    except reports.ReportChanged:
        flash(ctx, who, "fault", CHANGED)
    else:
        audit.note(ctx.db, who, name, f"report:{report_id}", "", ctx.now())
        flash(ctx, who, "done", said)
    return go(request, f"/reports/{report_id}")


@router.post("/reports/{report_id}/sign")
def sign(request: Request, ctx: Context, who: Sign, report_id: int, revision: Number) -> Response:
    areas = areas_of(who, Action.REPORTS_SIGN)

    def what() -> reports.Stored:
        return reports.sign(ctx.db, report_id, who.actor, ctx.now(), revision=revision, areas=areas)

    return act(request, ctx, who, report_id, what, "sign", _("已签发。"))


@router.post("/reports/{report_id}/reopen")
def reopen(request: Request, ctx: Context, who: Sign, report_id: int, revision: Number) -> Response:
    areas = areas_of(who, Action.REPORTS_SIGN)

    def what() -> reports.Stored:
        return reports.reopen(ctx.db, report_id, who.actor, ctx.now(), revision=revision, areas=areas)

    return act(request, ctx, who, report_id, what, "reopen", _("已撤回签发，可以修改。"))


@router.post("/reports/{report_id}/redraw")
def redraw(request: Request, ctx: Context, who: Edit, report_id: int, revision: Number) -> Response:
    """A draft with the figures of now: what was written into it is replaced (the log keeps it)."""
    areas = areas_of(who, Action.REPORTS_EDIT)
    stored = stored_for(ctx, report_id, areas)
    if stored.report.kind is ReportKind.ABNORMAL:
        raise Hidden
    drawn = maker_of(ctx).drawn_again(stored)

    def what() -> reports.Stored:
        return reports.edit(ctx.db, report_id, drawn, who.actor, ctx.now(), revision=revision, areas=areas)

    return act(request, ctx, who, report_id, what, "redraw", _("已按最新数据重新生成。"))


@router.get("/reports/{report_id}/{ending}")
def download(request: Request, ctx: Context, who: View, report_id: int, ending: Literal["docx", "xlsx"]) -> Response:
    stored = stored_for(ctx, report_id, areas_of(who))
    viewed(request, who, f"report:{report_id}", action="download", detail=ending)
    signer = shown_name(stored.signed_by)
    name = file_name(stored.report, ending)
    headers = {"Content-Disposition": f"attachment; filename=\"report.{ending}\"; filename*=UTF-8''{quote(name)}"}
    return Response(as_file(stored.report, signer, ending), media_type=TYPES[ending], headers=headers)


def as_file(report: Report, signer: str, ending: str) -> bytes:
    if ending == "docx":
        from monitor.documents.docx import docx_of

        return docx_of(report, signer)
    from monitor.documents.xlsx import xlsx_of

    return xlsx_of(report, signer)
