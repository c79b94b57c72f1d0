"""The front page, and what is open without an account: open flags, sources, health; the acknowledge link.

Somebody who is signed in goes on from `/` to the first page of the console that he or she may see. The others read
the open page where `[web] open_page` lets them, else they are asked to sign in. The acknowledge link works from
everywhere, because its secret is the right to follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from alerts.ack import hash_of
from monitor.store import outbox
from monitor.store.demo import is_demo_source
from monitor.store.errors import StoreError
from monitor.store.sources import SourceState, read_sources
from monitor.web.console.render import navigation
from monitor.web.console.visit import Hidden, SignInFirst, go
from monitor.web.context import ConfiguredSource, WebContext
from monitor.web.flag_words import MAX_SHOWN, flag_shown, open_flags
from monitor.web.problem import request_id
from monitor.web.security import Context, open_to
from monitor.web.signed import TooOften, counted_address, current, state

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
TEMPLATES = Path(__file__).parent / "templates"
REFRESH_SECONDS = 15


@cache
def environment(zone: ZoneInfo) -> Environment:
    """Templates; everything put into them is escaped, and a name that is missing is an error."""
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    made.trim_blocks = made.lstrip_blocks = True
    made.filters["local"] = lambda at: shown_time(at, zone)
    return made


def render(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    ctx: WebContext = request.app.state.context
    values = {"refresh": 0, "root": request.scope.get("root_path", ""), "installation": ctx.installation} | values
    template = environment(ctx.zone).get_template(name)
    return HTMLResponse(template.render(**values), status)


def shown_time(at: datetime | None, zone: ZoneInfo) -> str:
    """Local time to the minute; a bare date at midnight; a dash for none."""
    if at is None:
        return "—"
    local = at.astimezone(zone)
    return local.strftime("%Y-%m-%d" if (local.hour, local.minute) == (0, 0) else "%Y-%m-%d %H:%M")


def message(request: Request, status: int, heading: str, text: str) -> HTMLResponse:
    return render(request, "message.html", status, heading=heading, text=text, request_id=request_id(request.scope))


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
        word, css = "失败", "bad"
    elif state.last_success_at is None and state.last_observation_at is None:
        word, css = "尚未取数", "idle"
    else:
        word, css = "正常", "ok"
    return SourceLine(
        title=configured.title or name if configured else name,
        demo=configured.demo if configured else is_demo_source(name),
        state=word,
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
    return go(request, next((entry.path for entry in navigation(request, who)), "/profile"))


@router.get("/flags")
def index(request: Request, ctx: Allowed) -> HTMLResponse:
    report = ctx.health()
    try:
        found = open_flags(ctx.db, ctx.zone)
        sources = source_lines(list(ctx.sources()), read_sources(ctx.db))
    except StoreError as error:
        ctx.on_store_error(error.reason)
        text = "数据库暂时不可用，异常提示和数据来源无法显示。请稍后刷新，并通知技术值班人员。"
        return message(request, 503, "暂时无法显示", text)
    flags = found[:MAX_SHOWN]
    return render(
        request,
        "index.html",
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
        return message(request, 404, "没有这条异常提示", "它可能已随数据更正而撤销。请从首页查看当前的异常提示。")
    return render(request, "flag.html", f=shown)


@router.get("/a/{token}")
def show_ack(request: Request, ctx: Context, token: str) -> HTMLResponse:
    """Show what is about to be acknowledged. Changes nothing: programs that scan links follow them."""
    with ctx.db.connect() as connection:
        record = outbox.find_by_token(connection, hash_of(token))
    if record is None:
        return unknown_link(request)
    return render(
        request,
        "ack.html",
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
    return render(
        request,
        "ack.html",
        subject=record.subject if record else "",
        person="",
        acked_at=done.at,
        acked_by=done.by,
        superseded=len(done.superseded),
    )


def unknown_link(request: Request) -> HTMLResponse:
    text = "链接不完整，或通知已被清理。请从最近一条通知中重新打开，或电话联系技术值班人员。"
    return message(request, 404, "没有找到这条通知", text)
