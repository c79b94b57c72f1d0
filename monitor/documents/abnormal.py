"""The report of an abnormal fluctuation (clause P5), filled from one flag as far as the system knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from monitor.documents.model import TITLES, Report, ReportKind, Section


@dataclass(frozen=True)
class Abnormal:
    """What is known of the flag, in words.

    what     item with specification, points and area
    steps    why it was flagged (`monitor explain`)
    contrast changes against the same date of earlier years
    """

    item: str
    place: str
    since: str
    move: str
    grade: str
    steps: Sequence[str]
    contrast: Sequence[str]
    verdict: str
    simulated: bool


def abnormal(given: Abnormal, today: date, issuer: str) -> Report:
    """The four parts that P5 asks for; what only people know is left empty for them."""
    facts = (
        f"品种：{given.item}。",
        f"时间：自{given.since}起。",
        f"区域：{given.place}。",
        f"幅度：{given.move or '见下'}。",
        *given.steps,
        *given.contrast,
        "供应情况：",
    )
    happened = "，".join(part for part in ("出现异常波动", given.move) if part)
    verdict = f"复核结论：{given.verdict}。" if given.verdict else ""
    note = ("本报告含演示数据，由模拟程序生成，不是真实价格。",) if given.simulated else ()
    return Report(
        kind=ReportKind.ABNORMAL,
        title=f"{given.item}{TITLES[ReportKind.ABNORMAL]}",
        issue=0,
        issuer=issuer,
        first=today,
        last=today,
        lead=f"{given.place}{given.item}{happened}（系统建议级别：{given.grade}，由人决定）。",
        sections=(
            Section("一、异常情况", facts),
            Section("二、原因、趋势、影响和社会反应", ("原因：" + verdict, "趋势：", "影响：", "社会反应：")),
            Section("三、已采取措施与建议", ("已采取措施：", "建议：")),
            Section("四、需要报告的其他内容", note or ("",)),
        ),
        simulated=given.simulated,
    )
