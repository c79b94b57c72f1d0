"""How far a source has been read: the part of the cursor about time, shared by HTTP, SQL and Prometheus.

`last_at` is the newest time stored, never later than the clock: one row dated 2099 must not end the collection.
`since` is where the next question begins: `overlap` before it, so that late and corrected values are seen; what is
known already is dropped by the store. `signature` stands for the options that decide what is read: where they change,
the source is read anew from the start, because what was rejected before may be readable now.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from collectors.base import Cursor, SourceOptions

NOT_CONTENT = frozenset(
    {"name", "enabled", "every", "cron", "cadence", "grace", "expect", "overlap", "history", "delay"}
    | {"tries", "deadline", "timeout", "connect_timeout", "read_timeout", "proxy", "ca_file", "connect_args"}
    | {"bearer", "basic", "secret_headers"}
    | {"max_bytes", "max_pages", "max_rows", "max_points", "max_samples", "row_limit", "chunk_rows"}
)
"""options that say when and how to ask, but do not change what the answer means"""

PLACEHOLDER = re.compile(r"\{(?P<name>\w*)(?::(?P<form>[^{}]*))?\}")
TIMES = ("since", "now")


def signature(options: SourceOptions) -> str:
    """A short text that changes with every option that decides what is read and how it is understood."""
    content: Mapping[str, Any] = options.model_dump(mode="json", exclude=set(NOT_CONTENT))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Span:
    """What one fetch asks for. `last_at`: epoch seconds of the newest value stored before, None at the first time."""

    last_at: int | None
    since: datetime
    now: datetime

    @classmethod
    def of(cls, cursor: Cursor, now: datetime, *, overlap: timedelta, history: timedelta) -> Span:
        last_at = cursor.get("last_at")
        if isinstance(last_at, bool) or not isinstance(last_at, int):
            return cls(None, now - history, now)
        return cls(last_at, datetime.fromtimestamp(last_at, UTC) - overlap, now)

    def advance(self, newest: int | None) -> int | None:
        """The next `last_at`, where `newest` (epoch seconds, not in the future) came."""
        return latest(self.last_at, newest)

    def stale_since(self, newest: int | None) -> datetime | None:
        """The newest time that came, where rows came and none is newer than what was stored before."""
        if newest is None or self.last_at is None or newest > self.last_at:
            return None
        return datetime.fromtimestamp(newest, UTC)

    def fill(self, text: str, zone: ZoneInfo) -> str:
        """`text` with its time placeholders replaced, shown in `zone`."""

        def replace(match: re.Match[str]) -> str:
            return show(
                {"since": self.since, "now": self.now}[match["name"]].astimezone(zone), match["form"] or "iso"
            )

        return PLACEHOLDER.sub(replace, text)


def show(at: datetime, form: str) -> str:
    """`at` as a strftime format says, or 'iso', 'epoch' (seconds) or 'epoch_ms'."""
    if form == "iso":
        return at.isoformat(timespec="seconds")
    if form in ("epoch", "epoch_ms"):
        return str(int(at.timestamp()) * (1000 if form == "epoch_ms" else 1))
    return at.strftime(form)


def check_template(text: str) -> str:
    """`text` itself. Raises ValueError where a placeholder is unknown or its format is none."""
    for match in PLACEHOLDER.finditer(text):
        name, form = match["name"], match["form"]
        if name not in TIMES or (form is not None and form not in ("iso", "epoch", "epoch_ms") and "%" not in form):
            raise ValueError(
                f"{match[0]} is not a known placeholder|Write {{since:%Y-%m-%d}}, {{now:iso}}, {{since:epoch}} or"
                " {since:epoch_ms}"
            )
    return text


def latest(*times: int | None) -> int | None:
    """The newest of some times (epoch seconds) of which some may be unknown."""
    return max((t for t in times if t is not None), default=None)
