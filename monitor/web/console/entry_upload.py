"""/entry/upload: a sheet, shown as it was understood before anything of it is stored, then committed as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from collectors.sheet import Header
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
from monitor.rights import Visitor
from monitor.store import audit, points, uploads
from monitor.store.batches import BatchRecord, batch_of, rejects_of
from monitor.store.text import storable
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
from monitor.web.console.entry_preview import is_answered, preview_page
from monitor.web.console.entry_words import FIELDS
from monitor.web.console.i18n import Text, _, ngettext
from monitor.web.console.visit import Hidden, flash, go, viewed
from monitor.web.context import WebContext
from monitor.web.security import Context
from thresholds.model import ObservationBatch, Reject

router = APIRouter(include_in_schema=False)

NAME = 120
CHOICE = {"date", "unit", "point", "channel"}
"""What can be given for the whole sheet where it has no column for it."""


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
    found = uploads.find(ctx.db, who.actor, storable(upload_id[:100]), ctx.now())
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
def download(request: Request, ctx: Context, who: Reporter, id: str) -> Response:
    """The rows that cannot be, or were not, taken in: mended in a spreadsheet program and sent again."""
    one = upload_of(ctx, who, id)
    viewed(request, who, f"upload:{one.id}", action="download")
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
