"""The reject report of a sheet: what was not taken in and why, to be mended in a spreadsheet and sent again."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from collectors.sheet_rows import text_cells
from collectors.sheet_values import plain_number
from thresholds.model import Reject

NO_MORE: Mapping[str, int] = {}
FORMULA_START = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def rejects_path(sheet: Path) -> Path:
    """Where the reject report of a sheet belongs: FILE.rejects.csv beside it."""
    return sheet.with_name(sheet.name + ".rejects.csv")


def write_rejects(
    path: Path, rejects: Sequence[Reject], names: Sequence[str] = (), more: Mapping[str, int] = NO_MORE
) -> None:
    """Write row, reason, detail and the original cells under the sheet's own column `names` (`Header.names`).

    UTF-8 with a byte order mark, because spreadsheet programs take it for the local code page without one. Cells that
    such a program would take for a formula get an apostrophe before them, which `read_sheet` takes away again.
    `more` (reason -> rows) are those that are not listed: a last line says how many. The file appears whole or not at
    all. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8-sig", errors="replace", newline="") as file:
            add_rejects(file, rejects, names, more)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def rejects_csv(rejects: Sequence[Reject], names: Sequence[str] = ()) -> bytes:
    """What `write_rejects` writes, for a download."""
    text = io.StringIO(newline="")
    add_rejects(text, rejects, names)
    return text.getvalue().encode("utf-8-sig", "replace")


def add_rejects(
    file: TextIO, rejects: Sequence[Reject], names: Sequence[str], more: Mapping[str, int] = NO_MORE
) -> None:
    width = max(len(names), max((len(text_cells(reject.content)) for reject in rejects), default=0))
    titles = [name if name else f"第{i + 1}列" for i, name in enumerate([*names, *[""] * (width - len(names))])]
    report = csv.writer(file)
    report.writerow(["row", "reason", "detail", *map(harmless, titles)])
    for reject in rejects:
        row = map(harmless, text_cells(reject.content))
        report.writerow([reject.row, reject.reason, harmless(reject.detail), *row])
    if more:
        by_reason = "、".join(f"{reason} {n} 行" for reason, n in more.items())
        detail = (
            f"另有 {sum(more.values())} 行没有收入，未在此列出（{by_reason}）；请按以上原因改正原表后整表重新报送"
        )
        report.writerow(["", "more", detail])


def harmless(cell: str) -> str:
    """The cell, kept from being taken for a formula; plain numbers such as -36.98 stay as they are."""
    if cell.lstrip().startswith(FORMULA_START) and plain_number(cell) is None:
        return "'" + cell.lstrip()
    return cell
