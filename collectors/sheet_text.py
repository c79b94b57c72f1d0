"""Delimited text (CSV, tab separated) in blocks of whole lines, and its rows with their line numbers.

Three ways give the same rows. Blocks without quotation marks whose lines all have the same number of cells go through
pandas as columns; other blocks through the csv module at once; and where a block holds cells over several lines or
stray quotation marks, record by record, so that one quotation mark too many costs one row and not the whole rest.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from collectors.sheet_model import SheetError
from collectors.sheet_rows import Intake, numbers_of
from collectors.sheet_values import plain_number
from thresholds.model import FloatArray

if TYPE_CHECKING:
    import pandas as pd

FIRST_BLOCK, BLOCK = 1 << 18, 1 << 22  # bytes read at once
MAX_LINE = 1 << 23  # characters without a line break
MAX_SPAN = 20  # lines that one row may take
TABLE_FROM = 1 << 20  # characters of a block from which loading pandas pays

QUOTE_REMEDY = "引号不成对；单元格内的引号请写成两个，含逗号或换行的内容请用一对英文双引号括起"


class NotThisEncoding(Exception):
    """The text is not in the encoding that was tried."""


@dataclass(slots=True)
class Block:
    """Whole lines of the text; `line` is the 1-based number of the first."""

    text: str
    line: int


class Blocks:
    """The text of a stream in blocks that end with a line."""

    def __init__(self, stream: BinaryIO, encoding: str, errors: str, tick: Callable[[], None] = lambda: None) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._tick = tick
        self._rest = ""
        self._line = 1
        self._size = FIRST_BLOCK
        self._ended = False

    def next(self) -> Block | None:
        """The next block, or None at the end. Raises NotThisEncoding, SheetError('too_long')."""
        text = self._rest
        while not self._ended:
            data = self._stream.read(self._size)
            self._size = BLOCK
            self._ended = not data
            try:
                more = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise NotThisEncoding from error
            self._tick()
            text = text + more if text else more
            if self._ended:
                break
            # a \r at the very end may be half of \r\n
            cut = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
            if cut:
                self._rest = text[cut:]
                return self._block(text[:cut])
            if len(text) > MAX_LINE:
                raise SheetError("too_long", f"第 {self._line} 行超过 {MAX_LINE} 个字符，不是观测表；请核对文件")
        self._rest = ""
        return self._block(text) if text else None

    def _block(self, text: str) -> Block:
        block = Block(text, self._line)
        self._line += count_lines(text)
        return block


class NothingMore:
    """Stands for the blocks after the last one."""

    def next(self) -> None:
        return None


NOTHING_MORE = NothingMore()


def count_lines(text: str) -> int:
    """Lines in the csv module's sense: ended by \\n, \\r or \\r\\n; a last line without an end counts."""
    ends = text.count("\n") + (text.count("\r") - text.count("\r\n") if "\r" in text else 0)
    return ends + (not text.endswith(("\n", "\r")))


def lines_of(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))


@dataclass(slots=True)
class Records:
    """Rows with the line on which each begins; `broken` the lines that are no rows, with why not."""

    numbers: Sequence[int]
    rows: list[list[str]]
    broken: Sequence[tuple[int, str, str]] = ()


def parse_block(block: Block, blocks: Blocks | NothingMore, delimiter: str, width: int | None) -> Records:
    """The rows of a block; it may take the block after it too, where a row reaches into it."""
    lines = lines_of(block.text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error:
        rows = []
    if len(rows) == len(lines):
        return Records(range(block.line, block.line + len(rows)), rows)
    return parse_carefully(lines, block.line, blocks, delimiter, width)


def parse_carefully(
    lines: list[str], first: int, blocks: Blocks | NothingMore, delimiter: str, width: int | None
) -> Records:
    """Record by record. A row over several lines must fit the header (`width`), else its first line stands alone."""
    numbers: list[int] = []
    rows: list[list[str]] = []
    broken: list[tuple[int, str, str]] = []
    i = 0
    while i < len(lines):
        if i + MAX_SPAN > len(lines) and (more := blocks.next()) is not None:
            lines += lines_of(more.text)
            continue
        row, span = parse_record(lines, i, delimiter)
        if isinstance(row, str) or (span > 1 and width is not None and len(row) != width):
            reason = row if isinstance(row, str) else "quote"
            broken.append((first + i, reason, lines[i]))
            i += 1
            continue
        numbers.append(first + i)
        rows.append(row)
        i += span
    return Records(numbers, rows, broken)


def parse_record(lines: list[str], start: int, delimiter: str) -> tuple[list[str] | str, int]:
    """The row that begins on line `start` and how many lines it takes, or the reason why it is none."""
    reader = csv.reader(iter(lines[start : start + MAX_SPAN]), delimiter=delimiter, strict=True)
    try:
        row = next(reader)
    except csv.Error as error:
        return ("too_long" if "field limit" in str(error) else "quote"), 1
    return row, reader.line_num


def detail_of(reason: str) -> str:
    return "单元格过长；说明请写入备注列并精简" if reason == "too_long" else QUOTE_REMEDY


# --- blocks as columns ---------------------------------------------------------------------------------------------


def add_as_table(block: Block, intake: Intake, delimiter: str) -> bool:
    """Give a plain block to `intake` as columns; False where it is not plain and nothing was done."""
    text = block.text
    if len(text) < TABLE_FROM or len(intake.layout.quotes) != 1 or '"' in text or "\0" in text or text[0] == "\ufeff":
        return False
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if "\r" in text:
            return False
    if not text.endswith("\n"):
        text += "\n"
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return False
    width = intake.layout.width
    rows = count_rectangle(data, delimiter, width)
    if not rows:
        return False
    _, column = intake.layout.quotes[0]
    numbers = np.arange(block.line, block.line + rows, dtype=np.int64)
    table, value = read_table(data, delimiter, width, column)
    intake.add_table(numbers, table, value, LazyCells(text, delimiter))
    return True


def count_rectangle(data: bytes, delimiter: str, width: int) -> int:
    """The number of lines where every line has exactly `width` cells and no quotation marks matter, else 0."""
    line = delimiter.encode() * (width - 1) + b"\n"
    others = bytes(set(range(256)) - set(line))
    marks = data.translate(None, others)
    rows = len(marks) // width
    return rows if width > 1 and marks == line * rows else 0


def read_table(data: bytes, delimiter: str, width: int, value: int) -> tuple[pd.DataFrame, FloatArray]:
    """All columns but `value` as categories of text, and the plain numbers of that one (NaN for other cells)."""
    import pandas as pd

    def read(kinds: dict[int, str], columns: list[int]) -> pd.DataFrame:
        return pd.read_csv(
            io.BytesIO(data), header=None, names=list(range(width)), usecols=columns, dtype=kinds, sep=delimiter,
            na_filter=False, skip_blank_lines=False, quoting=csv.QUOTE_NONE, low_memory=False, index_col=False,
            engine="c", encoding="utf-8",
        )  # fmt: skip

    everything = list(range(width))
    kinds = dict.fromkeys(everything, "category")
    table, numbers = None, None
    if plain_number(first_cell(data, delimiter, value)) is not None:  # pandas reads a column of True as 1.0
        try:
            table = read(kinds | {value: "float64"}, everything)
            numbers = table[value].to_numpy(np.float64)
        except ValueError:
            pass  # a cell that is not a plain number
    if table is None or numbers is None:
        table = read(kinds | {value: "object"}, everything)
        numbers = numbers_of(table[value].tolist())
    for column in everything:
        # pandas makes numbers of categories that are all digits: 007 would become 7
        if column != value and not is_text(table[column].cat.categories):
            texts = read({column: "object"}, [column])[column]
            table[column] = pd.Categorical(texts, categories=list(dict.fromkeys(texts)))
    return table, numbers


def is_text(categories: pd.Index[Any]) -> bool:
    return len(categories) > 0 and all(isinstance(one, str) for one in categories)


def first_cell(data: bytes, delimiter: str, column: int) -> str:
    return data[: data.index(b"\n")].decode().split(delimiter)[column]


class LazyCells:
    """The cells of the i-th line, split only if somebody asks."""

    def __init__(self, text: str, delimiter: str) -> None:
        self._text = text
        self._delimiter = delimiter
        self._lines: list[str] | None = None

    def __call__(self, i: int) -> list[str]:
        if self._lines is None:
            self._lines = self._text.split("\n")
        return self._lines[i].split(self._delimiter)


# --- encodings -----------------------------------------------------------------------------------------------------

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encodings_to_try(head: bytes) -> list[tuple[str, str]]:
    """(encoding, errors) in the order to try for text that begins with `head`; the last one always works."""
    for mark, encoding in BOMS:
        if head.startswith(mark):
            return [(encoding, "strict"), (encoding, "replace")]
    even, odd = head[0::2], head[1::2]
    if len(head) >= 8:  # UTF-16 without its mark: the high bytes of digits, commas and line ends are zero
        if odd.count(0) > 0.15 * len(odd) and even.count(0) < 0.02 * len(even):
            return [("utf-16-le", "strict"), ("utf-16-le", "replace")]
        if even.count(0) > 0.15 * len(even) and odd.count(0) < 0.02 * len(odd):
            return [("utf-16-be", "strict"), ("utf-16-be", "replace")]
    return [("utf-8", "strict")]


def encodings_after_utf8(stream: BinaryIO) -> list[tuple[str, str]]:
    """What to try for text that is not valid UTF-8: GB18030, or UTF-8 with some damage where it is mostly sound."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    sound = damaged = 0
    while (data := stream.read(BLOCK)) and sound + damaged < 1_000_000:
        text = decoder.decode(data)
        bad = text.count("\ufffd")
        damaged += bad
        sound += len(text) - len(text.encode("ascii", "ignore")) - bad
    if sound > 10 * damaged:
        return [("utf-8", "replace")]
    return [("gb18030", "strict"), ("gb18030", "replace")]


def sniff_delimiters(text: str) -> Iterator[str]:
    """Delimiters that could be meant, the most frequent in the first lines first."""
    head = "\n".join(text[:65536].splitlines()[:50])
    counts = {d: head.count(d) for d in (",", "\t", ";", "|")}
    yield from sorted(counts, key=lambda d: (-bool(counts[d] and d == ","), -counts[d]))
