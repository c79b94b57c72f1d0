"""A report as DOCX."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from monitor.documents.model import Chart, Report, Section
from monitor.documents.text import COLUMNS, cells, foot, head

if TYPE_CHECKING:
    from docx.document import Document

FONT, HEADING_FONT = "仿宋", "黑体"
NUMBERS = (4, 5, 6, 7)
"""columns that are set to the right"""
WIDTH_INCHES = 6.3
PAGE_MM, MARGIN_MM = (210, 297), 25
"""A4, as offices print on"""
COLUMN_MM = (22, 22, 19, 12, 18, 18, 18, 18, 13)
NEAREST = 0.05
"""of the height of a chart: no two of its marks stand closer"""


def docx_of(report: Report, signer: str = "") -> bytes:
    """The document, with one table and chart after the paragraphs of each section that has them."""
    from docx import Document as new_document
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    made = new_document()
    on_a4(made)
    style(made, FONT, Pt(12))
    made.core_properties.title = clean(report.title)
    made.core_properties.author = clean(report.issuer)
    title = made.add_heading(level=0)
    run(title, report.title, HEADING_FONT)
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    under = made.add_paragraph(clean(head(report)))
    under.alignment = WD_ALIGN_PARAGRAPH.CENTER
    if report.simulated:
        run(made.add_paragraph(), "演示数据：不是真实价格", HEADING_FONT)
    paragraph(made, report.lead)
    for section in report.sections:
        add_section(made, section)
    made.add_paragraph()
    made.add_paragraph(clean(foot(report, signer)))
    out = BytesIO()
    made.save(out)
    return out.getvalue()


def clean(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(
        c for c in text if c in "\t\n" or (c >= " " and not 0xD800 <= ord(c) <= 0xDFFF and c not in "\ufffe\uffff")
    )


def on_a4(made: Document) -> None:
    from docx.shared import Mm

    page = made.sections[0]
    page.page_width, page.page_height = Mm(PAGE_MM[0]), Mm(PAGE_MM[1])
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = Mm(MARGIN_MM)


def style(made: Document, font: str, size: Any) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    normal: Any = made.styles["Normal"]
    normal.font.name, normal.font.size = font, size
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), font)
    language = OxmlElement("w:lang")  # else a substitute font may draw the signs of another country
    language.set(qn("w:val"), "zh-CN")
    language.set(qn("w:eastAsia"), "zh-CN")
    normal.element.rPr.append(language)


def run(paragraph: Any, text: str, font: str) -> None:
    from docx.oxml.ns import qn
    from docx.shared import RGBColor

    part = paragraph.add_run(clean(text))
    part.font.name = font
    part.font.color.rgb = RGBColor(0, 0, 0)
    part._element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), font)


def paragraph(made: Document, text: str) -> None:
    from docx.shared import Pt

    if text:
        made.add_paragraph(clean(text)).paragraph_format.first_line_indent = Pt(24)


def add_section(made: Document, section: Section) -> None:
    level = 2 if section.heading.startswith("（") else 1
    run(made.add_heading(level=level), section.heading, HEADING_FONT)
    for text in section.paragraphs:
        paragraph(made, text)
    if section.rows:
        add_table(made, section)
    if section.chart:
        from docx.shared import Inches

        made.add_picture(BytesIO(chart_png(section.chart)), width=Inches(WIDTH_INCHES))
        names = "，".join(f"{n}：{name}" for n, (name, _) in enumerate(section.chart.lines, start=1))
        paragraph(made, f"{section.chart.title}。图中 {names}。")


def add_table(made: Document, section: Section) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.shared import Mm, Pt

    table = made.add_table(rows=1, cols=len(COLUMNS), style="Table Grid")
    table.autofit = False
    for column, wide in zip(table.columns, COLUMN_MM, strict=True):
        column.width = Mm(wide)
    table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))  # again on the next page
    lines = [COLUMNS, *(cells(row) for row in section.rows)]
    for n, line in enumerate(lines):
        row = table.rows[0] if n == 0 else table.add_row()
        for place, (cell, text) in enumerate(zip(row.cells, line, strict=True)):
            cell.text = clean(text)
            cell.width = Mm(COLUMN_MM[place])
            for part in cell.paragraphs:
                for one in part.runs:
                    one.font.size = Pt(9)
                if n and place in NUMBERS:
                    part.alignment = WD_ALIGN_PARAGRAPH.RIGHT


def chart_png(chart: Chart) -> bytes:
    """The chart as a picture. Lines carry numbers, not names: a server often has no Chinese font."""
    import numpy as np
    from matplotlib.figure import Figure

    days = np.array(chart.days, "datetime64[D]")
    figure = Figure(figsize=(WIDTH_INCHES, 2.8), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    ends = []
    for n, (_, values) in enumerate(chart.lines, start=1):
        shown = [float("nan") if value is None else value for value in values]
        (line,) = axes.plot(days, shown, linewidth=1.4, label=str(n))
        known = [place for place, value in enumerate(values) if value is not None]
        ends.append((shown[known[-1]], n, line.get_color()))
    low, high = axes.get_ylim()
    heights = apart([value for value, _, _ in ends], (high - low) * NEAREST)
    for (value, n, colour), height in zip(ends, heights, strict=True):
        thread = {"arrowstyle": "-", "color": colour, "linewidth": 0.6}
        axes.annotate(str(n), (days[-1], value), (days[-1] + 1, height), color=colour, va="center", arrowprops=thread)
    axes.margins(x=0.05)
    axes.axhline(100, color="0.6", linewidth=0.8)
    axes.grid(alpha=0.3)
    figure.autofmt_xdate(rotation=30)
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def apart(values: Sequence[float], least: float) -> list[float]:
    """Heights for marks beside `values`, in the same order, none nearer than `least` to another."""
    found, below = list(values), float("-inf")
    for place in sorted(range(len(values)), key=values.__getitem__):
        below = found[place] = max(values[place], below + least)
    return found
