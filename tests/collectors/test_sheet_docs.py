"""docs/sheets.md says what the reader does."""

from __future__ import annotations

import re
from pathlib import Path

from collectors.base import SourceOptions
from collectors.folder import FolderOptions
from collectors.sheet_header import SYNONYMS, WEAK
from collectors.sheet_model import FIELDS

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "sheets.md").read_text("utf-8")


def test_every_reason_is_described() -> None:
    """A reason that a person can meet in a report stands in the tables of reasons."""
    code = "".join(path.read_text("utf-8") for path in (ROOT / "collectors").glob("sheet*.py"))
    found = re.findall(r'(?:CellError|SheetError)\(\s*"(\w+)"', code) + re.findall(r'reject\([^"\n]*"(\w+)"', code)
    assert {"no_value", "ragged", "json", "too_large", "repeated_header"} <= set(found), "the pattern finds reasons"
    assert [reason for reason in set(found) if f"`{reason}`" not in DOCS] == []


def test_every_known_column_name_is_listed() -> None:
    """Users look their column names up in the first table."""
    table = {line.split("|")[1].strip(" `"): line for line in DOCS.splitlines() if line.startswith("| `")}
    for field in FIELDS:
        names = [*SYNONYMS[field], *WEAK.get(field, ())]
        assert [name for name in names if not re.search(rf"(?<!\S){name}(?![^\s;])", table[field])] == [], field


def test_every_option_of_the_inbox_is_described() -> None:
    """All keys that a folder has beyond those of every source."""
    own = set(FolderOptions.model_fields) - {"kind"} - set(SourceOptions.model_fields)
    assert own == {"path", "pattern", "settle", "max_bytes", "max_unpacked"}
    assert [key for key in own if f"| `{key}` |" not in DOCS] == []
