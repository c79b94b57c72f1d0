"""What people do on a flag's page beside judging it: ask a point to check, look at single values and correct them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import Response

from monitor.reasoning import number
from monitor.rights import Action, Visitor
from monitor.store.corrections import (
    REASON_LENGTH,
    CorrectionError,
    SeriesNotFound,
    ValueChanged,
    correct,
    corrections_of,
    find_series,
)
from monitor.store.flags import FlagNotFound
from monitor.store.observations import ObservationRecord, list_observations
from monitor.store.questions import LENGTH, ask
from monitor.store.text import moment
from monitor.web.console import queue_rows, render
from monitor.web.console.asking import DUE, reporters_of, teller
from monitor.web.console.colleagues import colleagues, who_of
from monitor.web.console.flag_page import EFFECTS, found, within_flags, within_series
from monitor.web.console.i18n import Text, _
from monitor.web.console.queue import witness
from monitor.web.console.visit import Hidden, flash, go, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.flag_words import line_of
from monitor.web.security import Context
from thresholds.model import Flag, Mark

router = APIRouter(include_in_schema=False)
V = Annotated[Visitor, Depends(visitor(Action.FLAGS_VIEW))]
Number = Annotated[int, Path(ge=1, le=2**53)]
Time = Annotated[int, Query(ge=-(2**40), le=2**40)]
Field = Annotated[str, Form(max_length=4000)]
BEFORE, AFTER = timedelta(days=21), timedelta(days=14)
"""readings so long before a flag began and after it was last hit can be corrected on its page"""
MOST = 400
MARK_WORDS = {
    Mark.CONFLICT: _("同批矛盾"),
    Mark.DATA_ERROR: _("判为数据错误"),
    Mark.EXPECTED: _("判为属预期"),
}


@router.post("/flags/{id}/ask")
def put_question(
    request: Request, ctx: Context, who: V, id: str, point: Field = "", text: Field = "", due: Field = "4h"
) -> Response:
    row = found(ctx, who, id)
    flag = row.record.flag
    back = f"/flags/{id}#questions"
    if not who.may(Action.POINTS_ASK, flag.area):
        raise Hidden
    if not point or not 0 < len(text.strip()) <= LENGTH:
        flash(ctx, who, "fault", _("请选择监测点，并写明要核实什么（至多%(n)s个字）。", n=LENGTH))
        return go(request, back)
    now = ctx.now()
    reporters = reporters_of(ctx.db, ctx.city, point)
    tell = teller(reporters, ctx.settings.public_url, ctx.zone, now)
    try:
        ask(
            ctx.db,
            id,
            point,
            text,
            now + DUE.get(due, DUE["4h"]),
            who_of(who),
            now,
            within_flags(who, Action.POINTS_ASK),
            tell,
            witness(ctx, who, "point.ask", {"point": point, "text": text}),
        )
    except FlagNotFound:
        raise Hidden from None
    said = _("已请%(point)s核实。", point=point)
    if not reporters:
        said = _("已记下请%(point)s核实；该监测点没有采价员账号，请电话联系。", point=point)
    flash(ctx, who, "done", said)
    return go(request, back)


# --- single values --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """The newest revision of an observation, and all of them, the oldest first."""

    newest: ObservationRecord
    revisions: tuple[ObservationRecord, ...]

    @property
    def stamp(self) -> int:
        return int(self.newest.at.timestamp())

    @property
    def marks(self) -> list[Text]:
        return [shown for mark, shown in MARK_WORDS.items() if self.newest.mark & mark]


def values_of(ctx: WebContext, series: int, flag: Flag) -> list[Value]:
    """The readings of a series about the time of a flag, the newest first."""
    rows = list_observations(
        ctx.db,
        series_id=series,
        since=flag.start - BEFORE,
        until=max(flag.last_hit, flag.start) + AFTER,
        every_revision=True,
        limit=MOST,
    )
    by_time: dict[datetime, list[ObservationRecord]] = {}
    for row in rows:
        by_time.setdefault(row.at, []).append(row)
    return [Value(revisions[-1], tuple(revisions)) for _at, revisions in sorted(by_time.items(), reverse=True)]


@router.get("/flags/{id}/values/{series}")
def values(request: Request, ctx: Context, who: V, id: str, series: Number, at: Time | None = None) -> Response:
    return show(request, ctx, who, id, series, at)


@router.post("/flags/{id}/values/{series}")
def put_value(
    request: Request,
    ctx: Context,
    who: V,
    id: str,
    series: Number,
    at: Annotated[int, Form(ge=-(2**40), le=2**40)],
    seen: Annotated[int, Form(ge=1, le=2**31)],
    value: Field = "",
    reason: Field = "",
) -> Response:
    flag = found(ctx, who, id).record.flag
    if not who.may(Action.OBSERVATIONS_CORRECT):
        raise Hidden
    given = read_number(value)
    try:
        if given is None:
            raise CorrectionError("value")
        seen_by = witness(ctx, who, "observation.correct", {"series": series, "at": at, "value": value})
        within = within_series(who, Action.OBSERVATIONS_CORRECT)
        correct(ctx.db, series, moment(at), seen, given, reason, who_of(who), ctx.now(), within, id, seen_by)
    except SeriesNotFound:
        raise Hidden from None
    except ValueChanged as changed:
        text = _("此值在此期间已改为 %(value)s，没有覆盖。请核对后再改。", value=number(changed.value))
        return show(request, ctx, who, id, series, at, value=value, reason=reason, faults=[("value", text)])
    except CorrectionError as error:
        faults = [FAULTS[error.reason]]
        return show(request, ctx, who, id, series, at, value=value, reason=reason, faults=faults)
    ctx.on_observations()
    queue_rows.forget(request, flag.item)
    flash(ctx, who, "done", _("已更正为 %(value)s，正在重新判定。", value=number(given)))
    return go(request, f"/flags/{id}/values/{series}")


FAULTS = {
    "value": ("value", _("请填写正确的数值，例如 4.25。")),
    "same": ("value", _("与现在的值相同，没有更正。")),
    "why": ("reason", _("请写明更正的原因（至多%(n)s个字）。", n=REASON_LENGTH)),
}


def read_number(text: str) -> float | None:
    """A number as people type it, full-width digits too; None for anything else."""
    import math
    import unicodedata

    plain = unicodedata.normalize("NFKC", text).strip().replace(",", "")
    if not plain or len(plain) > 30 or any(c not in "0123456789.+-" for c in plain):
        return None
    try:
        found = float(plain)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def show(
    request: Request,
    ctx: WebContext,
    who: Visitor,
    id: str,
    series: int,
    at: int | None,
    *,
    value: str = "",
    reason: str = "",
    faults: list[tuple[str, Text]] | None = None,
) -> Response:
    """The readings of a series about the time of a flag; one of them, at `at`, with its history and a form."""
    row = found(ctx, who, id)
    flag = row.record.flag
    one = find_series(ctx.db, series, within_series(who))
    if one is None or (flag.item and one.key.item != flag.item):
        raise Hidden
    viewed(request, who, f"series:{series}")
    rows = values_of(ctx, series, flag)
    chosen = next((each for each in rows if each.stamp == at), None) if at is not None else None
    corrected = corrections_of(ctx.db, [one.key.item], within_series(who), within_flags(who), flag.start - BEFORE)
    return render.page(
        request,
        "console/flag_values.html",
        visitor=who,
        title=_("%(item)s：%(point)s的数值", item=one.key.item, point=one.key.point or one.area),
        status=422 if faults else 200,
        flag=flag,
        line=line_of(row.record, ctx.zone, demo=False),
        series=one,
        rows=rows,
        chosen=chosen,
        value=value,
        reason=reason,
        faults=faults or [],
        wrong=dict(faults or []),
        reason_length=REASON_LENGTH,
        may_correct=who.areas(Action.OBSERVATIONS_CORRECT).__contains__(one.area),
        corrections=[each for each in corrected if each.series == series],
        effect_words=EFFECTS,
        called=colleagues(request).called,
        number=number,
        hit=(flag.start, flag.last_hit),
        utc=UTC,
    )
