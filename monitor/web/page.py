"""The front page, and what is open without an account: open flags, sources, health; the acknowledge link.

Somebody who is signed in goes on from `/` to the first page of the console that he or she may see. The others read
the open page where `[web] open_page` lets them, else they are asked to sign in. The acknowledge link works from
everywhere, because its secret is the right to follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from alerts.ack import hash_of
from monitor.store import outbox
from monitor.store.demo import is_demo_source
from monitor.store.errors import StoreError
from monitor.store.sources import SourceState, read_sources
from monitor.web.console import render
from monitor.web.console.i18n import _
from monitor.web.console.visit import Hidden, SignInFirst, go
from monitor.web.context import ConfiguredSource, WebContext
from monitor.web.flag_words import MAX_SHOWN, flag_shown, open_flags
from monitor.web.security import Context, open_to
from monitor.web.signed import TooOften, counted_address, current, state

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
REFRESH_SECONDS = 15
SOURCE_WORDS = {"bad": "失败", "idle": "尚未取数", "ok": "正常"}  # i18n: shown by `word`


def allowed(request: Request, ctx: Context) -> WebContext:
    """A dependency: the context, for those who may read the page without an account. Raises SignInFirst; Hidden for
    somebody who is signed in: what he or she may see is on the pages of the console."""
    if current(request, ctx) is not None:
        raise Hidden
    if not open_to(request, ctx.settings.open_page):
        raise SignInFirst
    return ctx


Allowed = Annotated[WebContext, Depends(allowed)]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One source, ready to show."""

    title: str
    demo: bool
    state: str
    css: str
    last_success: datetime | None
    newest: datetime | None
    error: str
    failing_since: datetime | None


def source_lines(configured: list[ConfiguredSource], states: dict[str, SourceState]) -> list[SourceLine]:
    """Configured sources first, in their order; then those that only brought something (imports, pushes)."""
    known = {one.name: one for one in configured}
    names = [*known, *sorted(states.keys() - known.keys())]
    return [source_line(name, known.get(name), states.get(name)) for name in names]


def source_line(name: str, configured: ConfiguredSource | None, state: SourceState | None) -> SourceLine:
    state = state or SourceState(name, {})
    if state.failing_since is not None:
        css = "bad"
    elif state.last_success_at is None and state.last_observation_at is None:
        css = "idle"
    else:
        css = "ok"
    return SourceLine(
        title=configured.title or name if configured else name,
        demo=configured.demo if configured else is_demo_source(name),
        state=SOURCE_WORDS[css],
        css=css,
        last_success=state.last_success_at,
        newest=state.last_observation_at,
        error=state.last_error if state.failing_since else "",
        failing_since=state.failing_since,
    )


@router.get("/", response_model=None)
def front(request: Request, ctx: Context) -> Response:
    """Whoever is signed in goes on to the first page in the navigation, others to the open page."""
    who = current(request, ctx)
    if who is None:
        return index(request, allowed(request, ctx))
    if who.session.stage != "full":
        raise SignInFirst("/signin/code")
    return go(request, next((entry.path for entry in render.navigation(request, who)), "/profile"))


@router.get("/flags")
def index(request: Request, ctx: Allowed) -> HTMLResponse:
    report = ctx.health()
    try:
        found = open_flags(ctx.db, ctx.zone)
        sources = source_lines(list(ctx.sources()), read_sources(ctx.db))
    except StoreError as error:
        ctx.on_store_error(error.reason)
        text = _("数据库暂时不可用，异常提示和数据来源无法显示。请稍后刷新，并通知技术值班人员。")
        return render.message(request, 503, _("暂时无法显示"), text)
    flags = found[:MAX_SHOWN]
    return render.page(
        request,
        "console/open.html",
        title=_("当前情况"),
        import_command=Markup("<code>monitor import</code>"),
        now=ctx.now(),
        ready=report.ready,
        checks=report.checks,
        flags=flags,
        more_flags=len(found) > MAX_SHOWN,
        sources=sources,
        demo_shown=any(f.demo for f in flags) or any(s.demo for s in sources),
        refresh=0 if flags else REFRESH_SECONDS,
    )


def one_flag(request: Request, ctx: WebContext, id: str) -> HTMLResponse:
    """A flag for whoever may read the open page; monitor/web/console/flag_page.py has the address."""
    shown = flag_shown(ctx.db, id, ctx.zone)
    if shown is None:
        text = _("它可能已随数据更正而撤销。请从首页查看当前的异常提示。")
        return render.message(request, 404, _("没有这条异常提示"), text)
    return render.page(request, "console/open_flag.html", title=shown.line.item, f=shown)


@router.get("/a/{token}")
def show_ack(request: Request, ctx: Context, token: str) -> HTMLResponse:
    """Show what is about to be acknowledged. Changes nothing: programs that scan links follow them."""
    with ctx.db.connect() as connection:
        record = outbox.find_by_token(connection, hash_of(token))
    if record is None:
        return unknown_link(request)
    return render.page(
        request,
        "console/ack.html",
        title=_("已确认") if record.acked_at else _("确认收到通知"),
        subject=record.subject,
        person=record.person,
        acked_at=record.acked_at,
        acked_by=record.acked_by,
        superseded=0,
    )


@router.post("/a/{token}")
def follow_ack(request: Request, ctx: Context, token: str) -> HTMLResponse:
    if wait := state(request).limits.anonymous.take(counted_address(request)):
        raise TooOften(wait)
    done = outbox.acknowledge_by_token(ctx.db, hash_of(token), ctx.now())
    if done is None:
        return unknown_link(request)
    with ctx.db.connect() as connection:
        record = outbox.find_by_token(connection, hash_of(token))
    return render.page(
        request,
        "console/ack.html",
        title=_("已确认"),
        subject=record.subject if record else "",
        person="",
        acked_at=done.at,
        acked_by=done.by,
        superseded=len(done.superseded),
    )


def unknown_link(request: Request) -> HTMLResponse:
    text = _("链接不完整，或通知已被清理。请从最近一条通知中重新打开，或电话联系技术值班人员。")
    return render.message(request, 404, _("没有找到这条通知"), text)
