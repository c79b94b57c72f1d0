"""The contract of kept histories: what a page shows of an item is never older than the data."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.store import histories as module
from monitor.store.database import Database
from monitor.store.flags import review, save_evaluation
from monitor.store.histories import Histories, SeriesHistory
from monitor.store.observations import add
from tests.store.build import CABBAGE, NOW, PORK, batch, epoch, flag
from thresholds.model import Mark, ObservationBatch, SeriesKey


def put(db: Database, rows: ObservationBatch) -> None:
    add(db, rows, source="s", name="a", now=NOW)


def test_a_history_is_read_once_while_the_data_are_the_same(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    put(db, batch((1, 2.0), (2, 3.0)))
    kept = Histories()
    first = kept.of(db, [CABBAGE.item], epoch(0))
    monkeypatch.setattr(module, "read", None)
    again = kept.of(db, [CABBAGE.item], epoch(0))
    assert (first[0].value.tolist(), first[0].key, first[0].at[0]) == ([2.0, 3.0], CABBAGE, epoch(1))
    assert again[0].value is first[0].value


def test_a_new_reading_a_correction_and_a_new_point_are_seen_at_once(db: Database) -> None:
    put(db, batch((1, 2.0), (2, 3.0)))
    kept = Histories()
    assert values(kept.of(db, [CABBAGE.item], 0)) == [[2.0, 3.0]]
    put(db, batch((2, 3.5), (3, 4.0), area="东区"))
    put(db, batch((1, 9.0), key=SeriesKey(CABBAGE.item, point="别处")))
    found = kept.of(db, [CABBAGE.item], 0)
    assert values(found) == [[2.0, 3.5, 4.0], [9.0]]
    assert found[0].area == "东区"


def test_the_judgement_of_a_reviewer_is_seen_at_once(db: Database) -> None:
    put(db, batch((1, 2.0), (2, 30.0)))
    nothing: dict[str, Any] = {
        "items": {CABBAGE.item},
        "since": {},
        "dirty": [],
        "now": NOW,
        "notify": lambda *_: None,
    }
    save_evaluation(db, [flag("f1", 2)], **nothing)
    kept = Histories()
    assert kept.of(db, [CABBAGE.item], 0)[0].mark.tolist() == [0, 0]
    review(db, "f1", "data_error", "", "监测员", NOW, 1)
    assert kept.of(db, [CABBAGE.item], 0)[0].mark.tolist() == [0, Mark.DATA_ERROR]


def test_a_history_begins_where_it_is_asked_to_whatever_is_kept(db: Database) -> None:
    put(db, batch(*((n, float(n)) for n in range(200))))
    kept = Histories()
    assert values(kept.of(db, [CABBAGE.item], epoch(190))) == [[float(n) for n in range(190, 200)]]
    assert values(kept.of(db, [CABBAGE.item], epoch(3)))[0][0] == 3.0
    assert values(kept.of(db, [CABBAGE.item], epoch(198))) == [[198.0, 199.0]]


def test_what_was_asked_for_longest_ago_makes_room(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    put(db, batch((1, 2.0), (2, 3.0)))
    put(db, batch((1, 8.0), (2, 9.0), key=PORK))
    kept = Histories(most=3)
    kept.of(db, [CABBAGE.item], 0)
    assert values(kept.of(db, [PORK.item], 0)) == [[8.0, 9.0]]
    monkeypatch.setattr(module, "read", None)
    assert values(kept.of(db, [PORK.item], 0)) == [[8.0, 9.0]]
    with pytest.raises(TypeError):
        kept.of(db, [CABBAGE.item], 0)


def test_an_item_that_nobody_reports_has_no_history(db: Database) -> None:
    assert Histories().of(db, ["没有的品种"], 0) == []


def test_nobody_can_write_into_what_all_share(db: Database) -> None:
    put(db, batch((1, 2.0)))
    (one,) = Histories().of(db, [CABBAGE.item], 0)
    with pytest.raises(ValueError, match="read-only"):
        one.value[0] = 1.0


def values(found: list[SeriesHistory]) -> list[list[float]]:
    return [one.value.tolist() for one in found]
