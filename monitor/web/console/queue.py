"""/queue: what waits for people, worked through from the keyboard or by forms alone.

The script (assets/queue.js) sends the same forms in the background and is answered with JSON; without it every form
comes back to the page it was on, which says what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from monitor.rights import Action, Visitor
from monitor.schema import flag as flag_table
from monitor.store import audit
from monitor.store.acts import Done, Overtaken, Seen, Witness, assign_many, last_act, review_many, undo
from monitor.store.flag_codes import by_code
from monitor.store.flag_notes import LENGTH, add_note
from monitor.store.flags import FlagNotFound
from monitor.store.queue_news import Standing, mark_of
from monitor.store.review_queue import QueueRow, count_queue, list_heads, rows_of
from monitor.store.saved_views import View, views_of
from monitor.web.console import queue_filters as filters
from monitor.web.console import queue_news, render
from monitor.web.console.chart_data import make_ready
from monitor.web.console.colleagues import Colleagues, colleagues, who_of
from monitor.web.console.i18n import Text, _, ngettext, word
from monitor.web.console.known import known
from monitor.web.console.queue_filters import Filters
from monitor.web.console.queue_paging import PAGE, turn
from monitor.web.console.queue_rows import rows_shown
from monitor.web.console.visit import flash, go, viewed, visitor, wants_page
from monitor.web.context import WebContext
from monitor.web.flag_words import VERDICTS, line_of
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
router.include_router(queue_news.router)
NAMED = 8
"""flags that a message names; of more it says how many there are"""
VERDICT_KEYS = ("real_move", "data_error", "expected", "to_check")
V = Annotated[Visitor, Depends(visitor(Action.FLAGS_VIEW))]
Field = Annotated[str, Form(max_length=4000)]


@router.get("/queue")
def queue(request: Request, ctx: Context, who: V, after: str = "", before: str = "") -> Response:
    views, chosen, asked = asked_for(ctx, who, dict(request.query_params))
    areas = who.areas(Action.FLAGS_VIEW)
    named = by_code(ctx.db, asked.item, areas.where(flag_table.c.area)) if asked.item else None
    if named is not None:  # the code that a message names a flag by: there is nothing to choose from
        return go(request, f"/flags/{named}")
    viewed(request, who, "queue", detail={"filters": asked.query()})
    make_ready(request)  # charts: flags are opened from here
    places, now, within = known(request, areas), ctx.now(), areas.where(flag_table.c.area)
    wanted = asked.wanted(now, who.account_id, places.by_class)
    mark = mark_of(ctx.db)  # before the rows are read: what comes in between is told rather twice than never
    counts, reviewers = count_queue(ctx.db, wanted, within), colleagues(request).reviewers(areas)
    called = {
        "grade": {str(one.rank): one.label for one in counts},
        "to": {str(one.id): one.shown for one in reviewers},
    }
    shown = turn(ctx.db, wanted, within, partial(address, asked, chosen), after, before)
    return render.page(
        request,
        "console/queue.html",
        visitor=who,
        title=_("复核队列"),
        rows=rows_shown(request, who, shown.heads),
        counts=counts,
        chips=filters.chips(asked, called),
        asked=asked,
        words=filters,
        places=places,
        area_options=[(area, area) for area in [ctx.city, *places.areas]],
        verdict_words=VERDICTS,
        views=views,
        chosen=chosen,
        shown=shown,
        here=shown.here,
        first_page=address(asked, chosen),
        mark=mark,
        now=now,
        verdicts=[(key, VERDICTS[key]) for key in VERDICT_KEYS],
        last=last_act(ctx.db, who.account_id) if who.may(Action.FLAGS_REVIEW) else None,
        may_review=who.may(Action.FLAGS_REVIEW),
        may_assign=who.may(Action.FLAGS_ASSIGN),
        reviewers=reviewers,
        note_length=LENGTH,
        colour_of=colour_of_count,
    )


def asked_for(ctx: WebContext, who: Visitor, query: Mapping[str, str]) -> tuple[Sequence[View], View | None, Filters]:
    """The views of somebody, the one that an address chooses, and its filter; without any query the default one."""
    views = views_of(ctx.db, who.account_id)
    chosen = next((one for one in views if str(one.id) == query.get("view", "")), None)
    if chosen is None and not query:
        chosen = next((one for one in views if one.default), None)
    return views, chosen, Filters.of_query(chosen.query) if chosen else Filters.of(query)


def address(asked: Filters, chosen: View | None, further: str = "") -> str:
    """The address of the queue as it is asked for, with a further part of the query."""
    query = urlencode({"view": chosen.id}) if chosen else asked.query() or "state="
    return f"/queue?{query}" + (f"&{further}" if further else "")


def colour_of_count(label: str, colour: str) -> str:
    from monitor.web.flag_words import COLOURS

    return next((css for sign, css in COLOURS.items() if sign in (colour or label) or css == colour), "plain")


# --- acts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a form: kind and words of the message, and the flags that it was about."""

    kind: str
    text: Text | str
    done: Done = field(default_factory=Done)


@router.post("/queue/act")
def act(
    request: Request,
    ctx: Context,
    who: V,
    what: Field = "",
    verdict: Field = "",
    note: Field = "",
    to: Field = "",
    number: Annotated[str, Form(alias="act", max_length=20)] = "",
    back: Annotated[str, Form(alias="next", max_length=4000)] = "/queue",
    flag: Annotated[list[str], Form(max_length=1000)] = [],  # noqa: B006
) -> Response:
    seen = [one for one in map(read_seen, flag) if one is not None][: 2 * PAGE]
    if what == "review":
        outcome = judged(request, ctx, who, seen, verdict, note.strip())
    elif what == "assign":
        outcome = assigned(request, ctx, who, seen, to)
    elif what == "undo":
        outcome = undone(request, ctx, who, int(number) if number.isdecimal() and len(number) < 18 else None)
    elif what == "note":
        outcome = noted(ctx, who, seen, note)
    else:
        outcome = Outcome("fault", _("请选择要做的事。"))
    return answer(request, ctx, who, outcome, back)


def read_seen(text: str) -> Seen | None:
    """'a1b2.3.0' as id, revision and version; None for anything else."""
    parts = text.rsplit(".", 2)
    if len(parts) != 3 or not all(one.isdecimal() and len(one) < 10 for one in parts[1:]):
        return None
    return Seen(parts[0], int(parts[1]), int(parts[2]))


def judged(request: Request, ctx: WebContext, who: Visitor, seen: list[Seen], verdict: str, note: str) -> Outcome:
    if not who.may(Action.FLAGS_REVIEW):
        return not_allowed()
    if verdict not in VERDICT_KEYS:
        return Outcome("fault", _("请选择结论。"))
    if not seen:
        return nothing_chosen()
    if len(note) > LENGTH:
        return Outcome("fault", _("备注最多%(n)s个字，没有保存。", n=LENGTH))
    within = who.areas(Action.FLAGS_REVIEW).where(flag_table.c.area)
    seen_by = witness(ctx, who, "flag.review", {"verdict": verdict, "note": note})
    done = review_many(ctx.db, seen, verdict, note, who_of(who), ctx.now(), within, seen_by)
    ctx.on_observations()  # a judgement changes what counts: the evaluation has work
    said = ngettext(
        "已将 %(num)s 条判为“%(verdict)s”。",
        "已将 %(num)s 条判为“%(verdict)s”。",
        len(done.done),
        verdict=word(VERDICTS[verdict]),
    )
    return told(request, ctx, who, done, said)


def assigned(request: Request, ctx: WebContext, who: Visitor, seen: list[Seen], to: str) -> Outcome:
    if not who.may(Action.FLAGS_ASSIGN):
        return not_allowed()
    if not seen:
        return nothing_chosen()
    areas = who.areas(Action.FLAGS_ASSIGN)
    target: tuple[int, str] | None = None
    if to == filters.ME:
        target = who.account_id, who.shown
    elif to != filters.NOBODY:
        chosen = next((one for one in colleagues(request).reviewers(areas) if str(one.id) == to), None)
        if chosen is None:
            return Outcome("fault", _("请选择分派给谁。"))
        target = chosen.id, chosen.shown
    seen_by = witness(ctx, who, "flag.assign", {"to": target[1] if target else ""})
    done = assign_many(ctx.db, seen, target, who_of(who), ctx.now(), areas.where(flag_table.c.area), seen_by)
    n = len(done.done)
    said = (
        ngettext("已将 %(num)s 条分派给%(name)s。", "已将 %(num)s 条分派给%(name)s。", n, name=target[1])
        if target
        else ngettext("已取消 %(num)s 条的分派。", "已取消 %(num)s 条的分派。", n)
    )
    return told(request, ctx, who, done, said)


def undone(request: Request, ctx: WebContext, who: Visitor, number: int | None) -> Outcome:
    within = who.areas(Action.FLAGS_REVIEW).where(flag_table.c.area)
    done = undo(ctx.db, who_of(who), ctx.now(), within, number, witness(ctx, who, "flag.undo", {}))
    if done is None:
        return Outcome("note", _("没有可以撤销的结论。"))
    ctx.on_observations()
    said = ngettext(
        "已撤销 %(num)s 条的结论“%(verdict)s”。",
        "已撤销 %(num)s 条的结论“%(verdict)s”。",
        len(done.done),
        verdict=word(VERDICTS.get(done.verdict, done.verdict)),
    )
    return told(request, ctx, who, done, said)


def noted(ctx: WebContext, who: Visitor, seen: list[Seen], note: str) -> Outcome:
    if not who.may(Action.FLAGS_REVIEW):
        return not_allowed()
    if len(seen) != 1:
        return nothing_chosen()
    within = who.areas(Action.FLAGS_REVIEW).where(flag_table.c.area)
    try:
        add_note(ctx.db, seen[0].flag, note, who_of(who), ctx.now(), within, witness(ctx, who, "flag.note", {}))
    except FlagNotFound:
        return Outcome("fault", _("没有这条提示，备注没有保存。"))
    except ValueError:
        return Outcome("fault", _("备注须有1至%(n)s个字，没有保存。", n=LENGTH))
    return Outcome("done", _("备注已保存。"), Done(done=seen))


def witness(ctx: WebContext, who: Visitor, action: audit.Act, detail: dict[str, Any]) -> Witness:
    """Writes each flag that is changed into the audit, in the transaction that changes it."""
    now = ctx.now()

    def note(connection: Connection, flag_id: str) -> None:
        audit.note(connection, who, action, f"flag:{flag_id}", detail, now)

    return note


def not_allowed() -> Outcome:
    return Outcome("fault", _("您没有这项权限，没有执行。"))


def nothing_chosen() -> Outcome:
    return Outcome("fault", _("请先选择提示。"))


def told(request: Request, ctx: WebContext, who: Visitor, done: Done, said: Text) -> Outcome:
    """The message of an act: what went through, and each flag that a colleague was quicker with."""
    parts = [str(said)] if done.done or not (done.overtaken or done.unknown) else []
    if done.overtaken:
        named = "；".join(overtaken_words(request, one, ctx) for one in done.overtaken[:NAMED])
        more = "……" if len(done.overtaken) > NAMED else ""
        parts.append(
            str(
                ngettext(
                    "%(num)s 条在此期间已由他人处理，没有覆盖：%(named)s%(more)s。",
                    "%(num)s 条在此期间已由他人处理，没有覆盖：%(named)s%(more)s。",
                    len(done.overtaken),
                    named=named,
                    more=more,
                )
            )
        )
    if done.unknown:
        parts.append(str(ngettext("%(num)s 条已不存在。", "%(num)s 条已不存在。", len(done.unknown))))
    return Outcome("fault" if done.overtaken or done.unknown else "done", " ".join(parts), done)


def overtaken_words(request: Request, one: Overtaken, ctx: WebContext) -> str:
    """Who did what to a flag meanwhile: 大白菜（东区）：监测员乙判为“属预期”."""
    record, everybody = one.record, colleagues(request)
    name = line_of(record, ctx.zone, demo=False)
    where = f"{name.item}（{name.place}）"
    if record.verdict:
        verdict = word(VERDICTS.get(record.verdict, record.verdict))
        by = everybody.called(record.reviewer)
        return str(_("%(where)s：%(by)s判为“%(verdict)s”", where=where, by=by, verdict=verdict))
    if one.assignee:
        return str(_("%(where)s：已分派给%(name)s", where=where, name=one.assignee))
    return str(_("%(where)s：已改回未复核", where=where))


def answer(request: Request, ctx: WebContext, who: Visitor, outcome: Outcome, back: str) -> Response:
    if wants_page(request):
        flash(ctx, who, outcome.kind, outcome.text)
        return go(request, back + going_on(request, ctx, who, outcome.done, back))
    done = outcome.done
    ids = [*(one.flag for one in done.done), *(one.record.flag.id for one in done.overtaken)]
    within = who.areas(Action.FLAGS_VIEW).where(flag_table.c.area)
    standing = last_act(ctx.db, who.account_id)
    return JSONResponse(
        {
            "kind": outcome.kind,
            "said": str(outcome.text),
            "act": standing.act if standing else None,
            "rows": {
                name: row_state(row, who, colleagues(request)) for name, row in rows_of(ctx.db, ids, within).items()
            },
            "overtaken": [one.record.flag.id for one in done.overtaken],
            "unknown": list(done.unknown),
        }
    )


def going_on(request: Request, ctx: WebContext, who: Visitor, done: Done, back: str) -> str:
    """Where to go on in a page of the queue: "#f-…" of the row below the last one that something was done with."""
    parts = urlsplit(back)
    if parts.path != "/queue" or parts.fragment or not done.done:
        return ""
    areas = who.areas(Action.FLAGS_VIEW)
    within = areas.where(flag_table.c.area)
    _views, _chosen, asked = asked_for(ctx, who, dict(parse_qsl(parts.query)))
    rows = rows_of(ctx.db, [one.flag for one in done.done], within).values()
    if not rows:
        return ""
    wanted = asked.wanted(ctx.now(), who.account_id, known(request, areas).by_class)
    below = list_heads(ctx.db, wanted, within, 1, min(row.position for row in rows))
    return f"#f-{below[0].id}" if below else ""


def row_state(row: QueueRow, who: Visitor, everybody: Colleagues) -> dict[str, Any]:
    """How a row stands now, for the script."""
    one = row.record
    standing = Standing(
        id=one.flag.id,
        revision=one.revision,
        version=row.version,
        state=one.state,
        end_reason=one.flag.end_reason,
        verdict=one.verdict,
        reviewer=one.reviewer,
        note=one.note,
        assignee=row.assignee,
        raised=False,
    )
    own = {"mine": row.assignee_id == who.account_id, "notes": row.notes}
    return queue_news.judged(standing, everybody) | own
