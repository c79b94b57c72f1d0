"""The contract of flags: the machine's opinion follows the data, what people did stays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from alerts.notify import NewNotification
from monitor.schema import notification, notification_flag
from monitor.store import outbox
from monitor.store.columns import dirty_series, read_columns
from monitor.store.database import Database
from monitor.store.flags import (
    FlagChange,
    FlagFilter,
    FlagNotFound,
    RevisionChanged,
    acknowledge,
    count_flags,
    flag_log,
    get_flag,
    list_flags,
    review,
    save_evaluation,
)
from monitor.store.observations import add
from tests.store.build import CABBAGE, NOW, PORK, batch, day, epoch, finding, flag, mixed
from thresholds.model import Contribution, Direction, Exit, Flag, Grade, Kind, Mark

ITEM = CABBAGE.item


def nobody(_connection: Connection, _changes: Sequence[FlagChange]) -> None:
    """Nobody is told."""


def save(db: Database, *computed: Flag, **more: Any) -> list[str]:
    """Save an evaluation; gives the changes as 'what id'."""
    fields: dict[str, Any] = {
        "items": {ITEM},
        "since": {ITEM: 0},
        "dirty": (),
        "now": NOW,
        "notify": nobody,
    }
    return [f"{change.what} {change.flag.id}" for change in save_evaluation(db, computed, **fields | more)]


def stored(db: Database, flag_id: str = "f1") -> Flag:
    record = get_flag(db, flag_id)
    assert record is not None
    return record.flag


def state(db: Database, flag_id: str = "f1") -> str:
    record = get_flag(db, flag_id)
    assert record is not None
    return record.state.value


def test_a_flag_comes_back_as_it_was_computed_with_all_its_evidence(db: Database) -> None:
    computed = flag(
        findings=(finding(10), finding(11, reason="“高于” 阈值\n第二行")), points=("城南市场", "城北市场")
    )
    assert save(db, computed) == ["opened f1"]
    assert stored(db) == computed


def test_numbers_that_are_missing_or_infinite_come_back_as_such(db: Database) -> None:
    part = Contribution("城南市场", "", math.nan, -math.inf, math.nan)
    odd = finding(10, scale=0.0, score=math.inf, expected=math.nan, contributions=(part,))
    save(db, flag(kind=Kind.SILENCE, direction=Direction.NONE, value=math.nan, expected=math.inf, findings=(odd,)))
    back = stored(db)
    assert math.isnan(back.value)
    assert back.expected == math.inf
    assert back.direction is Direction.NONE
    assert back.findings[0].score == math.inf
    assert math.isnan(back.findings[0].expected)
    assert math.isnan(back.findings[0].contributions[0].value)
    assert back.findings[0].contributions[0].expected == -math.inf


def test_the_same_evaluation_again_changes_nothing(db: Database) -> None:
    odd = flag(value=math.nan, findings=(finding(10, score=math.inf),))
    save(db, odd)
    before = get_flag(db, "f1")
    assert save(db, odd, now=day(99)) == []
    assert get_flag(db, "f1") == before or repr(get_flag(db, "f1")) == repr(before)
    assert [entry.action for entry in flag_log(db, "f1")] == ["opened"]


def test_machine_fields_follow_the_data_and_human_fields_stay(db: Database) -> None:
    save(db, flag())
    acknowledge(db, "f1", "值班员甲", NOW)
    later = flag(last_hit=day(12), peak=5.0, reason="两周上涨")
    assert save(db, later, now=NOW + timedelta(hours=1)) == []
    record = get_flag(db, "f1")
    assert record is not None
    assert record.flag == later
    assert (record.acknowledged_by, record.acknowledged_at, record.state) == ("值班员甲", NOW, "acknowledged")
    assert (record.raised_at, record.updated_at) == (NOW, NOW + timedelta(hours=1))


def test_a_higher_grade_is_told_as_raised_and_a_lower_one_is_not(db: Database) -> None:
    save(db, flag())
    assert save(db, flag(peak_grade=Grade(2, "Ⅱ级", "orange"))) == ["raised f1"]
    assert save(db, flag(peak_grade=Grade(1, "Ⅲ级", "yellow"))) == []
    assert stored(db).peak_grade == Grade(1, "Ⅲ级", "yellow")


def test_a_flag_that_ended_is_over_and_told_once(db: Database) -> None:
    save(db, flag())
    over = flag(end=day(20), end_reason="cleared")
    assert save(db, over) == ["ended f1"]
    assert state(db) == "over"
    assert save(db, over) == []


PROPOSED = Exit("exit/stable", "1", day(20), "大米已连续15天未再出现异常波动。")


def test_a_proposal_to_end_is_kept_told_once_and_taken_back(db: Database) -> None:
    """It comes and goes with what is computed, and touches nothing that people did."""
    save(db, flag())
    acknowledge(db, "f1", "值班员甲", NOW)
    proposed = flag(exit=PROPOSED)
    assert save(db, proposed) == ["exit f1"]
    assert stored(db) == proposed
    assert save(db, proposed) == []
    assert save(db, flag(last_hit=day(21))) == []
    assert stored(db).exit is None
    record = get_flag(db, "f1")
    assert record is not None
    assert (record.acknowledged_by, record.state) == ("值班员甲", "acknowledged")
    log = [entry for entry in flag_log(db, "f1") if entry.action.startswith("exit")]
    assert [entry.action for entry in log] == ["exit_proposed", "exit_taken_back"]
    assert log[0].detail["reason"] == PROPOSED.reason


def test_a_flag_that_is_over_with_its_proposal_is_told_once(db: Database) -> None:
    """One message says both; a proposal that comes after the end is told by itself."""
    save(db, flag())
    assert save(db, flag(end=day(20), end_reason="cleared", exit=PROPOSED)) == ["ended f1"]
    save(db, flag("f2"))
    assert save(
        db, flag("f2", end=day(20), end_reason="cleared"), flag(end=day(20), end_reason="cleared", exit=PROPOSED)
    ) == ["ended f2"]
    late = Exit("exit/stable", "1", day(30), "抢购已平息。")
    both = (
        flag(end=day(20), end_reason="cleared", exit=PROPOSED),
        flag("f2", end=day(20), end_reason="cleared", exit=late),
    )
    assert save(db, *both) == ["exit f2"]
    assert state(db, "f2") == "over"


def test_a_flag_that_rises_and_ends_in_one_evaluation_is_told_both(db: Database) -> None:
    save(db, flag())
    over = flag(end=day(20), end_reason="cleared", peak_grade=Grade(3, "Ⅰ级"))
    assert save(db, over) == ["raised f1", "ended f1"]


def test_a_flag_that_is_over_when_first_known_is_stored_as_over(db: Database) -> None:
    assert save(db, flag(end=day(12), end_reason="cleared")) == ["opened f1"]
    assert state(db) == "over"


def test_a_correction_that_removes_the_ground_withdraws_the_flag(db: Database) -> None:
    save(db, flag())
    assert save(db, now=day(70)) == ["withdrawn f1"]
    assert (stored(db).end, stored(db).end_reason, state(db)) == (day(70), "corrected", "over")
    assert stored(db).findings == flag().findings, "the evidence stays"
    assert save(db) == []


def test_a_withdrawn_flag_that_comes_back_is_open_again(db: Database) -> None:
    save(db, flag())
    acknowledge(db, "f1", "值班员甲", NOW)
    save(db)
    assert save(db, flag()) == ["opened f1"]
    assert (state(db), stored(db).end, stored(db).end_reason) == ("acknowledged", None, "")
    assert [e.action for e in flag_log(db, "f1")] == ["opened", "acknowledged", "withdrawn", "reopened"]


def test_flags_from_before_the_evaluated_time_are_left_alone(db: Database) -> None:
    save(db, flag("old", start=5), flag("new", start=10))
    assert save(db, since={ITEM: epoch(10)}) == ["withdrawn new"]
    assert state(db, "old") == "open"


def test_old_flags_are_not_inserted_once_the_item_is_known(db: Database) -> None:
    history = [flag("a", start=5), flag("b", start=20)]
    assert save(db, *history, since={ITEM: epoch(15)}) == ["opened a", "opened b"], "the first time: all of them"
    assert save(db, *history, flag("c", start=6), flag("d", start=30), since={ITEM: epoch(15)}) == ["opened d"]
    assert get_flag(db, "c") is None


def test_other_items_and_other_kinds_are_left_alone(db: Database) -> None:
    save(db, flag("pork", item=PORK.item), items={PORK.item}, since={PORK.item: 0})
    save(db, flag("silent", kind=Kind.SILENCE, direction=Direction.NONE))
    assert save(db, kinds={Kind.MOVE, Kind.DATA}) == []
    assert (state(db, "pork"), state(db, "silent")) == ("open", "open")
    assert save(db) == ["withdrawn silent"]


def test_a_flag_of_an_item_that_was_not_evaluated_is_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="belong to the items"):
        save(db, flag(item="别的"))
    with pytest.raises(ValueError, match="distinct ids"):
        save(db, flag(), flag())


def test_more_flags_than_fit_one_question_are_reconciled(db: Database) -> None:
    many = [flag(f"f{n:04}", start=n % 50) for n in range(1_203)]
    assert len(save(db, *many)) == 1_203
    assert save(db, *many) == []
    assert save(db, *many[1:]) == ["withdrawn f0000"]


def test_marks_that_came_during_an_evaluation_are_kept(db: Database) -> None:
    add(db, mixed((CABBAGE, 1, 2.0), (PORK, 1, 15.0)), source="s", name="a", now=NOW)
    seen = dirty_series(db)
    add(db, batch((2, 2.1)), source="s", name="b", now=NOW)
    save(db, dirty=seen)
    assert [(one.series_id, one.since_at, one.stamp) for one in dirty_series(db)] == [(1, epoch(1), 2)]


def told(change: FlagChange, key: str) -> NewNotification:
    return NewNotification(
        key=key,
        flag_id=change.flag.id,
        change=change.what,
        changes=((change.flag.id, change.what),),
        rank=change.flag.peak_grade.rank,
        person="值班员甲",
        channel="sms",
        address="+8610000",
        subject="大白菜 上涨",
        body="正文",
        payload={"链接": "x"},
        created_at=NOW,
        not_before=NOW,
        expires_at=NOW + timedelta(hours=12),
    )


def test_notifications_are_queued_in_the_same_transaction(db: Database) -> None:
    def tell(connection: Connection, changes: Sequence[FlagChange]) -> None:
        outbox.enqueue(connection, [told(c, f"key-{c.what}") for c in changes])

    save(db, flag(), notify=tell)
    with db.connect() as connection:
        (row,) = connection.execute(select(notification)).mappings()
        (link,) = connection.execute(select(notification_flag)).mappings()
    assert (row["key"], row["state"], row["payload"]) == ("key-opened", "pending", {"链接": "x"})
    assert dict(link) == {"notification_id": row["id"], "flag_id": "f1", "change": "opened"}


def test_the_same_notification_is_never_queued_twice(db: Database) -> None:
    def same_key(connection: Connection, changes: Sequence[FlagChange]) -> None:
        outbox.enqueue(connection, [told(c, "one") for c in changes])

    save(db, flag(), notify=same_key)
    save(db, flag(end=day(20), end_reason="cleared"), notify=same_key)
    with db.connect() as connection:
        assert len(connection.execute(select(notification)).all()) == 1


def test_when_telling_fails_the_flags_are_not_stored_and_the_marks_remain(db: Database) -> None:
    add(db, batch((1, 2.0)), source="s", name="a", now=NOW)

    def broken(connection: Connection, changes: Sequence[FlagChange]) -> None:
        outbox.enqueue(connection, [told(c, "one") for c in changes])
        raise RuntimeError("as if composing had a bug")

    with pytest.raises(RuntimeError):
        save(db, flag(), dirty=dirty_series(db), notify=broken)
    assert get_flag(db, "f1") is None
    assert len(dirty_series(db)) == 1
    with db.connect() as connection:
        assert connection.execute(select(notification)).all() == []


def test_the_first_acknowledgement_counts_and_all_are_logged(db: Database) -> None:
    save(db, flag())
    acknowledge(db, "f1", "值班员甲", NOW)
    record = acknowledge(db, "f1", "值班员乙", NOW + timedelta(minutes=5))
    assert (record.state, record.acknowledged_by, record.acknowledged_at) == ("acknowledged", "值班员甲", NOW)
    assert [(e.actor, e.action) for e in flag_log(db, "f1")] == [
        ("monitor", "opened"),
        ("值班员甲", "acknowledged"),
        ("值班员乙", "acknowledged"),
    ]


STATES = {
    "open": (None, False, False),
    "acknowledged": (None, True, False),
    "over": (day(20), True, False),
    "reviewed": (day(20), True, True),
}


@pytest.mark.parametrize("expected", STATES)
def test_the_state_follows_from_end_acknowledgement_and_verdict(db: Database, expected: str) -> None:
    end, known, judged = STATES[expected]
    save(db, flag())
    if known:
        acknowledge(db, "f1", "值班员甲", NOW)
    if judged:
        review(db, "f1", "real_move", "", "审核员", NOW, 1)
        assert state(db) == "reviewed", "judged while it goes on"
    save(db, flag(end=end, end_reason="cleared" if end else ""))
    assert state(db) == expected
    assert stored(db).end == end


def test_a_flag_that_is_over_can_be_acknowledged_and_judged(db: Database) -> None:
    save(db, flag(end=day(12), end_reason="cleared"))
    assert acknowledge(db, "f1", "值班员甲", NOW).state == "over"
    assert review(db, "f1", "real_move", "", "审核员", NOW, None).state == "reviewed"


def test_a_review_is_kept_with_its_note_and_reviewer(db: Database) -> None:
    save(db, flag())
    record = review(db, "f1", "to_check", "电话核实", "审核员", NOW, 1)
    assert (record.verdict, record.note, record.reviewer, record.reviewed_at, record.revision) == (
        "to_check",
        "电话核实",
        "审核员",
        NOW,
        2,
    )
    assert flag_log(db, "f1")[-1].detail == {"verdict": "to_check", "note": "电话核实"}


def test_a_review_of_what_somebody_else_has_reviewed_meanwhile_is_refused(db: Database) -> None:
    save(db, flag())
    review(db, "f1", "real_move", "", "审核员甲", NOW, 1)
    with pytest.raises(RevisionChanged, match="reviewed meanwhile by 审核员甲") as refused:
        review(db, "f1", "data_error", "", "审核员乙", NOW, 1)
    assert refused.value.current.revision == 2
    assert get_flag(db, "f1") == refused.value.current
    assert review(db, "f1", "data_error", "", "审核员乙", NOW, 2).reviewer == "审核员乙"


def test_what_the_machine_adds_and_who_acknowledges_does_not_stop_a_reviewer(db: Database) -> None:
    save(db, flag())
    acknowledge(db, "f1", "值班员甲", NOW)
    save(db, flag(last_hit=day(12)))
    assert review(db, "f1", "real_move", "", "审核员", NOW, 1).revision == 2


def test_unknown_flags_and_verdicts_are_refused(db: Database) -> None:
    with pytest.raises(FlagNotFound):
        acknowledge(db, "f9", "值班员甲", NOW)
    with pytest.raises(FlagNotFound):
        review(db, "f9", "real_move", "", "审核员", NOW, 1)
    save(db, flag())
    with pytest.raises(ValueError, match="maybe"):
        review(db, "f1", "maybe", "", "审核员", NOW, 1)
    assert get_flag(db, "f9") is None
    assert flag_log(db, "f9") == []


@pytest.fixture
def reviewed_db(db: Database) -> Database:
    """Cabbage and pork on days 8 to 14, nothing waiting, a flag on cabbage from day 10 to day 11."""
    rows = [(key, n, float(n)) for key in (CABBAGE, PORK) for n in range(8, 15)]
    add(db, mixed(*rows), source="s", name="a", now=NOW)
    save(db, flag(last_hit=day(11)), dirty=dirty_series(db))
    return db


@pytest.mark.parametrize(("verdict", "mark"), [("data_error", Mark.DATA_ERROR), ("expected", Mark.EXPECTED)])
def test_a_data_error_or_expected_move_marks_the_flags_observations(
    reviewed_db: Database, verdict: str, mark: Mark
) -> None:
    db = reviewed_db
    review(db, "f1", verdict, "", "审核员", NOW, 1)
    columns = read_columns(db)
    marked = [
        (int(s), int(at)) for s, at, m in zip(columns.series_id, columns.at, columns.mark, strict=True) if m == mark
    ]
    assert marked == [(1, epoch(10)), (1, epoch(11))]
    assert [(one.series_id, one.since_at) for one in dirty_series(db)] == [(1, epoch(10))]


@pytest.mark.parametrize("verdict", ["real_move", "to_check"])
def test_other_verdicts_mark_nothing(reviewed_db: Database, verdict: str) -> None:
    review(reviewed_db, "f1", verdict, "", "审核员", NOW, 1)
    assert not read_columns(reviewed_db).mark.any()
    assert dirty_series(reviewed_db) == []


def test_a_later_verdict_takes_the_marks_back_and_has_the_series_evaluated_again(reviewed_db: Database) -> None:
    db = reviewed_db
    review(db, "f1", "data_error", "", "审核员", NOW, 1)
    save(db, flag(last_hit=day(11)), dirty=dirty_series(db))
    review(db, "f1", "real_move", "", "审核员", NOW, 2)
    assert not read_columns(db).mark.any()
    assert [(one.series_id, one.since_at) for one in dirty_series(db)] == [(1, epoch(10))]


def test_a_mark_belongs_to_the_revision_judged(reviewed_db: Database) -> None:
    db = reviewed_db
    review(db, "f1", "data_error", "", "审核员", NOW, 1)
    add(db, batch((10, 2.2)), source="s", name="corrected", now=NOW)
    assert read_columns(db, [1]).mark.tolist() == [0, 0, 0, Mark.DATA_ERROR, 0, 0, 0]


def test_a_contradiction_found_at_storing_outlives_the_verdicts(reviewed_db: Database) -> None:
    db = reviewed_db
    add(db, batch((10, 2.0), (10, 20.0)), source="s", name="b", now=NOW)
    both = Mark.CONFLICT | Mark.EXPECTED
    review(db, "f1", "expected", "", "审核员", NOW, 1)
    assert read_columns(db, [1]).mark.tolist() == [0, 0, both, Mark.EXPECTED, 0, 0, 0]
    review(db, "f1", "real_move", "", "审核员", NOW, 2)
    assert read_columns(db, [1]).mark.tolist() == [0, 0, Mark.CONFLICT, 0, 0, 0, 0]


def test_a_flag_over_several_points_of_an_area_marks_just_those(db: Database) -> None:
    keys = [replace(CABBAGE, point=point) for point in ("甲", "乙", "丙")]
    add(db, mixed(*((key, 10, 2.0) for key in keys)), source="s", name="a", now=NOW)
    save(db, flag(point="", points=("甲", "丙")))
    review(db, "f1", "expected", "节日", "审核员", NOW, 1)
    assert read_columns(db).mark.tolist() == [Mark.EXPECTED, 0, Mark.EXPECTED]


def test_flags_are_listed_newest_first_and_graver_first_in_pages(db: Database) -> None:
    save(db, *(flag(f"f{n}", start=n // 3, peak_grade=Grade(n % 2, "x")) for n in range(9)))
    pages: list[str] = []
    after = None
    while page := list_flags(db, limit=2, after=after):
        pages += [record.flag.id for record in page]
        last = page[-1].flag
        after = (int(last.first_flagged.timestamp()), last.peak_grade.rank, last.id)
    assert pages == ["f7", "f8", "f6", "f5", "f3", "f4", "f1", "f2", "f0"]


FILTERS = {
    "state": (FlagFilter(states=("over",)), {"over"}),
    "states": (FlagFilter(states=("open", "acknowledged")), {"plain", "silent", "down", "south", "red", "late"}),
    "kind": (FlagFilter(kinds=(Kind.SILENCE,)), {"silent"}),
    "direction": (FlagFilter(direction="down"), {"down"}),
    "no direction": (FlagFilter(direction=""), {"silent"}),
    "area": (FlagFilter(area="南区"), {"south"}),
    "grade": (FlagFilter(grade="Ⅰ级"), {"red"}),
    "rank": (FlagFilter(min_rank=2), {"red"}),
    "rule": (FlagFilter(rule="other"), {"down"}),
    "item": (FlagFilter(item="没有"), set[str]()),
    "flagged from": (FlagFilter(since=day(11)), {"late"}),
    "flagged before": (FlagFilter(until=day(10)), set[str]()),
    "two at once": (FlagFilter(states=("open",), min_rank=2), {"red"}),
}


@pytest.mark.parametrize("name", FILTERS)
def test_flags_are_filtered(db: Database, name: str) -> None:
    wanted, expected = FILTERS[name]
    save(
        db,
        flag("plain"),
        flag("over", end=day(12), end_reason="cleared"),
        flag("silent", kind=Kind.SILENCE, direction=Direction.NONE),
        flag("down", direction=Direction.DOWN, rule="other"),
        flag("south", area="南区"),
        flag("red", peak_grade=Grade(3, "Ⅰ级")),
        flag("late", start=11),
    )
    assert {record.flag.id for record in list_flags(db, wanted)} == expected


def test_flags_are_counted_by_state_kind_rule_and_grade(db: Database) -> None:
    save(db, flag("a"), flag("b"), flag("c", peak_grade=Grade(3, "Ⅰ级"), end=day(12), end_reason="cleared"))
    counted = {(one.state, one.kind, one.rule, one.grade, one.rank): one.count for one in count_flags(db)}
    assert counted == {("open", "move", "veg-week", "Ⅲ级", 1): 2, ("over", "move", "veg-week", "Ⅰ级", 3): 1}


def test_times_without_a_zone_are_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        save(db, flag(), now=datetime(2026, 3, 2))  # noqa: DTZ001 (that is the fault)
