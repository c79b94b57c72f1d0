"""/admin/audit: who saw and did what, page by page, for auditors. Reading it is in the audit as well."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from monitor.rights import Action, Visitor
from monitor.store import audit
from monitor.store.text import storable
from monitor.web.console import render
from monitor.web.console.i18n import _
from monitor.web.console.visit import viewed, visitor
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
Auditor = Annotated[Visitor, Depends(visitor(Action.AUDIT_VIEW))]
PATH = "/admin/audit"
ROWS = 100


@router.get(PATH)
def show(
    request: Request,
    ctx: Context,
    who: Auditor,
    actor: str = "",
    object: str = "",
    action: str = "",
    before: str = "",
) -> Response:
    """The newest first. `actor` may be written without "user:"; `object` may end in an asterisk."""
    actor, object, action = (storable(text.strip()[:300]) for text in (actor, object, action))
    wanted = {"actor": actor, "object": object, "action": action}
    viewed(request, who, "audit", detail={key: value for key, value in wanted.items() if value})
    found = audit.entries(
        ctx.db,
        actor=actor if not actor or ":" in actor else f"user:{actor}",
        object=object,
        action=action,
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
        limit=ROWS + 1,
    )
    rows, more = found[:ROWS], len(found) > ROWS
    query = {key: value for key, value in wanted.items() if value}
    return render.page(
        request,
        "console/audit.html",
        visitor=who,
        title=_("审计"),
        rows=[(row, json.dumps(row.detail, ensure_ascii=False) if row.detail else "") for row in rows],
        wanted=wanted,
        first=f"{PATH}?{urlencode(query)}" if before else "",
        after=f"{PATH}?{urlencode(query | {'before': str(rows[-1].id)})}" if more else "",
    )
