"""What can mean nothing is not evaluated; whatever else happens is, from its restart on or whole, and the flags are
those of the whole history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor.evaluation import Evaluation
from monitor.store import records
from monitor.store.database import Database
from monitor.store.dirty import waiting
from monitor.store.flags import FlagFilter, list_flags
from tests.monitor.test_evaluation import NOW, evaluation_of, store
from thresholds import detect as core
from thresholds.model import IntArray, Observation, SeriesKey
from thresholds.panel import Panel
from thresholds.records import Record
from thresholds.restart import BEGINNING

FIRST = NOW - timedelta(days=400)
ITEMS = ("大米", "面粉", "大白菜")
CALM = [5.0, 5.01, 5.0, 5.02]


def day(n: int, values: dict[str, float], point: str = "东市场", area: str = "甲区") -> list[Observation]:
    """One day's sheet of a point."""
    at = FIRST + timedelta(days=n)
    return [
        Observation(SeriesKey(item, "", "元/500克", "零售", point), at, v, area=area) for item, v in values.items()
    ]


def calm(n: int) -> list[Observation]:
    return day(n, dict.fromkeys(ITEMS, CALM[n % 4]))


@pytest.fixture
def evaluation(sqlite_db: Database, tmp_path: Path) -> Evaluation:
    """Sixty calm days, evaluated whole."""
    one = evaluation_of(sqlite_db, tmp_path)
    store(sqlite_db, [o for n in range(60) for o in calm(n)])
    one.evaluate(NOW)
    return one


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, datetime | None]]:
    """The items that are evaluated, and from when on; None for whole."""
    seen: dict[str, datetime | None] = {}
    real = core.detect

    def detect(panel: Panel, *arguments: object, since: IntArray | None = None, **options: object) -> object:
        for s, key in enumerate(panel.keys):
            whole = since is None or since[s] == BEGINNING
            seen[key.item] = None if whole else datetime.fromtimestamp(int(since[s]), UTC)  # type: ignore[index]
        return real(panel, *arguments, since=since, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(core, "detect", detect)
        yield seen


def begins(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch, rows: list[Observation]
) -> dict[str, datetime | None]:
    """Store these and evaluate; the items that were evaluated, and from when on. Nothing stays marked."""
    store(evaluation.db, rows)
    with counted(monkeypatch) as seen:
        evaluation.evaluate(NOW)
    assert waiting(evaluation.db)[0] == 0
    return seen


def run(evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch, rows: list[Observation]) -> set[str]:
    """The items that were evaluated when these came."""
    return set(begins(evaluation, monkeypatch, rows))


def test_a_calm_day_is_passed_over_and_a_move_is_not(evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(evaluation, monkeypatch, calm(60)) == set()
    assert run(evaluation, monkeypatch, [*calm(61)[1:], *day(61, {"大米": 5.6})]) == {"大米"}
    (record,) = list_flags(evaluation.db, FlagFilter(), limit=10)
    assert record.flag.item == "大米"


def test_an_item_with_an_open_flag_is_evaluated_until_it_is_over(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(evaluation, monkeypatch, [*calm(60)[1:], *day(60, {"大米": 5.6})])
    over = None
    for n in range(61, 140):
        looked = run(evaluation, monkeypatch, [*calm(n)[1:], *day(n, {"大米": CALM[n % 4] + 0.6})])
        (record,) = list_flags(evaluation.db, FlagFilter(item="大米"), limit=10)
        assert looked <= {"大米"}
        if record.flag.end is None:
            assert looked == {"大米"}
        elif not looked:
            over = n
            break
    assert over is not None, "in the end it is passed over again"


def test_an_item_is_evaluated_from_its_news_or_its_open_flag_on(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move, and a doubt: from their day on. While they are open: from their beginning on. Corrections, and more
    than three days at once: whole."""
    moved = FIRST + timedelta(days=60)
    rows = [*calm(60)[1:2], *day(60, {"大米": 5.35, "大白菜": 50.0})]
    assert begins(evaluation, monkeypatch, rows) == {"大米": moved, "大白菜": moved}
    rows = [*calm(61)[1:2], *day(61, {"大米": 5.35, "大白菜": 50.0})]
    assert begins(evaluation, monkeypatch, rows) == {"大米": moved, "大白菜": moved}
    assert begins(evaluation, monkeypatch, day(61, {"大白菜": 5.0})) == {"大白菜": None}
    days = [o for n in range(62, 67) for o in day(n, {"面粉": 5.0})]
    assert begins(evaluation, monkeypatch, days) == {"面粉": None}


def test_corrections_late_reports_and_new_points_are_evaluated(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(evaluation, monkeypatch, calm(62)) == set()
    assert run(evaluation, monkeypatch, day(30, {"面粉": 5.03})) == {"面粉"}, "a correction of the past"
    assert run(evaluation, monkeypatch, day(61, {"大米": 5.01})) == {"大米"}, "a report that comes late"
    assert run(evaluation, monkeypatch, day(63, {"大白菜": 5.0}, point="西市场")) == {"大白菜"}, "a point that is new"


def test_after_a_start_and_under_other_rules_everything_is_evaluated_once(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    again = evaluation_of(evaluation.db, tmp_path)
    assert run(again, monkeypatch, calm(60)) == set(ITEMS)
    assert run(again, monkeypatch, calm(61)) == set()
    again.adopt(again.config, evaluation_of(evaluation.db, tmp_path).policy)
    assert run(again, monkeypatch, calm(62)) == set(ITEMS)


@pytest.mark.parametrize("seed", range(3))
def test_the_flags_are_those_of_the_whole_history(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Day by day with jumps, gaps and slips, a point that reports a day late and one that corrects what it said: what
    is stored in the end is what one look at everything gives."""
    rng = np.random.default_rng(seed)
    one = evaluation_of(sqlite_db, tmp_path)
    level = dict.fromkeys(ITEMS, 5.0)
    late: list[Observation] = []
    passed = restarts = whole_later = 0
    for n in range(150):
        for item in ITEMS:
            level[item] *= float(np.exp(rng.normal(0, 0.004) + (rng.random() < 0.006) * rng.normal(0, 0.25)))
        slip = {item: (10.0 if rng.random() < 0.003 else 1.0) for item in ITEMS}
        there = [item for item in ITEMS if rng.random() > 0.05]
        sheet = {i: round(level[i] * slip[i], 2) for i in there}
        rows = [*day(n, sheet), *day(n, sheet, "西市场", "乙区"), *late]
        late = day(n, sheet, "南市场", "乙区")
        rows += day(n - 3, {"面粉": round(level["面粉"], 2)}) if rng.random() < 0.03 and n > 5 else []
        looked = begins(one, monkeypatch, rows)
        passed += len(set(there) - set(looked))
        restarts += sum(begin is not None for begin in looked.values())
        whole_later += sum(begin is None for begin in looked.values()) * (n > 30)
    assert min(passed, restarts) > 40
    assert whole_later
    stored = {r.flag.id: r.flag for r in list_flags(sqlite_db, FlagFilter(), limit=1000)}
    whole = core.detect(one.memory.panel()[0], one.policy, NOW, silence=False).flags
    assert len(whole) >= 3
    withdrawn = [f for f in stored.values() if f.end_reason == "corrected"]
    assert {f.id for f in whole} == stored.keys() - {f.id for f in withdrawn}
    assert [repr(f) for f in whole] == [repr(stored[f.id]) for f in whole]


def test_what_is_recorded_counts_while_it_holds_and_no_longer(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision in force: calm days are evaluated, and its flag stands; when it is lifted and its flag over, calm
    days are passed over again."""
    begin, end = FIRST + timedelta(days=60), FIRST + timedelta(days=64)
    decision = Record("", "decision", "干预", "省政府", "1号", int(begin.timestamp()), None, classes=("粮",))
    made = records.add(evaluation.db, decision, "", "值班员甲", NOW)
    assert run(evaluation, monkeypatch, calm(60)) == {"大米", "面粉"}, "the vegetables are not concerned"
    for n in range(61, 65):
        assert run(evaluation, monkeypatch, calm(n)) == {"大米", "面粉"}
    records.lift(evaluation.db, made.record.id, end, "", "值班员甲", NOW)
    run(evaluation, monkeypatch, calm(65))
    flags = [record.flag for record in list_flags(evaluation.db, FlagFilter(), limit=10)]
    assert {(f.item, f.peak_grade.label) for f in flags} == {("大米", "II"), ("面粉", "II")}
    assert {f.last_hit for f in flags} == {FIRST + timedelta(days=63)}
    for n in range(66, 70):
        looked = run(evaluation, monkeypatch, calm(n))
    assert looked == set()
    assert all(record.flag.end is not None for record in list_flags(evaluation.db, FlagFilter(), limit=10))
