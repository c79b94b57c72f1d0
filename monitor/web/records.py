"""/records: decisions in force and what people saw. Nothing is overwritten: lifting is a further revision."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from monitor.auth import Principal, Scope
from monitor.rights import Action, Reach
from monitor.store import records as store
from monitor.store.text import moment, seconds
from monitor.web.context import WebContext
from monitor.web.describe import problems
from monitor.web.paging import TIME_FORMS, TIME_PATTERN, moment_of
from monitor.web.problem import Problem, invalid
from monitor.web.schemas import EXAMPLE_TIME, LongText, Model, Name
from monitor.web.security import Context, require
from thresholds.records import Record

router = APIRouter(prefix="/api/v1", tags=["records"])

Reader = Annotated[Principal, Depends(require(Scope.FLAGS_READ, Action.RECORDS_VIEW))]
Writer = Annotated[Principal, Depends(require(Scope.RECORDS_WRITE))]
RecordId = Annotated[Name, Path(description="记录的编号")]
Moment = Annotated[str, Field(pattern=TIME_PATTERN, description=TIME_FORMS)]
Names = Annotated[list[Name], Field(max_length=store.MOST_NAMES)]


class RecordIn(Model):
    """一项决定或观察到的现象。品种、品类至少写一项；区域只用来缩小范围。"""

    kind: Literal["decision", "observed"] = Field(description="decision 依法作出的决定；observed 观察到的现象")
    measure: Name = Field(description="决定：干预、紧急；现象：抢购、流言、乱收费、扩散风险等", examples=["干预"])
    issuer: Name = Field(
        default="", description="决定的作出机关（国务院、省政府），或现象的报告单位", examples=["省政府"]
    )
    document: Name = Field(default="", description="文号，决定必填", examples=["黑政发〔2026〕1号"])
    start: Moment = Field(description="生效或出现的时间", examples=["2026-03-01"])
    end: Moment | None = Field(default=None, description="解除或消失的时间；此时起不再有效")
    items: Names = Field(default=[], description="品种全称", examples=[["大米"]])
    classes: Names = Field(default=[], description="品类，含其下级", examples=[["粮"]])
    areas: Names = Field(default=[], description="区域；不写为全部")
    note: LongText = ""


class LiftIn(Model):
    """解除。"""

    end: Moment = Field(description="解除的时间；此时起不再有效", examples=["2026-04-01"])
    note: LongText = ""


class RecordOut(Model):
    """一项记录的一个版本。"""

    id: str
    revision: int
    kind: Literal["decision", "observed"]
    measure: str
    issuer: str
    document: str
    start: datetime = Field(examples=[EXAMPLE_TIME])
    end: datetime | None
    items: list[str]
    classes: list[str]
    areas: list[str]
    note: str
    actor: str
    recorded_at: datetime


class RecordsOut(Model):
    records: list[RecordOut]


def shown(one: store.Revision, ctx: WebContext) -> RecordOut:
    r = one.record
    return RecordOut(
        id=r.id,
        revision=one.revision,
        kind=r.kind,
        measure=r.measure,
        issuer=r.issuer,
        document=r.document,
        start=moment(r.start).astimezone(ctx.zone),
        end=None if r.end is None else moment(r.end).astimezone(ctx.zone),
        items=list(r.items),
        classes=list(r.classes),
        areas=list(r.areas),
        note=one.note,
        actor=one.actor,
        recorded_at=one.recorded_at.astimezone(ctx.zone),
    )


@router.get(
    "/records",
    summary="查询决定和现象",
    description="各项记录的最新版本，最近生效的在前。",
    responses=problems("invalid"),
)
def list_records(
    ctx: Context,
    principal: Reader,
    in_force: Annotated[bool, Query(description="只列现在有效的")] = False,
) -> RecordsOut:
    reach = principal.reach(Action.RECORDS_VIEW)
    found = [one for one in store.list_records(ctx.db, at=ctx.now() if in_force else None) if seen(reach, one)]
    return RecordsOut(records=[shown(one, ctx) for one in found])


@router.get("/records/{id}", summary="一项记录的各个版本", responses=problems("not-found", "invalid"))
def get_record(ctx: Context, principal: Reader, id: RecordId) -> RecordsOut:
    found = store.revisions(ctx.db, id)
    if not found or not seen(principal.reach(Action.RECORDS_VIEW), found[-1]):
        raise unknown(id)
    return RecordsOut(records=[shown(one, ctx) for one in found])


@router.post(
    "/records",
    summary="登记决定或现象",
    description="所涉品种从生效时间起重新评估。二级、一级只由有效的决定产生。",
    responses=problems("malformed", "invalid"),
)
def add_record(ctx: Context, principal: Writer, body: RecordIn) -> RecordOut:
    start, end = at("start", body.start, ctx), None if body.end is None else at("end", body.end, ctx)
    if not may_write(principal, body.kind, body.areas):
        raise outside(principal)
    scope = (tuple(body.items), tuple(body.classes), tuple(body.areas))
    one = Record(
        "", body.kind, body.measure, body.issuer, body.document, seconds(start), seconds_or_none(end), *scope
    )
    try:
        made = store.add(ctx.db, one, body.note, principal.actor, ctx.now(), ctx.classes())
    except store.RecordError as error:
        raise refused(error) from None
    ctx.on_observations()
    return shown(made, ctx)


@router.post(
    "/records/{id}/lift",
    summary="解除",
    description="写成新的版本，原来的版本保留；再次解除则更正解除时间。",
    responses=problems("malformed", "not-found", "invalid"),
)
def lift_record(ctx: Context, principal: Writer, id: RecordId, body: LiftIn) -> RecordOut:
    found = store.revisions(ctx.db, id)
    if found and not may_write(principal, found[-1].record.kind, found[-1].record.areas):
        raise unknown(id)
    try:
        made = store.lift(ctx.db, id, at("end", body.end, ctx), body.note, principal.actor, ctx.now())
    except store.RecordNotFound:
        raise unknown(id) from None
    except store.RecordError as error:
        raise refused(error) from None
    ctx.on_observations()
    return shown(made, ctx)


def seen(reach: Reach, one: store.Revision) -> bool:
    """Whether a record is for this reader: one of its areas is, or it is of the whole city and that is."""
    return any(area in reach.areas for area in one.record.areas or ("",))


def may_write(principal: Principal, kind: str, areas: Collection[str]) -> bool:
    """Whether the caller may enter or lift such a record: in every one of its areas."""
    reach = principal.reach(Action.RECORDS_DECIDE if kind == "decision" else Action.RECORDS_OBSERVE)
    return all(area in reach.areas for area in areas or ("",))


def outside(principal: Principal) -> Problem:
    return Problem("forbidden", f"“{principal.name}”没有在这些区域登记此类记录的权限")


def at(name: str, text: str, ctx: WebContext) -> datetime:
    try:
        return moment_of(name, text, ctx.zone)[0]
    except Problem:
        fault = {"loc": ("body", name), "type": "value_error", "msg": f"应为 {TIME_FORMS}，年份在合理范围内"}
        raise invalid([fault]) from None


def seconds_or_none(when: datetime | None) -> int | None:
    return None if when is None else seconds(when)


def unknown(id: str) -> Problem:
    return Problem("not-found", f"没有编号为“{id[:100]}”的记录")


def refused(error: store.RecordError) -> Exception:
    return invalid(
        [{"loc": ("body", field), "type": "value_error", "msg": fault.zh} for field, fault in error.faults.items()]
    )
