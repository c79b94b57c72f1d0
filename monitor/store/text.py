"""Small conversions between our types and what a column holds."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def seconds(at: datetime) -> int:
    """Epoch seconds of an aware datetime. Raises ValueError for a naive one, whose zone nobody knows."""
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; times here are aware UTC datetimes")
    return math.floor(at.timestamp())


def moment(at: int) -> datetime:
    """The aware UTC datetime of epoch seconds."""
    return datetime.fromtimestamp(at, UTC)


def moment_or_none(at: int | None) -> datetime | None:
    return None if at is None else moment(at)


def number(value: float | None) -> float:
    """A nullable column as a float; NULL is NaN."""
    return math.nan if value is None else value


def storable(text: str) -> str:
    """Text for reports with what no database takes (NUL, lone surrogates) shown as the replacement character."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if is_unicode(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_storable(text: str) -> bool:
    """Whether text can be stored as it is."""
    return "\0" not in text and is_unicode(text)


def is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
