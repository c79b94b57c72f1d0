"""What every collector is: one source, fetched on a schedule, giving batches of observations.

A collector keeps nothing between fetches except its `cursor`, a small JSON object that the store saves in the
same transaction as the rows it brought. So a crash repeats a fetch, and storing repeats nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from thresholds.model import ObservationBatch, Reject
from thresholds.settings import Duration, Settings

Cursor = Mapping[str, Any]
"""JSON object: what a source needs to go on from where it was (etag, last time stored, page, file name)."""


class CollectError(Exception):
    """A fetch failed. `permanent` means that trying again will not help until somebody changes something.

    `reason` is a short stable word for the metric label (timeout, refused, http_status, not_json, too_large,
    encoding, auth, stale, io, query …); the message says what, where and how to mend it.
    """

    def __init__(
        self, reason: str, message: str, *, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after  # seconds, from the source itself


@dataclass(frozen=True, slots=True)
class Fetched:
    """One unit of work: stored in one transaction together with `cursor`, then `done` is called.

    `name` says what it was (file name, URL, query) in reports. A collector yields as many as it has; a large
    source is split into several of these. `settled` is called only after the commit (for instance to move a file);
    it must be safe to call for work that was stored by an earlier run that crashed before it.
    """

    name: str
    batch: ObservationBatch
    rejects: Sequence[Reject] = ()
    cursor: Cursor = field(default_factory=dict)
    stale_since: datetime | None = None
    """set where the source answered with rows but with none newer than what it gave before: the newest time it has"""
    more: Mapping[str, int] = field(default_factory=dict)
    """reason -> rows that were rejected beside those in `rejects`, where only so many are listed"""

    @property
    def reasons(self) -> Counter[str]:
        """How many rows were rejected, by reason."""
        return Counter(r.reason for r in self.rejects) + Counter(self.more)

    def settled(self, stored: StoredCounts) -> None:
        """Called after the commit. Nothing to do for most sources."""


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """What became of the rows of one `Fetched`."""

    accepted: int = 0
    duplicate: int = 0
    revised: int = 0
    rejected: int = 0


class Collector(Protocol):
    """One configured source. `fetch` may block; it is bounded by the source's own time-outs and size limits."""

    name: str

    def fetch(self, cursor: Cursor, now: datetime) -> Iterator[Fetched]:
        """Yield what is new since `cursor`. Raises CollectError; what was yielded before stays stored."""
        ...


class Expectation(Settings):
    """Expected cadence for a group of series: those that match all of the given fields."""

    item: str = ""
    item_class: str = ""
    point: str = ""
    cadence: Duration
    grace: Duration | None = None


class SourceOptions(Settings):
    """What the configuration says of every source; each kind adds its own keys.

    Exactly one of `every` and `cron` (five fields, Asia/Shanghai) for sources that are asked; none for pushed ones.
    `cadence` is how often new data is expected; with `grace` it decides when silence is flagged. `expect` refines
    this for single items, classes or points.
    """

    name: str
    enabled: bool = True
    every: Duration | None = None
    cron: str = ""
    cadence: Duration | None = None
    grace: Duration | None = None
    expect: tuple[Expectation, ...] = ()
    columns: Mapping[str, str] = {}
    """our column name -> the source's column name (or path)"""
    defaults: Mapping[str, str] = {}
    """our column name -> the value where the source has none: unit, area, spec, channel, point, item, source"""
    timezone: str = "Asia/Shanghai"
    """zone of times without an offset"""
