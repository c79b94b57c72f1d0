"""Any past evaluation can be made again, bit for bit: whatever was corrected, judged and reconfigured since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from monitor import memory, reproduce
from monitor.config_model import Config, Detection, Installation
from monitor.evaluation import Evaluation
from monitor.metrics import Metrics
from monitor.reproduce import CannotReproduceError, Reproduction
from monitor.schema import content, evaluation, flag_past, metadata, observation, policy
from monitor.store import observations
from monitor.store.database import Database
from monitor.store.dirty import dirty_in
from monitor.store.flag_states import flag_states
from monitor.store.flags import FlagFilter, flag_log, get_flag, list_flags, review
from monitor.store.past import columns_at, series_at
from monitor.store.policies import read_policy
from monitor.store.stamps import DataRevision, data_revision, read_evaluations
from thresholds.model import Kind, Observation, ObservationBatch, SeriesKey
from thresholds.plan_files import load_policy, policy_again
from thresholds.records import Record

NOW = datetime(2026, 3, 2, tzinfo=UTC)
RICE = [SeriesKey("大米", "", "元/500克", "零售", f"{place}市场") for place in ("东", "西", "南")]
PACK = """
kind = "rules"
id = "own"
title = "自定"
version = "7"
enabled = true
effect = "candidate"
[source]
title = "本市规定"
place = "本市"
year = "2026"
mark = "S"
clause = "第三条"
borrowed = false
[[rules]]
id = "own/5"
title = "一周涨百分之五"
rank = 1
when = { kind = "change", over = "1w", percent = 5 }
"""


def evaluation_of(db: Database, folder: Path, own: str = "", **changes: Any) -> Evaluation:
    """An evaluation as after a start; `own`: the text of a rule pack of the installation, instead of the shipped."""
    if own:
        (folder / "own.toml").write_bytes(own.encode())
    disable = ["ndrc-report", "stat-robust"] if own else []
    found, faults = load_policy([folder] if own else [], disable=disable)
    assert found is not None, faults
    config = Config(**changes).read_from(folder / "config.toml")
    return Evaluation(db, config, found, Metrics(lambda: NOW))


def store(db: Database, *rows: tuple[int, int, float], area: str = "城东") -> None:
    """Store (point, day, value); day 0 is NOW."""
    made = [Observation(RICE[p], NOW + timedelta(days=d), v, area=area) for p, d, v in rows]
    observations.add(db, ObservationBatch.of(made), source="test", name="rows", now=NOW)


def quiet_then(*last: float) -> list[tuple[int, int, float]]:
    """Two points, four weeks at 3.00, then these values."""
    return [
        (p, d, 3.0 if d < 0 else last[d] + 0.01 * p) for p in (0, 1) for d in range(-28, len(last)) if d < len(last)
    ]


def again(db: Database, flag_id: str, number: int = -1) -> Reproduction:
    return reproduce.reproduce(db, flag_states(db, flag_id)[number])


def move_of(db: Database) -> str:
    (record,) = list_flags(db, FlagFilter(kinds=["move"]))
    return record.flag.id


def test_the_first_state_comes_out_bit_for_bit_after_corrections_a_review_and_another_policy(
    db: Database, tmp_path: Path
) -> None:
    """Flag, correct, judge, move the points to another area, change the policy: every state can be made again."""
    first = evaluation_of(db, tmp_path)
    store(db, *quiet_then(3.4))
    (opened,) = first.evaluate(NOW)
    assert opened.what == "opened"
    flag_id = opened.flag.id
    original = get_flag(db, flag_id)
    store(db, (0, -1, 3.05), (0, 1, 3.45), (1, 1, 3.5))
    first.evaluate(NOW + timedelta(days=1))
    assert get_flag(db, flag_id) != original, "the correction is seen"
    review(db, flag_id, "expected", "节前", "值班员甲", NOW, 1)
    first.evaluate(NOW + timedelta(days=1))
    store(db, (0, 2, 3.6), (1, 2, 3.7), area="城西")
    second = evaluation_of(db, tmp_path, PACK)
    assert second.policy.version != first.policy.version
    second.evaluate(NOW + timedelta(days=2))
    states = flag_states(db, flag_id)
    assert len(states) >= 2
    assert repr(states[0].flag) == repr(opened.flag)
    for state in states:
        made = reproduce.reproduce(db, state)
        assert (made.differences, made.notes) == ([], []), state.number
    made = reproduce.reproduce(db, states[0])
    assert repr(made.again) == repr(opened.flag)
    assert made.observations == 2 * 29
    (own,) = [f.flag.id for f in list_flags(db, FlagFilter(rule="own/5"))]
    assert again(db, own).identical


def test_every_flag_and_every_change_in_its_log_carries_policy_and_data_revision(
    db: Database, tmp_path: Path
) -> None:
    one = evaluation_of(db, tmp_path)
    store(db, *quiet_then(3.4))
    one.evaluate(NOW)
    flag_id = move_of(db)
    review(db, flag_id, "data_error", "", "值班员甲", NOW, 1)
    one.evaluate(NOW + timedelta(hours=1))
    record = get_flag(db, flag_id)
    assert record is not None
    by_action = {entry.action: entry.evaluation for entry in flag_log(db, flag_id)}
    opened, withdrawn = by_action["opened"], by_action["withdrawn"]
    assert by_action["reviewed"] is None
    assert opened is not None
    assert withdrawn is not None
    assert record.evaluation == withdrawn
    kept = read_evaluations(db, [opened, withdrawn])
    assert kept[opened].stamp.data == DataRevision(1, 0)
    assert kept[withdrawn].stamp.data.mark == 2, "two observations were marked"
    assert str(kept[withdrawn].stamp.data) == "1.2"
    assert {e.stamp.policy for e in kept.values()} == {one.policy.version}
    assert [e.at for e in (kept[opened], kept[withdrawn])] == [NOW, NOW + timedelta(hours=1)]
    assert again(db, flag_id).again is None, "judged as an error, the values give no flag"
    assert again(db, flag_id).identical
    assert again(db, flag_id, 0).identical


def test_what_was_held_then_is_what_is_looked_at(db: Database, tmp_path: Path) -> None:
    """With two weeks of history in memory the flag rests on those; with more it would be another one."""
    short = Detection(history=timedelta(days=14))
    one = evaluation_of(db, tmp_path, PACK, detection=short)
    store(db, *quiet_then(3.4))
    one.evaluate(NOW)
    long = evaluation_of(db, tmp_path, PACK)
    store(db, (0, -20, 2.9))
    long.evaluate(NOW)
    flag_id = move_of(db)
    made = again(db, flag_id, 0)
    assert made.identical
    assert made.observations == 2 * 15
    assert made.evaluated.stamp.since == int((NOW - timedelta(days=14)).timestamp())
    with db.begin() as connection:
        connection.execute(update(evaluation).values(since_at=int((NOW - timedelta(days=1)).timestamp())))
    assert [str(d) for d in again(db, flag_id, 0).differences] == ["flag: stored 'given', now 'not given'"]


def test_a_correction_within_what_is_held_is_seen_however_old_it_is(sqlite_db: Database, tmp_path: Path) -> None:
    """What is held does not depend on when it was read: after days of running it begins where it began."""
    one = evaluation_of(sqlite_db, tmp_path, PACK, detection=Detection(history=timedelta(days=14)))
    store(sqlite_db, *quiet_then(3.0))
    one.evaluate(NOW)
    later = NOW + timedelta(days=10)
    store(sqlite_db, (0, -13, 3.2), (0, 10, 3.0))
    one.evaluate(later)
    assert 3.2 in one.memory.series[1].value
    assert one.memory.since == int((NOW - timedelta(days=14)).timestamp())


def test_what_arrives_while_the_database_is_read_is_not_half_seen(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marks, revision, series and columns are of one moment."""
    one = evaluation_of(db, tmp_path)
    store(db, *quiet_then(3.0))
    one.evaluate(NOW)
    store(db, (0, 1, 3.1))
    real = dirty_in

    def while_reading(connection: Any) -> Any:
        found = real(connection)
        monkeypatch.setattr(memory, "dirty_in", real)
        store(db, (0, 2, 9.0), (1, 2, 9.0), area="城西")
        return found

    monkeypatch.setattr(memory, "dirty_in", while_reading)
    one.evaluate(NOW + timedelta(days=1))
    assert one.memory.revision == DataRevision(2, 0)
    assert 9.0 not in one.memory.series[1].value
    assert one.memory.series[1].area == "城东"
    one.evaluate(NOW + timedelta(days=1))
    assert one.memory.revision == DataRevision(3, 0)
    assert one.memory.series[2].value[-1] == 9.0


def test_a_policy_is_kept_once_and_can_be_loaded_again(db: Database, tmp_path: Path) -> None:
    """Whatever happens to its files, byte for byte: also with the line ends and the mark of another system."""
    one = evaluation_of(db, tmp_path, "\ufeff" + PACK.replace("\n", "\r\n"))
    store(db, *quiet_then(3.4))
    one.evaluate(NOW)
    one.evaluate(NOW)
    with db.connect() as connection:
        files = connection.execute(select(func.count()).select_from(content)).scalar_one()
    (tmp_path / "own.toml").unlink()
    texts = read_policy(db, one.policy.version)
    assert texts is not None
    assert texts == one.policy.texts
    loaded, faults = policy_again(texts)
    assert faults == []
    assert loaded is not None
    assert (loaded.version, loaded.packs, loaded.plans) == (one.policy.version, one.policy.packs, one.policy.plans)
    other = evaluation_of(db, tmp_path, PACK.replace('"7"', '"8"'))
    store(db, (0, 1, 3.5))
    other.evaluate(NOW)
    with db.connect() as connection:
        assert connection.execute(select(func.count()).select_from(policy)).scalar_one() == 2
        assert connection.execute(select(func.count()).select_from(content)).scalar_one() == files + 1
    assert read_policy(db, "nothing") is None


def test_each_difference_is_named(sqlite_db: Database, tmp_path: Path) -> None:
    one = evaluation_of(sqlite_db, tmp_path)
    store(sqlite_db, *quiet_then(3.4))
    one.evaluate(NOW)
    flag_id = move_of(sqlite_db)
    with sqlite_db.begin() as connection:
        connection.exec_driver_sql("UPDATE flag SET value = value + 1e-15, reason = 'x'")
        connection.exec_driver_sql("UPDATE flag SET findings = replace(findings, '\"n_used\":', '\"n_used\":1')")
    names = {d.name for d in again(sqlite_db, flag_id).differences}
    assert {"value", "reason", "findings[1].n_used"} <= names
    assert all(name.startswith(("value", "reason", "findings[")) for name in names)


def test_what_cannot_be_made_again_is_said(sqlite_db: Database, tmp_path: Path) -> None:
    one = evaluation_of(sqlite_db, tmp_path)
    store(sqlite_db, *quiet_then(3.4))
    one.evaluate(NOW)
    state = flag_states(sqlite_db, move_of(sqlite_db))[0]
    with pytest.raises(CannotReproduceError, match="before evaluations were kept"):
        reproduce.reproduce(sqlite_db, replace(state, evaluation=None))
    with sqlite_db.begin() as connection:
        connection.execute(update(content).where(content.c.text.like("{%")).values(text="{}"))
    with pytest.raises(CannotReproduceError, match=r"the settings .* are not stored, or not as they were"):
        reproduce.reproduce(sqlite_db, state)
    with sqlite_db.begin() as connection:
        connection.execute(update(content).values(text=content.c.text + "\n#"))
    with pytest.raises(CannotReproduceError, match="are not those it was loaded from"):
        reproduce.reproduce(sqlite_db, state)
    with sqlite_db.begin() as connection:
        connection.execute(update(content).values(text="kind ="))
    with pytest.raises(CannotReproduceError, match=r"cannot read the policy .*not valid TOML"):
        reproduce.reproduce(sqlite_db, state)
    with sqlite_db.begin() as connection:
        connection.execute(delete(policy))
    with pytest.raises(CannotReproduceError, match="is not stored"):
        reproduce.reproduce(sqlite_db, state)


def test_another_program_is_told_of(sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = evaluation_of(sqlite_db, tmp_path)
    store(sqlite_db, *quiet_then(3.4))
    one.evaluate(NOW)
    monkeypatch.setattr(reproduce, "program_version", lambda: "9.9+abc")
    made = again(sqlite_db, move_of(sqlite_db))
    assert made.identical
    assert made.notes[0].endswith("9.9+abc now")


def test_what_people_had_recorded_then_counts_again(db: Database, tmp_path: Path) -> None:
    """A decision that raised a grade and was lifted since: with it the flag comes out, as it did."""
    one = evaluation_of(db, tmp_path)
    began = int((NOW - timedelta(days=1)).timestamp())
    decision = Record("d1", "decision", "干预", "省政府", "某政发〔2026〕1号", began, None, classes=("粮",))
    ruled = replace(one.policy, records=(decision,))
    one.adopt(one.config, ruled)
    store(db, *quiet_then(3.0))
    one.evaluate(NOW)
    (record,) = list_flags(db, FlagFilter(rule="legal-status/intervention"))
    lifted = replace(decision, end=began + 3600)
    one.adopt(one.config, replace(ruled, records=(lifted,)))
    store(db, (0, 1, 3.0), (1, 1, 3.0))
    one.evaluate(NOW + timedelta(days=1))
    assert len(flag_states(db, record.flag.id)) >= 2
    for state in flag_states(db, record.flag.id):
        assert reproduce.reproduce(db, state).differences == []
    assert "某政发〔2026〕1号" in flag_states(db, record.flag.id)[0].flag.reason


def test_what_is_judged_together_is_made_again_together(sqlite_db: Database, tmp_path: Path) -> None:
    """The hog's price is flagged by its ratio to the price of maize."""
    one = evaluation_of(sqlite_db, tmp_path)
    for item, values in (("生猪", (19.6, 18.2, 16.2)), ("玉米", (2.8, 2.8, 2.8))):
        key = SeriesKey(item, "", "元/千克", "", "全国")
        rows = [Observation(key, NOW - timedelta(weeks=3 - n), v, area="全国") for n, v in enumerate(values)]
        observations.add(sqlite_db, ObservationBatch.of(rows), source="test", name="rows", now=NOW)
        one.evaluate(NOW)
    (record,) = list_flags(sqlite_db, FlagFilter(rule="pork2021/fall-3"))
    made = again(sqlite_db, record.flag.id)
    assert made.differences == []
    assert made.observations == 6


SILENT = """
[[source]]
kind = "push"
name = "test"
cadence = "1d"
grace = "12h"
[[source.expect]]
point = "南市场"
cadence = "2d"
"""


def test_a_silence_comes_out_as_well_with_the_expectations_of_then(
    db: Database, tmp_path: Path, read: Callable[[str], Config]
) -> None:
    """It follows the clock from look to look; what the watch said at one look can be made again."""
    config = read(SILENT)
    one = evaluation_of(db, tmp_path)
    one.adopt(config, one.policy)
    store(db, *[(p, d, 3.0) for p in range(3) for d in range(-9, 1)])
    one.evaluate(NOW)
    looks = [NOW + timedelta(days=d) for d in (1, 3, 5)]
    for look in looks:
        one.watch(look)
    flags = list_flags(db, FlagFilter(kinds=["silence"]))
    assert len(flags) == 2, "the point that is expected every other day is late by itself"
    with db.connect() as connection:
        assert connection.execute(select(func.count()).select_from(flag_past)).scalar_one() == 0
    store(db, *[(p, 6, 3.0) for p in range(3)])
    one.evaluate(NOW + timedelta(days=6))
    one.watch(NOW + timedelta(days=6))
    other = evaluation_of(db, tmp_path, installation=Installation(city="某市"))
    other.watch(NOW + timedelta(days=7))
    for record in flags:
        states = flag_states(db, record.flag.id)
        assert [s.flag.end_reason for s in states] == ["", "resumed"]
        for state in states:
            assert reproduce.reproduce(db, state).differences == []
            assert state.flag.kind is Kind.SILENCE


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Config]:
    from monitor.check import check

    def config(written: str) -> Config:
        path = tmp_path / "config.toml"
        path.write_text(written, "utf-8")
        report = check(path)
        assert report.config is not None, report.faults
        return report.config

    return config


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("store"),
            st.lists(
                st.tuples(st.integers(0, 2), st.integers(-4, 4), st.sampled_from([2.7, 3.0, 3.2, 3.5, 35.0])),
                min_size=1,
                max_size=5,
            ),
        ),
        st.tuples(st.just("judge"), st.sampled_from(["expected", "data_error", "real_move"])),
        st.tuples(st.just("move"), st.sampled_from(["城东", "城西"])),
        st.tuples(st.just("start"), st.sampled_from([10, 40])),
        st.tuples(st.just("policy"), st.sampled_from([3, 5, 8])),
    ),
    min_size=2,
    max_size=8,
)


@pytest.mark.timeout(300)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_whatever_happens_every_state_of_every_flag_can_be_made_again(
    sqlite_db: Database, tmp_path: Path, steps: list[tuple[str, Any]]
) -> None:
    """Values, corrections, contradictions, judgements, areas, restarts with other histories, other policies."""
    with sqlite_db.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
    store(sqlite_db, *[(p, d, 3.0) for p in range(2) for d in range(-30, 0)])
    one = evaluation_of(sqlite_db, tmp_path, PACK)
    for n, (what, how) in enumerate(steps):
        now = NOW + timedelta(days=4, minutes=n)
        if what == "store":
            store(sqlite_db, *how)
        elif what == "move":
            store(sqlite_db, (0, 4, 3.0 + n / 10), area=how)
        elif what == "judge":
            for record in list_flags(sqlite_db)[:2]:
                review(sqlite_db, record.flag.id, how, "", "值班员甲", now, None)
        elif what == "start":
            one = evaluation_of(sqlite_db, tmp_path, PACK, detection=Detection(history=timedelta(days=how)))
        else:
            one = evaluation_of(sqlite_db, tmp_path, PACK.replace("percent = 5", f"percent = {how}"))
        one.evaluate(now)
    for record in list_flags(sqlite_db, limit=1000):
        for state in flag_states(sqlite_db, record.flag.id):
            made = reproduce.reproduce(sqlite_db, state)
            assert (made.differences, made.notes) == ([], []), state


def test_the_data_as_it_is_now_is_the_newest_of_the_past(db: Database, tmp_path: Path) -> None:
    """Rebuilt as of the newest revision, it is what the memory reads."""
    store(db, *quiet_then(3.4, 35.0))
    store(db, (0, 0, 3.3), (0, 0, 3.2), area="城西")
    one = evaluation_of(db, tmp_path)
    one.evaluate(NOW)
    for record in list_flags(db):
        review(db, record.flag.id, "expected", "", "值班员甲", NOW, None)
    one.evaluate(NOW)
    with db.snapshot() as connection:
        revision = data_revision(connection)
        known, columns = series_at(connection, revision), columns_at(connection, revision, None, one.memory.since)
    assert revision == one.memory.revision
    assert list(known.areas) == [h.area for h in one.memory.series.values()]
    for name in ("at", "value", "mark"):
        held = [x for h in one.memory.series.values() for x in getattr(h, name).tolist()]
        assert getattr(columns, name).tolist() == held, name
    assert columns.mark.any()
    with db.connect() as connection:
        assert connection.execute(select(func.count()).select_from(observation)).scalar_one() > len(columns)
