"""What reading an observation sheet gives: a batch, the rows that could not be taken in, and what the header was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from thresholds.model import ObservationBatch, Reject

FIELDS = ("date", "item", "point", "value", "unit", "area", "spec", "channel", "source", "note")
"""Our column names, as in the contract of the observation sheet."""

KEY_FIELDS = ("item", "spec", "unit", "channel", "point", "area", "source")
"""The columns that name a series: the five of the key, then its two attributes."""

POINT_PREFIX = "point:"
"""A column mapping `point:NAME` names the column that holds the values of monitoring point NAME (wide tables)."""

DEFAULT_MAX_BYTES = 1 << 30
"""Bound on a sheet's size after decompression where the caller gives none: 1 GiB."""


DEFAULT_MAX_UNPACKED = 256 << 20
"""Bound on what a workbook (XLSX) unpacks to, where the caller gives none: 256 MiB, some 500,000 rows of nine
columns. A workbook of 2 MB can unpack to a thousand times as much, and all of it is in memory while it is read."""

REJECTS_LISTED = 10_000
"""How many rejected rows of one file a report lists; of all others it says how many there are."""


class SheetError(Exception):
    """A file that cannot be read as a sheet at all; nothing of it was taken in.

    `reason` is a short stable word: io, empty, format, damaged, too_large, too_long, header, mapping, protected. The
    message is for the person who sent the file (Simplified Chinese): what, where and how to mend it.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Header:
    """How a sheet was understood.

    row      1-based row of the column names (the lower one where they stand in two rows); 0 for JSON lines
    columns  our column name (or `point:NAME`) -> the sheet's own column name
    names    the sheet's column names from left to right, empty where a column has none
    ignored  the named columns that were not used
    format   csv, json, xlsx or xls; `encoding` of text, empty for workbooks
    sheets, skipped   the worksheets that were read, and those that hold cells but no such header
    """

    row: int
    columns: Mapping[str, str]
    names: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    format: str = ""
    encoding: str = ""
    sheets: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SheetResult:
    """One sheet as read: `rows` quotes in all, each of them either in `batch` or in `rejects`, exactly once.

    Where `read_sheet` was told to list only so many rejects, `more` counts the others by reason. Blank rows are no
    quotes. `batch.row` and `Reject.row` are 1-based row numbers of the sheet, header included (for
    text: the line on which the row begins). In a wide table every point column of a row is a quote of its own.
    """

    batch: ObservationBatch
    rejects: list[Reject]
    rows: int
    header: Header = field(default_factory=lambda: Header(0, {}, ()))
    more: Mapping[str, int] = field(default_factory=dict)

    @property
    def reasons(self) -> Counter[str]:
        """How many rows were rejected, by reason."""
        return Counter(r.reason for r in self.rejects) + Counter(self.more)
