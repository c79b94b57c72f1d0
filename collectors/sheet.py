"""Observation sheets: CSV, CSV.gz, XLSX and JSON lines, with the dirt that real sheets have.

`read_sheet` takes in what it can and rejects the rest row by row, each with its reason; `write_rejects` writes what
was rejected so that a spreadsheet program opens it. What is understood and what is not: docs/sheets.md.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo

from collectors.sheet_header import HEADER_ROWS, Layout, Matcher, find_header, header_error
from collectors.sheet_json import is_json, read_json_lines
from collectors.sheet_model import DEFAULT_MAX_BYTES, DEFAULT_MAX_UNPACKED, Header, SheetError, SheetResult
from collectors.sheet_rejects import rejects_path, write_rejects
from collectors.sheet_rows import Gathered, Intake
from collectors.sheet_text import (
    NOTHING_MORE,
    Blocks,
    NotThisEncoding,
    Records,
    add_as_table,
    detail_of,
    encodings_after_utf8,
    encodings_to_try,
    parse_block,
    sniff_delimiters,
)
from collectors.sheet_xlsx import Worksheet, filled_down, worksheets

__all__ = ["Header", "SheetError", "SheetResult", "read_sheet", "rejects_path", "write_rejects"]

ROWS_AT_ONCE = 5_000
HEAD = 8192


def read_sheet(
    source: Path | BinaryIO | bytes,
    *,
    name: str,
    columns: Mapping[str, str] = {},
    defaults: Mapping[str, str] = {},
    ignore: Collection[str] = (),
    timezone: str = "Asia/Shanghai",
    max_bytes: int | None = None,
    max_unpacked: int = DEFAULT_MAX_UNPACKED,
    max_rejects: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> SheetResult:
    """Read one observation sheet; its kind is told by its content, `name` is for messages only.

    columns    our column name -> the sheet's column name (JSON lines: key); `point:NAME` for a wide table
    defaults   our column name -> what is taken where the sheet has no such column, or its cell is empty
    ignore     names of columns that are not taken for any of our columns unless `columns` names them
    timezone   zone of dates and times without an offset
    max_bytes  bound on the size after decompression (default 1 GiB)
    max_unpacked  bound on what a workbook unpacks to, and on the memory that its cells take; never over `max_bytes`
    max_rejects  how many rejects are listed (the first), the others being counted by reason; None: all
    progress   called now and then with the number of bytes of the source read so far

    Raises SheetError where the file cannot be read as a sheet at all.
    """
    limit = DEFAULT_MAX_BYTES if max_bytes is None else max_bytes
    matcher = Matcher(columns, defaults, ignore)
    with ExitStack() as stack:
        try:
            stream = Source(open_raw(source, stack, limit), limit, progress or (lambda _: None))
            gathered = Gathered(listed=max_rejects)
            return read_stream(stream, matcher, ZoneInfo(timezone), gathered, min(limit, max_unpacked))
        except SheetError as error:
            raise SheetError(error.reason, f"{name}：{error}") from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SheetError("damaged", f"{name}：压缩文件不完整或已损坏；请重新压缩后再报送") from error
        except OSError as error:
            raise SheetError("io", f"{name}：文件无法读取（{error.strerror or error}）；请检查文件和权限") from error


def open_raw(source: Path | BinaryIO | bytes, stack: ExitStack, limit: int) -> BinaryIO:
    """The source as a binary stream that can be read again from its beginning."""
    if isinstance(source, Path):
        return stack.enter_context(source.open("rb"))
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if source.seekable():
        return source
    return io.BytesIO(read_all(source, limit))


def read_all(stream: BinaryIO, limit: int) -> bytes:
    """All of a stream, at most `limit` bytes."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise too_large(limit)
    return data


def too_large(limit: int) -> SheetError:
    shown = f"{limit / (1 << 20):.0f} MiB" if limit >= 1 << 20 else f"{limit} 字节"
    return SheetError("too_large", f"文件（解压后）超过允许的 {shown}；请分成几个文件报送")


class Source:
    """The bytes of a sheet, unpacked and bounded, from the beginning as often as they are asked for."""

    def __init__(self, raw: BinaryIO, limit: int, progress: Callable[[int], None]) -> None:
        self._raw = raw
        self._start = raw.tell()
        self._limit = limit
        self._progress = progress
        self._packed = raw.read(2) == b"\x1f\x8b"

    def open(self) -> BinaryIO:
        self._raw.seek(self._start)
        inner = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if self._packed else self._raw
        return cast(BinaryIO, Bounded(inner, self._limit))

    def tick(self) -> None:
        self._progress(self._raw.tell() - self._start)

    @property
    def limit(self) -> int:
        return self._limit


class Bounded:
    """Reads from another stream and refuses to give more than `limit` bytes."""

    def __init__(self, inner: BinaryIO, limit: int) -> None:
        self._inner = inner
        self._limit = limit
        self._given = 0

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(self._limit - self._given + 1 if size < 0 else size)
        self._given += len(data)
        if self._given > self._limit:
            raise too_large(self._limit)
        return data


REFUSED = (
    (b"\xd0\xcf\x11\xe0", "format", "这是旧版 XLS 或加密的工作簿；请用 Excel 或 WPS 取消密码并另存为 XLSX 再报送"),
    (b"%PDF", "format", "这是 PDF 文件，不是表格；请报送原始表格（XLSX 或 CSV）"),
    (b"PK\x05\x06", "empty", "压缩文件是空的；请核对文件"),
    (b"\x1f\x8b", "format", "文件被压缩了两次；请只压缩一次"),
    (b"7z\xbc\xaf", "format", "这是 7z 压缩文件；请解压后报送"),
    (b"Rar!", "format", "这是 RAR 压缩文件；请解压后报送"),
    (b"BZh", "format", "这是 bzip2 压缩文件；请解压后报送，或用 gzip 压缩"),
    (b"\xfd7zXZ", "format", "这是 xz 压缩文件；请解压后报送，或用 gzip 压缩"),
    (b"\x28\xb5\x2f\xfd", "format", "这是 zstd 压缩文件；请解压后报送，或用 gzip 压缩"),
)
"""What files begin with that are no sheets, and what to say of them."""


def read_stream(
    source: Source, matcher: Matcher, zone: ZoneInfo, gathered: Gathered, max_unpacked: int
) -> SheetResult:
    head = source.open().read(HEAD)
    source.tick()
    if not head.strip(b"\0 \t\r\n"):
        raise SheetError("empty", "文件是空的；请核对文件")
    for mark, reason, message in REFUSED:
        if head.startswith(mark):
            raise SheetError(reason, message)
    if head.startswith(b"PK\x03\x04"):
        return read_workbook(source, matcher, zone, gathered, max_unpacked)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise SheetError("format", "这是网页或 XML 文件，不是表格；请用 Excel 或 WPS 打开后另存为 XLSX 再报送")
    tries = encodings_to_try(head)
    while tries:
        encoding, errors = tries.pop(0)
        try:
            return read_text(source, encoding, errors, matcher, zone, gathered.anew())
        except NotThisEncoding:
            tries = tries or encodings_after_utf8(source.open())
    raise AssertionError("the last encoding to try replaces what it cannot read")


# --- text ----------------------------------------------------------------------------------------------------------


def read_text(
    source: Source, encoding: str, errors: str, matcher: Matcher, zone: ZoneInfo, gathered: Gathered
) -> SheetResult:
    """Delimited text or JSON lines in one encoding. Raises NotThisEncoding, SheetError."""
    blocks = Blocks(source.open(), encoding, errors, source.tick)
    first = blocks.next()
    if first is None or not first.text.strip("\ufeff\0 \t\r\n"):
        raise SheetError("empty", "文件是空的；请核对文件")
    if is_json(first.text):
        header = read_json_lines(first, blocks, matcher, zone, gathered)
        return result(gathered, replace(header, format="json", encoding=encoding))
    found: tuple[int, Layout] | None = None
    for delimiter in sniff_delimiters(first.text):
        records = parse_block(first, NOTHING_MORE, delimiter, None)
        found = find_header(records.rows[:HEADER_ROWS], matcher)
        if found is not None:
            break
    else:
        delimiter = next(sniff_delimiters(first.text))
        records = parse_block(first, NOTHING_MORE, delimiter, None)
        raise header_error(records.rows[:HEADER_ROWS], matcher)
    place, layout = found
    intake = Intake(layout, zone, gathered)
    header_line = records.numbers[place]
    records = parse_block(first, blocks, delimiter, layout.width)
    add_records(records, intake, header_line)
    while (block := blocks.next()) is not None:
        if not add_as_table(block, intake, delimiter):
            add_records(parse_block(block, blocks, delimiter, layout.width), intake, 0)
    return result(gathered, replace(layout.header(header_line), format="csv", encoding=encoding))


def add_records(records: Records, intake: Intake, after: int) -> None:
    """Give the rows below line `after` to `intake`."""
    for line, reason, content in records.broken:
        if line > after:
            intake.reject(line, [content.rstrip("\r\n")], reason, detail_of(reason))
    skip = sum(n <= after for n in records.numbers) if after else 0
    numbers, rows = records.numbers[skip:], records.rows[skip:]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        intake.add_rows(numbers[start : start + ROWS_AT_ONCE], rows[start : start + ROWS_AT_ONCE])


def result(gathered: Gathered, header: Header) -> SheetResult:
    rejects = sorted(gathered.rejects, key=lambda reject: reject.row)
    return SheetResult(gathered.batch(), rejects, gathered.rows, header, gathered.more)


# --- workbooks -----------------------------------------------------------------------------------------------------


def read_workbook(
    source: Source, matcher: Matcher, zone: ZoneInfo, gathered: Gathered, max_unpacked: int
) -> SheetResult:
    """All visible worksheets that have the header; the others are named in `Header.skipped`."""
    data = read_all(source.open(), max_unpacked)
    source.tick()
    headers: list[Header] = []
    read: list[str] = []
    skipped: list[str] = []
    best: SheetError | None = None
    for sheet in worksheets(data, max_unpacked):
        top = list(islice(sheet.rows, HEADER_ROWS))
        found = find_header([row for _, row in top], matcher)
        if found is None:
            skipped.append(sheet.name)
            error = header_error([row for _, row in top], matcher)
            best = error if best is None or best.reason == "empty" else best
            continue
        place, layout = found
        label = f"工作表“{sheet.name}”：" if read else ""
        read_worksheet(sheet, top, place, Intake(layout, zone, gathered, label=label))
        headers.append(layout.header(top[place][0]))
        read.append(sheet.name)
    if not headers:
        raise best or SheetError("empty", "工作簿中没有可见的、有内容的工作表；请核对文件")
    return result(gathered, replace(headers[0], format="xlsx", sheets=tuple(read), skipped=tuple(skipped)))


def read_worksheet(sheet: Worksheet, top: list[tuple[int, list[str]]], place: int, intake: Intake) -> None:
    """The rows under the header; a cell that is merged downwards counts for all its rows, except value and note."""
    layout = intake.layout
    whole = Worksheet(sheet.name, chain(top[place + 1 :], sheet.rows), sheet.merged)
    columns = {c for f, c in layout.index.items() if f not in ("value", "note")}
    rows = filled_down(whole, top[place][0] + 1, columns)
    while part := list(islice(rows, ROWS_AT_ONCE)):
        intake.add_rows([number for number, _ in part], [row for _, row in part])
