"""The body of a push: JSON, JSON lines or CSV to columns, row by row, as sheets are read.

Rows that have the right shape take a fast way; where any row has not, the same rows are looked at one by one, so that
only those are rejected. Both ways end in `columns`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from collectors.base import CollectError
from collectors.http_body import read_limited
from collectors.rows import BatchBuilder, Rows, excerpt
from collectors.sheet_model import SheetError
from collectors.sheet_values import CellError, clean_name, clean_note, finite, parse_date, parse_value
from monitor.web.problem import Problem
from thresholds.model import Reject, SeriesKey

JSON, LINES, CSV = "application/json", "application/x-ndjson", "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ALIASES = {"application/ndjson": LINES, "application/jsonl": LINES, "application/x-jsonlines": LINES}
MEDIA_TYPES = (JSON, LINES, CSV, XLSX)
CODINGS = ("", "identity", "gzip", "deflate")
BOM = b"\xef\xbb\xbf"


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One observation as sent. `date` may be a number such as 20260302."""

    date: str | int
    item: str
    point: str
    value: float | str
    unit: str | None = ""
    area: str | None = ""
    spec: str | None = ""
    channel: str | None = ""
    source: str | None = ""
    note: str | None = ""


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    observations: list[Row]


MISSING = {"date": "no_date", "item": "no_item", "point": "no_point", "value": "no_value"}
FIELDS = ", ".join(Row.__struct_fields__)
STRICT = msgspec.json.Decoder(list[Row] | Envelope)
STRICT_LINE = msgspec.json.Decoder(Row)
LOOSE = msgspec.json.Decoder()


def media_type_of(content_type: str | None, coding: str | None) -> str:
    """One of MEDIA_TYPES. Raises Problem 415."""
    named = (content_type or "").partition(";")[0].strip().lower()
    media_type = ALIASES.get(named, named)
    accept = ", ".join(MEDIA_TYPES)
    if media_type not in MEDIA_TYPES:
        raise Problem(
            "unsupported-media-type",
            f"Content-Type 应为 {accept} 之一",
            headers={"Accept": accept, "Accept-Post": accept},
        )
    if (coding or "").strip().lower() not in CODINGS:
        raise Problem(
            "unsupported-media-type", "Content-Encoding 应为 gzip 或 deflate", headers={"Accept-Encoding": "gzip"}
        )
    return media_type


def unpacked(body: bytes, coding: str | None, limit: int) -> bytes:
    """The body without its Content-Encoding. Raises Problem 400 or 413."""
    if not coding:
        return body
    try:
        return read_limited([body], coding, limit)
    except CollectError as error:
        if error.reason == "too_large":
            raise Problem(
                "too-large", f"解压后的内容超过 {limit} 字节，请分成几批上报", extra={"limit": limit}
            ) from None
        raise Problem("malformed", "正文无法按 Content-Encoding 解压") from None


def read_body(media_type: str, body: bytes, zone: ZoneInfo, *, max_rows: int, max_bytes: int) -> Rows:
    """The rows of a body. Raises Problem: malformed, too-large (bytes or rows), invalid (no row at all)."""
    if media_type in (CSV, XLSX):
        rows = read_file(body, zone, max_rows, max_bytes)
    else:
        rows = (read_json if media_type == JSON else read_lines)(body.removeprefix(BOM), zone, max_rows)
    if not rows.count:
        raise Problem("invalid", "请求中没有数据行")
    return rows


def limited(count: int, max_rows: int) -> None:
    if count > max_rows:
        raise Problem(
            "too-large", f"一次最多 {max_rows} 行，收到 {count} 行，请分成几批上报", extra={"limit": max_rows}
        )


def read_json(body: bytes, zone: ZoneInfo, max_rows: int) -> Rows:
    try:
        decoded = STRICT.decode(body)
        found = decoded.observations if isinstance(decoded, Envelope) else decoded
        limited(len(found), max_rows)
        return columns(enumerate(found, 1), zone)
    except msgspec.ValidationError:
        return read_loosely(body, zone, max_rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None


def read_loosely(body: bytes, zone: ZoneInfo, max_rows: int) -> Rows:
    """Rows of which at least one has not the right shape."""
    try:
        found = LOOSE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None
    if isinstance(found, dict) and set(found) == {"observations"}:
        found = found["observations"]
    if not isinstance(found, list):
        raise Problem("malformed", '正文应为 {"observations": [...]}，或直接为数组')
    limited(len(found), max_rows)
    rejects: list[Reject] = []
    return columns(shaped(enumerate(found, 1), rejects), zone).with_rejects(rejects)


def malformed(error: Exception) -> Problem:
    """What is not JSON. NaN is named because many programs write it."""
    said = str(error)[:200] if isinstance(error, msgspec.DecodeError) else "嵌套过深或不是 UTF-8"
    return Problem("malformed", f"正文不是有效的 JSON（UTF-8；没有值时不写 NaN，写 null 或略去该行）：{said}")


def shaped(found: Iterable[tuple[int, Any]], rejects: list[Reject]) -> Iterable[tuple[int, Row]]:
    """Those of the right shape; the others go to `rejects`."""
    for number, one in found:
        try:
            yield number, msgspec.convert(one, Row)
        except msgspec.ValidationError as error:
            rejects.append(Reject(number, *fault_of(one, error), excerpt(one)))


def fault_of(one: Any, error: msgspec.ValidationError) -> tuple[str, str]:
    """Reason and detail for a row that has not the right shape."""
    if not isinstance(one, dict):
        return "shape", "每一行应为一个 JSON 对象"
    if unknown := sorted(set(map(str, one)) - set(Row.__struct_fields__)):
        return "unknown_field", f"没有“{excerpt(unknown[0], 50)}”这一项，请检查拼写；可用的是 {FIELDS}"
    for name in MISSING:
        if one.get(name) is None:
            return MISSING[name], f"缺少 {name}"
    return "shape", f"类型不对：{str(error)[:200]}"


def read_lines(body: bytes, zone: ZoneInfo, max_rows: int) -> Rows:
    """JSON lines, numbered as the lines are; blank lines are none."""
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    limited(len(lines), max_rows)
    rejects: list[Reject] = []
    return columns(decoded_lines(lines, rejects), zone).with_rejects(rejects)


def decoded_lines(lines: list[tuple[int, bytes]], rejects: list[Reject]) -> Iterable[tuple[int, Row]]:
    for number, line in lines:
        try:
            yield number, STRICT_LINE.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            rejects.append(loose_line(number, line, error))


def loose_line(number: int, line: bytes, error: Exception) -> Reject:
    content = excerpt(line.decode("utf-8", "replace"))
    if isinstance(error, msgspec.ValidationError):
        try:
            return Reject(number, *fault_of(LOOSE.decode(line), error), content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return Reject(number, "not_json", f"这一行不是有效的 JSON：{str(error)[:100]}", content)


def columns(rows: Iterable[tuple[int, Row]], zone: ZoneInfo) -> Rows:
    """Rows of the right shape to columns; a row in which something cannot be read is rejected alone.

    Dates and names repeat within a body, so each is read once.
    """
    builder, rejects, count = BatchBuilder(), list[Reject](), 0
    dates: dict[str | int, int] = {}
    codes: dict[tuple[str | None, ...], int] = {}
    cleaned: dict[str | None, str] = {None: "", "": ""}
    for number, row in rows:
        count += 1
        try:
            at = dates.get(row.date)
            if at is None:
                at = dates[row.date] = parse_date(str(row.date), zone)
            names = (row.item, row.spec, row.unit, row.channel, row.point, row.area, row.source)
            code = codes.get(names)
            if code is None:
                code = codes[names] = code_of(builder, names, cleaned)
            value, remark = (row.value, "") if isinstance(row.value, float) else parse_value(row.value, unit_of(row))
            note = "；".join(filter(None, (clean_note(row.note) if row.note else "", remark)))
            builder.add(code, at, finite(value, str(value)), number, note)
        except CellError as error:
            rejects.append(Reject(number, error.reason, str(error), excerpt(msgspec.to_builtins(row))))
    return Rows(builder.build(), rejects, count)


def unit_of(row: Row) -> str:
    return clean_name(row.unit or "")


def code_of(builder: BatchBuilder, names: tuple[str | None, ...], cleaned: dict[str | None, str]) -> int:
    """The series of a row; `names` in the order of the key, then area and source. Raises CellError."""
    for name in names:
        if name is not None and name not in cleaned:
            cleaned[name] = clean_name(name)
    item, spec, unit, channel, point, area, source = (cleaned[name] for name in names)
    if not item:
        raise CellError("no_item", "没有品种名称；请填写 item")
    return builder.code(SeriesKey(item, spec, unit, channel, point), area, source)


def read_file(body: bytes, zone: ZoneInfo, max_rows: int, max_bytes: int) -> Rows:
    """CSV or XLSX as an observation sheet. Its rows are numbered as in the sheet, header included."""
    from collectors.sheet import read_sheet

    try:
        sheet = read_sheet(body, name="请求正文", timezone=zone.key, max_bytes=max_bytes)
    except SheetError as error:
        kind = {"empty": "invalid", "too_large": "too-large"}.get(error.reason, "malformed")
        raise Problem(kind, str(error), extra={"reason": error.reason}) from None
    limited(sheet.rows, max_rows)
    return Rows(sheet.batch, sheet.rejects, sheet.rows)
