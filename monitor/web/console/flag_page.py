"""/flags/{id}: why a flag was raised, its chart, what became of ones like it, and all that people do about it.

For somebody who is not signed in the address shows the simple page, as far as [web] open_page lets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import ColumnElement
from starlette.responses import JSONResponse, Response

from monitor.flag_facts import MARKS, flag_facts, ranked
from monitor.reasoning import CALENDARS, ENDS, number
from monitor.rights import Action, Visitor
from monitor.schema import flag as flag_table
from monitor.schema import series as series_table
from monitor.store.corrections import Correction, corrections_of
from monitor.store.flag_notes import LENGTH, notes_of
from monitor.store.flags import FlagRecord
from monitor.store.questions import LENGTH as QUESTION_LENGTH
from monitor.store.questions import QuestionState, questions_about
from monitor.store.review_queue import QueueRow, Wanted, list_heads, place_of
from monitor.store.similar import Likeness, Past, similar_flags
from monitor.web import page as open_page
from monitor.web.console import render
from monitor.web.console.asking import DUE_WORDS, ask_points, question_text
from monitor.web.console.chart_choice import SPANS, Choice, offered
from monitor.web.console.chart_data import Picture, columns, picture
from monitor.web.console.chart_drawing import drawing, readings
from monitor.web.console.colleagues import Colleagues, colleagues
from monitor.web.console.i18n import Text, _, word
from monitor.web.console.queue import VERDICT_KEYS
from monitor.web.console.queue_rows import lines_of
from monitor.web.console.visit import Hidden, viewed, visitor
from monitor.web.context import WebContext
from monitor.web.flag_words import ACTIONS, VERDICTS, FlagLine, line_of
from monitor.web.security import Context
from monitor.web.signed import current
from thresholds.model import Flag

router = APIRouter(include_in_schema=False)
V = Annotated[Visitor, Depends(visitor(Action.FLAGS_VIEW))]
look = visitor(Action.FLAGS_VIEW)
CORRECTED_SINCE = timedelta(days=60)
"""corrections of observations so long before the flag began are shown"""
LIKENESS = {
    Likeness.HERE: _("同品种同地区"),
    Likeness.ELSEWHERE: _("同品种其他地区"),
    Likeness.RULE: _("同地区同规则"),
}
MORE_ACTIONS = {
    "undone": _("撤销复核"),
    "assigned": _("分派"),
    "asked": _("请监测点核实"),
    "answered": _("监测点答复"),
}
QUESTION_WORDS = {
    QuestionState.OPEN: _("待答复"),
    QuestionState.OVERDUE: _("逾期未答复"),
    QuestionState.ANSWERED: _("已答复"),
}
EFFECTS = {
    "opened": _("新增提示"),
    "reopened": _("再次出现"),
    "raised": _("升级"),
    "ended": _("结束"),
    "withdrawn": _("撤销（数据更正）"),
    "changed": _("数值改变"),
}


def within_flags(who: Visitor, action: Action = Action.FLAGS_VIEW) -> ColumnElement[bool]:
    return who.areas(action).where(flag_table.c.area)


def within_series(who: Visitor, action: Action = Action.OBSERVATIONS_VIEW) -> ColumnElement[bool]:
    return who.reach(action).where(series_table.c.area, series_table.c.point)


def found(ctx: WebContext, who: Visitor, flag_id: str) -> QueueRow:
    """The flag with all its evidence. Raises Hidden where there is none for this visitor."""
    row = place_of(ctx.db, flag_id, within_flags(who))
    if row is None:
        raise Hidden
    return row


@router.get("/flags/{id}")
def one_flag(request: Request, ctx: Context, id: str) -> Response:
    if current(request, ctx) is None:
        return open_page.one_flag(request, open_page.allowed(request, ctx), id)
    who = look(request, ctx, "")
    row = found(ctx, who, id)
    viewed(request, who, f"flag:{id}")
    record = row.record
    shown = picture(request, who, record)
    values = (
        evidence(request, ctx, record, shown, Choice.of(request.query_params))
        | {"point_lines": point_lines(who, record, shown)}
        | around(ctx, who, record.flag)
        | people(request, ctx, who, record.flag, shown)
        | acts(ctx, who, row)
    )
    line = lines_of(request, [row], ctx.now(), charts=False)[0]
    title = _("%(item)s：提示 %(code)s", item=line.flag.item, code=line.flag.code)
    return render.page(request, "console/flag.html", visitor=who, title=title, line=line, **values)


@router.get("/flags/{id}/chart.json")
def chart(request: Request, ctx: Context, who: V, id: str) -> Response:
    row = found(ctx, who, id)
    viewed(request, who, f"flag:{id}")
    shown = picture(request, who, row.record)
    return JSONResponse(columns(shown) if shown else {}, headers={"Cache-Control": "no-store"})


def evidence(
    request: Request, ctx: WebContext, record: FlagRecord, shown: Picture | None, choice: Choice
) -> dict[str, Any]:
    """Why it was raised: the sentences of `monitor explain`, what was measured, the chart, the rules, the course."""
    facts, everybody = flag_facts(ctx.db, record, ctx.zone), colleagues(request)
    names, rows = readings(shown, choice) if shown else ([], [])
    return {
        "flag": record.flag,
        "record": record,
        "reasoning": facts["reasoning"],
        "rules": facts["rules"],
        "evaluation": facts["evaluation"],
        "rule_marks": MARKS,
        "calendars": CALENDARS,
        "number": number,
        "shown": shown,
        "drawn": drawing(shown, choice) if shown else None,
        "choice": choice,
        "parts": offered(shown) if shown else [],
        "spans": SPANS,
        "reading_names": names,
        "readings": rows,
        "log": [log_line(entry, everybody) for entry in facts["log"]],
        "end_words": ENDS,
    }


@dataclass(frozen=True, slots=True)
class PointLine:
    """One point in the table of points. `series` is where its values are, 0 where they cannot be seen."""

    point: str
    area: str
    value: str
    before: str
    change: str
    direction: str
    series: int
    corrects: bool
    carried: bool = False
    """whether it did not report on the day: its last price stands in the mean"""


def point_lines(who: Visitor, record: FlagRecord, shown: Picture | None) -> list[PointLine]:
    """The points behind a flag, those that pushed most first; where none is named, the points that it is about."""
    curves = shown.curves if shown else None
    stored = {(c.area, c.point): n for c, n in zip(curves.points, curves.series, strict=True)} if curves else {}
    parts = ranked(record.flag)
    corrects = who.areas(Action.OBSERVATIONS_CORRECT)
    lines = []
    for one in parts:
        known = one.change == one.change
        arrow = ("↑ " if one.change > 0 else "↓ ") if known and one.change else ""
        lines.append(
            PointLine(
                one.point,
                one.area,
                number(one.value),
                number(one.expected),
                f"{arrow}{abs(one.change) * 100:.1f}%" if known else "",
                ("up" if one.change > 0 else "down") if known and one.change else "none",
                stored.get((one.area, one.point), 0),
                one.area in corrects,
                one.carried,
            )
        )
    if lines or curves is None:
        return lines
    return [
        PointLine(c.point, c.area, number(float(c.value[-1])), "—", "", "none", n, c.area in corrects)
        for c, n in list(zip(curves.points, curves.series, strict=True))[: max(curves.of_flag, 1)]
        if len(c.value)
    ]


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    actor: str
    action: str
    detail: str


def log_line(entry: dict[str, Any], everybody: Colleagues) -> LogLine:
    """Who did what: 监测员甲 复核：真实波动，节前备货."""
    detail, action = entry["detail"], entry["action"]
    shown = [
        word(VERDICTS.get(str(detail.get("verdict", "")), "")),
        str(detail.get("grade", "")),
        str(detail.get("point", "")),
        str(detail.get("to", "")),
        str(detail.get("note", "")),
    ]
    named = word(ACTIONS.get(action, "")) or str(MORE_ACTIONS.get(action, action))
    return LogLine(entry["at"], everybody.called(entry["actor"]), named, "，".join(part for part in shown if part))


@dataclass(frozen=True, slots=True)
class PastLine:
    """A flag of the past in a table, and what became of it."""

    flag: FlagLine
    likeness: Text
    ended: datetime | None
    outcome: str


def around(ctx: WebContext, who: Visitor, flag: Flag) -> dict[str, Any]:
    """Flags like it, and what people corrected in its item."""
    past = similar_flags(ctx.db, flag, within_flags(who))
    since = flag.start - CORRECTED_SINCE
    corrected = corrections_of(ctx.db, [flag.item], within_series(who), within_flags(who), since)
    return {
        "past": [
            PastLine(
                line_of(one.record, ctx.zone, demo=False),
                LIKENESS[one.likeness],
                one.record.flag.end,
                outcome_of(one.record),
            )
            for one in past.flags
        ],
        "outcomes": outcomes(past),
        "corrections": [one for one in corrected if concerns(one, flag, ctx.city)],
        "effect_words": EFFECTS,
    }


def outcome_of(record: FlagRecord) -> str:
    """What became of a flag: what people said, else how it ended."""
    if record.verdict:
        return word(VERDICTS.get(record.verdict, record.verdict))
    if record.flag.end is not None:
        return word(ENDS.get(record.flag.end_reason, record.flag.end_reason))
    return str(_("未复核"))


def outcomes(past: Past) -> list[tuple[str, int]]:
    """How often which verdict was given before, the most frequent first."""
    return [
        (word(VERDICTS[verdict]) if VERDICTS.get(verdict) else str(_("未复核")), count)
        for verdict, count in sorted(past.outcomes.items(), key=lambda one: -one[1])
    ]


def concerns(one: Correction, flag: Flag, city: str) -> bool:
    return one.flag == flag.id or flag.area in ("", city) or one.area == flag.area


def people(request: Request, ctx: WebContext, who: Visitor, flag: Flag, shown: Picture | None) -> dict[str, Any]:
    """Notes and questions, with what their forms offer."""
    return {
        "notes": notes_of(ctx.db, flag.id, within_flags(who)),
        "note_length": LENGTH,
        "question_words": QUESTION_WORDS,
        "questions": questions_about(ctx.db, flag.id, within_flags(who)),
        "question_length": QUESTION_LENGTH,
        "question_text": question_text(flag, shown, ctx.zone),
        "ask_points": ask_points(flag, shown),
        "due_words": DUE_WORDS,
        "called": colleagues(request).called,
        "reviewers": colleagues(request).reviewers(who.areas(Action.FLAGS_VIEW)),
        "now": ctx.now(),
    }


def acts(ctx: WebContext, who: Visitor, row: QueueRow) -> dict[str, Any]:
    """What this visitor may do here, and where the queue goes on."""
    area = row.record.flag.area
    following = list_heads(ctx.db, Wanted(), within_flags(who), 1, row.position)
    return {
        "verdicts": [(key, VERDICTS[key]) for key in VERDICT_KEYS],
        "verdict_words": VERDICTS,
        "next_flag": following[0].id if following else "",
        "may_review": who.may(Action.FLAGS_REVIEW, area),
        "may_assign": who.may(Action.FLAGS_ASSIGN, area),
        "may_report": who.may(Action.REPORTS_EDIT, area) and ctx.report_maker is not None,
        "may_ask": who.may(Action.POINTS_ASK, area),
        "corrects": who.areas(Action.OBSERVATIONS_CORRECT),
        "sees": who.areas(Action.OBSERVATIONS_VIEW),
    }
