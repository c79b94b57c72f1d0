"""What changed -> flags: the items with new or corrected observations are evaluated and reconciled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection

from alerts.notify import NotifyOptions, Reason, compose
from collectors.base import Expectation, SourceOptions
from monitor.config_model import Config
from monitor.exchanges import Exchanges
from monitor.memory import Held, KeysByItem, Memory
from monitor.metrics import Metrics
from monitor.passing import Passing
from monitor.regime import program_version, regime_text
from monitor.store import outbox, people
from monitor.store.database import Database
from monitor.store.demo import is_demo_source
from monitor.store.dirty import Dirty, waiting
from monitor.store.flags import FlagChange, save_evaluation
from monitor.store.policies import keep_policy
from monitor.store.records import read_records
from monitor.store.stamps import Stamp
from thresholds.catalogue import Catalogue, is_basket, point_in_basket
from thresholds.model import Flag, Kind, SeriesKey
from thresholds.plan import Policy
from thresholds.restart import WHOLE, Restart
from thresholds.together import Together

if TYPE_CHECKING:  # numba behind it is loaded when the first evaluation runs, not at start
    from thresholds.panel import Panel
    from thresholds.silence import Cadence

log = logging.getLogger(__name__)

AGAIN = timedelta(days=30)
"""how long after its resumption a silence is still looked at by the watch, so that its end is written down"""
ITEMS_AT_ONCE = 200


def public_url(config: Config) -> str:
    """Where links in messages lead."""
    web = config.web
    host = f"[{web.host}]" if ":" in web.host else web.host
    return web.public_url or f"http://{host}:{web.port}"


def batches(groups: Iterable[frozenset[str]], items: int) -> Iterator[list[frozenset[str]]]:
    """Whole groups, so many that they hold at least `items` items; the last ones may hold fewer."""
    some: list[frozenset[str]] = []
    for group in groups:
        some.append(group)
        if sum(map(len, some)) >= items:
            yield some
            some = []
    if some:
        yield some


class Evaluation:
    """Evaluates what is marked. One thread at a time (`lock`), since it feeds the memory."""

    def __init__(self, db: Database, config: Config, policy: Policy, metrics: Metrics) -> None:
        self.db, self.metrics = db, metrics
        self.config, self.policy = config, policy
        self.next = config, policy
        self.files = policy
        """the policy as it was read from files; `policy` holds what people recorded besides"""
        self.memory = Memory(config.zone)
        self.exchanges = Exchanges()
        self.passing = Passing(policy, config.installation.city)
        self.loaded = False
        self.lock = Lock()
        self.kept: dict[tuple[str, str], str] = {}
        """policies and settings that are stored: (version, text of the settings) -> digest of that text"""

    def adopt(self, config: Config, policy: Policy) -> None:
        """A new configuration, from the next evaluation on, without looking back at flags that are over.

        Does not wait for the evaluation under way: its database may hang, and a stop must be heard meanwhile.
        """
        self.next = config, policy

    def oldest(self, now: datetime) -> datetime:
        return now - self.config.detection.history

    def turn(self) -> None:
        """What was adopted comes into force."""
        config, policy = self.next
        if config.detection.history > self.config.detection.history:
            self.loaded = False  # what lies further back is read when it is next needed
        if policy is not self.files:
            self.exchanges = Exchanges()  # what is a price is for the catalogue to say
            self.files = self.policy = policy
            self.passing = Passing(policy, config.installation.city)
        if (config.installation.city, config.zone) != (self.config.installation.city, self.config.zone):
            self.passing = Passing(policy, config.installation.city)  # flags are named and counted in other ways
        self.config = config
        self.memory.zone = config.zone

    def load(self, now: datetime) -> list[Dirty]:
        marks = self.memory.load(self.db, self.oldest(now))
        self.exchanges = Exchanges()
        self.passing = Passing(self.files, self.config.installation.city)
        self.loaded = True
        return marks

    def stamp(self, now: datetime) -> Stamp:
        """What is evaluated now rests on this. A policy or settings not met before are stored first."""
        city, zone = self.config.installation.city, self.config.installation.timezone
        regime = self.policy.version, regime_text(city, zone, self.config.source, self.policy.records)
        if regime not in self.kept:
            self.kept[regime] = keep_policy(self.db, self.policy, regime[1], now)
        memory = self.memory
        return Stamp(regime[0], self.kept[regime], memory.revision, memory.since, program_version())

    def evaluate(self, now: datetime) -> list[FlagChange]:
        """Evaluate all items that have marked series. Raises StoreError: the marks stay, the next turn does it."""
        with self.lock:
            self.turn()
            if not self.loaded and not waiting(self.db)[0]:
                return []
            marks = self.memory.refresh(self.db) if self.loaded else self.load(now)
            # entered meanwhile: then what it concerns is marked anew
            self.policy = replace(self.files, records=(*self.files.records, *read_records(self.db)))
            changes: list[FlagChange] = []
            by_item: dict[str, list[int]] = {}
            for place, mark in enumerate(marks):
                by_item.setdefault(self.memory.series[mark.series_id].key.item, []).append(place)
            # what is judged with others (ratios, classes, publishers of counts, rows in each other's place) is news
            # for all of them
            self.exchanges.learn(self.memory, self.policy.catalogue, {m.series_id: m.since_at for m in marks})
            together = Together(self.policy, KeysByItem(self.memory), self.exchanges.items).groups(by_item)
            news = {item: min(marks[p].since_at for p in places) for item, places in by_item.items()}
            plan = self.passing.plan(list(together), self.memory, news, self.policy.records)
            passed = [marks[p] for group in plan.passed for item in group for p in by_item.get(item, ())]
            self.pass_over(passed, now)
            for some in batches(plan.evaluated, ITEMS_AT_ONCE):
                since: dict[str, int] = {}
                chosen: list[Dirty] = []
                for group in some:
                    own = [marks[p] for item in group & by_item.keys() for p in by_item[item]]
                    since |= dict.fromkeys(group, min(mark.since_at for mark in own))
                    chosen += own
                changes += self.evaluate_items(sorted(since), since, chosen, now, plan.begins)
            return changes

    def pass_over(self, marks: Sequence[Dirty], now: datetime) -> None:
        """What came can mean nothing: the marks are answered, and the stored flags stay as they are."""
        if marks:
            save_evaluation(
                self.db,
                (),
                items=(),
                since={},
                dirty=marks,
                now=now,
                notify=self.notifier(now),
                stamp=self.stamp(now),
            )

    def evaluate_items(
        self,
        items: Sequence[str],
        since: dict[str, int],
        marks: Sequence[Dirty],
        now: datetime,
        begins: Mapping[str, Restart],
    ) -> list[FlagChange]:
        """Evaluate these items, from `begins` on those that it names, and reconcile their flags."""
        from thresholds.detect import detect  # numba and its kernels: loaded when first needed, not at start

        panel, held = self.memory.panel(items)
        starts = [begins.get(h.key.item, WHOLE) for h in held]
        detection = detect(
            panel,
            self.policy,
            now,
            city=self.config.installation.city,
            zone=self.config.zone,
            silence=False,
            since=np.array([r.since for r in starts], np.int64) if begins.keys() & set(items) else None,
            asked=np.array([r.asked for r in starts], np.int64),
        )
        self.metrics.evaluation(detection.seconds)
        for rule, error in detection.failed.items():
            self.metrics.rule_failed(rule)
            log.error("rule %s failed and was left out of this evaluation, the others went on: %s", rule, error)
        changes = save_evaluation(
            self.db,
            detection.flags,
            items=set(items),
            since=since,
            dirty=marks,
            now=now,
            notify=self.notifier(now),
            kinds=(Kind.MOVE, Kind.DATA),
            stamp=self.stamp(now),
        )
        self.passing.evaluated(items, begins, detection.flags)
        self.passing.judged(panel, held, detection.status)
        return changes

    def watch(self, now: datetime) -> list[FlagChange]:
        """Look by the clock for data that did not come: silence needs no new observation to arise."""
        with self.lock:
            self.turn()
            if not self.loaded:
                self.load(now)
            panel, held = self.memory.panel()
            flags = self.silences(panel, held, now) if held else []  # without data the kernels need not be in memory
            items = {*self.memory.by_item, ""}  # a silent point is a flag about no single item
            return save_evaluation(
                self.db,
                flags,
                items=items,
                since=dict.fromkeys(items, 0),
                dirty=(),
                now=now,
                notify=self.notifier(now),
                kinds=(Kind.SILENCE,),
                stamp=self.stamp(now),
            )

    def silences(self, panel: Panel, held: Sequence[Held], now: datetime) -> list[Flag]:
        """Flags of the series and points that have fallen silent."""
        from thresholds.silence import silence_flags

        return silence_flags(
            panel,
            [self.policy.catalogue.classify(h.key) for h in held],
            self.policy,
            int(now.timestamp()),
            cadences=cadences(held, self.config.source, self.policy.catalogue),
            axis=None,
            zone=self.config.zone,
            resumed_since=int((now - AGAIN).timestamp()),
        )

    def notifier(self, now: datetime) -> Callable[[Connection, Sequence[FlagChange]], None]:
        """What tells people of changes, within the transaction that stores them."""
        options: NotifyOptions = self.config.alerts
        channels = [c.name for c in self.config.channel]

        def notify(connection: Connection, changes: Sequence[FlagChange]) -> None:
            composed = compose(
                changes,
                roster=people.roster_in(connection, int(now.timestamp()), int(now.timestamp()) + 1),
                told=outbox.told(connection, [c.flag.id for c in changes]),
                channels=channels,
                options=options,
                public_url=public_url(self.config),
                zone=self.config.zone,
                now=now,
                is_demo=self.is_demo,
            )
            outbox.enqueue(connection, composed.notifications)
            for reason, count in composed.reasons.items():
                self.metrics.told_otherwise(str(reason), count)
                if reason in (Reason.NO_TARGET, Reason.NO_CONTACT, Reason.NO_ONE_ON_DUTY, Reason.TEMPLATE_ERROR):
                    log.warning("%d flag changes: %s (%s)", count, reason, CONSEQUENCES[reason])

        return notify

    def is_demo(self, flag: Flag) -> bool:
        """Whether a flag rests on simulated data; one about no single item is judged by its points."""
        if is_basket(flag.item):
            held = [h for h in self.memory.series.values() if point_in_basket(h.key) in flag.points]
        elif flag.item:
            held = [self.memory.series[i] for i in self.memory.by_item.get(flag.item, ())]
        else:
            held = [h for h in self.memory.series.values() if h.key.point in flag.points]
        return any(is_demo_source(h.source) for h in held)


CONSEQUENCES = {
    Reason.NO_TARGET: "nobody is told: add people and shifts, or [alerts] default_targets",
    Reason.NO_CONTACT: "the default targets are told too: add a contact with `monitor roster`",
    Reason.NO_ONE_ON_DUTY: "the default targets are told: add shifts with `monitor roster`",
    Reason.TEMPLATE_ERROR: "the plain text went out: correct the template under [alerts.templates]",
}


def cadences(held: Sequence[Held], sources: Sequence[SourceOptions], catalogue: Catalogue) -> dict[int, Cadence]:
    """Configured reporting intervals by place in `held`; the most particular expectation of the source counts."""
    from thresholds.silence import Cadence

    by_name = {s.name: s for s in sources}
    found: dict[int, Cadence] = {}
    for place, one in enumerate(held):
        options = by_name.get(one.source)
        if options is None:
            continue
        fits = [e for e in options.expect if applies(e, one.key, catalogue)]
        nearest = max(fits, key=particular, default=None)
        every = nearest.cadence if nearest else options.cadence
        grace = (nearest.grace if nearest else options.grace) or timedelta()
        if every is not None:
            found[place] = Cadence(int(every.total_seconds()), int(grace.total_seconds()))
    return found


def applies(expected: Expectation, key: SeriesKey, catalogue: Catalogue) -> bool:
    """Whether a series matches all fields that are given."""
    if expected.item_class and expected.item_class not in catalogue.classify(key).chain:
        return False
    return expected.item in ("", key.item) and expected.point in ("", key.point)


def particular(expected: Expectation) -> int:
    """How many fields an expectation names."""
    return sum(map(bool, (expected.item, expected.item_class, expected.point)))
