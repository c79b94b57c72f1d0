"""A flag's chart as data: columns on one axis of time for the script, and a picture and a table without it.

Only what the visitor may see goes in: observations, other flags and records each by their own right and areas.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import select
from starlette.requests import Request

from monitor.rights import Action, Visitor
from monitor.schema import flag as flag_table
from monitor.store import records
from monitor.store.flags import FlagRecord
from monitor.store.text import moment, seconds
from monitor.web.console import queue_filters as filters
from monitor.web.console.i18n import Text, _, language
from monitor.web.console.known import catalogue, shelf_of
from monitor.web.context import WebContext
from thresholds import holidays
from thresholds.catalogue import folded
from thresholds.model import Flag, FloatArray, IntArray, Kind, SeriesKey
from thresholds.plan import Policy

if TYPE_CHECKING:
    from monitor.curves import Curve, Curves

log = logging.getLogger("monitor.web")
HISTORY = timedelta(days=3 * 365 + 30)
BEFORE, AFTER = timedelta(days=150), timedelta(days=60)
"""what is shown at first: so long before the flag began, and after it was over"""
MOST_LINES = 24
PICTURES = 40
"""charts that are held for a minute: each is some hundred kilobytes"""
MOST_EVENTS = 200
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a flag (kind "flag") or a record ("decision", "observed"). No end: it goes on."""

    kind: str
    label: str
    start: int
    end: int | None
    flag: str = ""
    this: bool = False


@dataclass(frozen=True)
class Picture:
    """What a flag's chart shows. `shown` is the first and last time (epoch seconds) that it shows at first."""

    flag: Flag
    curves: Curves
    events: tuple[Event, ...]
    shown: tuple[int, int]
    zone: ZoneInfo


def picture(request: Request, who: Visitor, record: FlagRecord) -> Picture | None:
    """The chart of a flag for this visitor; None where no value of it is known, or may be seen.

    As it was within a minute: the page and its script ask one after the other. The rights are part of the key.
    """
    if not record.flag.item or not who.may(Action.OBSERVATIONS_VIEW):
        return None
    ctx: WebContext = request.app.state.context
    shelf, now = shelf_of(request, "pictures", PICTURES), ctx.now().timestamp()
    sees = who.reach(Action.OBSERVATIONS_VIEW).rows, who.areas(Action.FLAGS_VIEW), who.areas(Action.RECORDS_VIEW)
    key = record.flag.item, record.flag.id, record.updated_at, sees, language()
    held = shelf.get(key, now)
    if held is None:
        held = Held(draw(ctx, who, record.flag))
        shelf.put(key, held, now)
    assert isinstance(held, Held)
    return held.picture


@dataclass(frozen=True, slots=True)
class Held:
    """A chart, or that there is none."""

    picture: Picture | None


def make_ready(request: Request) -> None:
    """Load what charts are drawn with beside, once: the first one does not wait for it then.

    Not at the start of the daemon: it takes most of a second and a hundred megabytes, and often nobody is there.
    """
    state = request.app.state
    if not hasattr(state, "charts"):
        state.charts = threading.Thread(target=load, args=(state.context,), name="charts", daemon=True)
        state.charts.start()


def load(ctx: WebContext) -> None:
    from monitor.curves import warm

    try:
        warm(ctx.policy() or Policy(catalogue(ctx), {}, (), ""), ctx.zone)
    except Exception:  # the first chart loads it, or fails as this did, before somebody
        log.debug("what charts are drawn with could not be loaded beforehand", exc_info=True)


def draw(ctx: WebContext, who: Visitor, flag: Flag) -> Picture | None:
    """The chart of a flag that has an item, for somebody who may see observations."""
    from monitor.curves import curves_of, read_held  # with numba, which the start of the daemon does not wait for

    policy = ctx.policy() or Policy(catalogue(ctx), {}, (), "")
    sees, end = who.reach(Action.OBSERVATIONS_VIEW), flag.end or ctx.now()
    held = read_held(ctx.db, ctx.histories, flag, policy, sees, seconds(min(flag.start, end) - HISTORY))
    curves = curves_of(flag, held, policy, ctx.zone, ctx.city)
    if curves is None or not len(curves.main.at):
        return None
    last = curves.newest if flag.end is None else min(curves.newest, seconds(flag.end + AFTER))
    return Picture(
        flag,
        curves,
        events=tuple(events_about(ctx, who, flag)),
        shown=(seconds(min(flag.start, moment(last)) - BEFORE), last),
        zone=ctx.zone,
    )


def events_about(ctx: WebContext, who: Visitor, flag: Flag) -> Iterable[Event]:
    """Other flags of the item in its area or the whole city, and records that hold for it."""
    c = flag_table.c
    within = who.areas(Action.FLAGS_VIEW).where(c.area)
    places = sorted({flag.area, "", ctx.city})
    query = (
        select(c.id, c.kind, c.area, c.direction, c.start_at, c.end_at, c.grade)
        .where(c.item == flag.item, within, c.area.in_(places) if flag.area not in ("", ctx.city) else within)
        .order_by(c.start_at.desc())
        .limit(MOST_EVENTS)
    )
    with ctx.db.connect() as connection:
        for row in connection.execute(query):
            label = flag_words(row.kind, row.direction, row.grade, row.area)
            yield Event("flag", label, row.start_at, row.end_at, row.id, row.id == flag.id)
    if not who.may(Action.RECORDS_VIEW):
        return
    mine = who.areas(Action.RECORDS_VIEW)
    chain = set(catalogue(ctx).classify(SeriesKey(flag.item)).chain)
    for one in records.list_records(ctx.db):
        r = one.record
        named = folded(flag.item) in {folded(item) for item in r.items} or bool(set(r.classes) & chain)
        there = not r.areas or flag.area in ("", ctx.city) or flag.area in r.areas
        seen = mine.everywhere or not r.areas or any(area in mine for area in r.areas)
        if named and there and seen:
            yield Event(r.kind, r.words, r.start, r.end)


def flag_words(kind: str, direction: str, grade: str, area: str) -> str:
    """What a flag is, in a word or two: 上涨 III 东区."""
    what = filters.DIRECTION_WORDS[direction] if kind == Kind.MOVE and direction else filters.KIND_WORDS[kind]
    return " ".join(part for part in (str(what), grade, area) if part)


# --- for the script -------------------------------------------------------------------------------------------------


def columns(shown: Picture) -> dict[str, Any]:
    """Everything as JSON: `at` (epoch seconds, rising) and beside it the lines, null where one says nothing."""
    curves = shown.curves
    lines = [("main", None, curves.main), *(("point", n, one) for n, one in enumerate(curves.points[:MOST_LINES]))]
    lines += [("area", n, one) for n, one in enumerate(curves.neighbours[:MOST_LINES])]
    single = len(curves.points) == 1
    at = np.unique(np.concatenate([one.at for _, _, one in lines]))
    found: list[dict[str, Any]] = [
        {
            "kind": kind,
            "label": label_of(kind, one, curves),
            "own": kind == "point" and number is not None and number < curves.of_flag,
            "value": on_axis(at, one.at, one.value if kind == "main" else believed(one)),
        }
        for kind, number, one in lines
        if not (single and kind == "point")
    ]
    if curves.band is not None:
        for kind, values, label in (
            ("expected", curves.band.expected, _("参照值")),
            ("low", curves.band.low, _("下限")),
            ("high", curves.band.high, _("上限")),
        ):
            if np.isfinite(values).any():
                line = {"kind": kind, "label": str(label), "value": on_axis(at, curves.band.at, values)}
                found.append(line)
    found += [
        {"kind": "year", "label": str(year_label(year.years, year.calendar)), "calendar": year.calendar}
        | {"years": year.years, "value": on_axis(at, year.at, year.value)}
        for year in curves.years
    ]
    first, last = int(at[0]), int(at[-1])
    return {
        "zone": str(shown.zone),
        "unit": curves.unit,
        "shown": list(shown.shown),
        "at": at.tolist(),
        "lines": found,
        "doubtful": doubtful(curves),
        "flag": {
            "start": seconds(shown.flag.start),
            "end": None if shown.flag.end is None else seconds(shown.flag.end),
            "expected": finite(shown.flag.expected),
            "value": finite(shown.flag.value),
        },
        "events": [
            {"kind": e.kind, "label": e.label, "start": e.start, "end": e.end, "flag": e.flag, "this": e.this}
            for e in shown.events
        ],
        "holidays": [
            {"name": str(HOLIDAYS[name]), "start": start, "end": end}
            for name, start, end in holidays_between(first, last + 40 * DAY, shown.zone)
        ],
    }


def label_of(kind: str, one: Curve, curves: Curves) -> str:
    if kind == "main":
        several = len({p.area for p in curves.points}) > 1
        if one.point:
            return one.point
        return str(_("各区平均")) if not one.area and several else str(_("%(area)s均值", area=one.area))
    if kind == "area":
        return one.area or str(_("未注明地区"))
    return one.point or one.area or "—"


def year_label(years: int, calendar: str) -> Text:
    if calendar == "lunar":
        return _("%(n)s年前（按春节对齐）", n=years)
    return _("%(n)s年前同日", n=years)


def on_axis(at: IntArray, times: IntArray, values: FloatArray) -> list[float | None]:
    """The values beside a longer axis, null where there is none; six digits are more than a chart shows."""
    column = np.full(len(at), np.nan)
    column[np.searchsorted(at, times)] = values
    return [None if v != v or v in (np.inf, -np.inf) else float(f"{v:.6g}") for v in column.tolist()]


def believed(one: Curve) -> FloatArray:
    """The values without those held to be errors: one slip of the decimal point would flatten all the rest."""
    return one.value if one.doubtful is None else np.where(one.doubtful, np.nan, one.value)


def doubtful(curves: Curves) -> list[list[Any]]:
    """[time, value, point] of the readings that are held to be errors."""
    found: list[list[Any]] = []
    for one in curves.points[:MOST_LINES]:
        if one.doubtful is not None:
            place = np.flatnonzero(one.doubtful)
            found += [[int(one.at[i]), finite(one.value[i]), one.point] for i in place.tolist()]
    return sorted(found, key=lambda row: row[0])[-500:]


def finite(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


HOLIDAYS = {
    "元旦": _("元旦"),
    "春节": _("春节"),
    "清明": _("清明"),
    "劳动节": _("劳动节"),
    "端午": _("端午"),
    "中秋": _("中秋"),
    "国庆": _("国庆"),
}


def holidays_between(first: int, last: int, zone: ZoneInfo) -> list[tuple[str, int, int]]:
    """(name, first second, last second) of the public holidays that touch a time, in order."""
    found = []
    for name, length in holidays.LENGTHS.items():
        for day in holidays.first_days(name).tolist():
            if first - 10 * DAY <= day * DAY <= last + DAY:
                begin = date(1970, 1, 1) + timedelta(days=day)
                start = datetime(begin.year, begin.month, begin.day, tzinfo=zone)
                found.append((name, seconds(start.astimezone(UTC)), seconds(start + timedelta(days=length))))
    return sorted(found, key=lambda one: one[1])
