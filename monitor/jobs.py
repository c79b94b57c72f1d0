"""The data flow on one page.

    collect   source -> observations            one job per source, each in its own thread
    evaluate  observations -> flags, messages   one transaction per evaluation
    send      messages -> phones                one job per channel, each in its own thread
    watch     the clock -> silence, duty gaps
    picture   database -> metrics and health
    reports   observations -> drafts of the daily and the weekly report
    duties    observations -> who reports what by when, and how complete the last days are
    tidy      what is kept only for a while

Every job reads what it works on from the database and writes what it did there; a crash between two jobs loses
nothing, since the next run finds the rows.
"""

from __future__ import annotations

import logging
import random
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from alerts.channels.base import Channel
from alerts.outbox import Outcome, State, deliver
from collectors.base import CollectError, Collector, Fetched
from monitor.pictures import take
from monitor.reporting import make_due
from monitor.store import batches, forms, observations, outbox, sessions, sources, uploads
from monitor.store import duties as due
from monitor.store.errors import StoreError
from monitor.store.lock import AlreadyRunning, DatabaseMoved

if TYPE_CHECKING:
    from monitor.app import App

log = logging.getLogger(__name__)

ANSWERS_KEPT = timedelta(hours=48)
FORMS_KEPT = timedelta(days=90)
CLOCK_TOLERANCE = 5.0
"""Seconds by which the clock may differ from the steady one between two looks before it counts as a jump."""


def collect(app: App, collector: Collector) -> None:
    """Fetch one source and store what it brought, piece by piece, each with the cursor in one transaction."""
    now, begin, name = app.clock(), monotonic(), collector.name
    sources.attempted(app.db, name, now)
    outcome = "ok"
    try:
        for fetched in collector.fetch(sources.read_source(app.db, name).cursor, now):
            keep(app, name, fetched)
            if is_stale(app, name, fetched, now):
                outcome = "stale"
            if app.scheduler.stopping.is_set():
                return  # the cursor says where to go on
    except CollectError as error:
        if app.scheduler.stopping.is_set():
            return  # it was interrupted by us and has not failed
        sources.failed(app.db, name, app.clock(), error.reason, str(error))
        app.metrics.fetch(name, error.reason, monotonic() - begin)
        log.warning("source %s failed (%s), what it had sent before is kept: %s", name, error.reason, error)
        return
    except StoreError:
        raise  # not the source's fault
    except Exception as error:  # a bug: the scheduler logs it, but the source must not look well meanwhile
        sources.failed(app.db, name, app.clock(), "bug", f"{type(error).__name__}: {error}")
        app.metrics.fetch(name, "bug", monotonic() - begin)
        raise
    sources.succeeded(app.db, name, app.clock())
    app.metrics.fetch(name, outcome, monotonic() - begin)


def is_stale(app: App, name: str, fetched: Fetched, now: datetime) -> bool:
    """Whether a source keeps sending what it sent before although news is due: last month's file once more."""
    due = next((s.cadence + (s.grace or s.cadence) for s in app.config.source if s.name == name and s.cadence), None)
    if fetched.stale_since is None or due is None or fetched.stale_since >= now - due:
        return False
    log.warning(
        "source %s answers, but with nothing newer than %s: it is counted as stale and its silence is flagged",
        name,
        fetched.stale_since.isoformat(),
    )
    return True


def keep(app: App, name: str, fetched: Fetched) -> None:
    """Store one piece, then let the source settle it (move a file, for instance)."""
    added = observations.add(
        app.db,
        fetched.batch,
        source=name,
        name=fetched.name,
        now=app.clock(),
        rejects=fetched.rejects,
        cursor=fetched.cursor,
        unlisted=sum(fetched.more.values()),
    )
    app.metrics.observations(name, added.counts, fetched.reasons)
    fetched.settled(added.counts)
    counts = added.counts
    if counts.rejected and not counts.accepted + counts.revised + counts.duplicate:
        first = fetched.rejects[0]
        log.warning(
            "source %s: %s: nothing of it could be used, %d rejected; the first by reason %s: %.300s",
            name,
            fetched.name,
            counts.rejected,
            first.reason,
            first.detail,
        )
    if counts.accepted or counts.revised:
        log.info(
            "source %s: %s: accepted %d, duplicate %d, revised %d, rejected %d",
            name,
            fetched.name,
            counts.accepted,
            counts.duplicate,
            counts.revised,
            counts.rejected,
        )
        app.scheduler.wake("evaluate")


def evaluate(app: App) -> None:
    """Flags of the items that changed, with their messages."""
    changes = app.evaluation.evaluate(app.clock())
    announce(app, len(changes))


def watch(app: App) -> None:
    """What arises from the clock alone."""
    changes = app.evaluation.watch(app.clock())
    announce(app, len(changes))
    step = app.clock_step()
    if abs(step) > CLOCK_TOLERANCE:
        app.metrics.clock_step(step)
        log.warning("the system clock jumped by %.0f s; due times are judged by the new one", step)


def announce(app: App, changes: int) -> None:
    if not changes:
        return
    log.info("%d flags changed", changes)
    app.scheduler.wake("picture")
    for channel in app.channels:
        app.scheduler.wake(f"send:{channel}")


def send(app: App, channel: Channel) -> None:
    """Send what is due on one channel."""
    outcomes = deliver(
        outbox.Outbox(app.db),
        channel,
        app.clock,
        app.config.alerts.retry,
        owner=app.owner,
        random=random.random,
        stop=app.scheduler.stopping.is_set,
    )
    for one in outcomes:
        count(app, one)


def count(app: App, one: Outcome) -> None:
    result = "sent" if one.state is State.SENT else one.reason
    app.metrics.send(one.channel, result, one.took.total_seconds(), one.waited.total_seconds())
    if one.state in (State.FAILED, State.EXPIRED):
        app.metrics.gave_up(one.channel, one.reason)


def picture(app: App) -> None:
    """Read what metrics and health show, so that neither ever waits for the database; and stay the only daemon."""
    try:
        app.keep_lock()
    except (AlreadyRunning, DatabaseMoved) as error:
        app.give_up(str(error))
        return
    app.snapshot = take(app)
    app.looked_at = monotonic()
    if app.push_refused:
        sources.prove_writable(app.db)
        app.push_refused = ""


def reports(app: App) -> None:
    """Drafts of the reports that are due: a row in the database says which were made."""
    make_due(app.report_maker(), app.clock())


def duties(app: App) -> None:
    """Who has to report what by when, and how complete the last days were."""
    tools = app.entry
    now = app.clock()
    due.refresh(app.db, app.config.zone, tools.options, tools.sources, tools.catalogue, now, tools.workdays)
    today = now.astimezone(app.config.zone).date()
    if today != app.workdays_looked_at:
        app.workdays_looked_at = today
        if not tools.workdays.is_known(today):
            log.warning(
                "the arrangement of holidays and working days of %s is not known: reports due on working days only go"
                " by weekends and the statutory days; add the State Council's notice to a file, [entry] workdays",
                today,
            )


def tidy(app: App) -> None:
    """Forget answers that no repeat will ask for any more, and uploads that expired; expire messages to channels that
    are gone."""
    now = app.clock()
    batches.forget_answers(app.db, now - ANSWERS_KEPT)
    forms.forget(app.db, now - FORMS_KEPT)
    uploads.forget(app.db, now)
    sessions.tidy(app.db, now)
    for expired in outbox.tidy(app.db, None, now, app.config.alerts.retry).expired:
        app.metrics.gave_up(expired.channel, "expired")
        log.error("a message to channel %s expired unsent; see its flag for who was not told", expired.channel)
