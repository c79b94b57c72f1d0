"""APScheduler's settings, and the one wrapper round every job.

With the library's defaults a first run comes one interval late, and a job delayed by more than a second does not run
at all. Here: at once, never twice at the same time, missed runs folded into one, all counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from monitor.metrics import Metrics
from monitor.store.errors import StoreError

log = logging.getLogger(__name__)


def now() -> datetime:
    """When a job is due is measured by the machine's own clock, like the library's own times; what a job judges
    by is the clock of monitor/app.py."""
    return datetime.now(UTC)


RETRY_AFTER = 5.0
"""Seconds after which a job is run again that the database refused."""

LOOK_AT_CLOCK_EVERY = 1.0
SET_BACK = -2.0
"""Seconds by which the machine's clock must have been set back for the due times to be set anew."""

LONG = 60.0
"""Seconds after which a job that is still running when its next turn comes is told of, once."""

SOON = 0.05
"""Seconds after which a job is tried again whose earlier run had ended but was still in its thread."""

MAIN, COLLECT, SEND = "main", "collect", "send"


class Scheduler:
    """Runs jobs in three pools: `main` one at a time, `collect` a thread per source, `send` a thread per channel.

    A source or channel that hangs keeps its own thread and nobody else's. `refused` holds what the database said to
    the jobs that it refused, until their next run goes through.
    """

    def __init__(self, metrics: Metrics, *, sources: int, channels: int) -> None:
        self.metrics = metrics
        self.stopping = Event()
        self.busy: dict[str, float] = {}
        self.woken: set[str] = set()
        self.again: set[str] = set()
        self.refused: dict[str, str] = {}
        self.told: set[str] = set()
        self.lock = Lock()
        self.inner = BackgroundScheduler(
            executors={
                MAIN: ThreadPoolExecutor(1),
                "watch": ThreadPoolExecutor(1),
                COLLECT: ThreadPoolExecutor(max(4, 2 * sources)),
                SEND: ThreadPoolExecutor(max(2, 2 * channels)),
            },
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self.inner.add_listener(self.skipped, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)

    def add(
        self,
        name: str,
        work: Callable[[], None],
        *,
        every: timedelta | None = None,
        cron: str = "",
        zone: tzinfo = UTC,
        pool: str = MAIN,
        at_once: bool = True,
    ) -> None:
        """Run `work` by a schedule: an interval, or a cron line in `zone`. Replaces a job of the same name."""
        trigger = (
            CronTrigger.from_crontab(cron, timezone=zone)
            if cron
            else IntervalTrigger(seconds=every.total_seconds() if every else 60, timezone=UTC)
        )
        first: dict[str, Any] = {"next_run_time": now()} if at_once else {}
        self.inner.add_job(
            self.run, trigger, args=(name, work), id=name, executor=pool, replace_existing=True, **first
        )

    def remove(self, name: str) -> None:
        self.refused.pop(name, None)
        try:
            self.inner.remove_job(name)
        except JobLookupError:
            log.debug("job %s was gone already", name)

    @property
    def names(self) -> set[str]:
        return {job.id for job in self.inner.get_jobs()}

    def wake(self, name: str) -> None:
        """Run a job now. Where it is running, it runs once more afterwards: nothing that came meanwhile waits."""
        if self.stopping.is_set():
            return
        with self.lock:
            if name in self.busy:
                self.again.add(name)
                return
            if name in self.woken:
                return
            self.woken.add(name)
        self.due(name, 0.0)

    def due(self, name: str, seconds: float) -> None:
        """Let a job run in so many seconds, without changing its interval."""
        try:
            self.inner.modify_job(name, next_run_time=now() + timedelta(seconds=seconds))
        except JobLookupError:
            self.woken.discard(name)
            log.debug("job %s is not scheduled, nothing to wake", name)

    def run(self, name: str, work: Callable[[], None]) -> None:
        """The wrapper: times the job, catches what it lets through, says the consequence, counts it."""
        with self.lock:
            self.woken.discard(name)
            self.busy[name] = monotonic()
        while True:
            outcome = "stopping" if self.stopping.is_set() else self.once(name, work)
            with self.lock:
                if outcome != "ok" or name not in self.again:
                    self.again.discard(name)
                    began = self.busy.pop(name)
                    break
                self.again.discard(name)
        if name in self.told:
            self.told.discard(name)
            log.info("job %s has ended after %.0f s", name, monotonic() - began)
        if outcome == "refused":
            self.retry(name)

    def retry(self, name: str) -> None:
        """A database that refused is asked again soon, however far away the next turn is."""
        job = self.inner.get_job(name)
        if job is not None and job.next_run_time > now() + timedelta(seconds=RETRY_AFTER):
            self.due(name, RETRY_AFTER)

    def once(self, name: str, work: Callable[[], None]) -> str:
        """One run and how it went: ok, failed, or refused by the database."""
        begin = monotonic()
        outcome = "ok"
        try:
            work()
        except StoreError as error:
            outcome = "refused"
            self.refused[name] = str(error)
            self.metrics.store_error(error.reason)
            log.error("job %s failed, it is tried again within %.0f s: %s", name, RETRY_AFTER, error)
        except Exception:  # the one place where a bug is caught
            outcome = "failed"
            log.exception("job %s failed by a fault in the program; it is tried again at its next turn", name)
        else:
            if self.refused.pop(name, None) is not None:
                log.info("job %s goes through again", name)
        self.metrics.job(name, "ok" if outcome == "ok" else "failed", monotonic() - begin)
        return outcome

    def skipped(self, event: Any) -> None:
        missed = event.code == EVENT_JOB_MISSED
        if not missed and event.job_id in self.woken:  # its last run was just leaving: not a turn left out
            self.due(event.job_id, SOON)
            return
        self.metrics.skip(event.job_id, "missed" if missed else "still_running")
        began = self.busy.get(event.job_id)
        if missed or began is None:
            return
        log.debug("job %s is still running, its turn is left out", event.job_id)
        if monotonic() - began > LONG and event.job_id not in self.told:
            self.told.add(event.job_id)
            log.warning(
                "job %s has been running for %.0f s: its turns are left out until it ends",
                event.job_id,
                monotonic() - began,
            )

    def start(self) -> None:
        self.inner.start()
        Thread(target=self.follow_clock, name="clock", daemon=True).start()

    def follow_clock(self) -> None:
        """The library waits for times of day: after the clock was set back by an hour it would wait for an hour."""
        offset = now().timestamp() - monotonic()
        while not self.stopping.wait(LOOK_AT_CLOCK_EVERY):
            before, offset = offset, now().timestamp() - monotonic()
            if offset - before < SET_BACK:
                log.warning("the machine's clock was set back by %.0f s; due times are set anew", before - offset)
                self.set_due_times()

    def set_due_times(self) -> None:
        """Every job by the clock as it is now: intervals begin at once, cron lines at their next time."""
        at = now()
        for job in self.inner.get_jobs():
            by_cron = isinstance(job.trigger, CronTrigger)
            job.modify(next_run_time=job.trigger.get_next_fire_time(None, at) if by_cron else at)

    @property
    def running(self) -> bool:
        return bool(self.inner.running) and not self.stopping.is_set()

    def stop(self, seconds: float) -> list[str]:
        """No new runs; wait at most `seconds` for those under way. Gives the names of those that did not end."""
        self.stopping.set()
        if self.inner.running:
            self.inner.shutdown(wait=False)
        end = monotonic() + seconds
        pause = Event()
        while self.busy and monotonic() < end:
            pause.wait(0.02)
        return sorted(self.busy)
