"""DOCX and XLSX as other programs read them."""

from __future__ import annotations

import zipfile
from io import BytesIO

import docx
import msgspec
import openpyxl
import pytest

from monitor.documents.docx import COLUMN_MM, apart, docx_of
from monitor.documents.model import Report
from monitor.documents.periodic import weekly
from monitor.documents.text import file_name, harmless
from monitor.documents.xlsx import xlsx_of
from tests.documents.make import LAST, key, quotes
from tests.documents.test_periodic import given

HOSTILE = ('=HYPERLINK("http://x","y")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1")


@pytest.fixture
def report() -> Report:
    return weekly(given(), LAST)


def everything(data: bytes) -> str:
    """All text of a document: paragraphs, then cells."""
    made = docx.Document(BytesIO(data))
    cells = [cell.text for table in made.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(one.text for one in made.paragraphs), *cells])


def test_a_docx_holds_title_period_lead_tables_picture_and_who_signed(report: Report) -> None:
    data = docx_of(report, signer="分管负责人甲")
    text = everything(data)
    for wanted in (
        "价格监测周报",
        "2026年2月23日至2026年3月1日",
        report.lead,
        "精瘦肉",
        "+40.0%",
        "签发：分管负责人甲",
    ):
        assert wanted in text
    assert any(name.startswith("word/media/") for name in zipfile.ZipFile(BytesIO(data)).namelist())


def test_documents_are_for_a4_and_tables_repeat_their_heads(report: Report) -> None:
    made = docx.Document(BytesIO(docx_of(report)))
    page = {name: round(getattr(made.sections[0], name).mm) for name in ("page_width", "page_height", "left_margin")}
    assert page == {"page_width": 210, "page_height": 297, "left_margin": 25}
    assert sum(COLUMN_MM) == 210 - 2 * 25
    assert all("w:tblHeader" in table.rows[0]._tr.xml for table in made.tables)
    assert openpyxl.load_workbook(BytesIO(xlsx_of(report)))["报告"].page_setup.paperSize == 9


def test_marks_beside_a_chart_stand_apart() -> None:
    assert apart([100.0, 114.0, 100.1, 99.0], 1.0) == [100.0, 114.0, 101.0, 99.0]


def test_an_xlsx_holds_prices_and_changes_as_numbers(report: Report) -> None:
    sheet = openpyxl.load_workbook(BytesIO(xlsx_of(report)))["报告"]
    row = next(row for row in sheet.iter_rows(values_only=True) if row[0] == "精瘦肉")
    assert list(row[4:8]) == pytest.approx([21.0, 15.0, 0.4, 1])
    flat = next(row for row in sheet.iter_rows(values_only=True) if row[0] == "粳米")
    assert flat[6] == "--"


def test_an_xlsx_draws_its_chart_from_its_own_numbers(report: Report) -> None:
    data = xlsx_of(report)
    names = zipfile.ZipFile(BytesIO(data)).namelist()
    assert any(name.startswith("xl/charts/chart") for name in names)
    sheet = openpyxl.load_workbook(BytesIO(data))["走势"]
    assert [cell.value for cell in sheet[1]][:3] == ["日期", "粮油", "肉禽蛋"]
    assert sheet.max_row == 31


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_from_outside_becomes_a_formula(text: str) -> None:
    goods = quotes((key(text, "甲", spec=text), "蔬菜", {0: 1.0, 1: 1.0, 8: 1.0}))
    report = weekly(given(quotes=goods, issuer=text, flagged=(text,)), LAST)
    report = msgspec.structs.replace(report, lead=text, author=text)
    book = openpyxl.load_workbook(BytesIO(xlsx_of(report, signer=text)))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    texts = [str(cell.value) for cell in cells if isinstance(cell.value, str)]
    assert not [one for one in texts if one.startswith(("=", "+", "@", "\t", "\r", "\n", "-2"))]
    assert any(text.strip() in one for one in texts)


def test_signs_that_xml_cannot_hold_do_not_break_a_document() -> None:
    goods = quotes((key("菜\x00\x0b\ufffe", "甲"), "蔬菜", {0: 1.0, 1: 1.0}))
    report = weekly(given(quotes=goods, flagged=("坏\x08字",)), LAST)
    assert "坏字" in everything(docx_of(report))
    openpyxl.load_workbook(BytesIO(xlsx_of(report)))


def test_a_name_for_a_download_holds_nothing_that_leads_elsewhere(report: Report) -> None:
    odd = msgspec.structs.replace(report, title='../../etc/passwd"\r\n')
    assert file_name(odd, "docx") == "______etc_passwd____2026-03-01.docx"


def test_harmless_text_stays_as_it_is() -> None:
    assert harmless("大白菜 -5%") == "大白菜 -5%"
