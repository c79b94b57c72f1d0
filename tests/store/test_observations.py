"""The contract of adding observations, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from collectors.base import StoredCounts
from monitor.store import batches, sources
from monitor.store.columns import Dirty, dirty_series, read_columns, read_series
from monitor.store.database import Database
from monitor.store.observations import Added, Outcome, add, list_observations, list_series, revisions
from tests.store.build import CABBAGE, NOW, PORK, batch, day, epoch, mixed
from thresholds.model import Mark, ObservationBatch, Reject, SeriesKey

A, D, R = Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.REVISED


def put(db: Database, data: ObservationBatch, **more: Any) -> Added:
    fields: dict[str, Any] = {"source": "sheet", "name": "a.csv", "now": NOW} | more
    return add(db, data, **fields)


def stored_values(db: Database, n: int = 1) -> list[float]:
    """All revisions of one day of the first series."""
    return [row.value for row in revisions(db, 1, day(n))]


CASES = {
    "a first value is accepted": ([], [5.0], [A], [5.0]),
    "the same value again is a duplicate": ([[5.0]], [5.0], [D], [5.0]),
    "another value is a revision": ([[5.0]], [6.0], [R], [5.0, 6.0]),
    "a value that was corrected comes back as a further revision": ([[5.0], [6.0]], [5.0], [R], [5.0, 6.0, 5.0]),
    "a batch that repeats itself stores once": ([], [5.0, 5.0, 5.0], [A, D, D], [5.0]),
    "a batch that contradicts itself keeps every value": ([], [5.0, 6.0], [A, R], [5.0, 6.0]),
    "the same contradiction again stores nothing": ([[5.0, 6.0]], [5.0, 6.0], [D, D], [5.0, 6.0]),
    "a longer contradiction again stores nothing": ([[5.0, 6.0, 5.0]], [5.0, 6.0, 5.0], [D, D, D], [5.0, 6.0, 5.0]),
    "a contradiction that begins with the newest value stores the rest": ([[5.0]], [5.0, 6.0], [D, R], [5.0, 6.0]),
    "a contradiction in another order is new": ([[5.0, 6.0]], [6.0, 5.0], [D, R], [5.0, 6.0, 5.0]),
    "only the newest value decides what is a duplicate": ([[5.0, 6.0]], [5.0], [R], [5.0, 6.0, 5.0]),
    "the end of a contradiction alone is a duplicate": ([[5.0, 6.0]], [6.0], [D], [5.0, 6.0]),
    "minus zero is zero": ([[0.0]], [-0.0], [D], [0.0]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rule_for_duplicates_and_revisions(db: Database, case: str) -> None:
    before, values, outcome, after = CASES[case]
    for earlier in before:
        put(db, batch(*((1, v) for v in earlier)))
    assert put(db, batch(*((1, v) for v in values))).outcome.tolist() == outcome
    assert stored_values(db) == after


def test_every_row_gets_its_outcome_in_the_order_received(db: Database) -> None:
    put(db, mixed((CABBAGE, 1, 2.0), (PORK, 1, 15.0)))
    rows = mixed((PORK, 2, 15.5), (CABBAGE, 1, 2.0), (PORK, 1, 14.0), (CABBAGE, 3, 2.2), (PORK, 2, 15.5))
    added = put(db, rows)
    assert added.outcome.tolist() == [A, D, R, A, D]
    assert added.outcome.dtype == np.uint8
    assert added.counts == StoredCounts(accepted=2, duplicate=2, revised=1, rejected=0)


def test_a_correction_is_a_new_revision_and_the_newest_counts(db: Database) -> None:
    put(db, batch((1, 2.0)), name="monday.csv")
    put(db, batch((1, 2.5)), name="tuesday.csv")
    history = revisions(db, 1, day(1))
    assert [(row.revision, row.value, row.name) for row in history] == [
        (1, 2.0, "monday.csv"),
        (2, 2.5, "tuesday.csv"),
    ]
    assert [row.value for row in list_observations(db)] == [2.5]
    assert [row.value for row in list_observations(db, every_revision=True)] == [2.0, 2.5]


def test_the_five_parts_of_the_key_make_different_series(db: Database) -> None:
    keys = [replace(CABBAGE, **{part: "x"}) for part in ("item", "spec", "unit", "channel", "point")]
    put(db, mixed(*((key, 1, 1.0) for key in [CABBAGE, *keys])))
    assert list(read_series(db).keys) == [CABBAGE, *keys]
    put(db, mixed(*((key, 2, 1.0) for key in keys)))
    assert len(read_series(db).ids) == 6


def test_names_as_long_as_a_sheet_may_hold_make_a_series(db: Database) -> None:
    letters = [chr(0x4E00 + n) for n in range(2_500)]
    parts = ["".join(letters[start::5]) for start in range(5)]
    key = SeriesKey(*parts)
    assert put(db, batch((1, 2.0), key=key)).counts.accepted == 1
    assert put(db, batch((1, 2.0), key=replace(key, point=parts[4][:-1]))).counts.accepted == 1
    assert put(db, batch((1, 2.0), key=key)).counts.duplicate == 1


def test_parts_of_a_key_do_not_run_into_each_other(db: Database) -> None:
    put(db, mixed((SeriesKey("猪肉", "瘦"), 1, 1.0), (SeriesKey("猪", "肉瘦"), 1, 1.0)))
    assert len(read_series(db).ids) == 2


def test_a_changed_area_moves_the_series_and_an_empty_one_does_not(db: Database) -> None:
    put(db, batch((1, 2.0), area="南区"))
    put(db, batch((2, 2.0), area=""))
    assert list(read_series(db).areas) == ["南区"]
    put(db, batch((2, 2.0), area="新区"))
    assert list(read_series(db).areas) == ["新区"]


def test_the_source_of_a_row_counts_before_that_of_the_batch(db: Database) -> None:
    data = batch((1, 2.0))
    put(db, data, source="folder")
    assert list(read_series(db).sources) == ["folder"]
    put(db, replace(data, sources=["统计局"]), source="folder")
    assert list(read_series(db).sources) == ["统计局"]


def test_an_empty_batch_with_rejects_is_kept(db: Database) -> None:
    added = put(db, batch(), rejects=[Reject(2, "no_value", "价格为空", "2026-01-01,大白菜,,")])
    assert added.counts == StoredCounts(rejected=1)
    assert batches.rejects_of(db, added.batch_id) == [Reject(2, "no_value", "价格为空", "2026-01-01,大白菜,,")]


def test_rejects_are_kept_up_to_a_limit_and_counted_beyond_it(db: Database) -> None:
    added = put(db, batch((1, 2.0)), rejects=[Reject(n, "no_value", "价格为空") for n in range(2, 1_502)])
    assert [r.row for r in batches.rejects_of(db, added.batch_id, limit=5_000)] == list(range(2, 1_002))
    assert batches.list_batches(db)[0].counts == StoredCounts(accepted=1, rejected=1_500)


def test_a_reject_with_bytes_that_no_database_takes_is_kept_readable(db: Database) -> None:
    added = put(db, batch(), rejects=[Reject(1, "encoding", "坏字符", "a\0b\ud800c")])
    assert batches.rejects_of(db, added.batch_id)[0].content == "a\ufffdb\ufffdc"


def test_notes_stay_with_the_revision_that_brought_them(db: Database) -> None:
    put(db, batch((1, 2.0), note="节前"))
    put(db, batch((1, 2.0), note="没有新值，不记"))
    put(db, batch((1, 3.0)))
    assert [row.note for row in revisions(db, 1, day(1))] == ["节前", ""]


def test_a_contradiction_within_a_batch_marks_its_newest_revision(db: Database) -> None:
    put(db, batch((1, 2.0), (2, 2.0), (2, 20.0), (3, 2.0), (3, 2.0)))
    assert read_columns(db).mark.tolist() == [0, Mark.CONFLICT, 0]
    put(db, batch((2, 2.1)))
    assert read_columns(db).mark.tolist() == [0, 0, 0], "a correction settles it"


def test_a_contradiction_is_marked_even_if_its_first_value_was_known(db: Database) -> None:
    put(db, batch((1, 2.0)))
    put(db, batch((1, 2.0), (1, 20.0)))
    assert read_columns(db).mark.tolist() == [Mark.CONFLICT]


def test_what_is_new_is_marked_for_evaluation_from_its_earliest_time(db: Database) -> None:
    put(db, mixed((CABBAGE, 5, 2.0), (CABBAGE, 4, 2.0), (PORK, 7, 15.0)))
    at = int(NOW.timestamp())
    assert dirty_series(db) == [Dirty(1, epoch(4), at, 1), Dirty(2, epoch(7), at, 1)]


def test_a_second_mark_keeps_the_first_time_and_counts(db: Database) -> None:
    put(db, batch((5, 2.0)))
    put(db, batch((3, 2.0)), now=day(70))
    put(db, batch((9, 2.0)), now=day(71))
    assert dirty_series(db) == [Dirty(1, epoch(3), int(NOW.timestamp()), 3)]


def test_duplicates_mark_nothing_for_evaluation(db: Database) -> None:
    put(db, batch((5, 2.0)))
    put(db, batch((5, 2.0)))
    assert [one.stamp for one in dirty_series(db)] == [1]


def test_the_cursor_is_stored_with_the_rows(db: Database) -> None:
    put(db, batch((5, 2.0)), cursor={"etag": '"a1"', "页": 3})
    state = sources.read_source(db, "sheet")
    assert state.cursor == {"etag": '"a1"', "页": 3}
    assert state.last_observation_at == day(5)
    put(db, batch((4, 2.0)))
    assert sources.read_source(db, "sheet") == state, "older rows and no cursor leave it as it was"


def test_a_value_that_is_not_finite_is_refused_before_anything_is_stored(db: Database) -> None:
    with pytest.raises(ValueError, match="row 2: the value nan is not a finite number"):
        put(db, batch((1, 2.0), (2, float("nan"))))
    assert len(read_series(db).ids) == 0


@pytest.mark.parametrize("item", ["大白菜\0", "大白菜\ud800"])
def test_a_key_that_cannot_be_stored_is_refused_by_name(db: Database, item: str) -> None:
    with pytest.raises(ValueError, match="NUL or half a character"):
        put(db, batch((1, 2.0), key=SeriesKey(item)))


def test_an_error_in_the_middle_leaves_nothing_behind(db: Database) -> None:
    def fail(_added: Added) -> tuple[int, str]:
        raise RuntimeError("as if the program had a bug here")

    wanted = batches.Idempotency(1, "k", "h", fail)
    with pytest.raises(RuntimeError):
        put(db, batch((1, 2.0)), cursor={"page": 1}, rejects=[Reject(1, "x", "x")], idempotency=wanted)
    assert len(read_series(db).ids) == 0
    assert batches.list_batches(db) == []
    assert dirty_series(db) == []
    assert sources.read_sources(db) == {}


def test_a_request_with_the_same_key_is_stored_once_and_answered_alike(db: Database) -> None:
    wanted = batches.Idempotency(7, "k1", "hash", lambda added: (200, f"accepted {added.counts.accepted}"))
    put(db, batch((1, 2.0)), idempotency=wanted)
    with pytest.raises(batches.AlreadyAnswered) as repeated:
        put(db, batch((1, 3.0)), idempotency=wanted)
    assert repeated.value.answer == batches.Answer("hash", 200, "accepted 1")
    assert batches.find_answer(db, 7, "k1") == repeated.value.answer
    assert batches.find_answer(db, 8, "k1") is None, "another token's keys are its own"
    assert stored_values(db) == [2.0]


def test_answers_are_forgotten_after_their_time(db: Database) -> None:
    put(db, batch((1, 2.0)), idempotency=batches.Idempotency(7, "k1", "hash", lambda _: (200, "")))
    assert batches.forget_answers(db, NOW) == 0
    assert batches.forget_answers(db, day(100)) == 1
    assert batches.find_answer(db, 7, "k1") is None


def test_many_threads_adding_the_same_rows_store_them_once(db: Database) -> None:
    keys = [SeriesKey(f"品种{n}") for n in range(20)]
    data = mixed(*((key, n, float(n)) for key in keys for n in range(10)))
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda n: put(db, data, name=str(n)), range(12)))
    assert sorted(one.counts.accepted for one in done) == [0] * 11 + [200]
    assert len(read_columns(db)) == 200


def test_two_processes_with_different_values_both_leave_a_revision(
    db: Database, open_again: Callable[..., Database]
) -> None:
    others = [db, open_again(), open_again()]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: put(others[n], batch((1, float(n)))), range(3)))
    assert sorted(stored_values(db)) == [0.0, 1.0, 2.0]
    assert [row.revision for row in revisions(db, 1, day(1))] == [1, 2, 3]


def test_a_few_corrections_far_apart_in_a_long_history_are_found(db: Database) -> None:
    put(db, batch(*((n, float(n)) for n in range(3_000))))
    put(db, mixed((PORK, 1, 15.0)))
    rows = mixed(
        (CABBAGE, 0, 0.0), (PORK, 1, 15.0), (CABBAGE, 1_500, 1.0), (CABBAGE, 2_999, 2_999.0), (PORK, 2, 15.0)
    )
    assert put(db, rows).outcome.tolist() == [D, D, R, D, A]


def test_a_key_at_the_edge_of_a_cut_window_keeps_all_its_revisions(db: Database) -> None:
    """Reading stops after some rows of a window, in the middle of the revisions of one time."""
    flips = [(30, float(n % 2)) for n in range(60)]
    put(db, batch(*((n, 1.0) for n in range(30)), *flips, *((n, 1.0) for n in range(31, 500))))
    assert put(db, batch((0, 1.0), *flips, (499, 1.0))).counts == StoredCounts(duplicate=62)


def test_pages_of_observations_follow_each_other_without_gap_or_repeat(db: Database) -> None:
    put(db, mixed(*((key, n, float(n)) for key in (CABBAGE, PORK) for n in range(7))))
    put(db, batch((3, 30.0)))
    every = list_observations(db, every_revision=True)
    assert len(every) == 15
    pages, after = [], None
    while page := list_observations(db, every_revision=True, limit=4, after=after):
        pages += page
        after = (page[-1].series.id, int(page[-1].at.timestamp()), page[-1].revision)
    assert pages == every
    assert all((a.series.id, a.at, a.revision) < (b.series.id, b.at, b.revision) for a, b in pairwise(pages)), (
        "sorted by series, time and revision"
    )


def test_observations_are_filtered_by_series_and_time(db: Database) -> None:
    put(db, mixed(*((key, n, float(n)) for key in (CABBAGE, PORK) for n in range(7))))
    found = list_observations(db, item="猪肉", since=day(2), until=day(4))
    assert [(row.series.key, row.at) for row in found] == [(PORK, day(2)), (PORK, day(3))]
    assert [row.series.key for row in list_observations(db, series_id=1, until=day(1))] == [CABBAGE]
    assert list_observations(db, unit="元/公斤") == []


def test_series_are_listed_in_pages_and_filtered(db: Database) -> None:
    put(db, mixed(*((SeriesKey(f"品种{n}", point="城南市场"), 1, 1.0) for n in range(5)), (PORK, 1, 1.0)))
    first = list_series(db, limit=4)
    assert [row.key.item for row in first + list_series(db, after=first[-1].id)] == [
        *(f"品种{n}" for n in range(5)),
        "猪肉",
    ]
    assert [row.key for row in list_series(db, point="城北市场")] == [PORK]
    assert [row.first_seen_at for row in list_series(db, item="猪肉")] == [NOW]
