"""Rows of the review queue, ready to show; those that have not changed are rendered once a minute for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup
from starlette.requests import Request

from monitor.rights import Action, Visitor
from monitor.schema import flag as flag_table
from monitor.store.demo import demo_places, is_demo
from monitor.store.flag_rows import FlagState
from monitor.store.review_queue import Head, QueueRow, rows_of
from monitor.web.console import i18n, render, sparks
from monitor.web.console.colleagues import colleagues
from monitor.web.console.known import shelf_of
from monitor.web.console.sparks import Spark
from monitor.web.context import WebContext
from monitor.web.flag_words import VERDICTS, FlagLine, line_of

BASIS = "依据："  # i18n: a sign within the reason, which is data
"""where the reason of a flag goes on to the rule behind it (thresholds.wording)"""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the queue, ready to show. `seen` is what a form sends back: id, revision and version."""

    row: QueueRow
    flag: FlagLine
    seen: str
    days: int
    spark: Spark | None
    verdict: str
    reviewer: str

    @property
    def why(self) -> str:
        """What was seen; `basis` is the rule behind it."""
        return self.flag.reason.partition(BASIS)[0].rstrip("。") + "。" if self.flag.reason else ""

    @property
    def basis(self) -> str:
        _before, sign, after = self.flag.reason.partition(BASIS)
        return sign + after

    @property
    def settled(self) -> bool:
        return self.row.record.state is FlagState.REVIEWED


def rows_shown(request: Request, who: Visitor, heads: Sequence[Head]) -> list[Markup]:
    """The rows of these flags as HTML: the same for everybody who reads this language and may do as much."""
    ctx: WebContext = request.app.state.context
    shelf, now = shelf_of(request, "rows"), ctx.now()
    may_pick = who.may(Action.FLAGS_REVIEW) or who.may(Action.FLAGS_ASSIGN)
    how = i18n.language(), may_pick, request.scope.get("root_path", "")
    found = {head.id: shelf.get((head.item, head, how), now.timestamp()) for head in heads}
    missing = [head for head in heads if found[head.id] is None]
    if missing:
        within = who.areas(Action.FLAGS_VIEW).where(flag_table.c.area)
        rows = rows_of(ctx.db, [head.id for head in missing], within)
        lines = lines_of(request, [rows[head.id] for head in missing if head.id in rows], now)
        template = render.environment(ctx.zone).get_template("console/queue_row.html")
        made = {
            line.flag.id: Markup(template.render(line=line, may_pick=may_pick, root=how[2]))  # noqa: S704  a template
            for line in lines
        }
        for head in missing:
            if head.id in made:
                found[head.id] = made[head.id]
                shelf.put((head.item, head, how), made[head.id], now.timestamp())
    return [row for head in heads if isinstance(row := found[head.id], Markup)]


def forget(request: Request, item: str) -> None:
    """The values of an item were corrected: its rows and charts are made anew."""
    for name in ("rows", "sparks", "pictures"):
        shelf_of(request, name).forget(lambda key: isinstance(key, tuple) and key[0] == item)


def lines_of(request: Request, rows: Sequence[QueueRow], now: datetime, *, charts: bool = True) -> list[Line]:
    """The rows with their words; without `charts` the small charts are left out."""
    ctx: WebContext = request.app.state.context
    records = [row.record for row in rows]
    demo = demo_places(ctx.db, {record.flag.item for record in records}) if records else set()
    small = sparks.sparks(request, records) if charts else {}
    everybody = colleagues(request)
    return [
        Line(
            row=row,
            flag=line_of(row.record, ctx.zone, demo=is_demo(row.record.flag, demo)),
            seen=f"{row.record.flag.id}.{row.record.revision}.{row.version}",
            days=max(0, (now - row.record.flag.start).days),
            spark=small.get(row.record.flag.id),
            verdict=VERDICTS.get(row.record.verdict, row.record.verdict),
            reviewer=everybody.called(row.record.reviewer) if row.record.reviewer else "",
        )
        for row in rows
    ]
