"""What the daemon tells Prometheus. docs/metrics.md describes every metric; a test keeps it complete.

Observers must not hurt the work: no method here raises. A call that fails is logged once and counted in
`monitor_metrics_errors_total`. Every label has a bound: names beyond it become `_other`.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from alerts.notify import Reason
from collectors.base import StoredCounts
from monitor.snapshot import OTHER, MetricsOptions, Snapshot, SnapshotCollector

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STORE_ERRORS = ("locked", "full", "readonly", "io", "unreachable", "newer_schema", "corrupt")
JOB_OUTCOMES = ("ok", "failed")
JOB_SKIPS = ("still_running", "missed")
SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
WAITS = (1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
LONGEST_LABEL = 100
JOB = "job_name"
"""Label of jobs: `job` is the label by which Prometheus names what it scrapes."""

P = ParamSpec("P")


def quiet(
    method: Callable[Concatenate[Metrics, P], None],
) -> Callable[Concatenate[Metrics, P], None]:
    """A metric that cannot be counted is a lost number, never a lost observation or message."""

    @wraps(method)
    def call(self: Metrics, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:  # noqa: BLE001 - see above
            self.failed(method.__name__)

    return call


class Bounded:
    """Admits the first `limit` names of a label; all later ones are counted together as `_other`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.seen: set[str] = set()

    def __call__(self, value: str) -> str:
        name = value[:LONGEST_LABEL]
        if name in self.seen:
            return name
        if len(self.seen) >= self.limit:
            return OTHER
        self.seen.add(name)
        return name


STAGES = ("gate", "areas", "rules", "grading")
"""of every evaluation, as thresholds.detect names them"""


class Metrics:
    """All metrics of one daemon in a registry of their own.

    clock     now, as an aware datetime; used for timestamps and ages only
    snapshot  the newest picture of the stored state, or None before the first one; must not block
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        snapshot: Callable[[], Snapshot | None] = lambda: None,
        options: MetricsOptions | None = None,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it unannotated
        self.clock = clock
        self.registry = CollectorRegistry(auto_describe=False)
        self.broken: set[str] = set()
        self.jobs: set[str] = set()
        options = options or MetricsOptions()
        self._counts(options.groups)
        self._gauges()
        self.reloaded(True)  # a daemon starts with what its files say, or not at all
        ProcessCollector(namespace="monitor", registry=self.registry)
        self.registry.register(SnapshotCollector(snapshot, clock, options, self.failed))

    def _counts(self, limit: int) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"monitor_{name}", text, labels, registry=self.registry)

        def seconds(name: str, text: str, label: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"monitor_{name}", text, (label,), buckets=buckets, registry=self.registry)

        self.source, self.channel, self.job_name, self.rule = (Bounded(limit) for _ in range(4))
        self.reason, self.stage = Bounded(100), Bounded(50)
        self.observations_total = counter(
            "observations_total", "Observations received, by what became of them.", "source", "outcome"
        )
        self.rejects_total = counter("rejects_total", "Rows rejected, by reason.", "source", "reason")
        self.fetches_total = counter("fetches_total", "Fetches of a source: ok or why not.", "source", "outcome")
        self.fetch_seconds = seconds("fetch_seconds", "Time that a fetch of the source took.", "source")
        self.evaluation_seconds = seconds("evaluation_seconds", "Time of an evaluation by stage.", "stage")
        self.rule_failures_total = counter(
            "rule_failures_total", "Evaluations in which a rule failed and was left out.", "rule"
        )
        self.sends_total = counter("sends_total", "Attempts to send: sent, or why not.", "channel", "result")
        self.send_seconds = seconds("send_seconds", "Time that an attempt to send took.", "channel")
        self.message_wait_seconds = seconds(
            "message_wait_seconds", "Time from a message's writing until it was sent.", "channel", WAITS
        )
        self.messages_given_up_total = counter(
            "messages_given_up_total", "Messages that will not be tried again, by reason.", "channel", "reason"
        )
        self.job_runs_total = counter("job_runs_total", "Runs of a job: ok or failed.", JOB, "outcome")
        self.job_skips_total = counter("job_skips_total", "Runs that did not take place.", JOB, "reason")
        self.job_seconds = seconds("job_seconds", "Time that a run of the job took.", JOB)
        self.telling_exceptions_total = counter(
            "telling_exceptions_total",
            "Flag changes told to others than those on duty, or to nobody, by reason.",
            "reason",
        )
        self.store_errors_total = counter("store_errors_total", "Errors of the database, by reason.", "reason")
        self.clock_steps_total = counter(
            "clock_steps_total", "Jumps of the system clock that the daemon noticed.", "direction"
        )
        self.metrics_errors_total = counter("metrics_errors_total", "Metrics that could not be kept.", "call")

    def _gauges(self) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"monitor_{name}", text, labels, registry=self.registry)

        self.job_interval_seconds = gauge("job_interval_seconds", "Time between two runs of the job.", JOB)
        self.job_last_success_timestamp_seconds = gauge(
            "job_last_success_timestamp_seconds", "Newest successful run, seconds since the epoch; 0: none.", JOB
        )
        self.config_reload_success = gauge(
            "config_reload_success", "1 when the newest configuration is in force, 0 when it was refused."
        )
        self.config_reload_timestamp_seconds = gauge(
            "config_reload_timestamp_seconds", "When a configuration last came into force, seconds since the epoch."
        )
        self.build_info = gauge("build_info", "Always 1; the labels say what runs.", "version", "python", "database")
        self.plan_info = gauge("plan_info", "Always 1; the plans and rule packs in force.", "plan", "version")

    def failed(self, call: str) -> None:
        """A metric could not be kept: say so once, count every time."""
        if call not in self.broken:
            self.broken.add(call)
            log.exception("metric %s could not be kept: its numbers are too low from now on, the work goes on", call)
        self.metrics_errors_total.labels(call).inc()

    @quiet
    def declare(
        self,
        *,
        sources: Iterable[str] = (),
        channels: Iterable[str] = (),
        rules: Iterable[str] = (),
        jobs: Mapping[str, float | None] | None = None,
    ) -> None:
        """Show these from the start with zeros, so that the first event of its kind is seen as a rise.

        `jobs` maps each job to its interval in seconds, or None where it has none (cron). It names all there are:
        a job that was declared before and is no longer is not expected to run any more.
        """
        for name in STORE_ERRORS:
            self.store_errors_total.labels(name)
        for name in ("forward", "back"):
            self.clock_steps_total.labels(name)
        for name in STAGES:
            self.evaluation_seconds.labels(self.stage(name))
        for source in map(self.source, sources):
            for outcome in ("accepted", "duplicate", "revised", "rejected"):
                self.observations_total.labels(source, outcome)
            self.fetches_total.labels(source, "ok")
            self.fetch_seconds.labels(source)
        for channel in map(self.channel, channels):
            self.sends_total.labels(channel, "sent")
            self.send_seconds.labels(channel)
            self.message_wait_seconds.labels(channel)
            self.messages_given_up_total.labels(channel, "expired")
        for rule in map(self.rule, rules):
            self.rule_failures_total.labels(rule)
        for reason in Reason:
            self.telling_exceptions_total.labels(self.reason(reason.value))
        self._declare_jobs(jobs or {})

    def _declare_jobs(self, jobs: Mapping[str, float | None]) -> None:
        self.job_interval_seconds.clear()
        for gone in self.jobs - jobs.keys():  # else its last success would look ever older
            self.job_last_success_timestamp_seconds.remove(self.job_name(gone))
        self.jobs = set(jobs)
        for job, interval in jobs.items():
            self._declare_job(self.job_name(job), interval)

    def _declare_job(self, job: str, interval: float | None) -> None:
        for outcome in JOB_OUTCOMES:
            self.job_runs_total.labels(job, outcome)
        for reason in JOB_SKIPS:
            self.job_skips_total.labels(job, reason)
        self.job_seconds.labels(job)
        self.job_last_success_timestamp_seconds.labels(job)
        if interval is not None:
            self.job_interval_seconds.labels(job).set(interval)

    @quiet
    def build(self, version: str, database: str, plans: Mapping[str, str]) -> None:
        """What runs: our version, the database's dialect, and {plan: version}. Replaces what was said before."""
        self.build_info.clear()
        self.build_info.labels(version, platform.python_version(), database).set(1)
        self.plan_info.clear()
        for plan, plan_version in plans.items():
            self.plan_info.labels(plan, plan_version).set(1)

    @quiet
    def observations(self, source: str, counts: StoredCounts, rejects: Mapping[str, int] | None = None) -> None:
        """What became of the rows of one batch; `rejects` counts the rejected ones by reason."""
        name = self.source(source)
        for outcome in ("accepted", "duplicate", "revised", "rejected"):
            self.observations_total.labels(name, outcome).inc(getattr(counts, outcome))
        for reason, number in (rejects or {}).items():
            self.rejects_total.labels(name, self.reason(reason)).inc(number)

    @quiet
    def fetch(self, source: str, outcome: str, seconds: float) -> None:
        """One fetch of a source: `ok`, or the reason of its CollectError."""
        name = self.source(source)
        self.fetches_total.labels(name, self.reason(outcome)).inc()
        self.fetch_seconds.labels(name).observe(seconds)

    @quiet
    def evaluation(self, stages: Mapping[str, float]) -> None:
        """Seconds that each stage of one evaluation took."""
        for stage, seconds in stages.items():
            self.evaluation_seconds.labels(self.stage(stage)).observe(seconds)

    @quiet
    def rule_failed(self, rule: str) -> None:
        """A rule failed and was left out of one evaluation."""
        self.rule_failures_total.labels(self.rule(rule)).inc()

    @quiet
    def send(self, channel: str, result: str, seconds: float, waited: float | None = None) -> None:
        """One attempt: `sent`, or the reason of its SendError. `waited`: seconds since the message was written."""
        name = self.channel(channel)
        self.sends_total.labels(name, self.reason(result)).inc()
        self.send_seconds.labels(name).observe(seconds)
        if waited is not None:
            self.message_wait_seconds.labels(name).observe(max(0.0, waited))

    @quiet
    def gave_up(self, channel: str, reason: str) -> None:
        """A message will not be tried again."""
        self.messages_given_up_total.labels(self.channel(channel), self.reason(reason)).inc()

    @quiet
    def told_otherwise(self, reason: str, changes: int) -> None:
        """Flag changes that were told to others than those on duty, in other words, or to nobody (alerts.notify)."""
        self.telling_exceptions_total.labels(self.reason(reason)).inc(changes)

    @quiet
    def job(self, name: str, outcome: str, seconds: float) -> None:
        """One run of a job: `ok` or `failed`."""
        job = self.job_name(name)
        self.job_runs_total.labels(job, self.reason(outcome)).inc()
        self.job_seconds.labels(job).observe(seconds)
        if outcome == "ok":
            self.job_last_success_timestamp_seconds.labels(job).set(self.clock().timestamp())

    @quiet
    def skip(self, job: str, reason: str) -> None:
        """A run did not take place: `still_running` or `missed`."""
        self.job_skips_total.labels(self.job_name(job), self.reason(reason)).inc()

    @quiet
    def store_error(self, reason: str) -> None:
        """The database refused: the reason of a StoreError."""
        self.store_errors_total.labels(self.reason(reason)).inc()

    @quiet
    def reloaded(self, success: bool) -> None:
        """A configuration came into force, or was refused while the old one stays."""
        self.config_reload_success.set(success)
        if success:
            self.config_reload_timestamp_seconds.set(self.clock().timestamp())

    @quiet
    def clock_step(self, seconds: float) -> None:
        """The system clock jumped by so many seconds, negative when it was set back."""
        self.clock_steps_total.labels("forward" if seconds > 0 else "back").inc()

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE
