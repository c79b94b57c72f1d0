"""/duties: the office's rules of who reports what by when, for programs to read. They are changed in the console and
by `monitor duties`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from monitor.auth import Principal, Scope
from monitor.entry.duties import date_of
from monitor.entry.options import WEEKDAYS
from monitor.rights import Action, Reach
from monitor.store import duty_rules as store
from monitor.web.context import WebContext
from monitor.web.describe import problems
from monitor.web.problem import Problem
from monitor.web.schemas import EXAMPLE_TIME, Model, Name
from monitor.web.security import Context, require

router = APIRouter(prefix="/api/v1", tags=["duties"])

Reader = Annotated[Principal, Depends(require(Scope.OBSERVATIONS_READ, Action.OBSERVATIONS_VIEW))]
DutyId = Annotated[Name, Path(description="报送任务的编号")]


class DutyOut(Model):
    """一项报送任务的一个版本。"""

    id: str
    revision: int
    point: str = Field(description="监测点；空：所有监测点")
    items: list[str] = Field(description="品种；空：全部")
    item_class: str = Field(description="品类；空：不限")
    weekdays: list[str] = Field(
        description="星期，mon 至 sun；空：见 every、working_days、emergency，都没有则按以往规律"
    )
    every: int = Field(description="每隔多少天；0：按星期")
    working_days: bool = Field(description="仅工作日")
    emergency: bool = Field(description="应急报送：每天，不分节假日")
    none: bool = Field(description="免报")
    due: str = Field(description="截止时间", examples=["10:00"])
    since: date = Field(description="自这一天起")
    until: date | None = Field(description="到这一天止")
    ended: bool = Field(description="自 since 起不再执行")
    note: str
    actor: str
    recorded_at: datetime = Field(examples=[EXAMPLE_TIME])


class DutiesOut(Model):
    duties: list[DutyOut]


def shown(one: store.Revision, ctx: WebContext) -> DutyOut:
    r = one.rule
    return DutyOut(
        id=one.id,
        revision=one.revision,
        point=r.point,
        items=list(r.items),
        item_class=r.item_class,
        weekdays=[name for k, name in enumerate(WEEKDAYS) if r.weekdays >> k & 1],
        every=r.every,
        working_days=r.working_days,
        emergency=r.emergency,
        none=r.none,
        due=f"{r.due // 60:02d}:{r.due % 60:02d}",
        since=date_of(r.since),
        until=None if r.until is None else date_of(r.until),
        ended=one.ended,
        note=one.note,
        actor=one.actor,
        recorded_at=one.recorded_at.astimezone(ctx.zone),
    )


def seen(reach: Reach, one: store.Revision) -> bool:
    """Rules for every point hold for the points of each reader; others are there for those who see the point."""
    return not one.rule.point or reach.covers(one.area, one.rule.point)


@router.get(
    "/duties", summary="查询报送任务", description="各项任务的最新版本；不含配置文件中的任务。", responses=problems()
)
def list_duties(ctx: Context, principal: Reader) -> DutiesOut:
    reach = principal.reach(Action.OBSERVATIONS_VIEW)
    return DutiesOut(duties=[shown(one, ctx) for one in store.list_rules(ctx.db) if seen(reach, one)])


@router.get("/duties/{id}", summary="一项报送任务的各个版本", responses=problems("not-found", "invalid"))
def get_duty(ctx: Context, principal: Reader, id: DutyId) -> DutiesOut:
    found = store.history(ctx.db, id)
    if not found or not seen(principal.reach(Action.OBSERVATIONS_VIEW), found[-1]):
        raise Problem("not-found", f"没有编号为“{id[:100]}”的报送任务")
    return DutiesOut(duties=[shown(one, ctx) for one in found])
