"""Acknowledging notifications: by API with a token, by the link of a message without one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from sqlalchemy import select

from monitor.auth import Principal, Scope
from monitor.rights import Action
from monitor.schema import flag, notification_flag
from monitor.store import outbox
from monitor.web import schemas
from monitor.web.context import WebContext
from monitor.web.describe import problems
from monitor.web.problem import Problem
from monitor.web.security import Context, require

router = APIRouter(prefix="/api/v1", tags=["alerts"])

Acknowledger = Annotated[Principal, Depends(require(Scope.ALERTS_ACK))]
AlertId = Annotated[int, Path(ge=1, le=2**63 - 1, description="通知编号")]


@router.post(
    "/alerts/{id}/ack",
    summary="确认收到通知",
    description="确认一条通知及其涉及的异常提示；已确认过的不变，回答先前的确认。",
    responses=problems("not-found", "invalid"),
)
def acknowledge(ctx: Context, principal: Acknowledger, id: AlertId) -> schemas.AlertOut:
    if not reachable(ctx, principal, id):
        raise Problem("not-found", f"没有编号为 {id} 的通知")
    done = outbox.acknowledge(ctx.db, id, principal.actor, ctx.now())
    if done is None:
        raise Problem("not-found", f"没有编号为 {id} 的通知")
    return schemas.AlertOut(
        id=done.notification_id,
        flags=list(done.flags),
        superseded=list(done.superseded),
        acknowledged_at=done.at.astimezone(ctx.zone),
        acknowledged_by=done.by,
        first=done.first,
    )


def reachable(ctx: WebContext, principal: Principal, id: int) -> bool:
    """Whether all flags that a message tells of are for this caller."""
    reach = principal.reach(Action.FLAGS_REVIEW)
    if reach.areas.everywhere:
        return True
    told = select(flag.c.area, flag.c.point).join(notification_flag, notification_flag.c.flag_id == flag.c.id)
    with ctx.db.connect() as connection:
        rows = connection.execute(told.where(notification_flag.c.notification_id == id)).all()
    return bool(rows) and all(reach.covers(row.area, row.point) for row in rows)
