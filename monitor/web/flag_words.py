"""Flags in words, for the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from alerts.texts import facts_of
from monitor.flag_facts import flag_steps
from monitor.reasoning import number
from monitor.store.database import Database
from monitor.store.demo import demo_places, is_demo
from monitor.store.flags import FlagFilter, FlagRecord, FlagState, LogEntry, flag_log, get_flag, list_flags
from thresholds.model import Direction, Flag

MAX_SHOWN = 200
ARROWS = {Direction.UP: "↑ ", Direction.DOWN: "↓ ", Direction.NONE: ""}
COLOURS = {"蓝": "blue", "黄": "yellow", "橙": "orange", "红": "red"}
STATES = {
    FlagState.OPEN: "待处理",
    FlagState.ACKNOWLEDGED: "已确认",
    FlagState.REVIEWED: "已复核",
    FlagState.OVER: "已结束",
}
VERDICTS = {"real_move": "真实波动", "data_error": "数据错误", "expected": "属预期", "to_check": "待核实", "": ""}
ACTIONS = {
    "opened": "首次提示",
    "reopened": "再次出现",
    "raised": "升级",
    "ended": "结束",
    "withdrawn": "撤销（数据更正）",
    "exit_proposed": "建议终止",
    "exit_taken_back": "撤回终止建议",
    "acknowledged": "确认",
    "reviewed": "复核",
}


@dataclass(frozen=True, slots=True)
class FlagLine:
    """One flag, ready to show. `css` is the class of its grade's colour."""

    id: str
    code: str
    kind: str
    grade: str
    css: str
    item: str
    place: str
    direction: str
    move: str
    start: datetime
    reason: str
    state: str
    acknowledged: bool
    demo: bool


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    actor: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class FlagShown:
    """One flag with everything that is known of it."""

    line: FlagLine
    steps: list[str]
    verdict: str
    reviewer: str
    note: str
    log: list[LogLine]


def open_flags(db: Database, zone: ZoneInfo) -> list[FlagLine]:
    """What waits for people, the newest and highest first; one more than MAX_SHOWN where there are more."""
    found = list_flags(db, FlagFilter(states=(FlagState.OPEN, FlagState.ACKNOWLEDGED)), MAX_SHOWN + 1)
    places = demo_places(db, {record.flag.item for record in found})
    return [line_of(record, zone, demo=is_demo(record.flag, places)) for record in found]


def line_of(record: FlagRecord, zone: ZoneInfo, *, demo: bool) -> FlagLine:
    flag = record.flag
    facts = facts_of("opened", flag, public_url="", zone=zone, demo=demo)
    return FlagLine(
        id=flag.id,
        code=facts.code,
        kind=facts.kind,
        grade=facts.grade or "未定级",
        css=colour_of(flag),
        item=facts.item,
        place=facts.where,
        direction=str(flag.direction),
        move=move_of(flag, facts.percent),
        start=flag.start,
        reason=flag.reason,
        state=STATES[record.state],
        acknowledged=record.acknowledged_at is not None,
        demo=demo,
    )


def move_of(flag: Flag, percent: str) -> str:
    """'↑ 12.3%（4.98 → 5.6）'; without a percentage where it means nothing."""
    if flag.direction == Direction.NONE:
        return ""
    value, expected = number(flag.value), number(flag.expected)
    numbers = "" if value == "—" else value if expected == "—" else f"{expected} → {value}"
    return ARROWS[flag.direction] + (f"{percent}（{numbers}）" if percent and numbers else percent or numbers)


def colour_of(flag: Flag) -> str:
    """The class for a grade: by the plan's colour or label, else plain."""
    return colour_word(flag.peak_grade.label, flag.peak_grade.colour)


def colour_word(label: str, colour: str) -> str:
    """The class for a grade of this label and colour."""
    for word in (colour, label):
        for sign, css in COLOURS.items():
            if sign in word or css == word:
                return css
    return "plain"


def flag_shown(db: Database, flag_id: str, zone: ZoneInfo) -> FlagShown | None:
    record = get_flag(db, flag_id)
    if record is None:
        return None
    demo = is_demo(record.flag, demo_places(db, {record.flag.item}))
    return FlagShown(
        line=line_of(record, zone, demo=demo),
        steps=flag_steps(db, record, zone),
        verdict=VERDICTS.get(record.verdict, record.verdict),
        reviewer=record.reviewer,
        note=record.note,
        log=[log_line(entry) for entry in flag_log(db, flag_id)],
    )


def log_line(entry: LogEntry) -> LogLine:
    detail = "，".join(
        VERDICTS.get(str(value), str(value))
        for name, value in entry.detail.items()
        if name in ("grade", "verdict", "note") and value
    )
    actor = "系统" if entry.actor == "monitor" else entry.actor
    return LogLine(entry.at, actor, ACTIONS.get(entry.action, entry.action), detail)
