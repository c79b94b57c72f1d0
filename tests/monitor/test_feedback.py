"""What a reviewer says of a flag informs later runs: 'data error' and 'expected' leave baselines and comparisons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor.config_model import Config
from monitor.evaluation import Evaluation
from monitor.metrics import Metrics
from monitor.store import observations
from monitor.store.database import Database
from monitor.store.flags import FlagChange, FlagFilter, get_flag, list_flags
from monitor.store.reviews import review
from thresholds.detect import detect
from thresholds.model import Finding, Flag, Observation, ObservationBatch, SeriesKey
from thresholds.panel import Panel
from thresholds.plan_files import load_policy

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SURGE, BACK, LATER = 60, 61, 75
"""days of the judged move, of the return, and of a later move by a fifth"""
EGGS = SeriesKey("鸡蛋", "", "元/500克", "零售", "东市场")
PACK = """
kind = "rules"
id = "own"
title = "本单位规则"
version = "1"
enabled = true
effect = "watch"
source = { title = "本单位", place = "本市", year = "2026", mark = "P", borrowed = false }
[[rules]]
id = "own/score"
title = "本期变动远超常态"
hold_days = 1
when = { kind = "score", window = 60, least = 12, value = 6 }
"""


class Office:
    """A database with eggs at one point, evaluated day by day, always by a daemon that has just started."""

    def __init__(self, db: Database, folder: Path) -> None:
        (folder / "own.toml").write_text(PACK, "utf-8")
        policy, faults = load_policy([folder], disable=["stat-robust", "ndrc-report", "zj2004-cumulative"])
        assert policy is not None, faults
        self.db, self.policy, self.config = db, policy, Config().read_from(folder / "config.toml")
        steps = np.random.default_rng(3).normal(0, 0.012, LATER + 1)
        self.prices = (5 * np.exp(np.cumsum(steps))).round(3)

    def row(self, day: int, times: float = 1.0) -> Observation:
        return Observation(EGGS, NOW + timedelta(days=day), float(self.prices[day] * times), area="城东")

    def report(self, *days: int, times: float = 1.0) -> list[FlagChange]:
        """The prices of these days come in, and are evaluated."""
        batch = ObservationBatch.of([self.row(d, times) for d in days])
        observations.add(self.db, batch, source="test", name="rows", now=NOW)
        return self.evaluate()

    def evaluate(self) -> list[FlagChange]:
        one = Evaluation(self.db, self.config, self.policy, Metrics(lambda: NOW))
        return [c for c in one.evaluate(NOW) if c.flag.kind == "move"]

    def surge(self) -> Flag:
        """Two calm months, then eggs at 1.4 times their price: the flag of it."""
        assert self.report(*range(SURGE)) == []
        (opened,) = self.report(SURGE, times=1.4)
        assert (opened.what, opened.flag.direction) == ("opened", "up")
        return opened.flag

    def judge(self, flag: Flag, verdict: str) -> list[FlagChange]:
        review(self.db, flag.id, verdict, "", "值班员甲", NOW, None)
        return self.evaluate()


def numbers(finding: Finding) -> tuple[float, float, float, int]:
    return finding.expected, finding.scale, finding.score, finding.n_used


def later_move(office: Office) -> Finding:
    """The finding of the move by a fifth on day LATER, the days before it being calm."""
    office.report(*range(BACK, LATER))
    (opened,) = office.report(LATER, times=1.2)
    assert opened.what == "opened"
    return opened.flag.findings[0]


def without(office: Office) -> Finding:
    """The same finding on a history that does not have the day of the surge."""
    rows = [office.row(d) for d in range(LATER) if d != SURGE] + [office.row(LATER, 1.2)]
    batch = ObservationBatch.of(rows)
    panel = Panel.build(batch.keys, batch.areas, batch.series, batch.at, batch.value)
    (flag,) = (f for f in detect(panel, office.policy, NOW, silence=False).flags if f.kind == "move")
    return flag.findings[0]


@pytest.fixture
def office(db: Database, tmp_path: Path) -> Office:
    return Office(db, tmp_path)


def test_a_data_error_withdraws_its_flag_and_an_expected_move_keeps_it(office: Office) -> None:
    """What never was is taken back; what was expected did happen, and stays to be seen with its verdict."""
    flag = office.surge()
    assert office.judge(flag, "expected") == []
    record = get_flag(office.db, flag.id)
    assert record is not None
    assert (record.verdict, record.flag.end) == ("expected", None)
    (withdrawn,) = office.judge(flag, "data_error")
    assert (withdrawn.what, withdrawn.flag.id, withdrawn.flag.end_reason) == ("withdrawn", flag.id, "corrected")
    assert office.evaluate() == [], "and only once"


@pytest.mark.parametrize(("verdict", "told"), [("real_move", 1), ("to_check", 1), ("expected", 0), ("data_error", 0)])
def test_the_way_back_is_news_after_a_real_move_only(office: Office, verdict: str, told: int) -> None:
    """The day after, the price is what it was: a fall, if it had really risen and nobody had expected it."""
    office.judge(office.surge(), verdict)
    fell = [c for c in office.report(BACK) if c.flag.direction == "down"]
    assert len(fell) == told


@pytest.mark.parametrize("verdict", ["data_error", "expected"])
def test_later_moves_are_measured_as_if_the_judged_one_had_never_been(office: Office, verdict: str) -> None:
    """Expected value, scale, score and number of moves behind them are those of a history without that day."""
    office.judge(office.surge(), verdict)
    assert numbers(later_move(office)) == numbers(without(office))


def test_a_real_move_stays_in_the_baseline(office: Office) -> None:
    """Nobody said that the way up and back does not count: what is usual is wider after it."""
    office.judge(office.surge(), "real_move")
    assert later_move(office).scale > without(office).scale


def test_a_verdict_that_is_taken_back_is_without_effect(office: Office) -> None:
    """First an error, then real after all: the flag stands again, and the way back is flagged."""
    flag = office.surge()
    office.judge(flag, "data_error")
    office.judge(flag, "real_move")
    record = get_flag(office.db, flag.id)
    assert record is not None
    assert (record.verdict, record.flag.end_reason, record.flag.end) == ("real_move", "", None)
    assert [c.flag.direction for c in office.report(BACK) if c.what == "opened"] == ["down"]


def test_a_corrected_price_is_judged_anew(office: Office) -> None:
    """The verdict was on the value of then: when the point reports another one, that one is tested."""
    office.judge(office.surge(), "data_error")
    (opened,) = office.report(SURGE, times=1.3)
    assert (opened.what, opened.flag.direction) == ("opened", "up")
    open_now = [r.flag.value for r in list_flags(office.db, FlagFilter(kinds=["move"])) if r.flag.end is None]
    assert open_now == [pytest.approx(office.prices[SURGE] * 1.3)]
