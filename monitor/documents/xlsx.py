"""A report as XLSX: one sheet with the text and the tables, one with the chart and its numbers."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from monitor.documents.model import Chart, Report
from monitor.documents.text import COLUMNS, UNCHANGED, change_text, foot, harmless, head

WIDTHS = (16, 14, 12, 10, 10, 10, 10, 10, 30)
SAFE = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
CHART_SHEET = "走势"
A4 = 9
"""of the paper sizes of Excel"""


def xlsx_of(report: Report, signer: str = "") -> bytes:
    """The workbook. Prices and changes are numbers; all text is text, whatever it begins with."""
    import xlsxwriter

    out = BytesIO()
    book = xlsxwriter.Workbook(out, SAFE)
    book.set_properties({"title": harmless(report.title), "author": harmless(report.issuer)})
    formats = {
        "title": book.add_format({"bold": True, "font_size": 16, "align": "center"}),
        "under": book.add_format({"align": "center"}),
        "heading": book.add_format({"bold": True, "font_size": 12}),
        "text": book.add_format({"text_wrap": True, "valign": "top"}),
        "column": book.add_format({"bold": True, "border": 1, "bg_color": "#EEF1F4"}),
        "cell": book.add_format({"border": 1}),
        "right": book.add_format({"border": 1, "align": "right"}),
        "price": book.add_format({"border": 1, "num_format": "0.00"}),
        "change": book.add_format({"border": 1, "num_format": "+0.0%;-0.0%"}),
    }
    sheet = book.add_worksheet("报告")
    for place, width in enumerate(WIDTHS):
        sheet.set_column(place, place, width)
    text_sheet(sheet, report, signer, formats)
    charts = [section.chart for section in report.sections if section.chart]
    if charts:
        chart_sheet(book, charts[0])
    book.close()
    return out.getvalue()


def text_sheet(sheet: Any, report: Report, signer: str, formats: dict[str, Any]) -> None:
    last = len(COLUMNS) - 1
    at = 0

    def line(text: str, format: str, height: float | None = None) -> None:
        nonlocal at
        sheet.merge_range(at, 0, at, last, "", formats[format])
        sheet.write_string(at, 0, harmless(text), formats[format])
        if height:
            sheet.set_row(at, height)
        at += 1

    line(report.title, "title", 24)
    line(head(report), "under")
    if report.simulated:
        line("演示数据：不是真实价格", "heading")
    line(report.lead, "text", 36)
    for section in report.sections:
        line(section.heading, "heading")
        for text in section.paragraphs:
            if text:
                line(text, "text", 18 * (1 + len(text) // 60))
        if section.rows:
            for place, name in enumerate(COLUMNS):
                sheet.write_string(at, place, name, formats["column"])
            at += 1
            for row in section.rows:
                write_row(sheet, at, row, formats)
                at += 1
    line(foot(report, signer), "text")
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)


def write_row(sheet: Any, at: int, row: Any, formats: dict[str, Any]) -> None:
    for place, text in enumerate((row.item, row.spec, row.unit, row.channel)):
        sheet.write_string(at, place, harmless(text), formats["cell"])
    sheet.write_number(at, 4, row.current, formats["price"])
    if row.previous is None:
        sheet.write_string(at, 5, "/", formats["right"])
    else:
        sheet.write_number(at, 5, row.previous, formats["price"])
    if row.change is None or change_text(row) == UNCHANGED:
        sheet.write_string(at, 6, change_text(row), formats["right"])
    else:
        sheet.write_number(at, 6, row.change, formats["change"])
    sheet.write_number(at, 7, row.points, formats["cell"])
    sheet.write_string(at, 8, harmless(row.remark), formats["cell"])


def chart_sheet(book: Any, chart: Chart) -> None:
    """Numbers of the chart in columns, and the chart drawn by the program that opens the file."""
    sheet = book.add_worksheet(CHART_SHEET)
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    sheet.set_column(0, 0, 12)
    sheet.write_string(0, 0, "日期")
    for n, one in enumerate(chart.days, start=1):
        sheet.write_datetime(n, 0, one, day)
    drawn = book.add_chart({"type": "line"})
    for place, (name, values) in enumerate(chart.lines, start=1):
        sheet.write_string(0, place, harmless(name))
        for n, value in enumerate(values, start=1):
            if value is not None:
                sheet.write_number(n, place, value)
        drawn.add_series(
            {
                "name": [CHART_SHEET, 0, place],
                "categories": [CHART_SHEET, 1, 0, len(chart.days), 0],
                "values": [CHART_SHEET, 1, place, len(chart.days), place],
            }
        )
    drawn.set_title({"name": chart.title, "name_font": {"size": 11}})
    drawn.set_size({"width": 900, "height": 380})
    sheet.insert_chart(1, len(chart.lines) + 2, drawn)
