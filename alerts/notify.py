"""What happened -> notifications: who is told of which change, by which way, in how many messages. Pure.

`compose` is called inside the transaction that stores the flags, and its result is stored in the same one. Nothing in
here may lose an alert: a faulty template gives plain text, an empty duty table gives the default targets, and every
case in which nobody is told has a named reason that is counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from pydantic import field_validator

from alerts import texts
from alerts.ack import hash_of, new_token
from alerts.roster import Duty, Roster
from thresholds.model import Flag, Kind
from thresholds.settings import Duration, Fault, Settings


class What(StrEnum):
    """What happened to a flag; DIGEST is a message about several flags at once."""

    OPENED = "opened"
    RAISED = "raised"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"
    EXIT = "exit"
    """the end of what it began is to be proposed: a person decides"""
    DIGEST = "digest"


RAISING = frozenset({What.OPENED, What.RAISED})
"""changes that somebody must act on: told to those on duty, and acknowledged"""


class Reason(StrEnum):
    """Why a change was told to other people than those on duty, or in other words, or not at all."""

    NO_ONE_ON_DUTY = "no_one_on_duty"
    """nobody is on duty for it: the default targets are told"""
    NO_CONTACT = "no_contact"
    """somebody on duty has no contact on a configured channel: the default targets are told too"""
    NO_TARGET = "no_target"
    """there is not even a default target: NOBODY is told"""
    TEMPLATE_ERROR = "template_error"
    """a template could not be rendered: the plain text went out instead"""
    TOO_OLD = "too_old"
    """it happened longer ago than `max_age` (history was imported): not told"""
    NOT_ASKED_FOR = "not_asked_for"
    """the options say that this kind of change is not told"""
    NEVER_TOLD = "never_told"
    """it is over or withdrawn, but nobody had been told of it: not told"""
    FOLDED = "folded"
    """more changes at once than `storm_limit`: told within a digest"""


class Change(Protocol):
    """One change of a flag, as the store reports it: `what` is a value of What."""

    @property
    def what(self) -> str: ...
    @property
    def flag(self) -> Flag: ...


@dataclass(frozen=True, slots=True)
class NewNotification:
    """One message to one person by one way, to be queued: the columns of the table `notification`.

    key       the same for the same change, person, channel and address: it is never queued twice
    changes   (flag id, change) of every flag that it tells of
    ack_hash  hash of the token that stands in `payload["ack_link"]` and in the body; empty where none is asked for
    """

    key: str
    flag_id: str | None
    change: str
    changes: tuple[tuple[str, str], ...]
    rank: int
    person: str
    channel: str
    address: str
    subject: str
    body: str
    payload: Mapping[str, Any]
    created_at: datetime
    not_before: datetime
    expires_at: datetime
    ack_hash: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One person by one way. `way` counts from 1: the others are told only while nobody has acknowledged."""

    channel: str
    address: str
    person: str = ""
    way: int = 1


class DefaultTarget(Settings):
    """Where alerts go when nobody on duty can be reached: { channel = "mail", address = "duty@…", name = "…" }."""

    channel: str
    address: str
    name: str = ""


class NotifyOptions(Settings):
    """The table [alerts] of the configuration, without its channels and its retry policy."""

    max_age: Duration = timedelta(days=2)
    """what happened longer ago raises no notification: importing history does not ring phones"""
    expires_after: Duration = timedelta(hours=12)
    """nothing is sent later than this after it was queued"""
    second_way_after: Duration = timedelta(minutes=10)
    """a person's next contact is used when nobody has acknowledged by then"""
    storm_limit: int = 5
    """more changes for one person in one evaluation are folded into one digest"""
    tell: Mapping[Kind, tuple[What, ...]] = {
        Kind.MOVE: (What.OPENED, What.RAISED, What.ENDED, What.WITHDRAWN, What.EXIT),
        Kind.DATA: (What.OPENED, What.WITHDRAWN),
        Kind.SILENCE: (What.OPENED, What.ENDED),
    }
    """which changes of which kind of flag are told"""
    duties: Mapping[Kind, tuple[Duty, ...]] = {
        Kind.MOVE: (Duty.MONITORING,),
        Kind.DATA: (Duty.MONITORING,),
        Kind.SILENCE: (Duty.MONITORING, Duty.TECHNICAL),
    }
    """who is told of which kind of flag"""
    default_targets: tuple[DefaultTarget, ...] = ()
    templates: Mapping[str, str] = {}
    """texts in place of the shipped ones, by name (opened.subject, opened.body, …): Jinja, see docs/alerts.md"""

    @field_validator("storm_limit")
    @classmethod
    def at_least_one(cls, value: int) -> int:
        if value < 1:
            raise ValueError("a storm limit below 1 would fold every message|Write 1 or more")
        return value

    @field_validator("templates")
    @classmethod
    def templates_work(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if problems := texts.problems(value):
            raise ValueError(f"{problems[0]}|Correct the template; docs/alerts.md names what it may use")
        return value

    def faults(self, channels: Collection[str], shown: str, key: str = "alerts") -> list[Fault]:
        """Default targets that name a channel which is not configured."""
        return [
            Fault(
                shown,
                f"{key}.default_targets[{n}].channel",
                f"there is no channel {target.channel!r}",
                f"Use one of {', '.join(sorted(channels)) or '(none is configured)'}, or configure it",
            )
            for n, target in enumerate(self.default_targets, 1)
            if target.channel not in channels
        ]


@dataclass(frozen=True, slots=True)
class Draft:
    """What one target is to be told in one message: one change, or several in a digest."""

    target: Target
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Composed:
    """`reasons` counts the named reasons; its keys are label values for the metric and words for the log."""

    notifications: tuple[NewNotification, ...]
    reasons: Mapping[Reason, int] = field(default_factory=dict)


def compose(
    changes: Sequence[Change],
    *,
    roster: Roster,
    told: Mapping[str, Sequence[Target]],
    channels: Collection[str],
    options: NotifyOptions,
    public_url: str,
    zone: ZoneInfo,
    now: datetime,
    is_demo: Callable[[Flag], bool] = lambda _: False,
    token: Callable[[], str] = new_token,
) -> Composed:
    """The notifications for the changes of one evaluation.

    told        {flag id: whom earlier messages about it went to}, for changes that are over or withdrawn
    channels    names of the configured channels: contacts on others are passed over
    public_url  how the console is reached from a phone, without a slash at the end: links begin with it
    is_demo     whether a flag rests on demonstration data: its messages say 【演示】
    """
    reasons: Counter[Reason] = Counter()
    drafts: list[Draft] = []
    new = {change.flag.id for change in changes if change.what == What.OPENED}
    for change in changes:
        if change.what == What.RAISED and change.flag.id in new:
            continue  # opened at the higher grade: one message says both
        reason = why_not(change, options, now)
        if reason is not None:
            reasons[reason] += 1
            continue
        targets, why = targets_of(change, roster, told, channels, options, now)
        reasons.update(why)
        drafts.extend(Draft(target, (change,)) for target in targets)
    folded = fold(drafts, options.storm_limit)
    reasons[Reason.FOLDED] += sum(len(d.changes) for d in folded if len(d.changes) > 1)
    writer = Writer(options, public_url.rstrip("/"), zone, now, is_demo, token)
    made = [writer.write(draft) for draft in folded]
    reasons[Reason.TEMPLATE_ERROR] += writer.failed
    return Composed(tuple({n.key: n for n in made}.values()), {r: n for r, n in reasons.items() if n})


def why_not(change: Change, options: NotifyOptions, now: datetime) -> Reason | None:
    """Why nobody is told of a change, or None. A withdrawal is never too old: somebody may act on what they heard."""
    flag, what = change.flag, What(change.what)
    if what not in options.tell.get(flag.kind, ()):
        return Reason.NOT_ASKED_FOR
    happened = {
        What.OPENED: flag.first_flagged,
        What.RAISED: max(flag.first_flagged, flag.last_hit),
        What.ENDED: flag.end or flag.last_hit,
        What.EXIT: flag.exit.at if flag.exit else flag.last_hit,
    }.get(what, now)
    return Reason.TOO_OLD if happened < now - options.max_age else None


def targets_of(
    change: Change,
    roster: Roster,
    told: Mapping[str, Sequence[Target]],
    channels: Collection[str],
    options: NotifyOptions,
    now: datetime,
) -> tuple[list[Target], list[Reason]]:
    """Whom a change is told to, each way once, and the reasons why it is others than those on duty."""
    if What(change.what) not in RAISING:
        earlier = sorted({Target(t.channel, t.address, t.person) for t in told.get(change.flag.id, ())})
        return earlier, ([] if earlier else [Reason.NEVER_TOLD])
    duties = options.duties.get(change.flag.kind, (Duty.MONITORING,))
    found: dict[tuple[str, str], Target] = {}
    reasons: list[Reason] = []
    for duty in duties:
        people = roster.on_duty(duty, now)
        if not people:
            reasons.append(Reason.NO_ONE_ON_DUTY)
        for person in people:
            ways = [c for c in roster.ways_to(person) if c.channel in channels]
            if not ways:
                reasons.append(Reason.NO_CONTACT)
            for way, contact in enumerate(ways, 1):
                target = Target(contact.channel, contact.address, person.name, way)
                found.setdefault((contact.channel, contact.address), target)
    if reasons:
        for fallback in options.default_targets:
            target = Target(fallback.channel, fallback.address, fallback.name)
            if fallback.channel in channels:
                found.setdefault((fallback.channel, fallback.address), target)
    if not found:
        reasons.append(Reason.NO_TARGET)
    return list(found.values()), reasons


def fold(drafts: Sequence[Draft], limit: int) -> list[Draft]:
    """Storm protection: where one target would get more than `limit` messages, it gets one digest of them instead.

    The digest holds every change, the highest grade first; the order of the targets is kept.
    """
    by_target: dict[Target, list[Change]] = {}
    for draft in drafts:
        by_target.setdefault(draft.target, []).extend(draft.changes)
    folded: list[Draft] = []
    for target, changes in by_target.items():
        if len(changes) > limit:
            folded.append(Draft(target, tuple(sorted(changes, key=urgency))))
        else:
            folded.extend(Draft(target, (change,)) for change in changes)
    return folded


def urgency(change: Change) -> tuple[bool, int, bool, str]:
    """Sort key: what must be acted on before what is over, high grades before low ones, moves before the rest."""
    flag = change.flag
    return (What(change.what) not in RAISING, -flag.peak_grade.rank, flag.kind != Kind.MOVE, flag.id)


def label_of(change: Change) -> str:
    """The change as a stable word; a flag may be raised more than once, so the rank reached belongs to it."""
    return f"raised-{change.flag.peak_grade.rank}" if change.what == What.RAISED else str(change.what)


def key_of(draft: Draft) -> str:
    """What + flag + change + person + way as one word that is safe in any header and says nothing about people."""
    target = draft.target
    parts = [target.person, target.channel, target.address]
    parts += sorted(f"{change.flag.id} {label_of(change)}" for change in draft.changes)
    return hashlib.sha256("\x1f".join(parts).encode("utf-8")).hexdigest()[:40]


@dataclass(slots=True)
class Writer:
    """Gives drafts their text, key and times. `failed` counts the templates that had to be replaced by plain text."""

    options: NotifyOptions
    public_url: str
    zone: ZoneInfo
    now: datetime
    is_demo: Callable[[Flag], bool]
    token: Callable[[], str]
    failed: int = 0

    def write(self, draft: Draft) -> NewNotification:
        single = len(draft.changes) == 1
        what = What(draft.changes[0].what) if single else What.DIGEST
        secret = self.token() if any(What(change.what) in RAISING for change in draft.changes) else ""
        context = texts.Context(
            what=what.value,
            facts=tuple(self.facts(change) for change in draft.changes),
            ack_link=f"{self.public_url}/a/{secret}" if secret else "",
            list_link=f"{self.public_url}/flags",
        )
        text = texts.render(context, self.options.templates)
        self.failed += text.failed
        wait = self.options.second_way_after * (draft.target.way - 1)
        return NewNotification(
            key=key_of(draft),
            flag_id=draft.changes[0].flag.id if single else None,
            change=what.value,
            changes=tuple((change.flag.id, label_of(change)) for change in draft.changes),
            rank=max(change.flag.peak_grade.rank for change in draft.changes),
            person=draft.target.person,
            channel=draft.target.channel,
            address=draft.target.address,
            subject=text.subject,
            body=text.body,
            payload=texts.payload_of(context, draft.target.way),
            created_at=self.now,
            not_before=self.now + wait,
            expires_at=self.now + self.options.expires_after + wait,
            ack_hash=hash_of(secret) if secret else "",
        )

    def facts(self, change: Change) -> texts.Facts:
        flag = change.flag
        return texts.facts_of(change.what, flag, public_url=self.public_url, zone=self.zone, demo=self.is_demo(flag))
