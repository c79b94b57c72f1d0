"""The words of a message: facts of a change, rendered by a template, or in plain text where the template fails.

Templates are Jinja, sandboxed, and checked against samples of every kind of change before they go live. Whatever a
template does at run time, a text with the facts and the links comes out (`render` never raises).
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from thresholds.model import Direction, Exit, Flag, Grade, Kind
from thresholds.wording import number

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

log = logging.getLogger(__name__)

SUBJECT_LENGTH = 60
BODY_LENGTH = 3000
REASON_LENGTH = 300
DIGEST_LINES = 10
DIGEST_PAYLOAD = 200
DEMO = "【演示】"
CODE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # none that look alike or sound alike on the phone (0 O 1 I)

KINDS = {Kind.MOVE: "异常波动", Kind.DATA: "疑似数据错误", Kind.SILENCE: "数据中断"}
DIRECTIONS = {Direction.UP: "上涨", Direction.DOWN: "下跌", Direction.NONE: ""}
CHANGE_UNITS = ("%", "σ")  # findings whose `expected` is an earlier value, not a bound
CHANGES = {
    "opened": "新增",
    "raised": "升级",
    "ended": "结束",
    "withdrawn": "撤回",
    "exit": "建议终止",
    "digest": "汇总",
}

MOVE_LINE = "{{ f.item }}{{ f.direction }}{% if f.percent %}{{ f.percent }}{% endif %}"
BODY_HEAD = """{{ f.demo }}{{ f.kind }}（{{ f.change }}）：{{ f.item }}{{ f.direction }}{{ f.percent }}
地区：{{ f.where }}
{% if f.numbers %}数值：{{ f.numbers }}
{% endif %}{% if f.grade %}等级：{{ f.grade }}
{% endif %}起始：{{ f.since }}
{% if f.until %}结束：{{ f.until }}
{% endif %}原因：{{ f.reason }}
"""
BODY_EXIT = """{% if f.exit %}建议：{{ f.exit }}
{% endif %}"""
BODY_TAIL = """编号：{{ f.code }}
查看：{{ f.link }}
{% if ack_link %}确认收到：{{ ack_link }}
{% endif %}"""
SUBJECT_HEAD = "{{ f.demo }}{% if f.grade %}【{{ f.grade }}】{% endif %}"
SUBJECT_TAIL = "｜{{ f.where }}｜{{ f.code }}"

TEMPLATES = {
    "opened.subject": SUBJECT_HEAD + MOVE_LINE + "{{ f.kind }}" + SUBJECT_TAIL,
    "opened.body": BODY_HEAD + BODY_TAIL,
    "raised.subject": SUBJECT_HEAD + "升级：" + MOVE_LINE + SUBJECT_TAIL,
    "raised.body": BODY_HEAD + "说明：此前已通知，现等级升高。\n" + BODY_TAIL,
    "ended.subject": SUBJECT_HEAD + "结束：" + MOVE_LINE + "{{ f.kind }}" + SUBJECT_TAIL,
    "ended.body": BODY_HEAD + "说明：此前通知的情况已结束。\n" + BODY_EXIT + BODY_TAIL,
    "exit.subject": SUBJECT_HEAD + "建议终止：" + MOVE_LINE + "{{ f.kind }}" + SUBJECT_TAIL,
    "exit.body": BODY_HEAD + BODY_EXIT + BODY_TAIL,
    "withdrawn.subject": "{{ f.demo }}撤回：" + MOVE_LINE + "{{ f.kind }}" + SUBJECT_TAIL,
    "withdrawn.body": "{{ f.demo }}撤回此前的通知：数据已更正，更正后不再构成异常，请不要再据此处置。\n"
    + BODY_HEAD
    + BODY_TAIL,
    "digest.subject": "{{ demo }}汇总：{{ count }} 项变化{% if top_grade %}，最高{{ top_grade }}{% endif %}"
    "｜{{ f.item }}等",
    "digest.body": """{{ demo }}一次评估中有 {{ count }} 项变化，合并为一条通知。
{% for name, n in totals %}{{ name }}：{{ n }} 项
{% endfor %}其中最重要的 {{ facts|length }} 项：
{% for f in facts %}{{ loop.index }}. {{ f.demo }}{% if f.grade %}【{{ f.grade }}】{% endif %}{{ f.change }}：\
{{ f.item }}{{ f.direction }}{{ f.percent }}{% if not f.direction %}{{ f.kind }}{% endif %}，\
{{ f.where }}，{{ f.code }}
{% endfor %}全部查看：{{ link }}
{% if ack_link %}全部确认收到：{{ ack_link }}
{% endif %}""",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """One change in words. Everything is a string that is ready to show; empty where there is nothing to say."""

    flag: str
    what: str
    change: str
    kind: str
    item: str
    where: str
    direction: str
    percent: str
    numbers: str
    grade: str
    since: str
    until: str
    reason: str
    code: str
    link: str
    demo: str
    exit: str = ""
    """why the end of what it began is proposed"""


@dataclass(frozen=True, slots=True)
class Context:
    """What one message tells: `facts` in order of importance, one for a single change, several for a digest."""

    what: str
    facts: tuple[Facts, ...]
    ack_link: str
    list_link: str


@dataclass(frozen=True, slots=True)
class Text:
    """Subject (one line, at most 60 characters) and body; `failed` when the plain text had to step in."""

    subject: str
    body: str
    failed: bool = False


def short_code(flag_id: str) -> str:
    """Five letters to name a flag on the phone: 33 million of them, so two open flags hardly ever share one."""
    number = int.from_bytes(hashlib.sha256(flag_id.encode("utf-8")).digest()[:8], "big")
    return "".join(CODE_LETTERS[(number >> (5 * i)) & 31] for i in range(5))


def facts_of(what: str, flag: Flag, *, public_url: str, zone: ZoneInfo, demo: bool) -> Facts:
    """The facts of one change of one flag. Does not raise for any flag, whatever its numbers are."""
    return Facts(
        flag=flag.id,
        what=what,
        change=CHANGES.get(what, what),
        kind=KINDS.get(flag.kind, str(flag.kind)),
        item=one_line(flag.item) or "全部品种",  # a silent point is a flag about no single item
        where=where_of(flag),
        direction=DIRECTIONS.get(flag.direction, ""),
        percent=percent_of(flag),
        numbers=numbers_of(flag),
        grade=one_line(flag.peak_grade.label),
        since=moment(flag.start, zone),
        until=moment(flag.end, zone) if flag.end else "",
        reason=cut(one_line(flag.reason), REASON_LENGTH) or "（无说明）",
        code=short_code(flag.id),
        link=f"{public_url}/flags/{quote(flag.id, safe='', errors='replace')}",
        demo=DEMO if demo else "",
        exit=cut(one_line(flag.exit.reason), REASON_LENGTH) if flag.exit else "",
    )


def where_of(flag: Flag) -> str:
    """Area and point, or how many points there are."""
    place = [one_line(flag.area), one_line(flag.point)]
    if not flag.point and len(flag.points) > 1:
        place[1] = f"{len(flag.points)} 个监测点"
    return " ".join(part for part in place if part) or "全部地区"


def percent_of(flag: Flag) -> str:
    """The change against what was expected, as '12.3%': only where it means something.

    That is: a move, expected above 0, and measured as a change. A level has nothing expected but its own bound.
    """
    if flag.kind != Kind.MOVE or not (known(flag.value) and known(flag.expected)) or flag.expected <= 0:
        return ""
    if flag.findings and flag.findings[0].unit not in CHANGE_UNITS:
        return ""
    return f"{abs(flag.value / flag.expected - 1) * 100:.1f}%"


def numbers_of(flag: Flag) -> str:
    """'现值 5.6，参照 4.98，界限 5.5': those that are known, all three in the unit of the item."""
    named = (("现值", flag.value), ("参照", flag.expected), ("界限", flag.threshold))
    return "，".join(f"{name} {number(value)}" for name, value in named if known(value))


def known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Local date, with the time of day where it is not midnight."""
    local = at.astimezone(zone)
    return local.strftime("%Y-%m-%d %H:%M" if (local.hour, local.minute) != (0, 0) else "%Y-%m-%d")


def one_line(text: str) -> str:
    """Without line breaks and control characters: it may come from a sheet and go into a mail header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def render(context: Context, overrides: Mapping[str, str]) -> Text:
    """Subject and body of a message. Never raises: what a template cannot do, the plain text does.

    The links are in the body in any case: a template that leaves them out, or a text that is too long, has them
    added at the end.
    """
    failed = False
    try:
        subject = rendered(f"{context.what}.subject", context, overrides)
        body = rendered(f"{context.what}.body", context, overrides)
        failed = not one_line(subject) or not body.strip()
    except Exception as error:  # noqa: BLE001 - whatever a template does, the alert goes out
        log.error("template for %s failed (%s); the plain text goes out instead", context.what, error)
        failed = True
    if failed:
        subject, body = plain(context)
    return Text(cut(one_line(subject), SUBJECT_LENGTH), with_links(body.strip(), context), failed)


def with_links(body: str, context: Context) -> str:
    """The body, cut to its greatest length, with the links that it lacks."""
    link = context.facts[0].link if len(context.facts) == 1 else context.list_link
    kept = cut(body, BODY_LENGTH)
    missing = [f"{name}：{url}" for name, url in (("查看", link), ("确认收到", context.ack_link)) if url not in kept]
    return "\n".join([kept, *missing])


def rendered(name: str, context: Context, overrides: Mapping[str, str]) -> str:
    return compiled(overrides.get(name) or TEMPLATES[name]).render(variables(context))


def variables(context: Context) -> dict[str, Any]:
    """What a template may use; docs/alerts.md lists it."""
    facts = context.facts
    single = len(facts) == 1
    return {
        "f": facts[0],
        "facts": facts[:DIGEST_LINES],
        "count": len(facts),
        "totals": list(Counter(f"{f.change}{f.kind}" for f in facts).items()),
        "top_grade": next((f.grade for f in facts if f.grade), ""),
        "demo": DEMO if any(f.demo for f in facts) else "",
        "link": facts[0].link if single else context.list_link,
        "ack_link": context.ack_link,
    }


def plain(context: Context) -> tuple[str, str]:
    """The text that needs no template: the facts one under the other."""
    f = context.facts[0]
    more = f" 等 {len(context.facts)} 项" if len(context.facts) > 1 else ""
    subject = f"{f.demo}{f.grade} {f.item}{f.direction}{f.kind}（{f.change}）{more} {f.code}"
    lines = [
        f"{f.demo}{f.kind}（{f.change}）：{f.item}{f.direction}{f.percent}，{f.where}，{f.numbers}，{f.grade}，"
        f"起始 {f.since}，{'结束 ' + f.until + '，' if f.until else ''}{f.reason}，编号 {f.code}"
        for f in context.facts[:DIGEST_LINES]
    ]
    return subject, "\n".join([f"共 {len(context.facts)} 项变化" if more else "", *lines]).strip()


@cache
def environment() -> SandboxedEnvironment:
    """The sandbox for templates, made on first use: an unknown name is an error, nothing can be called or changed."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@lru_cache(maxsize=64)
def compiled(source: str) -> Template:
    return environment().from_string(source)


def payload_of(context: Context, way: int) -> dict[str, Any]:
    """The same facts for programs: what a webhook receiver gets as `data`. JSON values only."""
    first = context.facts[0]
    single = len(context.facts) == 1
    return {
        "what": context.what,
        "count": len(context.facts),
        "flags": [asdict(facts) for facts in context.facts[:DIGEST_PAYLOAD]],
        "demonstration": any(bool(facts.demo) for facts in context.facts),
        "link": first.link if single else context.list_link,
        "ack_link": context.ack_link,
        "way": way,
    }


def samples() -> Iterator[Context]:
    """One message of every sort, to try templates with."""
    at = datetime(2026, 1, 5, tzinfo=UTC)
    move = Flag(
        id="sample",
        kind=Kind.MOVE,
        plan="plan",
        plan_version="1",
        rule="rule",
        rule_version="1",
        item="大米",
        point="甲市场",
        area="甲区",
        direction=Direction.UP,
        start=at,
        first_flagged=at,
        last_hit=at,
        end=at,
        end_reason="cleared",
        peak=5.6,
        peak_grade=Grade(1, "三级"),
        value=5.6,
        expected=5.0,
        threshold=10.0,
        reason="一周上涨 12%",
        findings=(),
        exit=Exit("rule", "1", at, "大米已连续15天未再出现异常波动。"),
    )
    data = replace(move, kind=Kind.DATA, peak_grade=Grade(0, ""), point="", points=("甲", "乙"))
    silence = replace(data, kind=Kind.SILENCE, direction=Direction.NONE, value=math.nan, expected=math.nan, end=None)
    for what in ("opened", "raised", "ended", "withdrawn", "exit"):
        for flag in (move, data, silence):
            facts = facts_of(what, flag, public_url="http://console", zone=ZoneInfo("Asia/Shanghai"), demo=False)
            ack = "http://console/a/token" if what in ("opened", "raised") else ""
            yield Context(what, (facts,), ack, "http://console/flags")
            yield Context("digest", (facts, facts), ack, "http://console/flags")


def problems(overrides: Mapping[str, str]) -> list[str]:
    """Why these templates cannot be used: unknown names, errors, or nothing rendered. Empty when they can."""
    found = [
        f"{name!r} is not a template; there are {', '.join(TEMPLATES)}" for name in overrides if name not in TEMPLATES
    ]
    for name in sorted(set(overrides) & set(TEMPLATES)):
        for context in samples():
            if context.what != name.partition(".")[0]:
                continue
            try:
                if not rendered(name, context, overrides).strip():
                    found.append(f"template {name!r} gives an empty text")
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the operator is told
                found.append(f"template {name!r}: {error}")
                break
    return found
