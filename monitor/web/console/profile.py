"""/profile: one's own account: what one may do, the password, the sessions, the language."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import Connection
from starlette.responses import HTMLResponse, Response

from monitor.accounts import TooBusy, hash_password
from monitor.rights import ACTIONS, Visitor, shipped_roles
from monitor.store import accounts, audit, roles, sessions
from monitor.web.console import i18n, render
from monitor.web.console.i18n import Text, _, word
from monitor.web.console.passwords import new_password_fault, own_password_fault
from monitor.web.console.visit import SignInFirst, flash, go, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context
from monitor.web.signed import set_cookie

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Visitor, Depends(visitor())]
Unfinished = Annotated[Visitor, Depends(visitor(unfinished=True))]
Field = Annotated[str, Form()]


@router.get("/profile")
def show(request: Request, ctx: Context, who: Anyone) -> Response:
    one = accounts.by_id(ctx.db, who.account_id)
    known = shipped_roles()
    return render.page(
        request,
        "console/profile.html",
        visitor=who,
        title=_("我的账号"),
        account=one,
        held=[(word(known[role].title), places(one, role)) for role in one.roles if role in known],
        actions=[word(title) for action, title in ACTIONS.items() if who.may(action)],
        sessions=sessions.list_sessions(ctx.db, who.account_id, ctx.now(), ctx.settings.session_idle),
        codes_left=accounts.recovery_codes_left(ctx.db, who.account_id),
        ways=WAYS,
    )


WAYS = {
    "password": _("密码"),
    "code": _("密码和验证码"),
    "recovery": _("密码和恢复码"),
    "oidc": _("单位统一认证"),
    "oidc+": _("单位统一认证"),
}


def places(one: accounts.Account, role: str) -> Text | str:
    """Where a role is held, in words."""
    areas = one.roles[role]
    if shipped_roles()[role].by_point:
        return "、".join(sorted(one.points)) or _("没有监测点")
    return _("全部区域") if roles.EVERY_AREA in areas else "、".join(sorted(areas))


# --- the password ---


@router.get("/profile/password")
def show_password(request: Request, who: Unfinished) -> Response:
    return password_page(request, who, {})


def password_page(request: Request, who: Visitor, faults: dict[str, Text]) -> HTMLResponse:
    ctx: WebContext = request.app.state.context
    return render.page(
        request,
        "console/password.html",
        visitor=who,
        title=_("修改密码"),
        status=422 if faults else 200,
        must=who.needs == "password",
        has_password=accounts.by_id(ctx.db, who.account_id).has_password,
        faults=faults,
    )


@router.post("/profile/password")
def change_password(
    request: Request, ctx: Context, who: Unfinished, current: Field = "", new: Field = "", again: Field = ""
) -> Response:
    faults: dict[str, Text] = {}
    if fault := own_password_fault(ctx, who, current):
        faults["current"] = fault
    elif new == current:
        faults["new"] = _("新密码和当前密码一样。")
    elif fault := new_password_fault(new, again, who.name, who.shown, ctx.installation):
        faults["new"] = fault
    if faults:
        return password_page(request, who, faults)
    try:
        hashed = hash_password(new)
    except TooBusy:
        return password_page(request, who, {"": _("现在登录的人太多，请稍后再试。")})
    with ctx.db.begin() as connection:
        accounts.set_password(connection, who.account_id, hashed, ctx.now(), must_change=False)
        audit.note(connection, who, "password.changed", f"account:{who.name}", {}, ctx.now())
        return renewed(request, ctx, connection, who, "/", _("密码已修改，其他地方的登录已结束。"))


def renewed(
    request: Request, ctx: WebContext, connection: Connection, who: Visitor, path: str, said: Text | None = None
) -> Response:
    """Go on with a new session id, after the rights of the visitor's own account have changed."""
    answer = go(request, path)
    renew_into(answer, ctx, connection, who, said)
    return answer


def renew_into(
    answer: Response, ctx: WebContext, connection: Connection, who: Visitor, said: Text | None = None
) -> sessions.Started:
    """Put a new session id into an answer; other sessions of the account have ended by its new stamp."""
    started = sessions.renew(connection, who.session.id, ctx.now())
    if started is None:
        raise SignInFirst
    if said is not None:
        sessions.flash_in(connection, started.id, [("done", str(said))])
    set_cookie(answer, ctx.settings, started.secret)
    return started


# --- sessions and language ---


@router.post("/profile/sessions")
def end_sessions(request: Request, ctx: Context, who: Anyone, session: Field = "") -> Response:
    """End one session of one's own, or with "others" all but this one."""
    with ctx.db.begin() as connection:
        if session == "others":
            sessions.end_all(connection, who.account_id, but=who.session.id)
            sessions.forget_devices(connection, who.account_id)
        else:
            sessions.end(connection, session[:100], who.account_id)
        audit.note(connection, who, "sessions.ended", f"account:{who.name}", {}, ctx.now())
    flash(ctx, who, "done", _("已结束。"))
    return go(request, "/profile")


@router.post("/profile/language")
def choose_language(request: Request, ctx: Context, who: Anyone, language: Field = "") -> Response:
    """The language of the account; "" for what the browser asks for."""
    if language in ("", *i18n.LANGUAGES):
        with ctx.db.begin() as connection:
            accounts.set_language(connection, who.account_id, language)
    return go(request, "/profile")
