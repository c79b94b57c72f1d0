"""The language switch: a cookie, so that it works before anybody signs in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse

from monitor.web.console import i18n

router = APIRouter(include_in_schema=False)
A_YEAR = 365 * 24 * 3600


@router.post("/language")
def choose(
    request: Request, language: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/"
) -> RedirectResponse:
    """Keep the choice and go back to where it was made. An unknown language changes nothing."""
    root = request.scope.get("root_path", "")
    answer = RedirectResponse(root + local_path(next), 303)
    if language in i18n.LANGUAGES:
        secure = request.url.scheme == "https"
        answer.set_cookie(
            i18n.COOKIE, language, max_age=A_YEAR, path=root or "/", secure=secure, httponly=True, samesite="lax"
        )
    return answer


def local_path(wanted: str) -> str:
    """`wanted` when it is a path of this site, else the front page: no link may lead elsewhere by way of ours."""
    outside = not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or not wanted.isprintable()
    return "/" if outside else wanted
