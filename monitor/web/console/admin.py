"""/admin/accounts: who may sign in, with which roles, where. Every change is in the audit, with what it changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection, select
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, Response

from monitor.accounts import digest, hash_password, name_fault, name_key, random_password
from monitor.rights import Action, Role, Visitor, shipped_roles
from monitor.schema import series
from monitor.store import accounts, audit, roles, sessions
from monitor.store.accounts import Account
from monitor.store.roles import EVERY_AREA, AccountError
from monitor.web.console import render
from monitor.web.console.i18n import Text, _, word
from monitor.web.console.profile import WAYS, places, renewed
from monitor.web.console.visit import Hidden, flash, go, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
Admin = Annotated[Visitor, Depends(visitor(Action.ACCOUNTS_MANAGE))]
PATH = "/admin/accounts"
SEPARATORS = re.compile(r"[,，、;；\n\r\t]+")
MOST_HINTS = 500

FAULTS = {
    "empty": _("请填写账号名称。"),
    "long": _("账号名称太长。"),
    "characters": _("账号名称只能用文字、数字和 . @ + - _。"),
    "exists": _("已经有同名的账号。"),
    "linked": _("这个统一认证名称已属于另一个账号。"),
    "area": _("选了“指定区域”的角色要写出区域名称。"),
    "point": _("监测点名称有误。"),
    "shown": _("姓名太长，或含有不能显示的字符。"),
    "oidc_name": _("统一认证名称太长，或含有不能显示的字符。"),
    "last_admin": _("这是最后一个能管理账号的账号，请先给另一个账号这个角色。"),
}


async def sent_form(request: Request) -> FormData:
    """The form that was sent, whatever fields it has."""
    return await request.form()


Sent = Annotated[FormData, Depends(sent_form)]


def text_of(form: FormData, name: str) -> str:
    """One field of a form as text, without spaces round it; "" where it is not there."""
    value = form.get(name)
    return value.strip()[:20_000] if isinstance(value, str) else ""


def names_of(text: str) -> list[str]:
    """The names in a field, separated by commas or lines."""
    return sorted({name.strip() for name in SEPARATORS.split(text)} - {""})


def said(error: AccountError) -> Text:
    return FAULTS.get(error.reason, _("没有保存，请检查填写的内容。"))


@router.get(PATH)
def show_all(request: Request, ctx: Context, who: Admin) -> Response:
    return list_page(request, ctx, who)


def list_page(
    request: Request,
    ctx: WebContext,
    who: Visitor,
    *,
    faults: Mapping[str, Text] | None = None,
    given: Mapping[str, str] | None = None,
    made: tuple[str, str] | None = None,
) -> HTMLResponse:
    """All accounts and the form for another one; `made` is (name, password), shown once."""
    return render.page(
        request,
        "console/accounts.html",
        visitor=who,
        title=_("账号"),
        status=422 if faults else 200,
        rows=[(one, roles_shown(one), quote(one.name, safe="")) for one in accounts.list_accounts(ctx.db)],
        faults=faults or {},
        given=given or {},
        made=made,
    )


def roles_shown(one: Account) -> str:
    """The roles of an account with their places, in one line."""
    known = shipped_roles()
    return str(_("；")).join(
        f"{word(known[role].title)}{_('：')}{places(one, role)}" for role in one.roles if role in known
    )


@router.post(PATH)
def add(request: Request, ctx: Context, who: Admin, form: Sent) -> Response:
    """A new account without roles yet; its password is made up and shown once."""
    name, shown, oidc_name = (text_of(form, field) for field in ("name", "shown", "oidc_name"))
    given = {"name": name, "shown": shown, "oidc_name": oidc_name}
    if fault := name_fault(name):
        return list_page(request, ctx, who, faults={"name": FAULTS[fault]}, given=given)
    password = "" if oidc_name else random_password()
    hashed = hash_password(password) if password else ""
    try:
        with ctx.db.begin() as connection:
            accounts.insert_account(
                connection, name, ctx.now(), shown=shown, password=hashed, must_change=True, roles={}, points=(),
                oidc_name=oidc_name,
            )  # fmt: skip
            audit.note(connection, who, "account.made", f"account:{name}", {"oidc_name": oidc_name}, ctx.now())
    except AccountError as error:
        field = error.reason if error.reason in ("shown", "oidc_name") else "name"
        return list_page(request, ctx, who, faults={field: said(error)}, given=given)
    return list_page(request, ctx, who, made=(name, password))


# --- one account ---


def asked(ctx: Context, who: Admin, name: str) -> Account:
    """A dependency: the account in the path. Raises Hidden, also for those who may not know."""
    try:
        return accounts.find(ctx.db, name[:200])
    except AccountError:
        raise Hidden from None


Asked = Annotated[Account, Depends(asked)]


@router.get(PATH + "/{name}")
def show(request: Request, ctx: Context, who: Admin, one: Asked) -> Response:
    return account_page(request, ctx, who, one)


def account_page(
    request: Request,
    ctx: WebContext,
    who: Visitor,
    one: Account,
    *,
    fault: Text | None = None,
    password: str = "",
    form: FormData | None = None,
) -> HTMLResponse:
    areas, points = places_known(ctx)
    return render.page(
        request,
        "console/account.html",
        visitor=who,
        title=one.shown,
        status=422 if fault else 200,
        account=one,
        address=address_of(one),
        roles=[role_row(role, one, form) for role in roles.read(ctx.db).values()],
        points=text_of(form, "points") if form else "\n".join(sorted(one.points)),
        areas_known=areas,
        points_known=points,
        sessions=sessions.list_sessions(ctx.db, one.id, ctx.now(), ctx.settings.session_idle),
        waits=max(sessions.waits(ctx.db, key, ctx.now()) for key in lock_keys(one)),
        ways=WAYS,
        fault=fault,
        password=password,
    )


def address_of(one: Account) -> str:
    return f"{PATH}/{quote(one.name, safe='')}"


def role_row(role: Role, one: Account, form: FormData | None) -> dict[str, Any]:
    """One role in the form: where it is held."""
    held = one.roles.get(role.id, frozenset())
    where = "" if not held else "all" if EVERY_AREA in held else "some"
    named = "、".join(sorted(held - {EVERY_AREA}))
    if form is not None:
        where, named = text_of(form, f"where-{role.id}"), text_of(form, f"areas-{role.id}")
    return {"id": role.id, "title": word(role.title), "by_point": role.by_point, "where": where, "areas": named}


def places_known(ctx: WebContext) -> tuple[list[str], list[str]]:
    """Areas and points that observations have come from, as a hint."""
    with ctx.db.connect() as connection:
        found = [
            connection.execute(select(column).distinct().where(column != "").order_by(column).limit(MOST_HINTS))
            .scalars()
            .all()
            for column in (series.c.area, series.c.point)
        ]
    return list(found[0]), list(found[1])


def lock_keys(one: Account) -> list[str]:
    """The keys under which failures of an account are counted, but for those of its known browsers."""
    key = digest(name_key(one.name))[:32]
    return [f"account:{key}", f"local:{key}", f"code:{one.id}", f"confirm:{one.id}"]


@router.post(PATH + "/{name}/roles")
def set_roles(request: Request, ctx: Context, who: Admin, one: Asked, form: Sent) -> Response:
    wanted: dict[str, set[str]] = {}
    for role in shipped_roles():
        where = text_of(form, f"where-{role}")
        if where == "all":
            wanted[role] = {EVERY_AREA}
        elif where == "some":
            wanted[role] = set(names_of(text_of(form, f"areas-{role}")))
    points = names_of(text_of(form, "points"))
    detail = {
        "before": {role: sorted(areas) for role, areas in one.roles.items()},
        "after": {role: sorted(areas) for role, areas in wanted.items()},
        "points": points,
    }
    try:
        with ctx.db.begin() as connection:
            accounts.set_roles(connection, one.id, wanted, points)
            audit.note(connection, who, "account.roles", f"account:{one.name}", detail, ctx.now())
            return done(request, ctx, connection, who, one, _("角色已保存，此账号须重新登录。"))
    except AccountError as error:
        return account_page(request, ctx, who, one, fault=said(error), form=form)


@router.post(PATH + "/{name}/facts")
def set_facts(request: Request, ctx: Context, who: Admin, one: Asked, form: Sent) -> Response:
    shown, oidc_name = text_of(form, "shown"), text_of(form, "oidc_name")
    try:
        with ctx.db.begin() as connection:
            accounts.set_facts(connection, one.id, shown=shown, oidc_name=oidc_name)
            detail = {"shown": shown, "oidc_name": oidc_name}
            audit.note(connection, who, "account.facts", f"account:{one.name}", detail, ctx.now())
    except AccountError as error:
        return account_page(request, ctx, who, one, fault=said(error))
    flash(ctx, who, "done", _("已保存。"))
    return go(request, address_of(one))


WRITTEN: dict[str, audit.Act] = {
    "disable": "account.off",
    "enable": "account.on",
    "unlock": "account.unlocked",
    "reset-totp": "account.second_factor_reset",
    "password": "account.password_reset",
    "end-sessions": "account.sessions_ended",
    "end-session": "account.sessions_ended",
}
"""how the audit calls the acts of the form: as those of the command line"""


@router.post(PATH + "/{name}/act")
def act(request: Request, ctx: Context, who: Admin, one: Asked, form: Sent) -> Response:
    """Switch on or off, unlock, take the second factor away, give another password, end sessions."""
    what = text_of(form, "act")
    if what == "password" and one.id == who.account_id:
        return go(request, "/profile/password")
    password = random_password() if what == "password" else ""
    hashed = hash_password(password) if password else ""
    try:
        with ctx.db.begin() as connection:
            if what in ("disable", "enable"):
                accounts.set_active(connection, one.id, what == "enable")
            elif what == "unlock":
                sessions.unlock(connection, lock_keys(one))
            elif what == "reset-totp":
                accounts.reset_totp(connection, one.id)
            elif what == "password":
                accounts.set_password(connection, one.id, hashed, ctx.now(), must_change=True)
                sessions.unlock(connection, lock_keys(one))
            elif what == "end-sessions":
                sessions.end_all(connection, one.id, but=who.session.id)
                sessions.forget_devices(connection, one.id)
            elif what == "end-session":
                sessions.end(connection, text_of(form, "session")[:100], one.id)
            else:
                raise Hidden
            audit.note(connection, who, WRITTEN[what], f"account:{one.name}", {}, ctx.now())
            if not password:
                return done(request, ctx, connection, who, one, _("已完成。"))
    except AccountError as error:
        return account_page(request, ctx, who, one, fault=said(error))
    return account_page(request, ctx, who, accounts.by_id(ctx.db, one.id), password=password)


def done(
    request: Request, ctx: WebContext, connection: Connection, who: Visitor, one: Account, text: Text
) -> Response:
    """Back to the account. Who changed the own account goes on with a new session id."""
    if one.id == who.account_id:
        return renewed(request, ctx, connection, who, address_of(one), text)
    sessions.flash_in(connection, who.session.id, [("done", str(text))])
    return go(request, address_of(one))
