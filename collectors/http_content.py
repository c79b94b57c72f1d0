"""From an HTTP answer to rows: which format it is, where the rows are in it, and what is no data at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from collectors.base import CollectError
from collectors.http_body import check_structures, decode_text, looks_like_html
from collectors.http_client import Answer
from collectors.paths import MISSING, Path
from collectors.rows import RowReader, Rows, excerpt, no_rows
from thresholds.model import Reject
from thresholds.settings import Settings

if TYPE_CHECKING:
    from collectors.http_json import HttpOptions

JSON_LINES = frozenset(
    {"application/jsonl", "application/x-ndjson", "application/ndjson", "application/json-lines"}
    | {"application/x-jsonlines", "application/json-seq", "text/jsonl"}
)
STRUCTURES_PER_ROW = 10
"""objects and lists in an answer, for each row that it may have"""


class Success(Settings):
    """How a source says in its JSON that it succeeded: many answer status 200 with an error text inside."""

    path: str
    """where the code is"""
    equals: tuple[str, ...]
    """the codes that mean success, as texts"""
    message: str = ""
    """where the error text is"""

    @field_validator("path", "message")
    @classmethod
    def is_path(cls, value: str) -> str:
        return Path.parse(value).text


@dataclass(frozen=True, slots=True)
class Content:
    """One answer as rows; `json` is the parsed answer where it was JSON."""

    rows: Rows
    json: Any = None


def read_content(options: HttpOptions, answer: Answer, reader: RowReader, *, first_row: int) -> Content:
    """The rows of one answer. Raises CollectError: not_json, not_csv, encoding, shape, source, too_large."""
    if answer.status == 204 or not answer.body.strip():
        if answer.status != 204 and options.format in ("json", "auto"):
            raise CollectError("not_json", f"an empty answer: {answer.describe()}")
        return Content(no_rows())
    text = decode_text(answer.body, answer.charset, options.encoding)
    form = options.format if options.format != "auto" else guess_format(answer, text)
    if looks_like_html(text):
        wanted = "CSV" if form == "csv" else "JSON"
        raise CollectError(f"not_{wanted.lower()}", f"a page for people instead of {wanted}: {answer.describe()}")
    remedy = "use paging or ask for less at a time, or raise max_rows"
    if form != "json" and text.count("\n") > options.max_rows:
        raise CollectError("too_large", f"the answer has more than {options.max_rows:,} lines; {remedy}")
    check_structures(text, STRUCTURES_PER_ROW * options.max_rows, remedy)
    if form == "csv":
        return Content(read_csv(options, answer, text))
    if form == "jsonl":
        return Content(read_lines(answer, text, reader, first_row))
    parsed = parse_json(answer, text)
    check_success(options.success, parsed)
    rows = rows_at(options, parsed, reader)
    if len(rows) > options.max_rows:
        raise CollectError("too_large", f"the answer has {len(rows):,} rows; {remedy}")
    return Content(reader.read(rows, first_row=first_row), parsed)


def guess_format(answer: Answer, text: str) -> str:
    """json, jsonl or csv, by content type and, where that says nothing, by the first character."""
    kind, start = answer.content_type, text.lstrip("\ufeff \t\r\n")[:1]
    if kind in JSON_LINES:
        return "jsonl"
    if kind.endswith(("/json", "+json")):
        return "json"
    if kind in ("text/csv", "application/csv"):
        return "csv"
    path = answer.url.partition("?")[0].lower()
    if path.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
        return "jsonl"
    if path.endswith((".csv", ".csv.gz")):
        return "csv"
    if start in ("{", "["):
        return "json"
    if start == "<":
        return "json"  # a page for people; the caller says so
    raise CollectError(
        "not_json", f"neither JSON nor known to be CSV: {answer.describe()}. Set format if it is right"
    )


def parse_json(answer: Answer, text: str) -> Any:
    """Raises CollectError('not_json')."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        hint = " (JSON lines? then set format)" if "Extra data" in problem else ""
        raise CollectError("not_json", f"not JSON: {problem}{hint}; {answer.describe()}") from None


def check_success(success: Success | None, parsed: Any) -> None:
    """Raise CollectError('source') where the answer itself says that it is an error."""
    if success is None:
        return
    code = Path.parse(success.path).get(parsed)
    shown = json.dumps(code) if isinstance(code, bool) else str(code)
    if code is MISSING or shown not in success.equals:
        message = Path.parse(success.message).get(parsed) if success.message else MISSING
        said = "" if message is MISSING else f", saying {excerpt(message)}"
        raise CollectError("source", f"the source reports failure: {success.path} is {shown}{said}")


def rows_at(options: HttpOptions, parsed: Any, reader: RowReader) -> list[Any]:
    """The list of rows in a JSON answer. Raises CollectError('shape')."""
    found = Path.parse(options.rows).get(parsed)
    if isinstance(found, list):
        return found
    if isinstance(found, Mapping) and reader.has_value(found):
        return [found]  # a single observation
    have = (
        f"a table with {', '.join(map(str, list(parsed)[:12]))}" if isinstance(parsed, Mapping) else excerpt(parsed)
    )
    where = f"at rows = {options.rows!r}" if options.rows else "at the top (set rows)"
    raise CollectError("shape", f"no list of rows {where}; the answer is {have}")


def read_lines(answer: Answer, text: str, reader: RowReader, first_row: int) -> Rows:
    """JSON lines; a line that is not JSON is rejected alone, unless none is JSON at all."""
    bad: list[Reject] = []

    def parsed() -> Iterator[tuple[int, Any]]:
        for number, line in enumerate(text.split("\n"), first_row):  # not splitlines: U+2028 may be in a text
            if not (line := line.strip(" \t\r\x1e\ufeff")):  # \x1e begins each record of a JSON sequence
                continue
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                bad.append(Reject(number, "not_json", f"这一行不是 JSON（{error}）", excerpt(line)))

    rows = reader.read_numbered(parsed())
    if bad and rows.count == 0:
        raise CollectError("not_json", f"no line is JSON; {answer.describe()}")
    return rows.with_rejects(bad)


def read_csv(options: HttpOptions, answer: Answer, text: str) -> Rows:
    """A CSV body, read exactly as a sheet from a file. Raises CollectError('not_csv')."""
    from collectors.sheet import SheetError, read_sheet  # pandas, only where it is needed

    try:
        result = read_sheet(
            text.encode(),
            name=f"{options.name}.csv",
            columns=options.columns,
            defaults=options.defaults,
            timezone=options.timezone,
            max_bytes=options.max_bytes * 2,  # the limit was kept already; GB18030 grows when it becomes UTF-8
        )
    except SheetError as error:
        raise CollectError("not_csv", f"{error} ({answer.describe()})") from None
    return Rows(result.batch, result.rejects, result.rows)
