"""/queue/views: filters of the review queue that people keep under a name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from monitor.rights import Action, Visitor
from monitor.store.saved_views import ViewError, keep_view, remove_view, set_default
from monitor.web.console.i18n import _
from monitor.web.console.queue_filters import Filters
from monitor.web.console.visit import flash, go, visitor
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
V = Annotated[Visitor, Depends(visitor(Action.FLAGS_VIEW))]
Field = Annotated[str, Form(max_length=4000)]

VIEW_FAULTS = {
    "name": _("视图名称须有1至40个字。"),
    "taken": _("已有同名的视图，请换一个名称。"),
    "too_many": _("视图过多，请先删除不用的。"),
}


@router.post("/queue/views")
def views(
    request: Request,
    ctx: Context,
    who: V,
    what: Field = "",
    name: Field = "",
    query: Field = "",
    default: Field = "",
    view: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    number = int(view) if view.isdecimal() and len(view) < 18 else 0
    if what == "keep":
        try:
            made = keep_view(ctx.db, who.account_id, name, Filters.of_query(query).query(), bool(default), ctx.now())
        except ViewError as error:
            flash(ctx, who, "fault", VIEW_FAULTS[error.reason])
            return go(request, f"/queue?{Filters.of_query(query).query() or 'state='}")
        flash(ctx, who, "done", _("视图已保存。"))
        return go(request, f"/queue?view={made.id}")
    if what == "default":
        set_default(ctx.db, who.account_id, number)
    elif what == "plain":
        set_default(ctx.db, who.account_id, None)
    elif what == "remove" and remove_view(ctx.db, who.account_id, number):
        flash(ctx, who, "done", _("视图已删除。"))
        return go(request, "/queue?state=")
    return go(request, f"/queue?view={number}")
