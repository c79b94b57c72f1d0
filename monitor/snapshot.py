"""What the metrics show of the stored state: a picture taken by a job, read at every scrape.

A scrape never touches the database: a locked or unreachable database must not blind the people who look for it.
The picture carries the time when it was taken, so that an old one can be seen to be old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import Field

from thresholds.model import SeriesKey
from thresholds.settings import Settings

OTHER = "_other"
"""Label value that stands for everything beyond a metric's bound."""

Labels = tuple[str, ...]
Row = TypeVar("Row")


class MetricsOptions(Settings):
    """`[metrics]`: what Prometheus is shown, and how much of it at most."""

    watched: tuple[str, ...] = ("*",)
    """item names, with * and ? as wildcards, whose latest values are shown"""
    watched_limit: int = Field(default=1000, ge=0, le=50_000)
    """at most so many series have their latest value shown"""
    groups: int = Field(default=500, ge=10, le=10_000)
    """at most so many values of every other label that grows with the data: source, group, rule, job"""


@dataclass(frozen=True, slots=True)
class Latest:
    """Newest value of one series, in the series' own unit; `at` in seconds since the epoch."""

    key: SeriesKey
    area: str
    source: str
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Newest:
    """Newest observation among a source's series of one group (item class). `expected` is cadence plus grace, s."""

    source: str
    group: str
    at: float
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source is doing. `last_success` in seconds since the epoch, None before the first one."""

    source: str
    failing: bool
    last_success: float | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The stored state at `at`. All times are seconds since the epoch (UTC).

    flags              {(state, grade, kind, rule): number}
    evaluation_oldest  when the oldest observation that still waits for its evaluation was stored; None: none waits
    messages           {(channel, state): number}
    messages_oldest    {channel: when the oldest message that is due and not sent became due}
    duty_gap           {duty: True where nobody is on duty at `at` (P9)}
    """

    at: float
    newest: Sequence[Newest] = ()
    latest: Sequence[Latest] = ()
    sources: Sequence[SourceHealth] = ()
    flags: Mapping[tuple[str, str, str, str], int] = field(default_factory=dict)
    evaluation_oldest: float | None = None
    evaluation_waiting: int = 0
    messages: Mapping[tuple[str, str], int] = field(default_factory=dict)
    messages_oldest: Mapping[str, float] = field(default_factory=dict)
    duty_gap: Mapping[str, bool] = field(default_factory=dict)


def choose(latest: Iterable[Latest], options: MetricsOptions) -> tuple[list[Latest], int]:
    """The watched series in a fixed order, at most `watched_limit`, and how many watched ones did not fit.

    The order does not depend on values or times, so the same series stay visible from scrape to scrape.
    """
    watched = [one for one in latest if any(fnmatchcase(one.key.item, p) for p in options.watched)]
    watched.sort(key=lambda one: (one.key, one.area, one.source))
    return watched[: options.watched_limit], max(0, len(watched) - options.watched_limit)


def bound(rows: Mapping[Labels, float], limit: int, combine: Callable[[float, float], float]) -> dict[Labels, float]:
    """At most `limit` rows; those beyond it are combined in one row labelled `_other`."""
    if len(rows) <= limit:
        return dict(rows)
    ordered = sorted(rows)
    kept = {labels: rows[labels] for labels in ordered[: limit - 1]}
    rest = rows[ordered[limit - 1]]
    for labels in ordered[limit:]:
        rest = combine(rest, rows[labels])
    return {**kept, (OTHER,) * len(ordered[0]): rest}


def add(a: float, b: float) -> float:
    return a + b


class SnapshotCollector(Collector):
    """Turns the newest snapshot into gauges at every scrape. Ages are counted up to the moment of the scrape."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        clock: Callable[[], datetime],
        options: MetricsOptions,
        failed: Callable[[str], None],
    ) -> None:
        self.snapshot = snapshot
        self.clock = clock
        self.options = options
        self.failed = failed

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not take a snapshot."""
        return ()

    def collect(self) -> Iterator[Metric]:
        now = self.clock().timestamp()
        yield gauge("time_seconds", "Clock of the daemon at the scrape, seconds since the epoch.", (), {(): now})
        try:
            snapshot = self.snapshot()
            families = [] if snapshot is None else self.families(snapshot, now)
        except Exception:  # noqa: BLE001 - a bug here must not hide the counters, which are still true
            self.failed("snapshot")
            return
        yield from families

    def families(self, snapshot: Snapshot, now: float) -> list[Metric]:
        limit = self.options.groups
        return [
            gauge(
                "snapshot_timestamp_seconds",
                "When the stored state shown here was read, seconds since the epoch.",
                (),
                {(): snapshot.at},
            ),
            *observation_families(snapshot, now, limit),
            *latest_families(snapshot, self.options),
            *source_families(snapshot, limit),
            gauge(
                "flags",
                "Flags in the database by state, grade, kind and rule.",
                ("state", "grade", "kind", "rule"),
                bound({labels: float(n) for labels, n in snapshot.flags.items()}, limit, add),
            ),
            *queue_families(snapshot, now, limit),
            gauge(
                "duty_gap",
                "1 where nobody is on duty now for this duty (clause P9), else 0.",
                ("duty",),
                {(duty,): float(gap) for duty, gap in snapshot.duty_gap.items()},
            ),
        ]


def gauge(name: str, text: str, labels: Labels, rows: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(f"monitor_{name}", text, labels=labels)
    for values, value in rows.items():
        family.add_metric(values, value)
    return family


def observation_families(snapshot: Snapshot, now: float, limit: int) -> list[Metric]:
    names = ("source", "group")
    ages: dict[Labels, float] = {(one.source, one.group): now - one.at for one in snapshot.newest}
    expected: dict[Labels, float] = {
        (one.source, one.group): one.expected for one in snapshot.newest if one.expected is not None
    }
    return [
        gauge(
            "newest_observation_age_seconds",
            "Time since the newest observation of the source's series in this group (item class).",
            names,
            bound(ages, limit, max),
        ),
        gauge(
            "observation_expected_within_seconds",
            "Cadence plus grace of the group: an older newest observation means silence.",
            names,
            bound(expected, limit, max),
        ),
    ]


def latest_families(snapshot: Snapshot, options: MetricsOptions) -> list[Metric]:
    chosen, dropped = choose(snapshot.latest, options)
    names = ("item", "spec", "unit", "channel", "point", "area", "source")
    rows: dict[Labels, float] = {}
    for one in chosen:
        key = one.key
        rows[(key.item, key.spec, key.unit, key.channel, key.point, one.area, one.source)] = one.value
    return [
        gauge("latest_value", "Newest value of a watched series, in the unit of its label.", names, rows),
        gauge(
            "latest_values_dropped",
            "Watched series whose latest value is not shown because of metrics.watched_limit.",
            (),
            {(): float(dropped)},
        ),
    ]


def source_families(snapshot: Snapshot, limit: int) -> list[Metric]:
    sources = sorted(snapshot.sources, key=lambda one: one.source)[:limit]
    success: dict[Labels, float] = {
        (one.source,): one.last_success for one in sources if one.last_success is not None
    }
    return [
        gauge(
            "source_failing",
            "1 while the newest fetch of the source failed, else 0.",
            ("source",),
            {(one.source,): float(one.failing) for one in sources},
        ),
        gauge(
            "source_last_success_timestamp_seconds",
            "Newest successful fetch of the source, seconds since the epoch.",
            ("source",),
            success,
        ),
        gauge(
            "source_simulated",
            "1 where the source brings simulated data (演示数据), else 0.",
            ("source",),
            {(one.source,): float(one.simulated) for one in sources},
        ),
    ]


def queue_families(snapshot: Snapshot, now: float, limit: int) -> list[Metric]:
    waited = 0.0 if snapshot.evaluation_oldest is None else max(0.0, now - snapshot.evaluation_oldest)
    channels = {channel for channel, _ in snapshot.messages} | set(snapshot.messages_oldest)
    ages: dict[Labels, float] = {
        (name,): max(0.0, now - snapshot.messages_oldest.get(name, now)) for name in sorted(channels)
    }
    return [
        gauge(
            "evaluation_queue_age_seconds",
            "How long the oldest observation has waited for its evaluation; 0 when none waits.",
            (),
            {(): waited},
        ),
        gauge(
            "evaluation_queue_series",
            "Series with observations that wait for their evaluation.",
            (),
            {(): float(snapshot.evaluation_waiting)},
        ),
        gauge(
            "outbox_queue_age_seconds",
            "How long the oldest message that is due has waited to be sent; 0 when none waits.",
            ("channel",),
            bound(ages, limit, max),
        ),
        gauge(
            "outbox_messages",
            "Messages in the outbox by channel and state.",
            ("channel", "state"),
            bound({labels: float(n) for labels, n in snapshot.messages.items()}, limit, add),
        ),
    ]
