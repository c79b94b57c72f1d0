"""/entry/upload: a sheet, shown as it was understood before anything of it is stored, then committed as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from collectors.sheet import Header
from collectors.sheet_model import POINT_PREFIX
from collectors.sheet_rejects import rejects_csv
from collectors.sheet_values import clean_note
from monitor.entry.sheets import (
    LOOK_BACK,
    REMEDY,
    Choices,
    Reader,
    Reading,
    chosen,
    picked_twice,
    quoted,
    selected,
    with_reasons,
)
from monitor.entry.typed import LEAST_REASON
from monitor.rights import Visitor
from monitor.store import audit, points, uploads
from monitor.store.batches import BatchRecord, batch_of, rejects_of
from monitor.store.uploads import Upload
from monitor.web.console import render
from monitor.web.console.entry_access import (
    SOURCE,
    Reporter,
    Sent,
    allowed_points,
    own_points,
    point_for,
    text,
)
from monitor.web.console.entry_words import FIELDS, REASONS, asked
from monitor.web.console.i18n import Text, _, ngettext
from monitor.web.console.visit import Hidden, flash, go, viewed
from monitor.web.context import WebContext
from monitor.web.security import Context
from thresholds.explain import Question
from thresholds.model import ObservationBatch, Reject

router = APIRouter(include_in_schema=False)

ROWS_SHOWN = 50
COLUMNS_SHOWN = 30
ASKED_SHOWN = 200
CELL = 60
NAME = 120
CHOICE = {"date", "unit", "point", "channel"}
"""What can be given for the whole sheet where it has no column for it."""


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


@router.get("/entry/upload")
def show_form(request: Request, ctx: Context, who: Reporter, point: str = "") -> Response:
    own = own_points(ctx, who)
    return upload_page(request, ctx, who, point_for(own, point), own, 200)


def upload_page(
    request: Request, ctx: WebContext, who: Visitor, point: str, own: Mapping[str, str], status: int,
    error: str | Text = "",
) -> Response:  # fmt: skip
    options = ctx.entry().options
    return render.page(
        request,
        "console/entry_upload.html",
        visitor=who,
        title=_("上传表格"),
        status=status,
        point=point,
        own_options=[(name, name) for name in own],
        error=error,
        waiting=uploads.list_uploads(ctx.db, who.actor, ctx.now()),
        max_mib=f"{ctx.settings.max_body_bytes / (1 << 20):.0f}",
        max_rows=options.max_rows,
    )


@router.post("/entry/upload")
def take(request: Request, ctx: Context, who: Reporter, form: Sent) -> Response:
    """Keep the file, with the mapping that its owner used for such a sheet before."""
    own = own_points(ctx, who)
    point = point_for(own, text(form, "point", 500))
    file = form.get("file")
    content = file.file.read(ctx.settings.max_body_bytes + 1) if isinstance(file, UploadFile) else b""
    if not isinstance(file, UploadFile) or not content:
        return upload_page(request, ctx, who, point, own, 422, _("请选择一个有内容的文件。"))
    options, now = ctx.entry().options, ctx.now()
    name = shown_name(file.filename or "")
    try:
        one = uploads.add(ctx.db, who.actor, name, content, now, now + options.kept, most=options.uploads)
    except uploads.TooManyUploads:
        words = _("您已有 %(n)s 个上传的文件，请先提交或删除其中一些。", n=options.uploads)
        return upload_page(request, ctx, who, point, own, 422, words)
    defaults = {"point": point} if point else {}
    before = reader(ctx, who).read(content, name, Choices(defaults=defaults))
    known = Choices.of(uploads.remembered(ctx.db, who.actor, uploads.header_digest(before.names)))
    kept = Choices(known.columns, known.ignore, {**known.defaults, **defaults})
    uploads.choose(ctx.db, who.actor, one.id, kept.as_json())
    audit.note(ctx.db, who, "entry.upload", f"upload:{one.id}", {"name": name, "bytes": one.size}, now)
    return go(request, f"/entry/upload/{one.id}")


def shown_name(given: str) -> str:
    """The file's own name without its folders, for showing: never a path of ours."""
    last = given.replace("\\", "/").rpartition("/")[2]
    plain = "".join(c for c in last if c.isprintable()).strip()
    return plain[-NAME:] or "sheet"


def reader(ctx: WebContext, who: Visitor) -> Reader:
    tools = ctx.entry()
    return Reader(
        zone=ctx.zone,
        now=ctx.now(),
        points=allowed_points(ctx, who),
        limits=tools.limits,
        classify=tools.catalogue.classify,
        beside=lambda batch: points.beside(ctx.db, batch, LOOK_BACK),
        max_bytes=tools.options.max_unpacked,
        max_rows=tools.options.max_rows,
    )


def upload_of(ctx: WebContext, who: Visitor, upload_id: str) -> Upload:
    """The visitor's own upload. Raises Hidden."""
    found = uploads.find(ctx.db, who.actor, upload_id[:100], ctx.now())
    if found is None:
        raise Hidden
    return found


def read(ctx: WebContext, who: Visitor, one: Upload) -> Reading:
    content = uploads.content(ctx.db, who.actor, one.id)
    return reader(ctx, who).read(content, one.name, Choices.of(one.choices))


@router.get("/entry/upload/{id}")
def preview(request: Request, ctx: Context, who: Reporter, id: str, page: int = 1, show: str = "all") -> Response:
    one = upload_of(ctx, who, id)
    viewed(request, who, f"upload:{one.id}")
    if one.state == uploads.STORED:
        return stored_page(request, ctx, who, one)
    return preview_page(request, ctx, who, one, read(ctx, who, one), max(1, page), show, 200)


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


# --- mapping --------------------------------------------------------------------------------------------------------


@router.post("/entry/upload/{id}/columns")
def map_columns(request: Request, ctx: Context, who: Reporter, form: Sent, id: str) -> Response:
    """Read the sheet as its owner says, and remember it for sheets with this header."""
    one = upload_of(ctx, who, id)
    before = read(ctx, who, one)
    fields = [text(form, f"column-{k}", 600) for k in range(len(before.names))]
    defaults = {name: text(form, f"default-{name}", 200) for name in CHOICE}
    choices = chosen(before.names, fields, defaults)
    if twice := picked_twice(before.names, fields):
        words = _("“%(field)s”只能对应一列，请检查各列的含义。", field=str(FIELDS.get(twice[0], twice[0])))
        flash(ctx, who, "fault", words)
        return go(request, f"/entry/upload/{one.id}")
    uploads.choose(ctx.db, who.actor, one.id, choices.as_json())
    remembered = Choices(choices.columns, choices.ignore, {k: v for k, v in choices.defaults.items() if k != "date"})
    header = uploads.header_digest(before.names)
    uploads.remember(ctx.db, who.actor, header, remembered.as_json(), ctx.now())
    return go(request, f"/entry/upload/{one.id}")


# --- commit ---------------------------------------------------------------------------------------------------------


@router.post("/entry/upload/{id}/commit")
def commit(request: Request, ctx: Context, who: Reporter, form: Sent, id: str) -> Response:
    """Store all accepted rows in one transaction; what is asked needs its reason, or is left out on purpose."""
    one = upload_of(ctx, who, id)
    if one.state == uploads.STORED:
        return go(request, f"/entry/upload/{one.id}")
    reading = read(ctx, who, one)
    given = answers(form, reading)
    open_ = [place for place, question in reading.asked.items() if not is_answered(question, *given[place])]
    without = bool(text(form, "without", 5))
    if reading.fault is not None:
        return preview_page(request, ctx, who, one, reading, 1, "all", 422)
    if open_ and not without:
        fault = ngettext(
            "还有 %(num)s 行没有写明原因或没有确认。", "还有 %(num)s 行没有写明原因或没有确认。", len(open_)
        )
        return preview_page(request, ctx, who, one, reading, 1, "all", 422, given, [("", fault)])
    batch, rejects = accepted(ctx, who, reading, given, open_)
    if not len(batch):
        return preview_page(request, ctx, who, one, reading, 1, "all", 422, given, [("", _("没有可以提交的行。"))])
    now = ctx.now()
    try:
        added = uploads.commit(ctx.db, one, batch, source=SOURCE, now=now, rejects=rejects)
    except uploads.AlreadyCommitted:
        return go(request, f"/entry/upload/{one.id}")
    except KeyError:
        raise Hidden from None
    ctx.on_stored(SOURCE, added.counts, Counter(r.reason for r in rejects))
    if added.counts.accepted or added.counts.revised:
        ctx.on_observations()
    detail = {"name": one.name, "batch": added.batch_id, "rows": len(batch), "rejected": len(rejects)}
    audit.note(ctx.db, who, "entry.commit", f"upload:{one.id}", detail, now)
    return go(request, f"/entry/upload/{one.id}")


def answers(form: FormData, reading: Reading) -> dict[int, tuple[str, bool]]:
    """What was said about each value that is asked about: its own reason, else the one for all the others."""
    common, all_sure = clean_note(text(form, "n-all")), bool(text(form, "s-all", 5))
    found = {}
    for place in reading.asked:
        own = clean_note(text(form, f"n-{place}"))
        found[place] = (own or common, bool(text(form, f"s-{place}", 5)) or all_sure)
    return found


def accepted(
    ctx: WebContext, who: Visitor, reading: Reading, given: Mapping[int, tuple[str, bool]], left_out: Sequence[int]
) -> tuple[ObservationBatch, list[Reject]]:
    """The batch to store with its reasons, and all rejects, those left out among them."""
    reasons = {place: reason for place, (reason, _) in given.items() if place not in left_out}
    full = with_reasons(reading.batch, reasons, own_points(ctx, who))
    keep = full.value == full.value
    keep[list(left_out)] = False
    out = [
        Reject(int(full.row[place]), "unexplained", REMEDY["unexplained"], quoted(full, place)) for place in left_out
    ]
    return selected(full, keep), sorted([*reading.rejects, *out], key=lambda r: r.row)


@router.post("/entry/upload/{id}/discard")
def discard(request: Request, ctx: Context, who: Reporter, id: str) -> Response:
    one = upload_of(ctx, who, id)
    uploads.discard(ctx.db, who.actor, one.id)
    audit.note(ctx.db, who, "entry.discard", f"upload:{one.id}", {"name": one.name, "state": one.state}, ctx.now())
    flash(ctx, who, "done", _("文件已删除；已提交的价格不受影响。"))
    return go(request, "/entry/upload")


@router.get("/entry/upload/{id}/rejects.csv")
def download(ctx: Context, who: Reporter, id: str) -> Response:
    """The rows that cannot be, or were not, taken in: mended in a spreadsheet program and sent again."""
    one = upload_of(ctx, who, id)
    reading = read(ctx, who, one)
    rejects = rejects_of(ctx.db, one.batch_id) if one.batch_id else list(reading.rejects)
    names = reading.names or Header(0, {}, ()).names
    headers = {"Content-Disposition": 'attachment; filename="rejects.csv"'}
    return Response(rejects_csv(rejects, names), media_type="text/csv; charset=utf-8", headers=headers)


def stored_page(request: Request, ctx: WebContext, who: Visitor, one: Upload) -> Response:
    """What became of a committed upload."""
    assert one.batch_id is not None
    batch: BatchRecord = batch_of(ctx.db, one.batch_id)
    return render.page(
        request,
        "console/entry_stored.html",
        visitor=who,
        title=_("已提交"),
        one=one,
        counts=batch.counts,
        rejects=rejects_of(ctx.db, one.batch_id, limit=100),
    )
