"""Who visits a console page, and whether a change is meant: the dependency that every handler of the console has.

    V = Annotated[Visitor, Depends(visitor(Action.FLAGS_VIEW))]

Somebody who is not signed in goes to /signin and comes back; somebody without the right gets the very page that an
unknown address gets (P27, F8). For unsafe methods the dependency also checks the form: the field `csrf`, or the
header `X-CSRF-Token`, must be the session's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import RedirectResponse, Response

from monitor.rights import Action, Visitor
from monitor.store import sessions
from monitor.store.audit import Act, Detail
from monitor.web import problem
from monitor.web.console import i18n, render
from monitor.web.console.i18n import Text, _
from monitor.web.console.language import local_path
from monitor.web.context import WebContext
from monitor.web.problem import Problem
from monitor.web.security import Context
from monitor.web.signed import SAFE, NotOurPage, TooOften, check_change, current, state, too_often

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
NEEDS = {"password": "/profile/password", "second_factor": "/profile/second-factor"}


class SignInFirst(Exception):
    """Something must be done before this page: signing in, the second factor, another password."""

    def __init__(self, path: str = "/signin") -> None:
        super().__init__()
        self.path = path


class Hidden(Exception):
    """What was asked for is not there for this visitor, whether it exists or not: answered as an unknown address."""


async def sent_csrf(request: Request) -> str:
    """The word that a change brings along, "" where there is none."""
    if request.method in SAFE:
        return ""
    if header := request.headers.get("x-csrf-token"):
        return header[:200]
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in FORMS:
        return ""
    given = (await request.form()).get("csrf")
    return given[:200] if isinstance(given, str) else ""


SentCsrf = Annotated[str, Depends(sent_csrf)]


def visitor(*actions: Action, unfinished: bool = False, by_itself: bool = False) -> Callable[..., Visitor]:
    """A dependency: the visitor, who may do at least one of `actions` somewhere (none named: whoever is signed in).

    What may be seen of it is asked with `visitor.reach(action).where(area_column, point_column)` in the query itself.
    `unfinished` lets those in who still have to choose a password or set up a second factor. `by_itself`: a page
    asks, nobody may be there, and the session goes on growing old.
    """

    def check(request: Request, ctx: Context, csrf: SentCsrf) -> Visitor:
        request.state.by_itself = by_itself
        found = current(request, ctx)
        if found is None:
            raise SignInFirst
        if found.session.stage != "full":
            raise SignInFirst("/signin/code")
        if found.needs and not unfinished:
            raise SignInFirst(NEEDS[found.needs])
        enter(request, ctx, found)
        if actions and not any(found.may(action) for action in actions):
            raise Hidden
        check_change(request, ctx, found, csrf)
        return found

    return check


def enter(request: Request, ctx: WebContext, found: Visitor) -> None:
    """Speak the visitor's language; messages of the last act are shown by this page and then gone."""
    i18n.speak(found.language)
    if found.session.flash and request.method == "GET" and wants_page(request):
        request.state.flashes = found.session.flash
        sessions.put_flash(ctx.db, found.session.id, [])


def flash(ctx: WebContext, who: Visitor, kind: str, text: str | Text) -> None:
    """Show a message on the visitor's next page. `kind` is done, note or fault."""
    sessions.put_flash(ctx.db, who.session.id, [*who.session.flash, (kind, str(text))])


def viewed(request: Request, who: Visitor, object: str, *, action: Act = "view", detail: Detail = "") -> None:
    """Write into the audit that the visitor sees `object` ("flag:<id>", "item:<name>"): call it before showing it."""
    ctx: WebContext = request.app.state.context
    state(request).views.note(ctx.db, who, object, ctx.now(), action=action, detail=detail)


def go(request: Request, path: str) -> RedirectResponse:
    """The answer to a form: go on to a page of ours, whatever was written into `path`."""
    return RedirectResponse(request.scope.get("root_path", "") + local_path(path), 303)


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks, not a script or a program."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


# --- what is answered instead ---------------------------------------------------------------------------------------


def install(app: FastAPI) -> None:
    """Register the answers below."""
    app.add_exception_handler(SignInFirst, answer_sign_in)
    app.add_exception_handler(Hidden, answer_hidden)
    app.add_exception_handler(NotOurPage, answer_not_ours)
    app.add_exception_handler(TooOften, answer_too_often)
    app.add_exception_handler(StarletteHTTPException, answer_http)


def answer_sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInFirst)
    if not wants_page(request):
        return Problem("unauthorized", "请先登录").response(request.scope)
    path = error.path
    if path == "/signin" and request.method == "GET" and request.url.path != "/":
        query = f"?{request.url.query}" if request.url.query else ""
        path += "?next=" + quote(request.url.path + query, safe="/")
    return go(request, path)


def answer_hidden(request: Request, _error: Exception) -> Response:
    """Exactly what an unknown address gives."""
    return answer_http(request, StarletteHTTPException(404))


def answer_http(request: Request, error: Exception) -> Response:
    """404 as a page for people, everything else as everywhere."""
    assert isinstance(error, StarletteHTTPException)
    if error.status_code != 404 or not wants_page(request):
        return problem.answer_http(request, error)
    return say(request, 404, _("没有这个页面"), _("地址有误，或内容已不存在。请从首页重新进入。"))


def answer_not_ours(request: Request, _error: Exception) -> Response:
    if not wants_page(request):
        detail = "缺少或不符的 X-CSRF-Token，或请求来自其他网站，没有执行"  # i18n: for programs
        return Problem("forbidden", detail).response(request.scope)
    text = _("页面打开过久，或不是从本系统的页面提交的，没有执行。请返回上一页，刷新后重新提交。")
    return say(request, 403, _("没有执行"), text)


def answer_too_often(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooOften)
    if not wants_page(request):
        return too_often(error.wait).response(request.scope)
    answer = say(request, 429, _("请稍候"), _("操作过于频繁，请在 %(n)s 秒后再试。", n=error.wait))
    answer.headers["Retry-After"] = str(error.wait)
    return answer


def say(request: Request, status: int, heading: Text, text: Text) -> Response:
    """A page that says something, the same for every address."""
    ctx: WebContext = request.app.state.context
    who = current(request, ctx)
    if who is not None and (who.session.stage != "full" or who.needs):
        who = None
    values = {"here": "/", "path": "", "text": text}
    return render.page(request, "console/message.html", visitor=who, title=heading, status=status, **values)
