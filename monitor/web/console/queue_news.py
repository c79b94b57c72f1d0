"""/queue/news: what happened since a page of the queue was made, for its script, which asks while the page is seen.

Nothing is written for it: no audit (of the flags themselves only numbers are told) and no sign of life for the
session, which ends when nobody works. Where nothing happened the answer is 304, found without looking at flags.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import JSONResponse, Response

from monitor.reasoning import ENDS
from monitor.rights import Action, Visitor
from monitor.schema import flag as flag_table
from monitor.store.flag_rows import FlagState
from monitor.store.queue_news import Mark, Standing, news_since
from monitor.web.console.colleagues import Colleagues, colleagues
from monitor.web.console.i18n import word
from monitor.web.console.known import known
from monitor.web.console.queue_filters import Filters
from monitor.web.console.visit import visitor
from monitor.web.flag_words import VERDICTS
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
V = Annotated[Visitor, Depends(visitor(Action.FLAGS_VIEW, by_itself=True))]


@router.get("/queue/news")
def news(
    request: Request,
    ctx: Context,
    who: V,
    page: str = "",
    if_none_match: Annotated[str, Header(max_length=600)] = "",
) -> Response:
    """`page` is the mark of the page, beside its filter; If-None-Match the mark of the last answer."""
    made = Mark.read(page) or Mark()
    asked = Mark.read(if_none_match.strip('"')) or made
    areas = who.areas(Action.FLAGS_VIEW)
    filters = Filters.of(dict(request.query_params))
    wanted = filters.wanted(ctx.now(), who.account_id, known(request, areas).by_class)
    found = news_since(ctx.db, wanted, areas.where(flag_table.c.area), made, asked, who.actor)
    headers = {"Cache-Control": "no-store", "ETag": f'"{found.mark if found else asked}"'}
    if found is None:
        return Response(status_code=304, headers=headers)
    everybody = colleagues(request)
    rows = {one.id: row(one, everybody) for one in found.changed}
    return JSONResponse({"mark": str(found.mark), "new": found.appeared, "rows": rows}, headers=headers)


def row(one: Standing, everybody: Colleagues) -> dict[str, Any]:
    """How a row is to be marked."""
    over = word(ENDS.get(one.end_reason, one.end_reason)) if one.state is FlagState.OVER else ""
    return judged(one, everybody) | {"over": over, "raised": one.raised}


def judged(one: Standing, everybody: Colleagues) -> dict[str, Any]:
    """What people made of a flag, for the script: in every answer that changes a row."""
    return {
        "seen": f"{one.id}.{one.revision}.{one.version}",
        "settled": one.state is FlagState.REVIEWED,
        "verdict": word(VERDICTS.get(one.verdict, one.verdict)),
        "reviewer": everybody.called(one.reviewer) if one.reviewer else "",
        "note": one.note,
        "assignee": one.assignee,
    }
