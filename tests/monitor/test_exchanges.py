"""Rows of a point in each other's place: the daemon judges both items, however their values arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from monitor.config_model import Config
from monitor.evaluation import Evaluation
from monitor.exchanges import EVER, exchanged_items
from monitor.memory import Held
from monitor.metrics import Metrics
from monitor.reproduce import reproduce
from monitor.store import observations
from monitor.store.database import Database
from monitor.store.flag_states import flag_states
from monitor.store.flags import FlagFilter, list_flags
from thresholds.detect import detect
from thresholds.model import Flag, Observation, ObservationBatch, SeriesKey
from thresholds.panel import DAY, Panel
from thresholds.plan_files import load_policy

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DIESEL, PETROL, RICE = (
    SeriesKey(item, "", unit, "零售", "东站")
    for item, unit in (("柴油", "元/升"), ("汽油", "元/升"), ("大米", "元/500克"))
)


def evaluation_of(db: Database, folder: Path) -> Evaluation:
    policy, faults = load_policy()
    assert policy is not None, faults
    return Evaluation(db, Config().read_from(folder / "config.toml"), policy, Metrics(lambda: NOW))


def days(key: SeriesKey, values: list[float], first: int = 0) -> list[Observation]:
    return [Observation(key, NOW + timedelta(days=first + n - 20), v, area="甲区") for n, v in enumerate(values)]


def store(db: Database, rows: list[Observation]) -> None:
    observations.add(db, ObservationBatch.of(rows), source="test", name="rows", now=NOW)


def standing(db: Database) -> list[Flag]:
    return [
        r.flag
        for r in list_flags(db, FlagFilter(kinds=["move", "data"]), limit=1000)
        if r.flag.end_reason != "corrected"
    ]


def told(db: Database) -> set[tuple[str, str]]:
    return {(f.item, f.rule) for f in standing(db)}


def test_the_second_of_two_rows_makes_the_first_one_doubtful(sqlite_db: Database, tmp_path: Path) -> None:
    """Diesel at the price of petrol; an hour later comes petrol at that of diesel: both are asked about, no move."""
    evaluation = evaluation_of(sqlite_db, tmp_path)
    store(sqlite_db, days(DIESEL, [5.0] * 9) + days(PETROL, [7.0] * 9))
    evaluation.evaluate(NOW)
    store(sqlite_db, days(DIESEL, [7.0], first=9))
    evaluation.evaluate(NOW)
    assert ("柴油", "gate/swapped") not in told(sqlite_db)
    store(sqlite_db, days(PETROL, [5.0], first=9))
    evaluation.evaluate(NOW)
    assert told(sqlite_db) == {("柴油", "gate/swapped"), ("汽油", "gate/swapped")}
    for flag in standing(sqlite_db):
        again = reproduce(sqlite_db, flag_states(sqlite_db, flag.id)[-1])
        assert again.identical, again.differences


def test_what_was_in_each_others_place_before_the_start_is_known_after_it(
    sqlite_db: Database, tmp_path: Path
) -> None:
    """A daemon that was started since, and hears of one of the two only, does not withdraw the question."""
    store(sqlite_db, days(DIESEL, [5.0] * 9 + [7.0, 5.0]) + days(PETROL, [7.0] * 9 + [5.0, 7.0]))
    evaluation_of(sqlite_db, tmp_path).evaluate(NOW)
    assert told(sqlite_db) == {("柴油", "gate/swapped"), ("汽油", "gate/swapped")}
    store(sqlite_db, days(DIESEL, [5.01, 5.02], first=8)[:1] + days(DIESEL, [5.02], first=11))
    evaluation_of(sqlite_db, tmp_path).evaluate(NOW)
    assert told(sqlite_db) == {("柴油", "gate/swapped"), ("汽油", "gate/swapped")}


@pytest.mark.parametrize("seed", range(4))
def test_however_values_arrive_the_flags_are_those_of_the_whole(
    sqlite_db: Database, tmp_path: Path, seed: int
) -> None:
    """Three items of one point whose rows change places now and then, with corrections, in pieces out of order."""
    random = Random(seed)
    level = {DIESEL: 5.0, PETROL: 7.0, RICE: 3.0}
    rows: list[Observation] = []
    for n in range(20):
        sheet = dict(level)
        if n > 3 and random.random() < 0.3:
            one, other = random.sample(list(level), 2)
            sheet[one], sheet[other] = sheet[other], sheet[one]
        rows += [o for key, value in sheet.items() for o in days(key, [value], first=n)]
    wrong = [Observation(o.key, o.at, 9.9, area=o.area) for o in random.sample(rows, 6)]
    right = [o for o in rows if (o.key, o.at) in {(w.key, w.at) for w in wrong}]
    pieces = [[o] for o in wrong] + [rows[n::7] for n in range(7)] + [[o] for o in right]
    head, tail = pieces[:-6], pieces[-6:]
    random.shuffle(head)
    evaluation = evaluation_of(sqlite_db, tmp_path)
    for piece in head + tail:
        store(sqlite_db, piece)
        evaluation.evaluate(NOW)
    batch = ObservationBatch.of(rows)
    panel = Panel.build(batch.keys, batch.areas, batch.series, batch.at, batch.value)
    policy, _ = load_policy()
    assert policy is not None
    flags = detect(panel, policy, NOW, silence=False).flags
    assert {f.rule for f in flags} >= {"gate/swapped"}
    stored = standing(sqlite_db)
    assert {(f.id, f.reason, f.end) for f in stored} >= {(f.id, f.reason, f.end) for f in flags}
    assert all(f.end for f in stored if f.id not in {one.id for one in flags})  # over before it was corrected


def held(number: int, item: str, values: list[float], first: int = 0) -> Held:
    at = np.arange(first, first + len(values), dtype=np.int64) * DAY
    key = SeriesKey(item, "", "元/升", "零售", "东站")
    return Held(number, key, "甲区", "test", at, np.array(values), np.zeros(len(values), np.uint8))


def test_only_rows_that_are_asked_about_are_looked_at() -> None:
    """From the second on that is given, in either of the two series; sheets are looked at whole."""
    both = [held(1, "柴油", [5.0, 5.0, 7.0]), held(2, "汽油", [7.0, 7.0, 5.0])]
    assert list(exchanged_items(both, {1: EVER})) == list(exchanged_items(both, {2: 2 * DAY})) == [("柴油", "汽油")]
    assert list(exchanged_items(both, {1: 3 * DAY})) == list(exchanged_items(both, {})) == []
    more = [*both, held(3, "大米", [5.0, 5.0, 7.0])]
    assert list(exchanged_items(more, {3: EVER})) == [("柴油", "汽油"), ("汽油", "大米")]
