"""The one wrapper round every job: at once, never twice at the same time, nothing lost, everything counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, current_thread
from time import monotonic
from zoneinfo import ZoneInfo

import pytest
from apscheduler.schedulers import base as library

from monitor import scheduler as scheduler_module
from monitor.metrics import Metrics
from monitor.scheduler import COLLECT, SEND, Scheduler
from monitor.store.errors import StoreError
from tests.faults.daemon import until

HOUR = timedelta(hours=1)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(lambda: datetime.now(UTC))


@pytest.fixture
def scheduler(metrics: Metrics) -> Iterator[Scheduler]:
    one = Scheduler(metrics, sources=2, channels=1)
    yield one
    one.stop(5)


class Work:
    """Counts its runs; holds each one up while `gate` is closed."""

    def __init__(self, *, closed: bool = False) -> None:
        self.begun = self.ended = self.most = self.now = 0
        self.gate = Event()
        if not closed:
            self.gate.set()
        self.error: Exception | None = None
        self.lock = Lock()
        self.threads: set[str] = set()

    def __call__(self) -> None:
        with self.lock:
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)
            self.threads.add(current_thread().name)
        self.gate.wait(30)
        with self.lock:
            self.now -= 1
            self.ended += 1
        if self.error is not None:
            raise self.error


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"monitor_{name}", labels) or 0.0


def test_a_job_runs_at_once_and_then_by_its_interval(scheduler: Scheduler, metrics: Metrics) -> None:
    quick, slow = Work(), Work()
    scheduler.add("quick", quick, every=timedelta(seconds=0.1))
    scheduler.add("slow", slow, every=HOUR)
    scheduler.start()
    until(lambda: quick.ended >= 4 and slow.ended == 1, "both have run")
    until(lambda: sample(metrics, "job_runs_total", job_name="quick", outcome="ok") >= 4, "it is counted")
    assert slow.begun == 1


def test_a_cron_line_is_read_in_its_zone_and_does_not_run_at_once(scheduler: Scheduler) -> None:
    work = Work()
    zone = ZoneInfo("Asia/Shanghai")
    scheduler.add("morning", work, cron="30 8 * * *", zone=zone, at_once=False)
    scheduler.start()
    due = scheduler.inner.get_job("morning").next_run_time.astimezone(zone)
    assert (due.hour, due.minute) == (8, 30)
    assert work.begun == 0


def test_a_job_never_runs_twice_at_the_same_time_and_a_turn_left_out_is_counted(
    scheduler: Scheduler, metrics: Metrics
) -> None:
    work = Work(closed=True)
    scheduler.add("busy", work, every=timedelta(seconds=0.05), pool=COLLECT)
    scheduler.start()
    until(
        lambda: sample(metrics, "job_skips_total", job_name="busy", reason="still_running") > 0, "a turn is left out"
    )
    work.gate.set()
    until(lambda: work.ended > 3, "it goes on")
    assert work.most == 1


def test_a_job_that_hangs_is_told_once_by_its_name_and_so_is_its_end(
    scheduler: Scheduler, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scheduler_module, "LONG", 0.2)
    caplog.set_level(logging.INFO, "monitor.scheduler")
    work = Work(closed=True)
    scheduler.add("hangs", work, every=timedelta(seconds=0.05), pool=COLLECT)
    scheduler.start()
    until(lambda: "job hangs has been running for 0 s: its turns are left out" in caplog.text, "it is told")
    before = sample(metrics, "job_skips_total", job_name="hangs", reason="still_running")
    until(
        lambda: sample(metrics, "job_skips_total", job_name="hangs", reason="still_running") > before + 3,
        "more turns are left out",
    )
    assert caplog.text.count("its turns are left out") == 1
    work.gate.set()
    until(lambda: "job hangs has ended after" in caplog.text, "its end is told")
    assert caplog.text.count("has ended after") == 1


def test_a_job_woken_while_it_runs_runs_once_more_afterwards(scheduler: Scheduler) -> None:
    work = Work(closed=True)
    scheduler.add("job", work, every=HOUR)
    scheduler.start()
    until(lambda: work.begun == 1, "it runs")
    for _ in range(5):
        scheduler.wake("job")
    work.gate.set()
    until(lambda: work.ended == 2, "it has run once more")
    until(lambda: not scheduler.busy, "it is idle")
    assert work.begun == 2, "five calls, one run"
    assert work.most == 1


def test_no_call_is_lost_however_it_falls(scheduler: Scheduler) -> None:
    """Between two runs, at the end of one, in the thread that leaves: what was there before the call is seen."""
    seen = written = 0

    def look() -> None:
        nonlocal seen
        seen = written

    scheduler.add("look", look, every=HOUR)
    scheduler.start()
    for number in range(1, 300):
        written = number
        scheduler.wake("look")
        if number % 7 == 0:
            until(lambda n=number: seen >= n, f"call {number} is heard")  # type: ignore[misc]
    until(lambda: seen == written, "the last call is heard")


def test_to_wake_what_is_not_there_does_nothing(scheduler: Scheduler) -> None:
    scheduler.start()
    scheduler.wake("nobody")
    scheduler.wake("nobody")
    assert scheduler.woken == set()


def test_a_job_with_a_bug_is_logged_and_counted_and_runs_again(
    scheduler: Scheduler, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Work(), Work()
    bad.error = ValueError("no such wheel")
    scheduler.add("bad", bad, every=timedelta(seconds=0.1))
    scheduler.add("good", good, every=timedelta(seconds=0.1))
    scheduler.start()
    until(lambda: bad.ended > 2 and good.ended > 2, "both go on")
    until(lambda: sample(metrics, "job_runs_total", job_name="bad", outcome="failed") > 2, "it is counted")
    assert "job bad failed by a fault in the program; it is tried again at its next turn" in caplog.text
    assert "no such wheel" in caplog.text
    assert sample(metrics, "job_last_success_timestamp_seconds", job_name="bad") == 0


def test_a_job_that_the_database_refused_is_run_again_soon_and_known_until_then(
    scheduler: Scheduler, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scheduler_module, "RETRY_AFTER", 0.3)
    caplog.set_level(logging.INFO, "monitor.scheduler")
    work = Work()
    work.error = StoreError("full", "The disk is full.")
    scheduler.add("tidy", work, every=HOUR)
    scheduler.start()
    until(lambda: scheduler.refused == {"tidy": "The disk is full."}, "it is known")
    assert sample(metrics, "store_errors_total", reason="full") >= 1
    told = "job tidy failed, it is tried again within 0 s: The disk is full."
    until(lambda: told in caplog.text, "it is told")
    work.error = None
    until(lambda: work.ended >= 2 and not scheduler.refused, "it was run again long before its next turn")
    until(lambda: "job tidy goes through again" in caplog.text, "that is told too")
    assert "Traceback" not in caplog.text


def test_a_retry_does_not_delay_a_job_that_is_due_sooner(scheduler: Scheduler) -> None:
    work = Work()
    work.error = StoreError("locked", "busy")
    scheduler.add("often", work, every=timedelta(seconds=0.1))
    scheduler.start()
    begin = monotonic()
    until(lambda: work.ended > 5, "it runs at its own pace")
    assert monotonic() - begin < scheduler_module.RETRY_AFTER


def test_what_hangs_in_its_pool_holds_up_no_other_pool(scheduler: Scheduler) -> None:
    hanging = [Work(closed=True) for _ in range(2)]
    for n, one in enumerate(hanging):
        scheduler.add(f"collect:{n}", one, every=HOUR, pool=COLLECT)
    main, sending = Work(), Work()
    scheduler.add("evaluate", main, every=HOUR)
    scheduler.add("send:x", sending, every=HOUR, pool=SEND)
    scheduler.start()
    until(lambda: main.ended and sending.ended, "the others ran")
    until(lambda: all(one.begun for one in hanging), "both hang")
    for one in hanging:
        one.gate.set()


def test_the_main_pool_runs_one_job_at_a_time(scheduler: Scheduler) -> None:
    running: list[str] = []
    together: list[int] = []

    def job(name: str) -> Callable[[], None]:
        def work() -> None:
            running.append(name)
            together.append(len(running))
            Event().wait(0.01)
            running.remove(name)

        return work

    for name in "abc":
        scheduler.add(name, job(name), every=timedelta(seconds=0.05))
    scheduler.start()
    until(lambda: len(together) > 12, "all have run")
    assert max(together) == 1


def test_a_stop_waits_for_those_under_way_and_names_those_that_hang(metrics: Metrics) -> None:
    scheduler = Scheduler(metrics, sources=2, channels=1)
    ends, hangs = Work(closed=True), Work(closed=True)
    scheduler.add("ends", ends, every=HOUR, pool=COLLECT)
    scheduler.add("hangs", hangs, every=HOUR, pool=COLLECT)
    scheduler.start()
    until(lambda: ends.begun and hangs.begun, "both run")
    ends.gate.set()
    begin = monotonic()
    assert scheduler.stop(0.5) == ["hangs"]
    assert monotonic() - begin < 2
    assert ends.ended == 1
    assert not scheduler.running
    scheduler.wake("ends")
    hangs.gate.set()
    until(lambda: not scheduler.busy, "it came to its end after all")
    assert ends.begun == 1, "after the stop nothing begins"


def test_a_job_that_is_removed_or_replaced_does_not_run_any_more(scheduler: Scheduler) -> None:
    old, gone, new = Work(), Work(), Work()
    scheduler.add("one", old, every=timedelta(seconds=0.05))
    scheduler.add("two", gone, every=timedelta(seconds=0.05))
    scheduler.start()
    until(lambda: old.ended and gone.ended, "both ran")
    scheduler.add("one", new, every=timedelta(seconds=0.05))
    scheduler.remove("two")
    scheduler.remove("two")
    assert scheduler.names == {"one"}
    until(lambda: not scheduler.busy, "the last old run is over")
    before = old.begun, gone.begun
    until(lambda: new.ended > 3, "the new one runs")
    assert (old.begun, gone.begun) == before


def test_what_is_removed_is_in_no_trouble_any_more(scheduler: Scheduler) -> None:
    work = Work()
    work.error = StoreError("full", "The disk is full.")
    scheduler.add("collect:x", work, every=HOUR)
    scheduler.start()
    until(lambda: scheduler.refused, "it is refused")
    scheduler.remove("collect:x")
    assert scheduler.refused == {}


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(days=1)], ids=["back", "forward"])
def test_jobs_go_on_after_the_machines_clock_was_set(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: timedelta
) -> None:
    """The library waits for a time of day; without help it would wait for an hour after the clock was set back."""
    moved = timedelta()

    class Moved(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # as the library calls it
            return datetime.now(UTC) + moved

    monkeypatch.setattr(library, "datetime", Moved)
    monkeypatch.setattr(scheduler_module, "now", lambda: Moved.now())
    monkeypatch.setattr(scheduler_module, "LOOK_AT_CLOCK_EVERY", 0.1)
    scheduler = Scheduler(metrics, sources=1, channels=1)
    often, seldom = Work(), Work()
    scheduler.add("often", often, every=timedelta(seconds=0.2))
    scheduler.add("seldom", seldom, cron="0 8 * * *", zone=UTC, at_once=False)
    try:
        scheduler.start()
        until(lambda: often.ended > 2, "it runs", patience=10)
        moved = step
        before = often.ended
        until(lambda: often.ended > before + 3, "it goes on by the new clock", patience=10)
        due = scheduler.inner.get_job("seldom").next_run_time
        assert timedelta() < due - Moved.now() <= timedelta(days=1)
        assert ("was set back by 3600 s" in caplog.text) == (step < timedelta())
    finally:
        scheduler.stop(5)


def test_a_clock_that_runs_true_sets_nothing_anew(scheduler: Scheduler, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    work = Work()
    scheduler.add("job", work, every=HOUR)
    scheduler.start()
    until(lambda: work.ended == 1, "it ran")
    assert not scheduler.stopping.wait(1.5)
    assert work.begun == 1
    assert "clock" not in caplog.text
