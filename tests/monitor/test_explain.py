"""`monitor explain` and the API say the same of a flag, and the command makes its evaluation again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from monitor.auth import Scope
from monitor.check import check
from monitor.evaluation import Evaluation
from monitor.flag_facts import MARKS, origin, ranked
from monitor.metrics import Metrics
from monitor.reasoning import brief, reasoning
from monitor.schema import content
from monitor.store import observations
from monitor.store.database import Database, open_database
from monitor.store.flags import FlagFilter, list_flags, review
from monitor.web.context import WebSettings
from tests.store.build import finding, flag
from tests.terminal import monitor
from tests.web.conftest import serving
from thresholds.model import Contribution, Direction, Observation, ObservationBatch, SeriesKey
from thresholds.plan import Mark

NOW = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
SHANGHAI = ZoneInfo("Asia/Shanghai")
CONFIG = """
[database]
url = "sqlite:///monitor.db"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    return tmp_path


@pytest.fixture
def db(folder: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{folder}/monitor.db")
    yield opened
    opened.close()


def price(db: Database, folder: Path, *values: float) -> None:
    """Rice at two points, the last value for today; then what the daemon does with it."""
    rows = [
        Observation(
            SeriesKey("大米", "", "元/500克", "零售", point), NOW - timedelta(days=n), value, area="城东", source="s"
        )
        for point in ("东市场", "西市场")
        for n, value in enumerate(reversed(values))
    ]
    observations.add(db, ObservationBatch.of(rows), source="s", name="rows", now=NOW)
    report = check(folder / "config.toml")
    assert report.config is not None
    assert report.policy is not None
    Evaluation(db, report.config, report.policy, Metrics(lambda: NOW)).evaluate(NOW)


def a_move(db: Database) -> str:
    return next(f.flag.id for f in list_flags(db, FlagFilter(kinds=["move"])))


def said(folder: Path, *arguments: str, code: int = 0) -> str:
    done = monitor("explain", *arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    return done.stdout


def of_the_api(folder: Path, flag_id: str) -> dict[str, Any]:
    with serving(f"sqlite:///{folder}/monitor.db", WebSettings()) as running:
        answer = running.client(Scope.FLAGS_READ).get(f"/api/v1/flags/{flag_id}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_command_and_the_api_give_the_same_facts(db: Database, folder: Path) -> None:
    """All of them: numbers, window, points in order, the rule with its source, grade, policy, data revision."""
    price(db, folder, *[3.0] * 800, 3.6)
    flag_id = a_move(db)
    review(db, flag_id, "real_move", "到货减少", "值班员甲", NOW, 1)
    api = of_the_api(folder, flag_id)
    assert json.loads(said(folder, flag_id, "--json")) == api
    text = said(folder, flag_id)
    assert text.splitlines() == api["reasoning"]
    (first, *_) = api["findings"]
    assert first["expected"] == 3.0
    assert f"参照值 3（{first['window']}，{first['n_used']} 个观测值）" in text
    assert f"现值 {first['value']:g}" in text
    assert [c["point"] for c in api["contributions"]] == ["东市场", "西市场"]
    assert {f["rule"] for f in api["findings"]} == {r["rule"] for r in api["rules"]}
    for rule in api["rules"]:
        source = rule["source"]
        assert f"规则 {rule['rule']}“{rule['title']}”出自" in text
        assert source["title"].strip("《》") in text
        assert f"（{source['place']}，{source['year']}）" in text
    (last_year, *_) = first["earlier"]
    assert (last_year["years"], last_year["value"], round(last_year["change"], 9)) == (1, 3.0, 0.2)
    assert f"{last_year['at'][:10]}（去年公历同日）3，至今+20.0%" in text
    evaluation = api["evaluation"]
    assert evaluation["data_revision"] == "1.0"
    assert f"政策版本 {evaluation['policy_version']}，数据版本 1.0" in text
    assert [e["evaluation"] and e["evaluation"]["id"] for e in api["log"]] == [evaluation["id"], None]


def test_the_page_says_it_too(db: Database, folder: Path) -> None:
    price(db, folder, *[3.0] * 40, 3.6)
    with serving(f"sqlite:///{folder}/monitor.db", WebSettings()) as running:
        page = running.anonymous().get(f"/flags/{a_move(db)}").text
    assert "数据版本 1.0" in page
    assert "出自" in page


def test_a_flag_comes_out_again_whatever_came_since(db: Database, folder: Path) -> None:
    price(db, folder, *[3.0] * 40, 3.6)
    flag_id = a_move(db)
    price(db, folder, *[3.0] * 39, 3.1, 3.7)
    (folder / "config.toml").write_text(CONFIG + '[detection]\ndisable = ["stat-robust"]\n', "utf-8")
    price(db, folder, *[3.0] * 39, 3.2, 3.7)
    lines = said(folder, flag_id, "--reproduce", "all").splitlines()
    states = [line for line in lines if line.startswith("state ")]
    assert len(states) >= 3
    assert all(f"state {n} of {len(states)}: identical (data revision" in s for n, s in enumerate(states, 1))
    first = said(folder, flag_id, "--reproduce", "first")
    assert f"state 1 of {len(states)}: identical (data revision 1.0, policy " in first
    assert ", 82 observations)" in first
    assert f"state {len(states)} of" in said(folder, flag_id, "--reproduce")


def test_what_comes_out_otherwise_is_named_and_is_a_failure(db: Database, folder: Path) -> None:
    price(db, folder, *[3.0] * 40, 3.6)
    flag_id = a_move(db)
    with db.begin() as connection:
        connection.exec_driver_sql("UPDATE flag SET expected = 2.5")
    lines = said(folder, flag_id, "--reproduce", code=1).splitlines()
    assert any(": 1 differences" in line for line in lines)
    assert "  expected: stored 2.5, now 3.0" in lines
    with db.begin() as connection:
        connection.execute(update(content).values(text=""))
    assert "cannot be reproduced: " in said(folder, flag_id, "--reproduce", code=1)


def test_a_flag_of_before_says_so(db: Database, folder: Path) -> None:
    price(db, folder, *[3.0] * 40, 3.6)
    with db.begin() as connection:
        connection.exec_driver_sql("UPDATE flag SET evaluation_id = NULL")
    flag_id = a_move(db)
    api = of_the_api(folder, flag_id)
    assert (api["evaluation"], api["rules"]) == (None, [])
    assert "无法重现" in api["reasoning"][-1]
    assert "before evaluations were kept" in said(folder, flag_id, "--reproduce", code=1)


def test_points_are_ranked_each_once() -> None:
    """By what pushed most in the flag's direction; those whose change is not known come last."""

    def part(point: str, change: float) -> Contribution:
        return Contribution(point, "", 1.0, 1.0, change)

    nan = float("nan")
    one = finding(10, contributions=(part("甲", 0.1), part("乙", nan)))
    two = finding(10, contributions=(part("丙", -0.2), part("甲", 0.1), part("丁", 0.3)))
    rising = flag(findings=(one, two))
    assert [c.point for c in ranked(rising)] == ["丁", "甲", "丙", "乙"]
    falling = flag(findings=(one, two), direction=Direction.DOWN)
    assert [c.point for c in ranked(falling)] == ["丙", "甲", "丁", "乙"]


def test_every_mark_of_a_source_has_words() -> None:
    assert set(MARKS) == set(get_args(Mark))
    rule = {"rule": "r", "title": "t"}
    source = {"title": "某预案", "place": "某市", "year": "2022", "mark": "S", "clause": "3.4", "borrowed": False}
    assert (
        origin(rule | {"source": source}) == "规则 r“t”出自《某预案》（某市，2022），第 3.4 条，据原文，适用于本地。"
    )
    borrowed = source | {"clause": "", "mark": "P", "borrowed": True}
    assert origin(rule | {"source": borrowed}).endswith("本项目建议，借用外地规则，仅供参考。")


def test_a_point_that_several_rules_name_is_told_once_and_measures_say_where() -> None:
    here = [Contribution(name, "东区", 2.0, 1.0, 1.0) for name in ("甲", "乙")]
    there = [Contribution("丙", "西区", 1.5, 1.0, 0.5)]
    found = tuple(finding(10, contributions=tuple(parts)) for parts in (here, there, here))
    said = reasoning(flag(area="全市", findings=found), SHANGHAI)
    assert [line for line in said if line.startswith("各监测点")] == [
        "各监测点：甲 2（+100.0%）；乙 2（+100.0%）；丙 1.5（+50.0%）。"
    ]
    assert ["在东区测得" in line for line in said if "测得" in line] == [True, False, True]
    assert not any("规则" in line for line in brief(flag(area="全市", findings=found), SHANGHAI))
