"""The daemon, wired in one straight function; started and stopped with an ExitStack. The only clock is here."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib.metadata import version
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from alerts.channels.base import Channel
from alerts.channels.factory import build_channel
from collectors.base import Collector, StoredCounts
from collectors.push import PushOptions
from monitor import jobs
from monitor.check import check
from monitor.config_model import Config
from monitor.entry.tools import tools
from monitor.evaluation import Evaluation
from monitor.metrics import Metrics
from monitor.reporting import Maker
from monitor.scheduler import COLLECT, SEND, Scheduler
from monitor.snapshot import Snapshot
from monitor.sources import collector_of
from monitor.store import outbox
from monitor.store.database import Database, daemon_lock, open_database
from monitor.web.app import create_api, load_pages
from monitor.web.context import Check, ConfiguredSource, HealthReport, WebContext
from monitor.web.server import bind, make_server
from thresholds.plan import Policy

if TYPE_CHECKING:
    from uvicorn import Server

log = logging.getLogger(__name__)

FROM_THE_START = ("installation", "database", "web", "metrics")
"""Tables that a reload leaves as they are: what they set is built once."""

PICTURE_EVERY = timedelta(seconds=10)
WATCH_EVERY = timedelta(minutes=1)
SEND_EVERY = timedelta(seconds=5)
TIDY_EVERY = timedelta(hours=1)
DUTIES_EVERY = timedelta(minutes=10)
ALWAYS = {"evaluate", "watch", "picture", "tidy", "duties", "reports"}
"""Jobs that every configuration has."""
REPORTS_EVERY = timedelta(minutes=5)
LONGEST_LOOK = 60.0
"""Seconds after which a database that has not answered counts as one that does not."""
STOP_WITHIN = 8.0
"""Seconds that jobs under way are given at the end; what they had not finished is done after the next start."""


def system_clock() -> datetime:
    return datetime.now(UTC)


class App:
    """What the jobs work with. `config` and `policy` are replaced as a whole by a reload."""

    def __init__(self, config: Config, policy: Policy, db: Database, clock: Callable[[], datetime]) -> None:
        self.config, self.policy, self.db, self.clock = config, policy, db, clock
        self.started_with = config
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self.snapshot: Snapshot | None = None
        self.looked_at = monotonic()
        self.push_refused = ""
        self.keep_lock: Callable[[], None] = lambda: None
        self.must_stop = ""
        self.on_must_stop: Callable[[], None] = lambda: None
        self.metrics = Metrics(clock, lambda: self.snapshot, config.metrics)
        self.evaluation = Evaluation(db, config, policy, self.metrics)
        self.entry = tools(config.entry, policy.catalogue, config.source, config.base)
        self.workdays_looked_at: date | None = None
        self.channels: dict[str, Channel] = {}
        self.collectors: dict[str, Collector] = {}
        self.scheduler = Scheduler(self.metrics, sources=len(config.source), channels=len(config.channel))
        self.clock_offset = clock().timestamp() - monotonic()

    def listens_on(self, port: int) -> None:
        """The port in use, which the system chose where the configuration says 0."""
        self.config = self.config.model_copy(update={"web": self.config.web.model_copy(update={"port": port})})
        self.evaluation.adopt(self.config, self.policy)
        log.info("listening on %s port %d", self.config.web.host, port)

    def clock_step(self) -> float:
        """Seconds by which the system clock has jumped against the steady one since the last call."""
        offset = self.clock().timestamp() - monotonic()
        step, self.clock_offset = offset - self.clock_offset, offset
        return step

    def health(self) -> HealthReport:
        """From what is in memory: asking must not wait for a database that hangs."""
        trouble = self.database_trouble()
        checks = [
            Check("database", not trouble, trouble),
            Check("scheduler", self.scheduler.running, "" if self.scheduler.running else "调度器没有运行"),
        ]
        if self.snapshot is None:
            checks.append(Check("first_look", False, "启动后尚未读取数据库"))
        else:
            checks += [
                Check(f"source:{s.source}", not s.failing, "最近一次采集失败" if s.failing else "", needed=False)
                for s in self.snapshot.sources
            ]
        return HealthReport(checks)

    def database_trouble(self) -> str:
        """What the database said to whom it refused, or that it has not answered for long; empty: all is well."""
        silent = monotonic() - self.looked_at
        if silent > LONGEST_LOOK:
            return f"数据库已有 {silent:.0f} 秒没有应答"
        return next(iter(list(self.scheduler.refused.values())), self.push_refused)

    def push_stored(self, source: str, counts: StoredCounts, rejects: Mapping[str, int]) -> None:
        self.push_refused = ""
        self.metrics.observations(source, counts, rejects)

    def request_refused(self, reason: str) -> None:
        """A request failed by the database; a picture that can write takes the trouble back."""
        self.push_refused = f"数据库拒绝了一次请求（{reason}）"
        self.metrics.store_error(reason)

    def give_up(self, why: str) -> None:
        """Work must not go on: another daemon has the database, or it is not there any more."""
        log.critical("this daemon stops: %s", why)
        self.must_stop = why
        self.scheduler.stopping.set()
        self.on_must_stop()

    def configured_sources(self) -> Sequence[ConfiguredSource]:
        return [ConfiguredSource(s.name, s.kind, demo=s.kind == "demo") for s in self.config.source if s.enabled]

    def report_maker(self) -> Maker:
        """Makes reports by the configuration and catalogue now in force."""
        return Maker(self.db, self.policy.catalogue, self.config.reports, self.config.zone)

    def schedule(self) -> None:
        """Bring the jobs into line with the configuration: what is new is added, what is gone is removed."""
        base, every = self.config.base, self.config.detection.every
        self.channels = {c.name: build_channel(c, base) for c in self.config.channel}
        asked = [s for s in self.config.source if s.enabled and not isinstance(s, PushOptions)]
        self.collectors = {s.name: collector_of(s, base, self.scheduler.stopping) for s in asked}
        add = self.scheduler.add
        before = self.scheduler.names
        add("evaluate", partial(jobs.evaluate, self), every=every)
        add("watch", partial(jobs.watch, self), every=WATCH_EVERY)
        add("picture", partial(jobs.picture, self), every=PICTURE_EVERY, pool="watch")
        add("tidy", partial(jobs.tidy, self), every=TIDY_EVERY, pool="watch")
        add("duties", partial(jobs.duties, self), every=DUTIES_EVERY, pool="watch")
        add("reports", partial(jobs.reports, self), every=REPORTS_EVERY, pool="watch")
        for one in asked:
            work = partial(jobs.collect, self, self.collectors[one.name])
            # a cron line says when; an interval begins at once
            add(
                f"collect:{one.name}",
                work,
                every=one.every,
                cron=one.cron,
                zone=ZoneInfo(one.timezone),
                pool=COLLECT,
                at_once=not one.cron,
            )
        for name, channel in self.channels.items():
            add(f"send:{name}", partial(jobs.send, self, channel), every=SEND_EVERY, pool=SEND)
        wanted = {f"collect:{s.name}" for s in asked} | {f"send:{n}" for n in self.channels}
        for name in before - wanted - ALWAYS:
            self.scheduler.remove(name)
        self.declare()

    def declare(self) -> None:
        """Tell the metrics what there is, so that zeros show before the first event."""
        intervals: dict[str, float | None] = {
            "evaluate": self.config.detection.every.total_seconds(),
            "watch": WATCH_EVERY.total_seconds(),
            "picture": PICTURE_EVERY.total_seconds(),
            "tidy": TIDY_EVERY.total_seconds(),
            "duties": DUTIES_EVERY.total_seconds(),
            "reports": REPORTS_EVERY.total_seconds(),
        }
        intervals |= {f"send:{name}": SEND_EVERY.total_seconds() for name in self.channels}
        for s in self.config.source:
            if s.name in self.collectors:
                intervals[f"collect:{s.name}"] = s.every.total_seconds() if s.every else None
        rules = [rule.id for pack in self.policy.packs for rule in pack.rules]
        sources = [s.name for s in self.config.source if s.enabled]
        self.metrics.declare(sources=sources, channels=self.channels, rules=rules, jobs=intervals)
        packs = (*self.policy.packs, *self.policy.exits)
        plans = {p.id: p.version for p in self.policy.plans.values()} | {p.id: p.version for p in packs}
        self.metrics.build(version("price-risk-monitor"), self.db.dialect, plans)

    def reload(self) -> None:
        """SIGHUP: take the new configuration, or keep the old one and say every fault."""
        report = check(self.config.path)
        if report.config is None or report.policy is None or report.faults:
            for fault in report.faults:
                log.error("the new configuration is refused, the old one stays: %s", fault)
            self.metrics.reloaded(False)
            return
        for table in FROM_THE_START:
            if getattr(report.config, table) != getattr(self.started_with, table):
                log.warning("[%s] has changed: that comes into force at the next start, the rest now", table)
        kept = {table: getattr(self.config, table) for table in FROM_THE_START}
        before = self.config, self.policy
        try:
            self.take_over(report.config.model_copy(update=kept), report.policy)
        except Exception:  # check() found no fault: the fault is ours
            log.exception("the new configuration cannot be used by a fault in the program, the old one stays")
            self.take_over(*before)
            self.metrics.reloaded(False)
            return
        self.metrics.reloaded(True)
        log.info("the new configuration is in force (policy %s)", self.policy.version)

    def take_over(self, config: Config, policy: Policy) -> None:
        self.config, self.policy = config, policy
        self.evaluation.adopt(config, policy)
        self.entry = tools(config.entry, policy.catalogue, config.source, config.base)
        self.schedule()


def nothing(_db: Database, _now: datetime) -> None:
    """No preparation."""


@contextmanager
def running(
    config: Config,
    policy: Policy,
    clock: Callable[[], datetime] = system_clock,
    prepare: Callable[[Database, datetime], None] = nothing,
) -> Iterator[App]:
    """The daemon, from lock to listening; everything is taken down in reverse order at the end.

    It is ready to warn before its pages are loaded: that is done last, and who asks for a page meanwhile waits.

    `prepare` is called with the locked database just before anybody is listened to, when nothing else can fail.
    Raises StoreError, AlreadyRunning, or OSError where the address is taken.
    """
    with ExitStack() as stack:
        db = open_database(config.database_url(), base=config.base)
        stack.callback(db.close)
        keep_lock = stack.enter_context(daemon_lock(db))
        outbox.recover(db, clock())
        listener = bind(config.web.host, config.web.port)
        stack.callback(listener.close)
        app = App(config, policy, db, clock)
        app.keep_lock = keep_lock
        app.listens_on(listener.getsockname()[1])
        api = create_api(web_context(app))
        server = make_server(api)
        web = Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        jobs.picture(app)
        prepare(db, clock())
        app.schedule()
        web.start()
        stack.callback(stop, app, server, web)
        while web.is_alive() and not server.started:  # else its start takes turns with the first run of every job
            sleep(0.005)
        app.scheduler.start()
        load_pages(api)
        yield app


def stop(app: App, server: Server, web: Thread) -> None:
    """End jobs and requests at the same time, so that both together take no longer than STOP_WITHIN."""
    end = monotonic() + STOP_WITHIN
    server.should_exit = True
    left = app.scheduler.stop(STOP_WITHIN)
    web.join(max(0.1, end - monotonic()))
    if left:
        log.warning("still under way at the end, done again after the next start: %s", ", ".join(left))


def web_context(app: App) -> WebContext:
    config = app.config
    return WebContext(
        db=app.db,
        settings=config.web,
        clock=app.clock,
        render_metrics=app.metrics.render,
        health=app.health,
        on_observations=lambda: app.scheduler.wake("evaluate"),
        on_stored=app.push_stored,
        on_store_error=app.request_refused,
        sources=app.configured_sources,
        classes=lambda: app.policy.catalogue.classes,
        policy=lambda: app.policy,
        report_maker=app.report_maker,
        areas=lambda: app.config.area,
        entry=lambda: app.entry,
        installation=config.installation.name,
        city=config.installation.city,
        base=config.base,
        zone=config.zone,
        language=config.installation.language,
    )
