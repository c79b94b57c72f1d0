"""Workbooks (XLSX): their visible worksheets as rows of text cells, read by calamine.

calamine lays a worksheet out as a full rectangle in memory, and a process whose memory runs out there is aborted: one
cell in the last corner of a worksheet of 3 kB is enough. So a workbook is unpacked here, bounded, and measured before
it is opened, and calamine is given only the parts that were measured.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from xml.parsers import expat

from collectors.sheet_model import SheetError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

CELL_BYTES = 40
"""About what calamine needs for one cell of the rectangle."""

PIECE = 1 << 20
MAX_PARTS = 10_000
PLACE = re.compile(r"([A-Za-z]{1,7})([0-9]{1,10})")
DAMAGED = "工作簿已损坏，无法打开；请用 Excel 或 WPS 打开后另存为 XLSX 再报送"

Merged = tuple[tuple[int, int], tuple[int, int]]
"""((first row, first column), (last row, last column)), from 0"""


@dataclass(slots=True)
class Worksheet:
    """One visible worksheet. `rows` gives (row number from 1, cells as text) for every row down to the last."""

    name: str
    rows: Iterator[tuple[int, list[str]]]
    merged: list[Merged]


@dataclass(slots=True)
class Extent:
    """The rectangle that the cells of a worksheet span, counted as calamine places them."""

    limit: int
    cells: int = 0
    last_row: int = 0
    last_column: int = 0
    _row: int = -1
    _column: int = -1
    _letters: dict[str, int] = field(default_factory=dict)
    _open: bool = False

    def element(self, name: str, attributes: dict[str, str]) -> None:
        """One start tag of the worksheet's XML."""
        name = name.rpartition(":")[2]
        if name == "row":
            place = attributes.get("r", "")
            self._row = int(place) - 1 if place.isdecimal() else self._row + 1
            self._column, self._open = -1, False
        elif name == "c":
            self._place(attributes.get("r"))
            self._open = True
        elif self._open:  # a cell with something in it
            self._open = False
            self.cells += 1
            self.last_row, self.last_column = max(self.last_row, self._row), max(self.last_column, self._column)
            if max(self.cells, (self.last_row + 1) * (self.last_column + 1)) * CELL_BYTES > self.limit:
                raise SheetError(
                    "too_large",
                    f"工作表太大：内容一直延伸到第 {self.last_row + 1} 行、第 {self.last_column + 1} 列；"
                    "请删除远处多余的单元格，或另存为 CSV 后分批报送",
                )

    def _place(self, reference: str | None) -> None:
        if reference is None:
            self._column += 1
            return
        found = PLACE.fullmatch(reference)
        if found is None:
            raise SheetError("damaged", DAMAGED)
        self._row = int(found[2]) - 1
        if found[1] not in self._letters:
            self._letters[found[1]] = column_number(found[1])
        self._column = self._letters[found[1]] - 1


def column_number(letters: str) -> int:
    """A = 1, Z = 26, AA = 27"""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def measured(workbook: bytes, limit: int) -> io.BytesIO:
    """A copy of the workbook with its XML parts only, each unpacked and measured. Raises SheetError.

    `limit` bounds the bytes unpacked, and the memory that the cells will need.
    """
    copy = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(copy, "w") as target:
            parts = source.infolist()
            check_parts(parts)
            for part in parts:
                if part.filename.lower().endswith((".xml", ".rels")):
                    data = unpack(source, part, limit)
                    limit -= len(data)
                    if b"sheetData" in data:
                        measure(data, limit)
                    target.writestr(zipfile.ZipInfo(part.filename), data)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        ValueError,
        OSError,
        OverflowError,
    ) as error:
        raise SheetError("damaged", DAMAGED) from error
    copy.seek(0)
    return copy


def check_parts(parts: list[zipfile.ZipInfo]) -> None:
    names = [part.filename.lower() for part in parts]
    if len(names) > MAX_PARTS or len(set(names)) < len(names):
        raise SheetError("damaged", DAMAGED)
    if any(part.flag_bits & 1 for part in parts):
        raise SheetError("protected", "文件有密码保护；请取消密码后再报送")
    if "xl/workbook.bin" in names:
        raise SheetError("format", "这是 XLSB 工作簿；请用 Excel 或 WPS 另存为 XLSX 再报送")
    if not any(name.endswith("workbook.xml") for name in names):
        raise SheetError("format", "这是压缩文件，但不是 XLSX 工作簿；请解压后逐个报送，或另存为 XLSX")


def unpack(source: zipfile.ZipFile, part: zipfile.ZipInfo, limit: int) -> bytes:
    """One part, at most `limit` bytes of it, whatever size it says it has."""
    pieces, size = [], 0
    with source.open(part) as stream:
        while piece := stream.read(PIECE):
            size += len(piece)
            if size > limit:
                raise SheetError("too_large", "工作簿解压后超过允许的大小；请分成几个文件报送")
            pieces.append(piece)
    return b"".join(pieces)


def measure(data: bytes, limit: int) -> None:
    """Raises SheetError where a worksheet's cells would need more memory than `limit`, or declare entities."""
    if surely_small(data, limit):
        return
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = Extent(limit).element
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise SheetError("damaged", DAMAGED) from error


REFERENCE = re.compile(rb"""["']([A-Za-z]{0,8})([0-9]{1,12})(?=["'])""")
CELL_TAG, ROW_TAG = re.compile(rb"<c[\s/>]"), re.compile(rb"<row[\s/>]")
NOT_PLAIN = re.compile(rb""":(?:c|row)[\s/>]|<![Dd]|["'][A-Za-z]{9,}[0-9]|["'][A-Za-z]{0,8}[0-9]{13}""")


def surely_small(data: bytes, limit: int) -> bool:
    """Whether a look at the bytes is enough: much quicker than parsing, and never wrong when it says yes.

    Everything in quotation marks that looks like a cell or a row number is taken for one, wherever it stands, so that
    nothing can hide; rows are counted for those that do not say their number, and every cell must say its place.
    """
    cells = sum(1 for _ in CELL_TAG.finditer(data))
    if data.count(b"<c r=") < cells or NOT_PLAIN.search(data) is not None:
        return False
    letters, last = {b"A"}, 0
    for start in range(0, len(data), PIECE):
        found = REFERENCE.findall(data, start, start + PIECE + 64)  # the longest reference fits into the overlap
        letters.update({one for one, _ in found})
        last = max(last, max((int(number) for _, number in found), default=0))
    rows = last + sum(1 for _ in ROW_TAG.finditer(data))
    columns = max(column_number(one.decode()) for one in letters)
    return max(cells, rows * columns) * CELL_BYTES <= limit


def refuse_doctype(*_: object) -> NoReturn:
    raise SheetError("damaged", DAMAGED)


def worksheets(workbook: bytes, limit: int) -> Iterator[Worksheet]:
    """The visible worksheets that hold anything, one after the other. Raises SheetError."""
    import python_calamine as calamine

    copy = measured(workbook, limit)
    try:
        book = calamine.CalamineWorkbook.from_filelike(copy)
        names = [
            sheet.name
            for sheet in book.sheets_metadata
            if sheet.visible == calamine.SheetVisibleEnum.Visible and sheet.typ == calamine.SheetTypeEnum.WorkSheet
        ]
        for name in names:
            sheet = book.get_sheet_by_name(name)
            if sheet.start is not None:
                yield Worksheet(name, rows_of(sheet), [(r[0], r[1]) for r in sheet.merged_cell_ranges or ()])
    except calamine.PasswordError as error:
        raise SheetError("protected", "文件有密码保护；请取消密码后再报送") from error
    except calamine.CalamineError as error:
        raise SheetError("damaged", DAMAGED) from error
    except BaseException as error:  # a panic in calamine is no Exception
        if type(error).__name__ == "PanicException":
            raise SheetError("damaged", DAMAGED) from error
        raise


def rows_of(sheet: CalamineSheet) -> Iterator[tuple[int, list[str]]]:
    left = [""] * (sheet.start[1] if sheet.start else 0)
    for number, row in enumerate(sheet.iter_rows(), 1):
        yield number, [*left, *map(cell_text, row)]


def cell_text(value: Any) -> str:
    """A cell as it would stand in a CSV: 12.5, 1001, 2024-05-01, 2024-05-01T08:30:00."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return str(value)


def filled_down(worksheet: Worksheet, first: int, columns: set[int]) -> Iterator[tuple[int, list[str]]]:
    """The rows, where cells that are merged downwards have their text in every row.

    Only in `columns` (0-based) and for merged cells that begin at row `first` (1-based) or below it, the header.
    """
    waiting = sorted((top, left, bottom) for (top, left), (bottom, _) in worksheet.merged
                     if bottom > top >= first - 1 and left in columns)[::-1]  # fmt: skip
    active: list[tuple[int, int, str]] = []
    for number, row in worksheet.rows:
        active = [one for one in active if one[0] >= number - 1]
        for _, column, text in active:
            if column < len(row) and not row[column]:
                row[column] = text
        while waiting and waiting[-1][0] < number:
            _, column, bottom = waiting.pop()
            active.append((bottom, column, row[column] if column < len(row) else ""))
        yield number, row
