"""Why a flag exists, in plain Chinese: one sentence on what was seen, one on the rule behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from thresholds.model import Direction, Doubt

if TYPE_CHECKING:  # for annotations only: these import this module's users
    from thresholds.plan import Pack, Rule

UP_DOWN = {Direction.UP: "上涨", Direction.DOWN: "下跌", Direction.NONE: "变动"}
COMPARED = {">": "超过", ">=": "达到或超过"}
BELOW = {">": "低于", ">=": "达到或低于"}
EFFECTS = {"report": "须报告", "watch": "关注", "candidate": "建议研判"}
DOUBTS = {
    Doubt.NONPOSITIVE: "该指标不可能为零或负值",
    Doubt.FACTOR: "与此前水平约差10倍、100倍或更多，疑为小数点或单位错误",
    Doubt.JIN: "与此前水平恰差一倍，疑为500克与公斤混用",
    Doubt.CONFLICT: "同一监测点同一日期报送了互相矛盾的两个数值",
    Doubt.DAN: "与此前水平相差约50倍（或20倍），疑为公斤、50公斤与吨混用",
    Doubt.ALONE: "同一品种当日至少5个监测点中仅此一点大幅变动，且明显偏离其他监测点",
    Doubt.PLACEHOLDER: "与此前水平悬殊，疑为表示缺报的占位数值",
    Doubt.SWAPPED: "与同一监测点{beside}的数值恰好互换，疑为填报串行",
    Doubt.RANGE: "最低价高于最高价，或均价不在最低价与最高价之间",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a sentence names. `strongest`: where the value was measured, if not in all of `area`; `carried`: how many
    of several points gave no usable price on the day, so that their last one counts."""

    item: str
    spec: str
    unit: str
    area: str
    points: tuple[str, ...]
    strongest: str = ""
    carried: int = 0

    @property
    def subject(self) -> str:
        spec = f"（{self.spec}）" if self.spec else ""
        area = self.area
        stale = f"（其中{self.carried}个沿用上次报价）" if self.carried else ""
        where = f"{area}{self.points[0]}" if len(self.points) == 1 else f"{area}{len(self.points)}个监测点{stale}"
        return f"{self.item}{spec}在{where}"

    @property
    def measured(self) -> str:
        """The subject of a sentence on a value."""
        return f"{self.subject}出现异常，其中{self.strongest}最突出，" if self.strongest else self.subject


def number(x: float) -> str:
    """A value as people write it: up to four significant decimals, no trailing zeros."""
    if not math.isfinite(x):
        return "—"
    digits = 2 if abs(x) >= 1 else 4
    text = f"{x:,.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-", "-0") else text


def percent(x: float) -> str:
    """A size in percent; two decimals, so that 5.04 % does not read as the 5 % that it exceeds."""
    return f"{number(abs(x))}%"


def sourced(rule: Rule, pack: Pack) -> str:
    """A rule in words, with where it comes from."""
    basis = pack.source_of(rule)
    own = basis.mark == "P" or "《" in basis.title  # no document of that name, or its name is marked already
    source = basis.title if own else f"《{basis.title}》"
    borrowed = "，借用标准" if basis.borrowed else ""
    return f"{rule.title}（{source}，{basis.place}{basis.year}年{borrowed}）"


class Seen(NamedTuple):
    """What a rule measured, as in thresholds.conditions.Measured; `score` NaN where it measured nothing."""

    value: float
    expected: float
    scale: float
    score: float
    threshold: float
    limit: float
    unit: str
    window: str
    n_used: int
    comparison: str
    clause: str


def basis(rule: Rule, pack: Pack, remark: str = "") -> str:
    """The sentence on the rule behind a flag; `remark` says what changed its grade."""
    return f"依据：{sourced(rule, pack)}，{EFFECTS[pack.effect]}{'；' if remark else ''}{remark}。"


def move_reason(shown: Shown, direction: Direction, seen: Seen, law: str) -> str:
    """Two sentences for a flag of kind move; `law` is the second of them (`basis`)."""
    unit = shown.unit
    if not math.isfinite(seen.score):
        return f"{shown.subject}符合监测规则。{law}"
    text = f"{shown.measured}为{number(seen.value)}{unit}"
    word = UP_DOWN[direction]
    compared = COMPARED[seen.comparison]
    if seen.clause:
        text += f"，{seen.clause}。"
    elif seen.unit == "%":
        text += f"，{seen.window}的{number(seen.expected)}{unit}{word}{percent(seen.score)}"
        text += f"，{compared}{number(abs(seen.threshold))}%。"
    elif seen.unit == "σ":
        text += f"，按{seen.window}（{seen.n_used}期）应在{number(seen.expected)}{unit}左右，"
        far = f"{abs(seen.score):.1f}倍常态波幅（界限{number(abs(seen.threshold))}倍）"
        text += f"偏离{far}，属异常{word}。"
    else:
        beyond = BELOW[seen.comparison] if direction is Direction.DOWN else compared
        text += f"，{beyond}界限{number(seen.threshold)}{unit}。"
    return text + law


def data_reason(shown: Shown, doubt: Doubt, value: float, level: float, beside: str = "") -> str:
    """Two sentences for a suspected reporting error; `beside` names the row that it stands in the place of."""
    before = f"，此前水平约{number(level)}{shown.unit}" if math.isfinite(level) else ""
    return (
        f"{shown.subject}报送{number(value)}{shown.unit}{before}：{DOUBTS[doubt].format(beside=beside)}。"
        "该值暂不计入基线，也不作价格预警，请监测点核实。"
    )


def stuck_reason(shown: Shown, value: float, times: int, longest: int, company: str) -> str:
    """Two sentences for a price that does not move."""
    return (
        f"{shown.subject}已连续{times}期报送{number(value)}{shown.unit}，此前最长连续{longest}期不变{company}，疑为照抄上期。"
        "该值仍正常使用，请监测点核实是否实地采价。"
    )


def reverted_reason(shown: Shown, value: float, before: float, after: float) -> str:
    """Two sentences for a step that the next report took back."""
    return (
        f"{shown.subject}上期报送{number(value)}{shown.unit}，再上期为{number(before)}{shown.unit}，"
        f"本期又回到{number(after)}{shown.unit}，疑为上期误报。"
        "请监测点核实上期数值；如确认有误，复核为数据错误后即不再计入基线。"
    )


def outage_reason(shown: Shown, value: float, level: float, series: int, complete: bool) -> str:
    """Two sentences for a publisher whose counts are missing."""
    fell = f"由此前约{number(level)}{shown.unit}降至{number(value)}{shown.unit}"
    what = "近乎归零，疑为数据中断而非下降" if complete else "大幅偏低，疑为当期数据不完整"
    subject = shown.subject
    if series > 1:
        subject = replace(shown, item=f"{shown.item}等{series}项").subject
        fell = f"其中{shown.item}{fell}"
    return (
        f"{subject}同日{what}（{fell}）。"
        "中断期间的数值不计入基线、不作预警，恢复时亦不视为激增，请向数据报送单位核实。"
    )


def silence_reason(shown: Shown, last: str, every_days: float) -> str:
    """Two sentences for data that did not come."""
    often = f"约每{every_days:.0f}天" if every_days >= 1 else f"约每{every_days * 24:.0f}小时"
    return f"{shown.subject}最近一次报送为{last}，通常{often}一报，已逾期。请核实监测点或数据来源是否中断。"
