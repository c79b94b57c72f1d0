"""/admin/audit: who saw and did what, in words, page by page, for auditors. Reading it is in the audit as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from sqlalchemy import select
from starlette.responses import Response

from monitor.rights import Action, Visitor
from monitor.schema import flag as flag_table
from monitor.store import audit
from monitor.store.text import storable
from monitor.web.console import audit_words as words
from monitor.web.console import render
from monitor.web.console.colleagues import Colleagues, colleagues
from monitor.web.console.i18n import _
from monitor.web.console.visit import viewed, visitor
from monitor.web.context import WebContext
from monitor.web.security import Context

router = APIRouter(include_in_schema=False)
Auditor = Annotated[Visitor, Depends(visitor(Action.AUDIT_VIEW))]
PATH = "/admin/audit"
ROWS = 100
ACTS = "acts"
"""of the filter by action: all but looking"""


@router.get(PATH)
def show(request: Request, ctx: Context, who: Auditor, before: str = "") -> Response:
    """The newest first. Fields may hold words or codes: `actor` a name or an account, `object` a code such as flag:…,
    which may end in an asterisk, or `kind` and `which`; `action` a code; `since` and `until` are days."""
    wanted = {name: storable(request.query_params.get(name, "").strip()[:300]) for name in FIELDS}
    given = {key: value for key, value in wanted.items() if value}
    viewed(request, who, "audit", detail=given)
    everybody = colleagues(request)
    found = audit.look_up(
        ctx.db,
        asked_for(ctx, wanted, everybody),
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
        limit=ROWS + 1,
    )
    shown, more = found[:ROWS], len(found) > ROWS
    return render.page(
        request,
        "console/audit.html",
        visitor=who,
        title=_("审计"),
        rows=lines(ctx, who, shown, everybody),
        wanted=wanted,
        given=bool(given),
        groups=words.GROUPS,
        kinds=list(words.OBJECTS.items()),
        names=sorted(everybody.names.items(), key=lambda one: one[1]),
        first=f"{PATH}?{urlencode(given)}" if before else "",
        after=f"{PATH}?{urlencode(given | {'before': str(shown[-1].id)})}" if more else "",
    )


FIELDS = ("actor", "action", "kind", "which", "object", "since", "until")


def asked_for(ctx: WebContext, wanted: Mapping[str, str], everybody: Colleagues) -> audit.Asked:
    """The fields of the form as a question to the store; what cannot be meant finds nothing or is left out."""
    action, kind = wanted["action"], wanted["kind"]
    objects = [wanted["object"]] if wanted["object"] else []
    if kind in words.OBJECTS:
        objects = [f"{kind}:{wanted['which'].rstrip('*')}*"] + ([] if wanted["which"] else [kind])
    since, until = day_of(wanted["since"]), day_of(wanted["until"])
    return audit.Asked(
        actors=actors_of(wanted["actor"], everybody),
        objects=objects,
        actions=[action] if action and action != ACTS else (),
        but=audit.LOOKING if action == ACTS else (),
        since=midnight(ctx, since) if since else None,
        until=midnight(ctx, until + timedelta(days=1)) if until else None,
    )


def actors_of(text: str, everybody: Colleagues) -> Sequence[str]:
    """Whom a name means: people who are shown so, else an account, a program, or a code such as cli:root."""
    if not text or ":" in text:
        return [text] if text else []
    shown = [actor for actor, name in everybody.names.items() if name == text]
    programs = [code for code, name in words.PROGRAMS.items() if text in (code, str(name))]
    return [*shown, *(f"{code}*" for code in programs)] or [f"user:{text}"]


def day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def midnight(ctx: WebContext, day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ctx.zone)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the audit in words, with its codes. `link` is where its object is, "" where it cannot be seen."""

    entry: audit.Entry
    actor: str
    action: str
    kind: str
    which: str
    link: str
    particulars: list[tuple[str, str]]


def lines(ctx: WebContext, who: Visitor, found: Sequence[audit.Entry], everybody: Colleagues) -> list[Line]:
    flags = flags_of(ctx, who, found)
    made = []
    for entry in found:
        kind, which = words.object_words(entry.object)
        flag = flags.get(entry.object)
        made.append(
            Line(
                entry,
                words.actor_words(entry.actor, everybody),
                words.action_words(entry.action),
                kind,
                flag or which,
                f"/flags/{which}" if flag else "",
                words.particulars(entry.detail),
            )
        )
    return made


def flags_of(ctx: WebContext, who: Visitor, found: Sequence[audit.Entry]) -> dict[str, str]:
    """What the flags in these lines are about, those that the reader may see: {"flag:f1": "大白菜 东区"}."""
    ids = {entry.object.removeprefix("flag:") for entry in found if entry.object.startswith("flag:")}
    if not ids:
        return {}
    c = flag_table.c
    query = select(c.id, c.item, c.area).where(c.id.in_(sorted(ids)), who.areas(Action.FLAGS_VIEW).where(c.area))
    with ctx.db.connect() as connection:
        return {f"flag:{row.id}": f"{row.item} {row.area}".strip() for row in connection.execute(query)}
