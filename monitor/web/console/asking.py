"""Asking a monitoring point to check: who its reporters are, and the messages that tell them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from alerts.notify import NewNotification
from monitor.reasoning import number
from monitor.rights import Action, grants_of, point_actions
from monitor.store import accounts, roles
from monitor.store.accounts import Account
from monitor.store.database import Database
from monitor.store.people import roster_in
from monitor.store.questions import Question, Tell
from monitor.store.text import seconds
from monitor.web.console.chart_data import Picture
from monitor.web.console.i18n import _
from thresholds.model import Flag, Kind

DUE = {"2h": timedelta(hours=2), "4h": timedelta(hours=4), "1d": timedelta(days=1), "3d": timedelta(days=3)}
DUE_WORDS = {"2h": _("2小时内"), "4h": _("4小时内"), "1d": _("24小时内"), "3d": _("3天内")}
SOME_POINTS = 60
"""so many points can be chosen from"""
CHANGE = "question"
SUBJECT_LENGTH = 60
LATER = timedelta(hours=12)
"""A message that could not be sent is still worth sending so long after the answer was due."""


def ask_points(flag: Flag, shown: Picture | None) -> list[str]:
    """Who can be asked: the flag's own points first, then the others of its area."""
    own = list(flag.points) or [name for name in (flag.point,) if name]
    others = [one.point for one in shown.curves.points if one.point] if shown else []
    return list(dict.fromkeys([*own, *others]))[:SOME_POINTS]


def question_text(flag: Flag, shown: Picture | None, zone: ZoneInfo) -> str:  # i18n: for a market
    """What to begin with, in Chinese: the reporter of a market reads it."""
    day = flag.last_hit.astimezone(zone).strftime("%m月%d日")
    if flag.kind is Kind.SILENCE:
        return f"{flag.item or '各品种'}自{day}起没有收到报送，请尽快补报；如停售、歇业，请说明。"
    unit = shown.curves.unit if shown else ""
    value = number(flag.value)
    own = len(flag.points) == 1 or bool(flag.point)  # else it is a mean, which no point has reported
    price = f"{value}{unit}" if own and value != "—" and flag.last_hit == flag.first_flagged else ""
    return f"请核实{flag.item}{day}的价格{price}是否属实：如有误请更正；如属实请说明变动原因。"


def reporters_of(db: Database, city: str, point: str) -> list[Account]:
    """Accounts that are on and report for a point."""
    defined = roles.read(db)
    return [
        one
        for one in accounts.list_accounts(db, active_only=True)
        if point in one.points
        and Action.OBSERVATIONS_REPORT
        in point_actions(defined, one.held(city)) | set(grants_of(defined, one.held(city)))
    ]


def teller(reporters: Sequence[Account], public_url: str, zone: ZoneInfo, now: datetime) -> Tell:
    """Messages to the reporters by every way that the duty table has of people of their name."""
    names = {name for one in reporters for name in (one.shown, one.name)}

    def tell(connection: Connection, question: Question) -> Sequence[NewNotification]:
        roster = roster_in(connection, seconds(now), seconds(now) + 1)
        made = []
        for person in roster.people:
            if person.active and person.name in names:
                made += [
                    message(question, person.name, way.channel, way.address, public_url, zone, now)
                    for way in roster.ways_to(person)
                ]
        return made

    return tell


def message(  # i18n: for a market
    question: Question, person: str, channel: str, address: str, public_url: str, zone: ZoneInfo, now: datetime
) -> NewNotification:
    """One message to one address, in Chinese, whatever the language of who asked: it goes to a market."""
    due = question.due_at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    item = " ".join(question.item.split())
    link = f"{public_url.rstrip('/')}/entry" if public_url else ""
    lines = [f"请核实：{item}（{question.point}）", question.text, f"请在{due}以前答复。"]
    lines += [f"答复：{link}"] if link else ["请登录系统，在“报送”页面答复。"]
    parts = ["question", str(question.id), person, channel, address]
    return NewNotification(
        key=hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:40],
        flag_id=None,
        change=CHANGE,
        changes=(),
        rank=0,
        person=person,
        channel=channel,
        address=address,
        subject=f"请核实：{item}（{question.point}）"[:SUBJECT_LENGTH],
        body="\n".join(lines),
        payload={"what": CHANGE, "question": question.id, "flag": question.flag, "item": question.item}
        | {"point": question.point, "text": question.text, "due": due, "link": link},
        created_at=now,
        not_before=now,
        expires_at=question.due_at + LATER,
    )
