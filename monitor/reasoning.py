"""The reasoning behind one flag, step by step in plain Chinese: for the API, the page and `monitor explain`."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from thresholds.model import Contribution, Direction, Earlier, Finding, Flag, Kind

KINDS = {Kind.MOVE: "异常波动", Kind.DATA: "疑似数据错误", Kind.SILENCE: "数据中断"}
DIRECTIONS = {Direction.UP: "上涨", Direction.DOWN: "下跌", Direction.NONE: ""}
ENDS = {
    "cleared": "已回到界限以内",
    "merged": "已并入另一条提示",
    "exceeded": "其后又有更大幅度的变动，已另立提示",
    "corrected": "数据更正后不再成立",
    "resumed": "已恢复报送",
    "stayed": "其后报送维持在该水平，按真实变动处理",
    "ended": "已结束",
}
AGO = {1: "去年", 2: "前年", 3: "大前年"}
CALENDARS = {"gregorian": "公历", "lunar": "农历"}
CONTRIBUTIONS_SHOWN = 10
UNCHANGED = 5e-4
CARRIED = "（沿用上次报价）"


def reasoning(flag: Flag, zone: ZoneInfo) -> list[str]:
    """One sentence per step: what and where, what was measured by which rule, on what grounds, how it went."""
    steps = [what(flag, zone), *(measured(finding, zone, flag.area) for finding in flag.findings)]
    if flag.reason and all(flag.reason != finding.reason for finding in flag.findings):
        steps.insert(1, flag.reason)
    steps += comparisons(flag, zone)
    steps.append(grounds(flag))
    steps.append(course(flag, zone))
    if flag.exit is not None:
        steps.append(f"自{local(flag.exit.at, zone)}的观测值起建议终止：{flag.exit.reason}")
    return steps


def comparisons(flag: Flag, zone: ZoneInfo) -> list[str]:
    """What each point did, and the same date in the years before."""
    by_point: dict[tuple[str, str], Contribution] = {}
    for finding in flag.findings:  # strongest first; several rules may name a point
        for one in finding.contributions:
            by_point.setdefault((one.area, one.point), one)
    found = [contributions(list(by_point.values()))] if len(by_point) > 1 else []
    years = [one for finding in flag.findings for one in finding.earlier]
    return [*found, earlier(years, zone)] if years else found


def brief(flag: Flag, zone: ZoneInfo) -> list[str]:
    """The reasoning as an office writes it to another: without rule numbers and measures of spread."""
    return [*([flag.reason] if flag.reason else []), *comparisons(flag, zone), course(flag, zone)]


def several_areas(flag: Flag) -> bool:
    """Whether the value of the flag is that of its strongest area only."""
    return len({one.area for finding in flag.findings for one in finding.contributions}) > 1


def what(flag: Flag, zone: ZoneInfo) -> str:
    place = "、".join(flag.points) or flag.point or "全部监测点"
    area = f"{flag.area}，" if flag.area else ""
    kind = f"{KINDS[flag.kind]}{'（' + DIRECTIONS[flag.direction] + '）' if flag.direction else ''}"
    known = ""
    if flag.first_flagged > flag.start:
        known = f"，{local(flag.first_flagged, zone)}的观测值到达时判定"
    return f"{flag.item or '全部品种'}（{area}{place}）：{kind}，自{local(flag.start, zone)}起{known}。"


def measured(finding: Finding, zone: ZoneInfo, area: str = "") -> str:
    """What one rule measured, and where, if not in all of `area`. What was not measured is left out, no zero."""
    places = {one.area for one in finding.contributions} - {area, ""}
    where = f"在{places.pop()}" if len(places) == 1 else ""
    parts = [
        f"规则 {finding.rule}（版本 {finding.rule_version}）"
        f"于{local(finding.at, zone)}{where}测得现值 {number(finding.value)}"
    ]
    if math.isfinite(finding.expected):
        used = f"，{finding.n_used} 个观测值" if finding.n_used else ""
        parts.append(f"参照值 {number(finding.expected)}（{finding.window}{used}）")
    if math.isfinite(finding.scale):
        parts.append(f"常态波幅 {number(finding.scale)}")
    if math.isfinite(finding.score):
        parts.append(f"偏离 {number(finding.score)}{finding.unit}")
    if math.isfinite(finding.threshold):
        parts.append(f"界限 {number(finding.threshold)}{finding.unit}")
    sentence = "，".join(parts) + "。"
    return sentence + finding.reason if finding.reason else sentence


def contributions(found: list[Contribution]) -> str:
    shown = [
        f"{one.point or one.area or '（未注明）'} {number(one.value)}{CARRIED if one.carried else change(one.change)}"
        for one in found[:CONTRIBUTIONS_SHOWN]
    ]
    more = f"，以及另外 {len(found) - len(shown)} 个" if len(found) > len(shown) else ""
    return f"各监测点：{'；'.join(shown)}{more}。"


def earlier(found: list[Earlier], zone: ZoneInfo) -> str:
    """The same date in the years before."""
    shown = [
        f"{one.at.astimezone(zone).date().isoformat()}（{AGO[one.years]}{CALENDARS[one.calendar]}同日）"
        f"{number(one.value)}{change(one.change).replace('（', '，至今').replace('）', '')}"
        for one in found
    ]
    return f"往年同日：{'；'.join(shown)}。"


def change(ratio: float) -> str:
    if not math.isfinite(ratio):
        return ""
    return "（持平）" if abs(ratio) < UNCHANGED else f"（{ratio * 100:+.1f}%）"


def grounds(flag: Flag) -> str:
    grade = f"，等级{flag.peak_grade.label}" if flag.peak_grade.rank else "，未达到预警等级"
    plan = f"依据 {flag.plan}（版本 {flag.plan_version}）" if flag.plan else "依据数据质量检查"
    return f"{plan}的规则 {flag.rule}（版本 {flag.rule_version}）{grade if flag.kind == Kind.MOVE else ''}。"


def course(flag: Flag, zone: ZoneInfo) -> str:
    peak = f"期间极值 {number(flag.peak)}，" if math.isfinite(flag.peak) else ""
    last = f"最近一次异常为{local(flag.last_hit, zone)}，"
    if flag.end is None:
        return f"{peak}{last}尚未结束。"
    return f"{peak}{last}{local(flag.end, zone)}结束：{ENDS.get(flag.end_reason, flag.end_reason)}。"


def number(value: float) -> str:
    """At most six significant digits, a dash for none."""
    if not math.isfinite(value):
        return "—"
    text = f"{value:,.6f}" if abs(value) < 1 else f"{value:,.2f}"
    return text.rstrip("0").rstrip(".") or "0"


def local(at: datetime, zone: ZoneInfo) -> str:
    """Local date, with the time of day where it is not midnight."""
    here = at.astimezone(zone)
    midnight = timedelta(hours=here.hour, minutes=here.minute) == timedelta(0)
    return here.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M")
