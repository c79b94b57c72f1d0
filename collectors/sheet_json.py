"""JSON lines as rows of a sheet: one object per line, its keys are the column names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import tzinfo
from itertools import chain, islice
from typing import Any

import msgspec

from collectors.sheet_header import Matcher, header_error
from collectors.sheet_model import Header, SheetError
from collectors.sheet_rows import Gathered, Intake
from collectors.sheet_text import Block, Blocks, lines_of

NAMES_FROM = 200  # objects whose keys make up the column names
OBJECTS_AT_ONCE = 5_000
START = re.compile(r"[\ufeff\s]*(\[[\s]*)?\{")

Line = tuple[int, str, Any]
"""line number, its text, and what it says; a `str` in the last place is the reason why it says nothing"""


def is_json(text: str) -> bool:
    """Whether text begins as JSON objects do (or a list of them)."""
    return START.match(text) is not None


def read_json_lines(first: Block, blocks: Blocks, matcher: Matcher, zone: tzinfo, gathered: Gathered) -> Header:
    """Raises SheetError where the keys of the first objects are no column names of ours."""
    if first.text.lstrip("\ufeff \t\r\n").startswith("["):
        raise SheetError("format", "这是一个 JSON 数组；请改为每行一个对象（JSON lines）")
    lines = numbered_lines(first, blocks)
    top = list(islice(lines, NAMES_FROM))
    names = list(dict.fromkeys(name for _, _, one in top if isinstance(one, dict) for name in one))
    layout, _ = matcher.match([[name] for name in names])
    if layout is None:
        raise header_error([names], matcher)
    intake = Intake(layout, zone, gathered)
    keys = Keys(tuple(names), matcher, set(layout.index))
    everything = chain(top, lines)
    while part := list(islice(everything, OBJECTS_AT_ONCE)):
        numbers, rows = [], []
        for number, text, one in part:
            if isinstance(one, str):
                intake.reject(number, [text], "json", one)
            elif (unknown := keys.unknown[tuple(one)]) is not None:
                intake.reject(number, [text], "columns", unknown)
            else:
                numbers.append(number)
                rows.append([json_text(one.get(name)) for name in names])
        intake.add_rows(numbers, rows)
    return layout.header(0)


def numbered_lines(first: Block, blocks: Blocks) -> Iterator[Line]:
    """The lines that are not blank. A row cannot reach over a line's end."""
    decoder = msgspec.json.Decoder()
    block: Block | None = first
    while block is not None:
        for number, line in enumerate(lines_of(block.text), block.line):
            text = line.strip("\ufeff \t\r\n")
            if not text:
                continue
            try:
                one = decoder.decode(text)
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                yield number, text, "本行不是完整的 JSON 对象；请改正，每行一个对象，数值不要写 NaN"
                continue
            yield number, text, one if isinstance(one, dict) else "本行不是 JSON 对象；请写成 {…}，每行一个"
        block = blocks.next()


class Keys:
    """Whether an object's keys are among the column names; each set of keys is looked at once."""

    def __init__(self, names: tuple[str, ...], matcher: Matcher, fields: set[str]) -> None:
        self._names = names
        self._matcher = matcher
        self._fields = fields
        self.unknown = Lookup(self._say)

    def _say(self, keys: tuple[str, ...]) -> str | None:
        """What to say of a key that names one of our columns and that the first objects did not have."""
        more = [key for key in keys if key not in self._names]
        if not more:
            return None
        layout, _ = self._matcher.match([[name] for name in (*self._names, *more)])
        if layout is not None and set(layout.index) == self._fields:
            return None  # extra columns are ignored
        return f"前 {NAMES_FROM} 行中没有“{more[0]}”这一列，本行却有；请让各行的列名一致"


class Lookup(dict[tuple[str, ...], str | None]):
    def __init__(self, say: Any) -> None:
        super().__init__()
        self._say = say

    def __missing__(self, keys: tuple[str, ...]) -> str | None:
        answer: str | None = self._say(keys)
        if len(self) < 10_000:
            self[keys] = answer
        return answer


def json_text(value: Any) -> str:
    """A JSON value as it would stand in a cell."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**400 else "inf"
    return msgspec.json.encode(value).decode()
