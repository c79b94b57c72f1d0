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

import numpy as np

from collectors.sheet_model import SheetError
from thresholds.model import IntArray

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

    `limit` bounds the bytes unpacked, the memory that the cells of a worksheet will need, and that of the texts they
    name. The copy is packed again, so that never more than one part is in memory unpacked.
    """
    copy, left, texts = io.BytesIO(), limit, Texts()
    try:
        with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(copy, "w") as target:
            parts = source.infolist()
            check_parts(parts)
            wanted = [part for part in parts if part.filename.lower().endswith((".xml", ".rels"))]
            if sum(part.file_size for part in wanted) > limit:  # as it says of itself: nothing is unpacked to see it
                raise too_large(limit)
            for part in wanted:
                data = unpack(source, part, left, limit)
                left -= len(data)
                if b"sheetData" in data:
                    measure(data, limit)
                texts.look(data)
                target.writestr(zipfile.ZipInfo(part.filename), data, zipfile.ZIP_DEFLATED, compresslevel=1)
            if texts.size() > limit:
                raise too_large(limit)
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


def too_large(limit: int) -> SheetError:
    shown = f"{limit / (1 << 20):.0f} MiB" if limit >= 1 << 20 else f"{limit} 字节"
    return SheetError(
        "too_large",
        f"工作簿解压后超过允许的 {shown}；请删除多余的空行、格式和不需要的工作表，分成几个文件，或另存为 CSV 报送；"
        "确需这样大的工作簿，可由技术人员调高配置中的 max_unpacked",
    )


class Texts:
    """How much memory the texts of shared strings take: each cell that names one gets a copy of its own.

    A text of 30,000 characters that a million cells name is a small file and 30 GB. What is found is never less than
    what will be needed: where a cell is not plain, it is taken to name the longest text.
    """

    def __init__(self) -> None:
        self._sizes: list[list[int]] = []
        self._named: list[IntArray] = []

    def look(self, data: bytes) -> None:
        """Take in one part of the workbook. Raises SheetError where it is no XML."""
        if b"sst" in data and SST.search(data):
            self._sizes.append(text_sizes(data))
        if b"sheetData" in data:
            values = VALUE.findall(data)
            self._named.append(np.fromiter(map(place_of, values), np.int64, len(values)))

    def size(self) -> int:
        """Bytes, at most."""
        named = np.concatenate(self._named) if self._named else np.empty(0, np.int64)
        longest = max((max(sizes, default=0) for sizes in self._sizes), default=0)
        if len(self._sizes) != 1:
            return len(named) * longest
        sizes = np.array([*self._sizes[0], 0, longest], np.int64)  # a number beyond the texts names none of them
        return int(sizes[np.minimum(named, len(sizes) - 2)].sum())


SST = re.compile(rb"[<:]sst[\s/>]")
VALUE = re.compile(rb"[<:]v[\s>]([^<]{0,12})")
NO_TEXT = 1 << 40


def place_of(value: bytes) -> int:
    """Which text a cell's content may name: NO_TEXT for a number that cannot be one, -1 for what is not plain."""
    if value.isdigit() and len(value) < 10:
        return int(value)
    return NO_TEXT if b"." in value else -1


def text_sizes(data: bytes) -> list[int]:
    """The bytes of each text among shared strings."""
    sizes: list[int] = []

    def start(name: str, _: object) -> None:
        if name.rpartition(":")[2] == "si":
            sizes.append(0)

    def add(text: str) -> None:
        if sizes:
            sizes[-1] += len(text.encode())

    parse(data, StartElementHandler=start, CharacterDataHandler=add)
    return sizes


def unpack(source: zipfile.ZipFile, part: zipfile.ZipInfo, left: int, limit: int) -> bytes:
    """One part, at most `left` bytes of it, whatever size it says it has."""
    data, size = io.BytesIO(), 0
    with source.open(part) as stream:
        while piece := stream.read(PIECE):
            size += len(piece)
            if size > left:
                raise too_large(limit)
            data.write(piece)
    return data.getvalue()  # no copy: the pieces together would be in memory twice


def measure(data: bytes, limit: int) -> None:
    """Raises SheetError where a worksheet's cells would need more memory than `limit`, or declare entities."""
    if surely_small(data, limit):
        return
    parse(data, StartElementHandler=Extent(limit).element)


def parse(data: bytes, **handlers: Any) -> None:
    """Give a part's XML to expat's handlers. Raises SheetError for what is no XML, and for declared entities."""
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    for name, handler in handlers.items():
        setattr(parser, name, handler)
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
