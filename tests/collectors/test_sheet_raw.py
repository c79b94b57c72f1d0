"""Rows as they stand in a sheet, numbered as its reader numbers them."""

from __future__ import annotations

import gzip
import io
import zipfile

import openpyxl
import pytest

from collectors.sheet import SheetError, read_sheet
from collectors.sheet_header import Matcher
from collectors.sheet_raw import likely_header, raw_sheets

LIMIT = 1 << 20
SHEET = "某市价格监测表\n日期;品种;备注;价格\n2026-03-01;大米;含;3.0\n\n2026-03-01;面粉;;无\n"


def rows(content: bytes, **how: object) -> list[tuple[int, list[str]]]:
    (sheet,) = raw_sheets(content, name="x", columns={}, max_bytes=LIMIT, **how)  # type: ignore[arg-type]
    return sheet.rows


@pytest.mark.parametrize("pack", [str.encode, lambda t: t.encode("gb18030"), lambda t: gzip.compress(t.encode())])
def test_rows_have_the_numbers_that_rejects_name(pack) -> None:  # type: ignore[no-untyped-def]
    """In any encoding, packed or not: the row of a reject is found under its number."""
    content = pack(SHEET)
    (reject,) = read_sheet(content, name="x", defaults={"point": "东"}).rejects
    assert dict(rows(content))[reject.row] == ["2026-03-01", "面粉", "", "无"]
    assert rows(content)[0] == (1, ["某市价格监测表"])


def test_worksheets_come_one_by_one() -> None:
    """Each visible worksheet with its name and its rows."""
    book = openpyxl.Workbook()
    book.active.append(["日期", "品种", "价格"])  # type: ignore[union-attr]
    book.create_sheet("二").append(["说明"])
    file = io.BytesIO()
    book.save(file)
    sheets = raw_sheets(file.getvalue(), name="x", columns={}, max_bytes=LIMIT)
    assert [(s.name, s.rows) for s in sheets] == [("Sheet", [(1, ["日期", "品种", "价格"])]), ("二", [(1, ["说明"])])]


def test_what_is_too_large_or_broken_is_refused_as_by_the_reader() -> None:
    """Bombs and damage are found before memory is spent on them."""
    with pytest.raises(SheetError, match="超过允许的"):
        rows(gzip.compress(b"0" * (LIMIT * 40)))
    with pytest.raises(SheetError, match="不完整或已损坏"):
        rows(gzip.compress(SHEET.encode())[:-10])
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/workbook.xml", b"<workbook/>")
        file.writestr("xl/worksheets/sheet1.xml", b"<sheetData>" + b" " * (LIMIT * 40))
    with pytest.raises(SheetError) as refused:
        rows(bomb.getvalue())
    assert refused.value.reason == "too_large"


def test_json_lines_are_shown_line_by_line() -> None:
    """Each object as one cell."""
    assert rows(b'{"date": "2026-03-01"}\n\n{"date": 2}\n') == [(1, ['{"date": "2026-03-01"}']), (3, ['{"date": 2}'])]


def test_the_likely_header_has_fewest_columns_missing() -> None:
    """A title is passed over; where nothing fits, the fullest row is shown for mapping."""
    matcher = Matcher({}, {})
    assert likely_header([(1, ["监测表", ""]), (2, ["时间点", "品种", "本周价"])], matcher) == (
        2,
        ["时间点", "品种", "本周价"],
    )
    assert likely_header([(1, ["甲"]), (4, ["甲", "乙"])], matcher) == (4, ["甲", "乙"])
    assert likely_header([(1, ["", " "])], matcher) is None


def test_a_column_that_is_to_be_ignored_is_not_taken() -> None:
    """Unless the mapping names it; also where the date stands in the title."""
    sheet = "监测日期：2026-03-01\n品种,价格,备注\n大米,3.0,内部\n".encode()
    assert read_sheet(sheet, name="x").batch.notes == {0: "内部"}
    assert read_sheet(sheet, name="x", ignore=["备注"]).batch.notes == {}
    assert read_sheet(sheet, name="x", ignore=["备注"], columns={"note": "备注"}).batch.notes == {0: "内部"}
