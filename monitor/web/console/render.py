"""`page`: a console page from its template, with the layout, the reader's language and what the reader may go to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Match

from monitor.entry.duties import day_number
from monitor.rights import Action
from monitor.web.console import assets, i18n
from monitor.web.console.i18n import Text, _
from monitor.web.console.template_parts import Cells, said, said_of, zh

if TYPE_CHECKING:
    from monitor.rights import Visitor
    from monitor.web.context import WebContext

TEMPLATES = Path(__file__).parents[1] / "templates"


class Flash(NamedTuple):
    """A message that is shown once, on the page after an act."""

    kind: Literal["done", "note", "fault"]
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A way to go in the header, shown to those with the right `action` and when the page exists."""

    path: str
    label: Text
    action: Action


NAVIGATION = (
    Entry("/queue", _("复核"), Action.FLAGS_VIEW),
    Entry("/wall", _("总览"), Action.OVERVIEW_VIEW),
    Entry("/items", _("品种"), Action.OVERVIEW_VIEW),
    Entry("/entry", _("报送"), Action.OBSERVATIONS_REPORT),
    Entry("/reports-due", _("报送情况"), Action.OBSERVATIONS_VIEW),
    Entry("/duties", _("报送任务"), Action.DUTIES_MANAGE),
    Entry("/records", _("登记"), Action.RECORDS_VIEW),
    Entry("/reports", _("报告"), Action.REPORTS_VIEW),
    Entry("/health", _("运行"), Action.HEALTH_VIEW),
    Entry("/admin/audit", _("审计"), Action.AUDIT_VIEW),
    Entry("/admin/accounts", _("账号"), Action.ACCOUNTS_MANAGE),
    Entry("/admin/tokens", _("令牌"), Action.TOKENS_MANAGE),
)


def page(
    request: Request,
    template: str | Template,
    *,
    visitor: Visitor | None = None,
    title: str | Text,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """The page made of "console/<name>.html" with `values`, everything in them escaped.

    `visitor` is who reads it, None for somebody not signed in. A name that the template uses and nobody gave is an
    error. `request.state` may hold `flashes` to show and `csrf`, the word for forms of somebody not signed in.
    """
    ctx: WebContext = request.app.state.context
    if visitor:
        i18n.speak(visitor.language)
    frame: dict[str, Any] = {
        "visitor": visitor,
        "title": title,
        "root": request.scope.get("root_path", ""),
        "path": path_of(request),
        "here": here(request),
        "installation": ctx.installation,
        "demo": any(source.demo for source in ctx.sources()),
        "navigation": navigation(request, visitor),
        "flashes": getattr(request.state, "flashes", ()),
        "csrf_token": getattr(request.state, "csrf", "") or (visitor.session.csrf if visitor else ""),
        "lang": i18n.TAGS[i18n.language()],
    }
    made = environment(ctx.zone).get_template(template).render(frame | values)
    return HTMLResponse(made, status, {"Vary": "Cookie, Accept-Language", "Content-Language": str(frame["lang"])})


def message(
    request: Request, status: int, heading: str | Text, text: str | Text, *, visitor: Visitor | None = None
) -> HTMLResponse:
    """A page that only says something: not found, not possible now."""
    return page(request, "console/message.html", visitor=visitor, title=heading, status=status, text=text)


def here(request: Request) -> str:
    """Path and query of this page, to come back to; the front page after a form was refused in place."""
    if request.method != "GET":
        return "/"
    query = request.url.query
    return path_of(request) + (f"?{query}" if query else "")


def path_of(request: Request) -> str:
    """The path below the address of this application."""
    return request.url.path.removeprefix(request.scope.get("root_path", ""))


def navigation(request: Request, visitor: Visitor | None) -> list[Entry]:
    """Where this visitor may go."""
    if visitor is None:
        return []
    return [entry for entry in existing(request) if visitor.may(entry.action)]


def existing(request: Request) -> list[Entry]:
    """The entries whose page this application has."""
    state = request.app.state
    if not hasattr(state, "navigation"):
        state.navigation = [entry for entry in NAVIGATION if has_page(request, entry.path)]
    found: list[Entry] = state.navigation
    return found


def has_page(request: Request, path: str) -> bool:
    scope = {**request.scope, "path": path, "method": "GET", "root_path": ""}
    return any(route.matches(scope)[0] == Match.FULL for route in request.app.routes)


@cache
def environment(zone: ZoneInfo) -> Environment:
    """The templates; a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Cells],
    )
    made.globals.update(_=said, ngettext=said_of, zh=zh)
    made.filters["zh"] = zh
    made.filters["local"] = lambda at: local_time(at, zone)
    made.filters["day"] = lambda at: local_time(at, zone, "%Y-%m-%d")
    made.filters["clock"] = lambda at: local_time(at, zone, "%H:%M")
    made.filters["until"] = lambda at, day: until(at, day, zone)
    made.globals.update(script=script, style=style, csrf=csrf, word=i18n.word)
    made.globals.update(language=i18n.language, languages=i18n.LANGUAGES, tags=i18n.TAGS)
    macros: Any = made.get_template("console/macros.html").module
    macros.zh = zh
    made.globals["m"] = macros
    return made


@lru_cache(maxsize=10_000)
def local_time(at: datetime | None, zone: ZoneInfo, form: str = "") -> Markup:
    """A time element: local time to the minute, a bare date at midnight, a dash for none."""
    if at is None:
        return Markup("—")
    local = at.astimezone(zone)
    form = form or ("%Y-%m-%d" if (local.hour, local.minute) == (0, 0) else "%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}">{}</time>').format(local.isoformat(), local.strftime(form))


def until(at: datetime | None, day: int, zone: ZoneInfo) -> Markup:
    """The time of a local day (days since 1970) by which something is due: 24:00 is its end, not its beginning."""
    if at is not None and day_number(at, zone) > day:
        return Markup('<time datetime="{}">24:00</time>').format(at.astimezone(zone).isoformat())
    return local_time(at, zone, "%H:%M")


@pass_context
def csrf(context: Context) -> Markup:
    """The hidden field that every form with method="post" needs."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(context["csrf_token"])


def script(name: str, root: str = "") -> Markup:
    """The element that loads the built script of this name; nothing where the assets were not built."""
    url = assets.url(f"{name}.js")
    return Markup('<script type="module" src="{}"></script>').format(root + url) if url else Markup("")


def style(name: str, root: str = "") -> Markup:
    """The element that loads the built styles of this name; nothing where the assets were not built."""
    url = assets.url(f"{name}.css")
    return Markup('<link rel="stylesheet" href="{}">').format(root + url) if url else Markup("")
