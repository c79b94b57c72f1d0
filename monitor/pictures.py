"""Reading the snapshot that metrics and health show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.roster import Duty
from monitor.evaluation import cadences
from monitor.snapshot import Latest, Newest, Snapshot, SourceHealth
from monitor.store import dirty, flags, outbox, people, sources

if TYPE_CHECKING:
    from monitor.app import App


def take(app: App) -> Snapshot:
    """The stored state now. Raises StoreError."""
    now = app.clock()
    waiting, oldest = dirty.waiting(app.db)
    waited = outbox.oldest_pending(app.db, now)
    roster = people.roster_at(app.db, now)
    newest, latest = observed(app)
    return Snapshot(
        at=now.timestamp(),
        newest=newest,
        latest=latest,
        sources=source_health(app),
        flags=flag_counts(app),
        evaluation_oldest=oldest.timestamp() if oldest else None,
        evaluation_waiting=waiting,
        messages=outbox.counts(app.db),
        messages_oldest={channel: now.timestamp() - seconds for channel, seconds in waited.items()},
        duty_gap={duty.value: not roster.on_duty(duty, now) for duty in Duty},
    )


def flag_counts(app: App) -> dict[tuple[str, str, str, str], int]:
    """{(state, grade, kind, rule): flags}."""
    return {(c.state, c.grade, c.kind, c.rule): c.count for c in flags.count_flags(app.db)}


def observed(app: App) -> tuple[list[Newest], list[Latest]]:
    """Newest values from memory: the same as in the database, without reading it."""
    catalogue = app.policy.catalogue
    held = [one for one in list(app.evaluation.memory.series.values()) if len(one.at)]
    if not held:
        return [], []
    every = cadences(held, app.config.source, catalogue)
    ages: dict[tuple[str, str], float] = {}
    expected: dict[tuple[str, str], float] = {}
    latest: list[Latest] = []
    for place, one in enumerate(held):
        times, values = one.at, one.value
        if not len(times) or not len(values):  # an evaluation is reading them anew at this moment
            continue
        at = float(times[-1])
        group = (one.source, catalogue.classify(one.key).name)
        ages[group] = max(ages.get(group, 0.0), at)
        if place in every:  # the group's newest value is as young as its most frequent series lets it be
            within = float(every[place].every + every[place].grace)
            expected[group] = min(expected.get(group, within), within)
        latest.append(Latest(one.key, one.area, one.source, float(values[-1]), at))
    return [Newest(*group, at, expected.get(group)) for group, at in ages.items()], latest


def source_health(app: App) -> list[SourceHealth]:
    known = sources.read_sources(app.db)
    kinds = {s.name: s.kind for s in app.config.source if s.enabled}
    return [
        SourceHealth(
            name,
            failing=bool(state and state.failing_since),
            last_success=state.last_success_at.timestamp() if state and state.last_success_at else None,
            simulated=kinds.get(name) == "demo",
        )
        for name in sorted({*kinds, *known})
        for state in [known.get(name)]
    ]
