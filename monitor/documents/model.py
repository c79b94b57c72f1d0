"""A report as data: what is stored, edited and signed, and from which page, DOCX and XLSX are made.

Texts may be edited until the report is signed; figures come from the observations and stay as they were when the
report was made. Money is in the unit that its row names; changes are ratios (0.05: 5 % up).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from msgspec import Struct


class ReportKind(StrEnum):
    """Which report. Daily and weekly after the forms of price offices; `abnormal` is the report of clause P5."""

    DAILY = "daily"
    WEEKLY = "weekly"
    ABNORMAL = "abnormal"


TITLES = {
    ReportKind.DAILY: "价格监测日报",
    ReportKind.WEEKLY: "价格监测周报",
    ReportKind.ABNORMAL: "价格异常波动报告",
}


class Row(Struct, frozen=True):
    """One kind of goods: its matched-sample means in this period and the one before, and what people remark.

    current, previous  means over the points that reported in both; `previous` is None where none did
    points             number of points behind `current`
    """

    item: str
    spec: str
    unit: str
    channel: str
    current: float
    previous: float | None
    points: int
    remark: str = ""

    @property
    def change(self) -> float | None:
        """Ratio of change; None where there is nothing to compare with."""
        if self.previous is None or self.previous == 0:
            return None
        return self.current / self.previous - 1


class Chart(Struct, frozen=True):
    """Lines over days, as index (first day = 100); None where a day has no value."""

    title: str
    days: tuple[date, ...]
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]


class Section(Struct, frozen=True):
    """A heading with paragraphs that may be edited, then rows and a chart that may not."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    chart: Chart | None = None


class Report(Struct, frozen=True):
    """A whole report.

    issue     number within the year (第N期); 0 for reports without one
    first, last  first and last day of the period, in the installation's zone
    lead      the sentence that says it all (导语)
    simulated whether any of its figures come from simulated data
    """

    kind: ReportKind
    title: str
    issue: int
    issuer: str
    first: date
    last: date
    lead: str
    sections: tuple[Section, ...]
    simulated: bool = False
    author: str = ""
    phone: str = ""

    @property
    def period(self) -> str:
        """The period in words."""
        first = f"{self.first.year}年{self.first.month}月{self.first.day}日"
        if self.last == self.first:
            return first
        return f"{first}至{self.last.year}年{self.last.month}月{self.last.day}日"
