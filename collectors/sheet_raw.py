"""A sheet's rows as they stand, for people to look at: row numbers and cells, nothing understood yet.

Uses the same reading as `read_sheet` (encodings, delimiters, bounds, worksheets), so that a row shown under a number
is the row that a reject names. For sheets of a size that people upload: the whole file is held in memory.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from collectors.sheet import HEAD, Source, open_raw, read_all
from collectors.sheet_header import HEADER_ROWS, Matcher, find_header, name_rows
from collectors.sheet_json import is_json
from collectors.sheet_model import SheetError
from collectors.sheet_text import (
    NOTHING_MORE,
    Block,
    encodings_after_utf8,
    encodings_to_try,
    lines_of,
    parse_block,
    sniff_delimiters,
)
from collectors.sheet_xlsx import worksheets


@dataclass(frozen=True, slots=True)
class RawSheet:
    """One worksheet, or the whole of a text file. `rows` holds (row number from 1, cells)."""

    name: str
    rows: list[tuple[int, list[str]]]


def raw_sheets(
    content: bytes, *, name: str, columns: Mapping[str, str], max_bytes: int, ignore: Collection[str] = ()
) -> list[RawSheet]:
    """The rows of all visible worksheets. Raises SheetError for what `read_sheet` refuses as a whole.

    `columns` and `ignore` are those of `read_sheet`: they decide between delimiters.
    """
    with ExitStack() as stack:
        try:
            source = Source(open_raw(content, stack, max_bytes), max_bytes, lambda _: None)
            data = read_all(source.open(), max_bytes)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SheetError("damaged", f"{name}：压缩文件不完整或已损坏；请重新压缩后再报送") from error
    if data.startswith(b"PK\x03\x04"):
        return [RawSheet(sheet.name, list(sheet.rows)) for sheet in worksheets(data, max_bytes)]
    return [RawSheet("", text_rows(decoded(data, source), Matcher(columns, {}, ignore)))]


def decoded(data: bytes, source: Source) -> str:
    """Text in the first encoding that fits it, the same as `read_sheet` takes."""
    tries = encodings_to_try(data[:HEAD])
    while tries:
        encoding, errors = tries.pop(0)
        try:
            return data.decode(encoding, errors)
        except UnicodeDecodeError:
            tries = tries or encodings_after_utf8(source.open())
    raise AssertionError("the last encoding to try replaces what it cannot read")


def text_rows(text: str, matcher: Matcher) -> list[tuple[int, list[str]]]:
    """The rows of delimited text; of JSON lines each line as one cell."""
    if is_json(text):
        return [(number, [line.rstrip("\r\n")]) for number, line in enumerate(lines_of(text), 1) if line.strip()]
    first: list[tuple[int, list[str]]] | None = None
    for delimiter in sniff_delimiters(text):
        records = parse_block(Block(text, 1), NOTHING_MORE, delimiter, None)
        broken = [(line, [content.rstrip("\r\n")]) for line, _, content in records.broken]
        rows = sorted([*zip(records.numbers, records.rows, strict=True), *broken])
        if find_header(records.rows[:HEADER_ROWS], matcher) is not None:
            return rows
        first = first or rows
    return first or []


def likely_header(rows: list[tuple[int, list[str]]], matcher: Matcher) -> tuple[int, list[str]] | None:
    """(row number, names) of the row that comes nearest to being the column names, the lower one where they stand in
    two rows; None where all are blank."""
    best: tuple[tuple[int, int], int, list[str]] | None = None
    for place, candidates in name_rows([row for _, row in rows[:HEADER_ROWS]]):
        names = [one[0] for one in candidates]
        _, missing = matcher.match(candidates)
        rank = (len(missing), -sum(bool(name.strip()) for name in names))
        if best is None or rank < best[0]:
            best = (rank, rows[place][0], names)
    return best and (best[1], best[2])
