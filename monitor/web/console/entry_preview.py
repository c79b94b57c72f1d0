"""How an upload is shown before it is stored: its rows in place, what is wrong or asked, what each column means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from collectors.sheet_model import POINT_PREFIX
from monitor.entry.sheets import Choices, Reading
from monitor.entry.typed import LEAST_REASON
from monitor.rights import Visitor
from monitor.store import uploads
from monitor.store.uploads import Upload
from monitor.web.console import render
from monitor.web.console.entry_access import own_points
from monitor.web.console.entry_words import FIELDS, REASONS, asked
from monitor.web.console.i18n import Text, _
from monitor.web.context import WebContext
from thresholds.explain import Question
from thresholds.model import Reject

ROWS_SHOWN = 50
COLUMNS_SHOWN = 30
ASKED_SHOWN = 200
CELL = 60


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One row of the sheet with what is said of it."""

    number: int
    cells: Sequence[str]
    faults: Sequence[Reject] = ()
    asked: bool = False
    head: bool = False


@dataclass(frozen=True, slots=True)
class ShownAsk:
    """One value that is asked about."""

    place: int
    row: int
    item: str
    unit: str
    at: datetime
    value: float
    question: Text
    to_confirm: bool
    reason: str = ""
    sure: bool = False
    wrong: bool = False


def preview_page(
    request: Request,
    ctx: WebContext,
    who: Visitor,
    one: Upload,
    reading: Reading,
    page: int,
    show: str,
    status: int,
    given: Mapping[int, tuple[str, bool]] | None = None,
    faults: Sequence[tuple[str, str | Text]] = (),
) -> Response:
    choices = Choices.of(one.choices)
    rows, elsewhere, total = shown_rows(reading, page, show)
    points_ = sorted(own_points(ctx, who))
    return render.page(
        request,
        "console/entry_preview.html",
        visitor=who,
        title=_("核对表格"),
        status=status,
        one=one,
        reading=reading,
        columns=shown_columns(reading),
        fields=field_options(points_, reading),
        points=points_,
        point_options=[(name, name) for name in points_],
        defaults=choices.defaults,
        rows=rows,
        elsewhere=elsewhere,
        width=min(COLUMNS_SHOWN, max((len(r.cells) for r in rows), default=1)),
        page=page,
        pages=-(-total // ROWS_SHOWN),
        show=show,
        link=lambda page, show: f"/entry/upload/{one.id}?{urlencode({'page': page, 'show': show})}",
        asks=shown_asks(ctx, reading, given or {}),
        asked=len(reading.asked),
        reasons=REASONS,
        faults=list(faults),
        ready=len(reading.batch) - len(reading.asked),
        repeated=repeated(ctx, who, one),
    )


def repeated(ctx: WebContext, who: Visitor, one: Upload) -> Upload | None:
    """The upload of the very same file that was committed before."""
    mine = uploads.list_uploads(ctx.db, who.actor, ctx.now())
    return next((o for o in mine if o.digest == one.digest and o.id != one.id and o.state == uploads.STORED), None)


def shown_columns(reading: Reading) -> list[dict[str, Any]]:
    """Each named column: its name, what it is taken for, and its first cells as examples."""
    body = [r for r in reading.sheets[0].rows if r[0] > reading.header][:50] if reading.sheets else []
    found = []
    for place, name in enumerate(reading.names[:200]):
        if not name.strip():
            continue
        cells = [clipped(row[place]) for _, row in body if place < len(row) and row[place].strip()]
        examples = "、".join(dict.fromkeys(cells))
        picked = reading.picked[place] if place < len(reading.picked) else ""
        found.append({"place": place, "name": name, "picked": picked, "examples": clipped(examples)})
    return found


def field_options(own: Sequence[str], reading: Reading) -> list[tuple[str, str | Text]]:
    """What a column can be taken for; in a table with a column for each point, the prices of one of them."""
    known = [(name, words) for name, words in FIELDS.items()]
    wide = {p.removeprefix(POINT_PREFIX) for p in reading.picked if p.startswith(POINT_PREFIX)}
    named = sorted({*(own if len(own) > 1 else ()), *wide})[:200]
    return [("", _("不使用")), *known, *((POINT_PREFIX + p, _("价格：%(point)s", point=p)) for p in named)]


def clipped(cell: str) -> str:
    flat = " ".join(cell.split())
    return flat if len(flat) <= CELL else flat[: CELL - 1] + "…"


def shown_rows(reading: Reading, page: int, show: str) -> tuple[list[ShownRow], list[Reject], int]:
    """The rows of one page with their faults beside them, faults that are of no row shown here, and how many rows
    there are to page through."""
    if not reading.sheets:
        return [], list(reading.rejects), 0
    sheet = next((s for s in reading.sheets if s.name in reading.read), reading.sheets[0])
    several = len(reading.read) > 1
    here = [] if several else reading.rejects
    faults: dict[int, list[Reject]] = {}
    for reject in here:
        faults.setdefault(reject.row, []).append(reject)
    asked_rows = set() if several else {int(reading.batch.row[place]) for place in reading.asked}
    wanted = [
        (number, cells)
        for number, cells in sheet.rows
        if any(c.strip() for c in cells)
        and (show != "wrong" or number in faults or number in asked_rows or number == reading.header)
    ]
    rows = [
        ShownRow(
            number,
            [clipped(c) for c in cells[:COLUMNS_SHOWN]],
            faults.get(number, ()),
            number in asked_rows,
            number == reading.header,
        )
        for number, cells in wanted[(page - 1) * ROWS_SHOWN : page * ROWS_SHOWN]
    ]
    return rows, list(reading.rejects)[:ASKED_SHOWN] if several else [], len(wanted)


def shown_asks(ctx: WebContext, reading: Reading, given: Mapping[int, tuple[str, bool]]) -> list[ShownAsk]:
    found = []
    for place, question in list(reading.asked.items())[:ASKED_SHOWN]:
        key = reading.batch.keys[int(reading.batch.series[place])]
        reason, sure = given.get(place, ("", False))
        found.append(
            ShownAsk(
                place=place,
                row=int(reading.batch.row[place]),
                item=" ".join(part for part in (key.item, key.spec, key.point) if part),
                unit=key.unit,
                at=datetime.fromtimestamp(int(reading.batch.at[place]), ctx.zone),
                value=float(reading.batch.value[place]),
                question=asked(question, key.unit),
                to_confirm=question.to_confirm,
                reason=reason,
                sure=sure,
                wrong=bool(given) and not is_answered(question, reason, sure),
            )
        )
    return found


def is_answered(question: Question, reason: str, sure: bool) -> bool:
    return len(reason) >= LEAST_REASON and (sure or not question.to_confirm)
