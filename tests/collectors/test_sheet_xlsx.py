"""Workbooks: real date cells, merged cells, several worksheets, and files made to hurt."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Callable
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from collectors.sheet import SheetError, SheetResult, read_sheet
from thresholds.model import SeriesKey

SHANGHAI = ZoneInfo("Asia/Shanghai")
MAY_1 = int(dt.datetime(2024, 5, 1, tzinfo=SHANGHAI).timestamp())


def book(*sheets: Callable[[Worksheet], None] | list[list[object]], titles: tuple[str, ...] = ()) -> bytes:
    """A workbook whose worksheets hold the given rows, or are filled by the given functions."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for i, content in enumerate(sheets):
        sheet = workbook.create_sheet(titles[i] if titles else f"表{i + 1}")
        if callable(content):
            content(sheet)
        else:
            for row in content:
                sheet.append(row)
    data = io.BytesIO()
    workbook.save(data)
    return data.getvalue()


def read(data: bytes, **how: object) -> SheetResult:
    return read_sheet(data, name="test.xlsx", **how)  # type: ignore[arg-type]


def refused(data: bytes, **how: object) -> SheetError:
    with pytest.raises(SheetError) as error:
        read(data, **how)
    return error.value


def taken(result: SheetResult) -> list[tuple[int, str, str, float]]:
    b = result.batch
    return [
        (int(r), b.keys[s].item, b.keys[s].point, float(v)) for r, s, v in zip(b.row, b.series, b.value, strict=True)
    ]


def with_worksheet(xml: bytes, shared: bytes = b"<sst/>") -> bytes:
    """A workbook whose worksheet and shared texts are this XML."""
    source, copy = zipfile.ZipFile(io.BytesIO(book([[1]]))), io.BytesIO()
    parts = {name: source.read(name) for name in source.namelist()}
    parts |= {"xl/worksheets/sheet1.xml": xml, "xl/sharedStrings.xml": shared}
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in parts.items():
            target.writestr(name, data)
    return copy.getvalue()


OPEN = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
CLOSE = b"</sheetData></worksheet>"
HEADER: list[object] = ["date", "item", "point", "value"]


def test_date_cells_numbers_and_texts_are_read() -> None:
    """Real dates, date-times, unformatted day numbers and texts mean the same; numbers keep all their digits."""
    result = read(
        book([
            HEADER,
            [dt.date(2024, 5, 1), "猪肉", "东风", 1234.5678901],
            [dt.datetime.fromisoformat("2024-05-01T08:30"), "猪肉", "东风", -36.98],
            [45413, "猪肉", 1001, 3],
            ["2024年5月1日", "猪肉", 1001.0, "1,234.5"],
            [20240501, "猪肉", None, 5],
        ])
    )  # fmt: skip
    assert taken(result) == [
        (2, "猪肉", "东风", 1234.5678901),
        (3, "猪肉", "东风", -36.98),
        (4, "猪肉", "1001", 3.0),
        (5, "猪肉", "1001", 1234.5),
        (6, "猪肉", "", 5.0),
    ]
    assert result.batch.at.tolist() == [MAY_1, MAY_1 + 8 * 3600 + 1800, MAY_1, MAY_1, MAY_1]
    assert (result.header.format, result.header.sheets) == ("xlsx", ("表1",))


def test_cells_that_are_no_values_are_rejected() -> None:
    """A price that the program turned into a date, true/false, a time, an empty cell."""
    cells: list[object] = [dt.date(2024, 5, 1), True, dt.time(8), None]
    result = read(book([HEADER, *[[dt.date(2024, 5, 1), "猪肉", "东风", cell] for cell in cells]]))
    assert [r.reason for r in result.rejects] == ["not_a_number", "not_a_number", "not_a_number", "no_value"]
    assert result.rows == 4


def test_cells_merged_downwards_count_for_all_their_rows() -> None:
    """Item, date and point are carried down; a merged value stands for its first row only."""

    def fill(sheet: Worksheet) -> None:
        sheet.append(["价格监测表"])
        sheet.merge_cells("A1:E1")
        sheet.append(["日期", "品种", "规格", "监测点", "价格"])
        sheet.append([dt.date(2024, 5, 1), "猪肉", "精瘦肉", "东风", 28])
        sheet.append([None, None, "肋条肉", None, 25])
        sheet.append([None, "牛肉", "腱子", None, 40])
        sheet.append([None, None, "牛腩", "让胡路", None])
        for cells in ("A3:A6", "B3:B4", "B5:B6", "D3:D5", "E5:E6"):
            sheet.merge_cells(cells)

    result = read(book(fill))
    assert [(row, item, point, value) for row, item, point, value in taken(result)] == [
        (3, "猪肉", "东风", 28.0),
        (4, "猪肉", "东风", 25.0),
        (5, "牛肉", "东风", 40.0),
    ]
    assert [(r.row, r.reason) for r in result.rejects] == [(6, "no_value")]
    assert set(result.batch.at.tolist()) == {MAY_1}


def test_empty_cells_that_are_not_merged_are_not_filled() -> None:
    """A forgotten item is rejected, not guessed from the row above."""
    result = read(book([HEADER, [dt.date(2024, 5, 1), "猪肉", "东风", 1], [dt.date(2024, 5, 1), None, "东风", 2]]))
    assert [(r.row, r.reason) for r in result.rejects] == [(3, "no_item")]


def test_merged_header_cells_over_two_rows() -> None:
    """日期 and 品种 merged downwards, 价格 over 上期 and 本期: the names are put together."""

    def fill(sheet: Worksheet) -> None:
        sheet["B2"], sheet["C2"], sheet["D2"], sheet["D3"], sheet["E3"] = "日期", "品种", "价格", "上期", "本期"
        for cells in ("B2:B3", "C2:C3", "D2:E2"):
            sheet.merge_cells(cells)
        sheet["B4"], sheet["C4"], sheet["D4"], sheet["E4"] = dt.date(2024, 5, 1), "猪肉", 1, 2

    result = read(book(fill))
    assert taken(result) == [(4, "猪肉", "", 2.0)]
    assert result.header.row == 3


def test_all_worksheets_with_the_header_are_read_and_the_others_named() -> None:
    """Nothing is dropped silently: a sheet without the header is in `skipped`, a hidden one is not read."""

    def hidden(sheet: Worksheet) -> None:
        sheet.append(HEADER)
        sheet.append([dt.date(2024, 5, 1), "秘密", "x", 1])
        sheet.sheet_state = "hidden"

    def empty(_: Worksheet) -> None: ...

    result = read(
        book(
            [HEADER, [dt.date(2024, 5, 1), "猪肉", "东风", 1]],
            [["填表说明"], ["请按日填写"]],
            [["item", "value", "date"], ["鸡蛋", 2, dt.date(2024, 5, 1)], ["鸭蛋", "无", dt.date(2024, 5, 1)]],
            hidden,
            empty,
            titles=("肉", "说明", "蛋", "藏", "空"),
        )
    )
    assert taken(result) == [(2, "猪肉", "东风", 1.0), (2, "鸡蛋", "", 2.0)]
    assert (result.header.sheets, result.header.skipped) == (("肉", "蛋"), ("说明",))
    assert result.rejects[0].detail.startswith("工作表“蛋”：")
    assert result.rows == 3


def test_a_workbook_without_the_header_says_what_it_found() -> None:
    """The message is that of the first worksheet that holds anything."""
    error = refused(book([["名", "数"], ["a", 1]]))
    assert error.reason == "header"
    assert "“名”、“数”" in str(error)
    assert refused(book([])).reason == "empty"


def test_a_workbook_packed_once_more_is_read() -> None:
    """XLSX inside gzip, as some mail systems make it."""
    data = gzip.compress(book([HEADER, [dt.date(2024, 5, 1), "猪肉", "东风", 1]]))
    assert read(data).batch.keys == [SeriesKey("猪肉", point="东风")]


def test_blank_rows_between_are_no_rows() -> None:
    """Row numbers stay those of the worksheet."""
    result = read(
        book([[], HEADER, [], [dt.date(2024, 5, 1), "猪肉", "东风", 1], [" ", None], [None, "合计", None, 1]])
    )
    assert taken(result) == [(4, "猪肉", "东风", 1.0)]
    assert [(r.row, r.reason) for r in result.rejects] == [(6, "no_date")]
    assert result.rows == 2


# --- files made to hurt --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        b'<row r="1048576"><c foo=">" r="XFD1048576"><v>1</v></c></row>',
        b'<row r="1"><c><v>1</v></c></row><row r="1048570"><c r="XFC1"><v>1</v></c><c><v>1</v></c></row>'
        b"<row><c r='xfd1048571'><v>1</v></c></row>",
        b'<x:row xmlns:x="y" r="9"><x:c r="ZZZZZZ4000000000"><x:v>1</x:v></x:c></x:row>',
    ],
)
def test_one_cell_in_the_last_corner_is_refused_before_the_memory_is_gone(cell: bytes) -> None:
    """calamine would ask for 550 GB for it, and the process would be aborted."""
    data = with_worksheet(OPEN + b'<row r="1"><c r="A1"><v>1</v></c></row>' + cell + CLOSE)
    assert len(data) < 10_000
    assert refused(data).reason == "too_large"


@pytest.mark.parametrize("place", ["A" * 20 + "1", "A" + "9" * 20, "A1B2", "1A", "", " A1"])
def test_impossible_places_are_damage(place: str) -> None:
    """A cell whose place overflows or is none."""
    data = with_worksheet(OPEN + f'<row r="1"><c r="{place}"><v>1</v></c></row>'.encode() + CLOSE)
    assert refused(data).reason in ("damaged", "too_large")


def test_empty_cells_far_away_do_no_harm() -> None:
    """Formatting down to the last row is common, and no content."""
    head = b"".join(
        b'<c r="%c1" t="inlineStr"><is><t>%s</t></is></c>' % (c, n)
        for c, n in zip(b"ABC", (b"date", b"item", b"value"), strict=True)
    )
    data = with_worksheet(
        OPEN
        + b'<row r="1">'
        + head
        + b'</row><row r="2"><c r="A2"><v>45413</v></c><c r="B2" t="inlineStr"><is><t>x</t>'
        b'</is></c><c r="C2"><v>1</v></c></row><row r="1048576"><c r="XFD1048576" s="0"/></row>' + CLOSE
    )
    assert taken(read(data)) == [(2, "x", "", 1.0)]


def test_entities_are_refused() -> None:
    """A document type declaration has no place in a workbook: no expansion, no outside file."""
    bomb = b'<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    data = with_worksheet(bomb + OPEN + b'<row r="1"><c r="A1" t="str"><v>&b;</v></c></row>' + CLOSE)
    assert refused(data).reason == "damaged"
    harmless = OPEN + b'<row r="1"><c r="A1" t="str"><v>date</v></c></row>' + CLOSE
    assert refused(with_worksheet(harmless)).reason == "header"
    assert refused(with_worksheet(b"<!DOCTYPE w>" + harmless)).reason == "damaged"


def test_a_zip_bomb_stops_at_the_bound() -> None:
    """The unpacked size is bounded over all parts, whatever the archive says of itself."""
    data = with_worksheet(OPEN + b" " * 50_000_000 + CLOSE)
    assert len(data) < 100_000
    assert refused(data, max_bytes=10_000_000).reason == "too_large"
    shared = with_worksheet(OPEN + CLOSE, shared=b"<sst>" + b"<si><t/></si>" * 3_000_000 + b"</sst>")
    assert refused(shared, max_bytes=10_000_000).reason == "too_large"


def test_an_archive_that_lies_about_its_sizes_is_refused() -> None:
    """Only what was unpacked and measured here is ever given to the reader."""
    data = with_worksheet(OPEN + b"<row>" + b'<c r="A1"><v>1</v></c>' * 100_000 + b"</row>" + CLOSE)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    lying = data.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lying != data
    assert refused(lying).reason == "damaged"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d[: len(d) // 2], "damaged"),
        (lambda d: d.replace(b"xl/workbook.xml", b"xl/workbook.bin"), "format"),
        (lambda d: d.replace(b"xl/workbook.xml", b"xl/somethin.xml"), "format"),
        (lambda d: d[:100] + bytes(200) + d[300:], "damaged"),
    ],
)
def test_damaged_and_foreign_archives_are_refused(change: Callable[[bytes], bytes], reason: str) -> None:
    """Cut off, another kind of workbook, no workbook at all, overwritten."""
    assert refused(change(book([HEADER]))).reason == reason


def test_a_long_worksheet_is_read_to_its_end() -> None:
    """More rows than are taken in at once, none lost at the seams."""
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    sheet.append(HEADER)
    for i in range(20_000):
        sheet.append([dt.date(2024, 5, 1 + i % 30), f"品种{i % 60}", f"点{i % 12}", i / 100])
    data = io.BytesIO()
    workbook.save(data)
    result = read(data.getvalue())
    assert result.rows == len(result.batch) == 20_000
    assert result.batch.value[-1] == 199.99


def test_a_workbook_that_says_it_is_huge_is_not_even_unpacked() -> None:
    """The message says how large, how to mend it and what a technician can do. `max_bytes` holds as well."""
    data = with_worksheet(OPEN + b" " * 5_000_000 + CLOSE)
    error = refused(data, max_unpacked=1 << 20)
    assert error.reason == "too_large"
    assert "超过允许的 1 MiB" in str(error)
    assert "另存为 CSV" in str(error)
    assert "max_unpacked" in str(error)
    assert refused(data, max_bytes=1 << 20, max_unpacked=1 << 30).reason == "too_large"
    assert refused(data, max_unpacked=6_000_000).reason == "empty"


def shared_texts(cells: int, texts: list[bytes], named: Callable[[int], int]) -> bytes:
    row = [f'<row r="{i + 2}"><c r="D{i + 2}" t="s"><v>{named(i)}</v></c></row>' for i in range(cells)]
    shared = b"<sst>" + b"".join(b"<si><t>" + text + b"</t></si>" for text in texts) + b"</sst>"
    return with_worksheet(OPEN + "".join(row).encode() + CLOSE, shared=shared)


def test_a_long_text_that_many_cells_name_is_counted_as_often() -> None:
    """Each cell gets a copy of a shared text: a small file would otherwise take all memory. Once does no harm."""
    texts = [b"x" * 20_000, *[b"y"] * 5]
    bomb = shared_texts(3_000, texts, lambda _: 0)
    assert len(bomb) < 50_000
    assert refused(bomb, max_unpacked=30_000_000).reason == "too_large"
    once = shared_texts(3_000, texts, lambda i: 0 if i == 7 else 1 + i % 5)
    assert refused(once, max_unpacked=30_000_000).reason == "header"
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        xml = archive.read("xl/worksheets/sheet1.xml").replace(b"<v>0<", b"<v >&#48;<")
        odd = with_worksheet(xml, shared=archive.read("xl/sharedStrings.xml"))
    assert refused(odd, max_unpacked=30_000_000).reason == "too_large"


def test_only_the_first_rejects_are_listed_and_all_are_counted() -> None:
    """In a worksheet as in text: the batch and the counts are those of a reading that lists everything."""
    rows: list[list[object]] = [[dt.date(2024, 5, 1), "猪肉", f"点{i}", "无" if i % 3 else i + 1] for i in range(90)]
    everything, bounded = read(book([HEADER, *rows])), read(book([HEADER, *rows]), max_rejects=10)
    assert bounded.rejects == everything.rejects[:10]
    assert (bounded.rows, len(bounded.batch)) == (90, 30)
    assert bounded.more == {"no_value": 50}
    assert bounded.reasons == everything.reasons == {"no_value": 60}
