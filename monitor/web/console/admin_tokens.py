"""/admin/tokens: access tokens of programs: made, shown once, limited to scopes and areas, revoked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from monitor.auth import SCOPES, Scope
from monitor.rights import Action, Visitor
from monitor.store import audit, tokens
from monitor.web.console import render
from monitor.web.console.admin import names_of
from monitor.web.console.i18n import Text, _
from monitor.web.console.visit import Hidden, flash, go, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
Admin = Annotated[Visitor, Depends(visitor(Action.TOKENS_MANAGE))]
PATH = "/admin/tokens"
MOST_DAYS = 3650
Field = Annotated[str, Form()]


@router.get(PATH)
def show(request: Request, ctx: Context, who: Admin) -> Response:
    return tokens_page(request, ctx, who, {})


def tokens_page(
    request: Request, ctx: WebContext, who: Visitor, faults: Mapping[str, Text], secret: str = "", name: str = ""
) -> HTMLResponse:
    return render.page(
        request,
        "console/tokens.html",
        visitor=who,
        title=_("访问令牌"),
        status=422 if faults else 200,
        tokens=tokens.list_tokens(ctx.db),
        now=ctx.now(),
        scopes=list(SCOPES.items()),
        faults=faults,
        secret=secret,
        name=name,
    )


@router.post(PATH)
def make(
    request: Request,
    ctx: Context,
    who: Admin,
    name: Field = "",
    scope: Annotated[list[str], Form()] = [],  # noqa: B006
    areas: Field = "",
    days: Field = "",
) -> Response:
    name, limited = name.strip()[:100], names_of(areas) or None
    faults: dict[str, Text] = {}
    if not name or not name.isprintable():
        faults["name"] = _("请写明由谁使用。")
    if not scope or set(scope) - set(Scope):
        faults["scope"] = _("请至少选择一项权限。")
    if days and (not days.isascii() or not days.isdigit() or not 1 <= int(days[:9]) <= MOST_DAYS):
        faults["days"] = _("请填写 1 至 %(n)s 之间的天数。", n=MOST_DAYS)
    if faults:
        return tokens_page(request, ctx, who, faults, name=name)
    expires = ctx.now() + timedelta(days=int(days)) if days else None
    try:
        made = tokens.create(ctx.db, name, scope, ctx.now(), expires, limited)
    except tokens.TokenExists:
        return tokens_page(request, ctx, who, {"name": _("已经有同名的令牌，请换一个名称。")}, name=name)
    except ValueError:
        return tokens_page(request, ctx, who, {"name": _("名称或区域含有不能使用的字符。")}, name=name)
    detail = {"scopes": sorted(scope), "areas": limited or [], "days": days}
    audit.note(ctx.db, who, "token.made", f"token:{name}", detail, ctx.now())
    return tokens_page(request, ctx, who, {}, secret=made.secret, name=name)


@router.post(PATH + "/revoke")
def revoke(request: Request, ctx: Context, who: Admin, name: Field = "") -> Response:
    if not tokens.revoke(ctx.db, name[:100], ctx.now()):
        raise Hidden
    audit.note(ctx.db, who, "token.revoked", f"token:{name}", {}, ctx.now())
    flash(ctx, who, "done", _("令牌已吊销。"))
    return go(request, PATH)
