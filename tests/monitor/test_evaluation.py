"""The evaluation of what was stored: marks in, flags out, the same as on the whole history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.config_model import Config
from monitor.evaluation import Evaluation
from monitor.metrics import Metrics
from monitor.store import observations
from monitor.store.database import Database
from monitor.store.dirty import waiting
from monitor.store.flags import FlagFilter, list_flags
from thresholds.model import Observation, ObservationBatch, SeriesKey
from thresholds.plan import load_policy

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def evaluation_of(db: Database, folder: Path) -> Evaluation:
    policy, faults = load_policy()
    assert policy is not None, faults
    config = Config().read_from(folder / "config.toml")
    return Evaluation(db, config, policy, Metrics(lambda: NOW))


def store(db: Database, rows: list[Observation]) -> None:
    observations.add(db, ObservationBatch.of(rows), source="test", name="rows", now=NOW)


def weekly(item: str, unit: str, values: list[float]) -> list[Observation]:
    key = SeriesKey(item, "", unit, "", "全国")
    first = NOW - timedelta(weeks=len(values))
    return [Observation(key, first + timedelta(weeks=n), v, area="全国") for n, v in enumerate(values)]


def test_a_ratio_is_judged_when_the_second_of_its_items_arrives(sqlite_db: Database, tmp_path: Path) -> None:
    """The hog's price alone says nothing; the maize price, stored later, makes the ratio of both known."""
    evaluation = evaluation_of(sqlite_db, tmp_path)
    store(sqlite_db, weekly("生猪", "元/千克", [19.6, 18.2, 16.2]))
    evaluation.evaluate(NOW)
    assert list_flags(sqlite_db, FlagFilter(rule="pork2021/fall-3"), limit=10) == []
    store(sqlite_db, weekly("玉米", "元/千克", [2.8, 2.8, 2.8]))
    evaluation.evaluate(NOW)
    (record,) = list_flags(sqlite_db, FlagFilter(rule="pork2021/fall-3"), limit=10)
    assert record.flag.item == "生猪"
    assert waiting(sqlite_db)[0] == 0


def test_nothing_marked_is_nothing_done(sqlite_db: Database, tmp_path: Path) -> None:
    """Without new observations an evaluation changes nothing."""
    evaluation = evaluation_of(sqlite_db, tmp_path)
    assert evaluation.evaluate(NOW) == []


def test_a_correction_withdraws_the_flag_that_rested_on_the_old_value(sqlite_db: Database, tmp_path: Path) -> None:
    """A revision of the flagged quote: the flag is over, with the reason that it was corrected."""
    evaluation = evaluation_of(sqlite_db, tmp_path)
    key = SeriesKey("大米", "", "元/500克", "零售", "东市场")
    days = [NOW - timedelta(days=9 - n) for n in range(9)]
    store(sqlite_db, [Observation(key, day, 3.0 if n < 8 else 3.4, area="东区") for n, day in enumerate(days)])
    (opened,) = evaluation.evaluate(NOW)
    assert (opened.what, opened.flag.rule) == ("opened", "ndrc-report/staple")
    store(sqlite_db, [Observation(key, days[-1], 3.04, area="东区")])
    (withdrawn,) = evaluation.evaluate(NOW)
    assert (withdrawn.what, withdrawn.flag.end_reason) == ("withdrawn", "corrected")
