"""The evaluation of what was stored: marks in, flags out, the same as on the whole history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from monitor.config_model import Config
from monitor.evaluation import Evaluation
from monitor.metrics import Metrics
from monitor.store import observations, records
from monitor.store.database import Database
from monitor.store.dirty import waiting
from monitor.store.flags import FlagFilter, list_flags
from thresholds.detect import detect
from thresholds.model import Observation, ObservationBatch, SeriesKey
from thresholds.panel import Panel
from thresholds.plan_files import load_policy
from thresholds.records import Record

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


POOLED = """
kind = "rules"
id = "pooled"
title = "种类与横截面"
version = "1"
enabled = true
effect = "watch"
source = { title = "本市规定", place = "本市", year = "2026", mark = "S", borrowed = false }

[[rules]]
id = "pooled/kinds"
title = "两种以上蔬菜一日上涨超过12%"
classes = ["菜"]
when = { kind = "reach", count = "items", of = { kind = "change", over = "previous", percent = 12 } }

[[rules]]
id = "pooled/odd"
title = "与同类其他报价不一致"
classes = ["粮"]
scope = "point"
when = { kind = "outlier", points = 6, c = 1.5 }
"""


def market() -> list[Observation]:
    """Four vegetables and three grains at two points, thirty days, each at an hour of its own, moving at random."""
    rng = np.random.default_rng(8)
    rows = []
    for number, item in enumerate(("大白菜", "黄瓜", "西红柿", "土豆", "大米", "面粉", "小米")):
        for point in ("东市场", "西市场"):
            key = SeriesKey(item, "", "元/500克", "零售", point)
            values = 3 * np.exp(np.cumsum(rng.normal(0, 0.12, 30)))
            first = NOW - timedelta(days=31, hours=-number - (point == "西市场"))
            rows += [Observation(key, first + timedelta(days=n), float(v), area="甲区") for n, v in enumerate(values)]
    return sorted(rows, key=lambda o: o.at)


def test_classes_are_judged_as_on_the_whole_however_their_items_arrive(sqlite_db: Database, tmp_path: Path) -> None:
    """Rules over a class, fed item by item, late and in pieces: the flags are those of the whole at once."""
    (tmp_path / "pooled.toml").write_text(POOLED, "utf-8")
    policy, faults = load_policy([tmp_path])
    assert policy is not None, faults
    policy = replace(policy, packs=tuple(p for p in policy.packs if p.id == "pooled"))
    evaluation = Evaluation(sqlite_db, Config().read_from(tmp_path / "config.toml"), policy, Metrics(lambda: NOW))
    rows = market()
    batch = ObservationBatch.of(rows)
    panel = Panel.build(batch.keys, batch.areas, batch.series, batch.at, batch.value)
    flags = detect(panel, policy, NOW, silence=False).flags
    assert {f.rule for f in flags} >= {"pooled/kinds", "pooled/odd"}
    pieces: dict[tuple[int, str], list[Observation]] = {}
    for n, one in enumerate(rows):
        pieces.setdefault((n * 6 // len(rows), one.key.item), []).append(one)
    for place in sorted(pieces, key=lambda p: (p[0], p[1])):
        store(sqlite_db, pieces[place])
        evaluation.evaluate(NOW)
    stored = [r.flag for r in list_flags(sqlite_db, FlagFilter(), limit=1000)]
    standing = {(f.id, f.reason, f.end) for f in stored if f.end_reason != "corrected"}
    assert standing == {(f.id, f.reason, f.end) for f in flags}
    assert waiting(sqlite_db)[0] == 0


def test_a_decision_raises_the_grade_and_its_end_ends_it(sqlite_db: Database, tmp_path: Path) -> None:
    """Entered days late: the flag says since when; lifted: it is over. The prices never moved."""
    evaluation = evaluation_of(sqlite_db, tmp_path)
    key = SeriesKey("大米", "", "元/500克", "零售", "东市场")
    days = [NOW - timedelta(days=19 - n) for n in range(20)]
    store(sqlite_db, [Observation(key, day, 3.0, area="东区") for day in days])
    assert evaluation.evaluate(NOW) == []
    start, end = days[5], days[12]
    decision = Record(
        "", "decision", "干预", "省政府", "黑政发〔2026〕1号", int(start.timestamp()), None, classes=("粮",)
    )
    made = records.add(sqlite_db, decision, "", "值班员甲", NOW)
    (opened,) = evaluation.evaluate(NOW)
    assert (opened.what, opened.flag.rule, opened.flag.peak_grade.label) == (
        "opened",
        "legal-status/intervention",
        "II",
    )
    assert (opened.flag.first_flagged, opened.flag.end) == (start, None)
    records.lift(sqlite_db, made.record.id, end, "", "值班员甲", NOW)
    (ended,) = evaluation.evaluate(NOW)
    assert (ended.what, ended.flag.last_hit, ended.flag.end) == ("ended", days[11], days[13])
    assert evaluation.evaluate(NOW) == []
