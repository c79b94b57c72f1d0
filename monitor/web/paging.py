"""Cursors, and the times that filters are given in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi import Query

from monitor.web.problem import invalid

LIMIT = 100
MAX_LIMIT = 1000
INT64 = 2**63 - 1
EARLIEST, LATEST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="每页最多多少条")]
Cursor = Annotated[str | None, Query(max_length=300, description="上一页的 next_cursor", pattern="^[A-Za-z0-9_-]+$")]
TIME_FORMS = "ISO 日期或日期时间，例如 2026-03-02 或 2026-03-02T08:00:00+08:00"
TIME_PATTERN = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?$"
From = Annotated[str | None, Query(alias="from", description=f"不早于（含）：{TIME_FORMS}", pattern=TIME_PATTERN)]
To = Annotated[
    str | None, Query(description=f"不晚于（含；只写日期时含当日全天）：{TIME_FORMS}", pattern=TIME_PATTERN)
]


def encode_cursor(position: Sequence[int | str]) -> str:
    """Where a page ended, as an opaque word for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(position))).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: type[Any]) -> Any:
    """The position in a cursor, checked to be a `kind` such as tuple[int, int]. Raises Problem 422."""
    if cursor is None:
        return None
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = msgspec.json.decode(packed, type=kind)
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        raise bad("cursor", "不是本接口给出的 next_cursor") from None
    if any(isinstance(part, int) and abs(part) > INT64 for part in position):
        raise bad("cursor", "不是本接口给出的 next_cursor")
    return position


def since(text: str | None, zone: ZoneInfo) -> datetime | None:
    """The inclusive beginning of a range. Raises Problem 422."""
    return None if text is None else moment_of("from", text, zone)[0]


def until(text: str | None, zone: ZoneInfo) -> datetime | None:
    """The exclusive end of a range: after the day for a bare date, after the second otherwise. Raises Problem 422."""
    if text is None:
        return None
    at, whole_day = moment_of("to", text, zone)
    if whole_day:
        return datetime.combine(at.astimezone(zone).date() + timedelta(days=1), time(), zone).astimezone(UTC)
    return at.replace(microsecond=0) + timedelta(seconds=1)


def moment_of(name: str, text: str, zone: ZoneInfo) -> tuple[datetime, bool]:
    """An aware time, and whether it was only a date."""
    try:
        if len(text) == 10:
            local, bare = datetime.combine(date.fromisoformat(text), time(), zone), True
        else:
            given = datetime.fromisoformat(text)
            local, bare = given if given.tzinfo else given.replace(tzinfo=zone), False
        at = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad(name, f"应为 {TIME_FORMS}") from None
    if not EARLIEST <= at <= LATEST:
        raise bad(name, "年份超出范围")
    return at, bare


def bad(name: str, detail: str) -> Exception:
    return invalid([{"loc": ("query", name), "type": "value_error", "msg": detail}])
