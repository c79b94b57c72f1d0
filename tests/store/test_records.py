"""Records in the database: entered, lifted, never overwritten; what they concern is evaluated again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.store import observations, records
from monitor.store.database import Database
from monitor.store.dirty import clear, dirty_series
from thresholds.model import Observation, ObservationBatch, SeriesKey
from thresholds.records import Record

NOW = datetime(2026, 3, 10, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)
DECISION = Record(
    "", "decision", "干预", "省政府", "黑政发〔2026〕1号", int(START.timestamp()), None, classes=("粮",)
)
SEEN = Record("", "observed", "抢购", "某区", "", int(START.timestamp()), None, items=("大米",))


def quotes(db: Database, *items: str) -> None:
    """One evaluated quote per item."""
    rows = [Observation(SeriesKey(item, point="东市场"), NOW, 3.0, area="东区") for item in items]
    observations.add(db, ObservationBatch.of(rows), source="test", name="rows", now=NOW)
    with db.begin() as connection:
        clear(connection, dirty_series(db))


def test_lifting_is_a_further_revision(db: Database) -> None:
    """The newest counts, and every word that was said before it stays, with who said it and when."""
    made = records.add(db, DECISION, "文件已收", "token:甲", NOW)
    assert (made.revision, made.record.end) == (1, None)
    later = NOW + timedelta(days=1)
    lifted = records.lift(db, made.record.id, datetime(2026, 3, 20, tzinfo=UTC), "解除文件已收", "token:乙", later)
    assert (lifted.revision, lifted.record.end) == (2, int(datetime(2026, 3, 20, tzinfo=UTC).timestamp()))
    corrected = records.lift(db, made.record.id, datetime(2026, 3, 21, tzinfo=UTC), "", "token:乙", later)
    assert records.revisions(db, made.record.id) == [made, lifted, corrected]
    assert records.read_records(db) == (corrected.record,)
    assert [one.actor for one in records.revisions(db, made.record.id)] == ["token:甲", "token:乙", "token:乙"]


def test_only_what_holds_is_listed_on_request(db: Database) -> None:
    """In force from its beginning until before its end."""
    made = records.add(db, DECISION, "", "甲", NOW)
    records.add(db, replace(SEEN, start=int(datetime(2026, 3, 15, tzinfo=UTC).timestamp())), "", "甲", NOW)
    assert [one.record.measure for one in records.list_records(db)] == ["抢购", "干预"]
    assert [one.record.measure for one in records.list_records(db, at=NOW)] == ["干预"]
    records.lift(db, made.record.id, NOW, "", "甲", NOW)
    assert records.list_records(db, at=NOW) == []


def test_what_it_may_concern_is_evaluated_again_from_its_beginning(db: Database) -> None:
    """An item's series for an item, all of them for a class; nothing where nothing is stored."""
    records.add(db, SEEN, "", "甲", NOW)
    assert dirty_series(db) == []
    quotes(db, "大米", "鸡蛋")
    records.add(db, SEEN, "", "甲", NOW)
    (mark,) = dirty_series(db)
    assert mark.since_at == SEEN.start
    made = records.add(db, replace(DECISION, start=DECISION.start - 1000), "", "甲", NOW)
    assert len(dirty_series(db)) == 2
    with db.begin() as connection:
        clear(connection, dirty_series(db))
    records.lift(db, made.record.id, NOW, "", "甲", NOW)
    assert {(m.since_at) for m in dirty_series(db)} == {DECISION.start - 1000}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"issuer": "市政府"}, "issuer"),
        ({"document": ""}, "document"),
        ({"classes": ("粮", "没有的品类")}, "classes"),
        ({"classes": ()}, "items"),
        ({"items": ("",)}, "items"),
        ({"measure": "干预\0"}, "measure"),
        ({"areas": tuple(f"{n}区" for n in range(501))}, "areas"),
    ],
)
def test_what_cannot_be_recorded_is_refused_whole(db: Database, changes: dict[str, Any], field: str) -> None:
    """Said by field; nothing is stored and nothing marked."""
    quotes(db, "大米")
    with pytest.raises(records.RecordError) as refused:
        records.add(db, replace(DECISION, **changes), "", "甲", NOW, classes=("粮", "肉"))
    assert field in refused.value.faults
    assert records.list_records(db) == []
    assert dirty_series(db) == []


def test_an_end_before_the_beginning_is_refused(db: Database) -> None:
    """And a record that does not exist cannot be lifted."""
    made = records.add(db, DECISION, "", "甲", NOW)
    with pytest.raises(records.RecordError):
        records.lift(db, made.record.id, START - timedelta(days=1), "", "甲", NOW)
    assert len(records.revisions(db, made.record.id)) == 1
    with pytest.raises(records.RecordNotFound):
        records.lift(db, "nothing", NOW, "", "甲", NOW)
