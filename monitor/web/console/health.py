"""/health: what the technician on duty looks at: checks, sources, messages that wait, evaluation, versions."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from monitor.rights import Action, Visitor
from monitor.store import dirty, outbox
from monitor.store.sources import read_sources
from monitor.web.console import render
from monitor.web.console.i18n import Text, _
from monitor.web.console.visit import viewed, visitor
from monitor.web.page import source_lines
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
View = Annotated[Visitor, Depends(visitor(Action.HEALTH_VIEW))]
STATES = {
    "pending": _("待发送"),
    "leased": _("发送中"),
    "sent": _("已发送"),
    "failed": _("已放弃"),
    "expired": _("已过期"),
    "cancelled": _("已取消"),
}
CHECKS = {"database": _("数据库"), "scheduler": _("调度器"), "first_look": _("首次读取")}


def check_name(name: str) -> Text | str:
    """A check in words: /readyz names it by its code."""
    kind, _colon, source = name.partition(":")
    return _("来源：%(name)s", name=source) if kind == "source" and source else CHECKS.get(name, name)


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """The messages of one channel by state; `waited`: seconds since the oldest one that ought to be out."""

    name: str
    counts: dict[str, int]
    waited: int


@router.get("/health")
def health(request: Request, ctx: Context, who: View) -> HTMLResponse:
    viewed(request, who, "health")
    report, now = ctx.health(), ctx.now()
    counts, waited = outbox.counts(ctx.db), outbox.oldest_pending(ctx.db, now)
    names = sorted({channel for channel, _state in counts} | set(waited))
    channels = [
        ChannelLine(name, {s: n for (c, s), n in counts.items() if c == name}, waited.get(name, 0)) for name in names
    ]
    waiting, oldest = dirty.waiting(ctx.db)
    return render.page(
        request,
        "console/health.html",
        visitor=who,
        title=_("运行"),
        now=now,
        ready=report.ready,
        checks=report.checks,
        check_name=check_name,
        sources=source_lines(list(ctx.sources()), read_sources(ctx.db)),
        channels=channels,
        states=STATES,
        waiting=waiting,
        oldest=oldest,
        program=version("price-risk-monitor"),
        database=ctx.db.dialect,
    )
