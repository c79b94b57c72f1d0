"""Cells and numbers as the reports write them."""

from __future__ import annotations

from monitor.documents.comparison import FLAT
from monitor.documents.model import Report, Row

COLUMNS = ("项目名称", "规格等级", "单位", "渠道", "本期均价", "上期均价", "变动幅度", "监测点数", "备注")
UNCHANGED = "--"
"""how price offices write "no change" in a column of changes"""
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def harmless(text: str) -> str:
    """Text from outside as a sheet may hold it: never read as a formula, not even after a detour through CSV."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def change_text(row: Row) -> str:
    if row.change is None:
        return "/"
    return UNCHANGED if abs(row.change) < FLAT else f"{row.change:+.1%}"


def price_text(value: float | None) -> str:
    return "/" if value is None else f"{value:.2f}"


def cells(row: Row) -> tuple[str, ...]:
    """One row of the table as text, in the order of COLUMNS."""
    return (
        row.item,
        row.spec,
        row.unit,
        row.channel,
        price_text(row.current),
        price_text(row.previous),
        change_text(row),
        str(row.points),
        row.remark,
    )


def head(report: Report) -> str:
    """The line under the title: issue, issuer, period."""
    issue = f"{report.last.year}年第{report.issue}期" if report.issue else ""
    return "　".join(part for part in (issue, report.issuer, report.period) if part)


def foot(report: Report, signer: str) -> str:
    """The line at the end: who signed, who filled in, by which number to ask."""
    return "　　".join(
        (f"签发：{signer or '（未签发）'}", f"填报人：{report.author or '—'}", f"联系电话：{report.phone or '—'}")
    )


def file_name(report: Report, ending: str) -> str:
    """Name for a download: no sign in it that a file system or a header would take amiss."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in report.title)
    return f"{safe}_{report.last.isoformat()}.{ending}"
