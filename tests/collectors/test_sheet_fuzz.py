"""The ways of reading agree, every row is accounted for, and nothing crashes."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors import sheet, sheet_text
from collectors.sheet import SheetError, SheetResult, read_sheet
from collectors.sheet_rows import Intake

HEADER = ["date", "item", "point", "value", "unit", "area", "spec", "channel", "source", "note"]

DATES = [
    "2024-05-01",
    "2024/5/2",
    "2024年5月3日",
    "20240504",
    "45415",
    "2024-05-06 08:30",
    "",
    "无",
    "0001-01-01",
    "x",
    "date",
]
NAMES = [
    "猪肉",
    " 猪肉",
    "ＡＢ",
    "AB",
    "",
    "/",
    "鸡蛋",
    "a b",
    "a\u3000b",
    "=x",
    "\ufffd",
    "12",
    "长" * 501,
    "'=x",
    "item",
    "\x00",
]
VALUES = [
    "12.5",
    "0",
    "-36.98",
    "1e3",
    "",
    "无",
    "/",
    "--",
    "75-80",
    "１２．５",
    "¥5",
    "5元",
    "5%",
    "nan",
    "inf",
    "1_0",
    "5 促销",
]
VALUES += [" 7 ", "x", "True", "5(散装)", "3万", "0.1", "12345678.901234567", "value", "-0", "+1", ".5", "5."]
TEXTS = ["", "元", "元/500克", "%", "区", "/", "零售", " ", "\t", "5"]


def cells(*extra: str) -> st.SearchStrategy[list[str]]:
    """A row as wide as the header."""
    any_text = st.sampled_from([*TEXTS, *extra])
    return st.tuples(
        st.sampled_from(DATES),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.sampled_from(VALUES),
        *[any_text] * 6,
    ).map(list)


REASONS = {"empty", "format", "damaged", "too_large", "too_long", "header", "mapping", "protected"}
RAGGED = st.lists(st.sampled_from([*DATES, *NAMES, *VALUES]), max_size=12)
QUOTED = cells('"', 'a"b', "a,b", "a\nb", "a\r\nb", '""')


@contextmanager
def small_blocks(first: int, block: int, table_from: int) -> Iterator[None]:
    """Read in tiny blocks, so that every seam is met, and let pandas have blocks of any size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheet_text, "FIRST_BLOCK", first)
        patch.setattr(sheet_text, "BLOCK", block)
        patch.setattr(sheet_text, "TABLE_FROM", table_from)
        patch.setattr(sheet, "ROWS_AT_ONCE", 7)
        yield


def as_told(result: SheetResult) -> tuple[object, ...]:
    b = result.batch
    return (
        (b.keys, b.areas, b.sources, b.series.tolist(), b.at.tolist(), b.row.tolist(), dict(b.notes)),
        [value.hex() for value in b.value.tolist()],
        result.rejects,
        result.rows,
    )


def slowly(data: bytes) -> SheetResult:
    """One row after the other, in one block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Intake, "add_rows", Intake.add_slowly)
        return read_sheet(data, name="slow")


def written(rows: list[list[str]], end: str = "\n") -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator=end).writerows(rows)
    return out.getvalue().encode()


def raw(rows: list[list[str]], end: str) -> bytes:
    return end.join(",".join(row) for row in [HEADER, *rows]).encode("utf-8", "replace")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(cells(), max_size=20),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([300, 1000]),
    st.booleans(),
)
def test_the_columnar_reader_gives_the_same_as_row_by_row(
    rows: list[list[str]], end: str, block: int, last: bool
) -> None:
    """Rectangles of any cells: same series in the same order, same numbers to the last bit, same rejects."""
    data = raw(rows, end) + (end.encode() if last else b"")
    expected = as_told(slowly(data))
    with small_blocks(100, block, 1):
        assert as_told(read_sheet(data, name="fast")) == expected
    assert as_told(read_sheet(data, name="csv")) == expected


def test_a_long_and_a_short_row_do_not_make_up_for_each_other() -> None:
    """As many commas as in a rectangle are not yet one."""
    whole = ["2024-05-01", "猪肉", "东风", "1", "元", "", "", "", "", ""]
    data = raw([*[whole] * 12, whole[:-1], [*whole, ""], *[whole] * 3], "\n")
    with small_blocks(100, 5000, 1):
        result = read_sheet(data, name="fast")
    assert as_told(result) == as_told(slowly(data))
    assert [(r.row, r.reason) for r in result.rejects] == [(15, "ragged")]


@pytest.mark.parametrize("word", ["True", "nan", "7", "007", "inf", "1_0", "", "None", "NA"])
def test_columns_of_one_word_stay_what_they_are(word: str) -> None:
    """pandas would make 1.0, 7 or a missing value of some; here they are texts, or rejected as such."""
    data = raw(
        [["2024-05-01", "猪肉", "东风", "1"] + [""] * 6] * 9 + [["2024-05-01", word, word, word] + [word] * 6] * 40,
        "\n",
    )
    expected = as_told(slowly(data))
    with small_blocks(100, 500, 1):
        assert as_told(read_sheet(data, name="fast")) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(cells(), QUOTED, RAGGED), max_size=15), st.sampled_from([64, 300]), st.booleans())
def test_seams_between_blocks_do_not_show(rows: list[list[str]], block: int, stray: bool) -> None:
    """Quoted, ragged and broken rows: wherever the blocks are cut, the sheet reads the same."""
    data = raw(rows, "\n") if stray else written([HEADER, *rows])
    expected = as_told(slowly(data))
    with small_blocks(100, block, 1):
        assert as_told(read_sheet(data, name="fast")) == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(cells(), RAGGED, QUOTED), max_size=30))
def test_every_row_is_taken_or_rejected_exactly_once(rows: list[list[str]]) -> None:
    """The line of every row that is not blank is in the batch or in the rejects, and in only one of them."""
    data = written([HEADER, *rows])
    result = read_sheet(data, name="x")
    reader = csv.reader(io.StringIO(data.decode(), newline=""))
    lines, begin = [], 1
    for row in reader:
        if any(cell.strip() for cell in row):
            lines.append(begin)
        begin = reader.line_num + 1
    found = sorted([*result.batch.row.tolist(), *(reject.row for reject in result.rejects)])
    taller = [row for row in rows if len(row) != len(HEADER) and any("\n" in cell for cell in row)]
    if not taller:  # a row of a wrong length over two lines is rejected line by line
        assert found == lines[1:]
    assert result.rows == len(result.batch) + len(result.rejects) == len(found)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.text(max_size=400).map(lambda t: t.encode("utf-8", "surrogatepass")),
        st.binary(max_size=300).map(lambda b: b"date,item,value\n" + b),
        st.binary(max_size=300).map(lambda b: "日期,品种,价格\n".encode("gb18030") + b),
        st.binary(max_size=300).map(lambda b: "日期,品种,价格\n".encode("utf-16") + b),
        st.binary(max_size=300).map(lambda b: b'{"date":"2024-05-01","item":"x","value":1}\n{' + b),
        st.binary(max_size=300).map(lambda b: b"PK\x03\x04" + b),
        st.binary(max_size=300).map(lambda b: gzip.compress(b)[:-1]),
        st.binary(max_size=300).map(gzip.compress),
        st.lists(st.text(alphabet='",\n\r\t0159-年月日 无', max_size=30)).map(
            lambda t: ("date,item,value\n" + "\n".join(t)).encode()
        ),
    )
)
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    """Any input gives a result that adds up, or a SheetError."""
    try:
        result = read_sheet(data, name="x")
    except SheetError as error:
        assert error.reason in REASONS, str(error)  # noqa: PT017  not every input is refused
        return
    assert result.rows == len(result.batch) + len(result.rejects)
    for key in result.batch.keys:
        assert key.item
        "".join((key.item, key.spec, key.unit, key.channel, key.point)).encode()
    for reject in result.rejects:
        assert reject.reason
        assert reject.detail
        assert len(reject.content) < 100_000


@pytest.fixture(scope="module")
def workbook() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(HEADER)
    sheet.append(["2024-05-01", "猪肉", "东风", 12.5])
    sheet.merge_cells("A2:A3")
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damaged_workbook_crashes_the_reader(workbook: bytes, data: st.DataObject) -> None:
    """Bytes changed anywhere in a workbook, also inside its unpacked XML, give a result or a SheetError."""
    import zipfile

    if data.draw(st.booleans()):
        broken = bytearray(workbook)
        for place in data.draw(st.lists(st.integers(0, len(broken) - 1), min_size=1, max_size=20)):
            broken[place] = data.draw(st.integers(0, 255))
    else:
        source, copy = zipfile.ZipFile(io.BytesIO(workbook)), io.BytesIO()
        with zipfile.ZipFile(copy, "w") as target:
            for name in source.namelist():
                part = bytearray(source.read(name))
                if name in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml"):
                    place = data.draw(st.integers(0, len(part) - 1))
                    part[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30))
                target.writestr(name, bytes(part))
        broken = bytearray(copy.getvalue())
    try:
        result = read_sheet(bytes(broken), name="x", max_bytes=10_000_000)
    except SheetError:
        return
    assert result.rows == len(result.batch) + len(result.rejects)
