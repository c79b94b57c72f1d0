"""/reports: the reports as data, and making one. Editing and signing are done by people, in the console."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from monitor.auth import Principal, Scope
from monitor.documents.model import ReportKind, Row
from monitor.rights import Action, Areas
from monitor.store import audit, reports
from monitor.web.context import WebContext
from monitor.web.describe import problems
from monitor.web.problem import Problem, invalid
from monitor.web.schemas import Model
from monitor.web.security import Context, require

router = APIRouter(prefix="/api/v1", tags=["reports"])

Reader = Annotated[Principal, Depends(require(Scope.REPORTS_READ))]
Writer = Annotated[Principal, Depends(require(Scope.REPORTS_WRITE))]
ReportId = Annotated[int, Path(ge=1, le=2**53, description="报告的编号")]
Kind = Literal["daily", "weekly", "abnormal"]
FIRST_DAY = date(2000, 1, 1)


class RowOut(Model):
    """一种商品：本期和上期的均价（上期只比较两期都有报价的监测点）。"""

    item: str
    spec: str
    unit: str
    channel: str
    current: float
    previous: float | None
    change: float | None = Field(description="变动幅度，0.05 为上涨 5%")
    points: int
    remark: str


class SectionOut(Model):
    heading: str
    paragraphs: list[str]
    rows: list[RowOut]


class ListedOut(Model):
    """一份报告。"""

    id: int
    kind: Kind
    title: str
    issue: int = Field(description="当年第几期；0 为不编号")
    last: date = Field(description="期末日")
    state: Literal["draft", "signed"]
    made_by: str
    signed_by: str


class ReportOut(ListedOut):
    """一份报告的全部内容。"""

    issuer: str
    first: date
    lead: str
    sections: list[SectionOut]
    simulated: bool = Field(description="含演示数据")
    author: str
    phone: str
    revision: int
    area: str
    flag_id: str
    made_at: datetime
    signed_at: datetime | None


class ReportsOut(Model):
    reports: list[ListedOut]
    next_before: int | None = Field(description="下一页的 before；没有下一页时为 null")


class ReportIn(Model):
    """要生成的报告。"""

    kind: Literal["daily", "weekly"]
    last: date = Field(description="日报的日期，或周报的最后一天", examples=["2026-03-01"])


def row_out(row: Row) -> RowOut:
    return RowOut(
        item=row.item,
        spec=row.spec,
        unit=row.unit,
        channel=row.channel,
        current=row.current,
        previous=row.previous,
        change=row.change,
        points=row.points,
        remark=row.remark,
    )


def report_out(one: reports.Stored, ctx: WebContext) -> ReportOut:
    made = one.report
    return ReportOut(
        id=one.id,
        kind=made.kind.value,
        title=made.title,
        issue=made.issue,
        last=made.last,
        state="signed" if one.signed else "draft",
        made_by=one.made_by,
        signed_by=one.signed_by,
        issuer=made.issuer,
        first=made.first,
        lead=made.lead,
        sections=[
            SectionOut(heading=s.heading, paragraphs=list(s.paragraphs), rows=[row_out(row) for row in s.rows])
            for s in made.sections
        ],
        simulated=made.simulated,
        author=made.author,
        phone=made.phone,
        revision=one.revision,
        area=one.area,
        flag_id=one.flag_id,
        made_at=one.made_at.astimezone(ctx.zone),
        signed_at=None if one.signed_at is None else one.signed_at.astimezone(ctx.zone),
    )


def day_fault(today: date) -> ValueError:
    return ValueError(f"期末日须在 {FIRST_DAY} 与今天 {today} 之间")


def areas_of(principal: Principal, action: Action) -> Areas:
    return principal.reach(action).areas


def found_for(ctx: WebContext, principal: Principal, report_id: int) -> reports.Stored:
    try:
        return reports.get(ctx.db, report_id, areas_of(principal, Action.REPORTS_VIEW))
    except reports.ReportNotFound:
        raise Problem("not-found", f"没有编号为 {report_id} 的报告") from None


@router.get("/reports", summary="查询报告", description="最新的在前。", responses=problems("invalid"))
def list_reports(
    ctx: Context,
    principal: Reader,
    kind: Annotated[Kind | None, Query(description="只列这一种")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="最多几份")] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="上一页答复中的 next_before")] = None,
) -> ReportsOut:
    wanted = None if kind is None else ReportKind(kind)
    areas = areas_of(principal, Action.REPORTS_VIEW)
    found = reports.list_reports(ctx.db, areas, wanted, limit + 1, before)
    return ReportsOut(
        reports=[
            ListedOut(
                id=one.id,
                kind=one.kind.value,
                title=one.title,
                issue=one.issue,
                last=one.last,
                state="signed" if one.state == reports.SIGNED else "draft",
                made_by=one.made_by,
                signed_by=one.signed_by,
            )
            for one in found[:limit]
        ],
        next_before=found[limit - 1].id if len(found) > limit else None,
    )


@router.get("/reports/{id}", summary="一份报告", responses=problems("not-found", "invalid"))
def get_report(ctx: Context, principal: Reader, id: ReportId) -> ReportOut:
    one = found_for(ctx, principal, id)
    audit.note(ctx.db, principal.visitor or principal.actor, "view", f"report:{id}", "api", ctx.now())
    return report_out(one, ctx)


@router.post(
    "/reports",
    summary="生成日报或周报",
    description="按现有数据生成草稿；同一天的报告已经有了时，原样给出。修改和签发由人在页面上进行。",
    responses=problems("malformed", "invalid"),
)
def make_report(ctx: Context, principal: Writer, body: ReportIn) -> ReportOut:
    if not areas_of(principal, Action.REPORTS_EDIT).everywhere:
        raise Problem("forbidden", "日报和周报涉及全部区域，须有全部区域的权限")
    if ctx.report_maker is None:
        raise Problem("unavailable", "本服务现在不能生成报告")
    today = ctx.now().astimezone(ctx.zone).date()
    if not FIRST_DAY <= body.last <= today:
        fault = {"loc": ("body", "last"), "type": "value_error", "msg": "", "ctx": {"error": day_fault(today)}}
        raise invalid([fault])
    made, new = ctx.report_maker().make(ReportKind(body.kind), body.last, principal.actor, ctx.now())
    if new:
        audit.note(ctx.db, principal.visitor or principal.actor, "make", f"report:{made}", "api", ctx.now())
    return report_out(reports.get(ctx.db, made), ctx)
