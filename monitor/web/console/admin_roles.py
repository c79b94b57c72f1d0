"""/admin/roles: what each role may do here, beside how it is shipped."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from monitor.rights import ACTIONS, CITY_WIDE, Action, Visitor, shipped_roles
from monitor.store import accounts, audit, roles, sessions
from monitor.store.roles import AccountError
from monitor.web.console import render
from monitor.web.console.admin import said
from monitor.web.console.i18n import Text, _
from monitor.web.console.profile import renewed
from monitor.web.console.visit import Hidden, go, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
Admin = Annotated[Visitor, Depends(visitor(Action.ACCOUNTS_MANAGE))]
PATH = "/admin/roles"


@router.get(PATH)
def show(request: Request, ctx: Context, who: Admin) -> Response:
    return roles_page(request, ctx, who)


def roles_page(request: Request, ctx: WebContext, who: Visitor, fault: Text | None = None) -> HTMLResponse:
    having: dict[str, int] = {}
    for one in accounts.list_accounts(ctx.db, active_only=True):
        for role in one.roles:
            having[role] = having.get(role, 0) + 1
    return render.page(
        request,
        "console/roles.html",
        visitor=who,
        title=_("角色"),
        status=422 if fault else 200,
        roles=list(roles.read(ctx.db).values()),
        shipped=shipped_roles(),
        actions=list(ACTIONS.items()),
        city_wide=CITY_WIDE,
        having=having,
        fault=fault,
    )


@router.post(PATH)
def change(
    request: Request,
    ctx: Context,
    who: Admin,
    role: Annotated[str, Form()] = "",
    act: Annotated[str, Form()] = "",
    action: Annotated[list[str], Form()] = [],  # noqa: B006
    second_factor: Annotated[str, Form()] = "",
) -> Response:
    """Set what a role may do, or with act=restore let it be as it is shipped."""
    if role not in shipped_roles():
        raise Hidden
    before = roles.read(ctx.db)[role]
    wanted = {known for known in Action if known in action}
    if before.by_point:
        wanted -= CITY_WIDE
    try:
        with ctx.db.begin() as connection:
            if act == "restore":
                roles.restore(connection, role)
            else:
                roles.change(connection, role, wanted, bool(second_factor), ctx.now(), who.actor)
            after = roles.read(connection)[role]
            detail = {
                "added": sorted(after.actions - before.actions),
                "removed": sorted(before.actions - after.actions),
                "second_factor": after.second_factor,
            }
            audit.note(connection, who, "role.changed", f"role:{role}", detail, ctx.now())
            said_so = _("角色已保存，有此角色的人须重新登录。")
            if role in who.roles:  # one of them is the administrator, who goes on with a new session id
                return renewed(request, ctx, connection, who, PATH, said_so)
            sessions.flash_in(connection, who.session.id, [("done", str(said_so))])
            return go(request, PATH)
    except AccountError as error:
        return roles_page(request, ctx, who, said(error))
