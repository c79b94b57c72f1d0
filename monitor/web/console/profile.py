"""/profile: one's own account: who one is and what one may do, password, second factor, sessions, language."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from monitor.rights import Visitor
from monitor.web.console import render
from monitor.web.console.i18n import _
from monitor.web.console.visit import visitor

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Visitor, Depends(visitor())]


@router.get("/profile")
def show(request: Request, who: Anyone) -> Response:
    return render.page(request, "console/profile.html", visitor=who, title=_("我的账号"))
