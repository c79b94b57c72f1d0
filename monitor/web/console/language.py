"""The language switch in the header: a cookie, for it works before anybody signs in, and the account's language."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse

from monitor.store import accounts
from monitor.web.console import i18n
from monitor.web.security import Context
from monitor.web.signed import check_change, check_origin, current

router = APIRouter(include_in_schema=False)
A_YEAR = 365 * 24 * 3600


@router.post("/language")
def choose(
    request: Request,
    ctx: Context,
    language: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
    csrf: Annotated[str, Form()] = "",
) -> RedirectResponse:
    """Keep the choice and go back to where it was made. An unknown language changes nothing."""
    root = request.scope.get("root_path", "")
    answer = RedirectResponse(root + local_path(next), 303)
    if language not in i18n.LANGUAGES:
        return answer
    check_origin(request, ctx.settings)
    who = current(request, ctx)
    if who is not None and who.session.stage == "full":
        check_change(request, ctx, who, csrf)
        with ctx.db.begin() as connection:
            accounts.set_language(connection, who.account_id, language)
    secure = ctx.settings.public_url.startswith("https://")
    answer.set_cookie(
        i18n.COOKIE, language, max_age=A_YEAR, path=root or "/", secure=secure, httponly=True, samesite="lax"
    )
    return answer


def local_path(wanted: str) -> str:
    """`wanted` when it is a path of this site, else the front page: no link may lead elsewhere by way of ours."""
    outside = not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or not wanted.isprintable()
    return "/" if outside else wanted
