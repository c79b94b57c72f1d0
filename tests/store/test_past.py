"""What changes is logged with what was before, in the order of the commits: the data as it was can be read."""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest
from sqlalchemy import select, text

from monitor.schema import mark_log, series_past
from monitor.store.database import Database
from monitor.store.flags import review, save_evaluation
from monitor.store.observations import add
from monitor.store.past import columns_at, series_at
from monitor.store.stamps import DataRevision, data_revision
from tests.store.build import CABBAGE, NOW, batch, epoch, flag
from thresholds.model import Mark

EVER = -(10**12)


@pytest.fixture
def flagged(db: Database) -> Database:
    """Three days, the newest two under a flag, one of them contradicted by its own sheet."""
    add(db, batch((9, 2.0), (10, 4.0), (10, 4.1), (11, 4.2), area="南区"), source="s", name="a", now=NOW)
    save_evaluation(
        db,
        [flag(last_hit=NOW)],
        items={CABBAGE.item},
        since={CABBAGE.item: 0},
        dirty=(),
        now=NOW,
        notify=lambda *_: None,
    )
    return db


def marks(db: Database, revision: DataRevision) -> list[int]:
    with db.snapshot() as connection:
        found: list[int] = columns_at(connection, revision, {CABBAGE.item}, EVER).mark.tolist()
    return found


def revision_of(db: Database) -> DataRevision:
    with db.snapshot() as connection:
        return data_revision(connection)


def test_marks_are_read_as_they_were_at_each_revision(flagged: Database) -> None:
    """One judgement takes the place of another; what the sheet itself contradicts stays marked throughout."""
    c, e, x = int(Mark.CONFLICT), int(Mark.DATA_ERROR), int(Mark.EXPECTED)
    seen = [revision_of(flagged)]
    for verdict in ("data_error", "expected", "real_move"):
        review(flagged, "f1", verdict, "", "值班员甲", NOW, None)
        seen.append(revision_of(flagged))
    assert [marks(flagged, one) for one in seen] == [[0, c, 0], [0, c | e, e], [0, c | x, x], [0, c, 0]]
    with flagged.connect() as connection:
        log = mark_log.c
        rows = connection.execute(
            select(log.at, log.before, log.after, log.flag_id, log.actor).order_by(log.id)
        ).all()
    assert {row[3:] for row in rows} == {("f1", "值班员甲")}
    of_one_day = [row[1:3] for row in rows if row[0] == epoch(11)]
    assert of_one_day == [(0, e), (e, 0), (0, x), (x, 0)]


def test_areas_and_values_are_read_as_they_were_at_each_revision(flagged: Database) -> None:
    first = revision_of(flagged)
    add(flagged, batch((10, 3.9), (12, 4.4), area="北区"), source="t", name="b", now=NOW)
    second = revision_of(flagged)
    add(flagged, batch((12, 4.5), area="东区"), source="u", name="c", now=NOW)
    add(flagged, batch((12, 4.5), area="东区"), source="u", name="c", now=NOW)
    found = []
    for one in (first, second, revision_of(flagged)):
        with flagged.snapshot() as connection:
            known, columns = series_at(connection, one), columns_at(connection, one, None, epoch(10))
        found.append((known.areas[0], known.sources[0], columns.value.tolist()))
    assert found == [
        ("南区", "s", [4.1, 4.2]),
        ("北区", "t", [3.9, 4.2, 4.4]),
        ("东区", "u", [3.9, 4.2, 4.5]),
    ]
    with flagged.connect() as connection:
        assert len(connection.execute(select(series_past)).all()) == 2, "the same again is no change"


def test_a_batch_may_name_a_series_twice(db: Database) -> None:
    """With two areas: the last one counts, and what was before the batch is kept."""
    add(db, batch((1, 2.0), area="南区"), source="s", name="a", now=NOW)
    two = batch((2, 2.0), (3, 2.0), area="北区")
    twice = replace(
        two, keys=[CABBAGE, CABBAGE], areas=["北区", "东区"], sources=["", ""], series=np.array([0, 1], np.int64)
    )
    add(db, twice, source="s", name="b", now=NOW)
    with db.snapshot() as connection:
        assert list(series_at(connection, DataRevision(1, 0)).areas) == ["南区"]
        assert list(series_at(connection, DataRevision(2, 0)).areas) == ["东区"]


def test_nothing_is_there_before_the_first_batch(flagged: Database) -> None:
    with flagged.snapshot() as connection:
        assert len(columns_at(connection, DataRevision(0, 0), None, EVER)) == 0
        assert len(columns_at(connection, DataRevision(1, 0), {"别的"}, EVER)) == 0


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", [pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_reviews_write_their_log_one_after_the_other(flagged: Database) -> None:
    """So that who sees an entry of the log sees all before it."""
    reviewing = Thread(target=review, args=(flagged, "f1", "expected", "", "值班员甲", NOW, None))
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with flagged.begin() as connection:
        flagged.bulk.lock_marks(connection)
        reviewing.start()
        deadline = time.monotonic() + 30
        while not connection.execute(waiting).scalar_one():
            assert time.monotonic() < deadline, "the review does not wait"
            time.sleep(0.02)
        assert connection.execute(select(mark_log)).all() == []
    reviewing.join(30)
    assert revision_of(flagged).mark == 2
