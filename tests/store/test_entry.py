"""Uploads, forms, patrols and the lines of a point in the database."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from monitor.entry.model import Value
from monitor.schema import batch as batch_table
from monitor.schema import observation, reject
from monitor.schema_entry import entry_form, upload
from monitor.store import forms, observations, patrols, points, records, uploads
from monitor.store.database import Database
from monitor.store.dirty import dirty_series
from monitor.store.patrols import Patrol, PatrolKind
from tests.store.build import CABBAGE, NOW, PORK, batch, day, mixed
from thresholds.model import Observation, ObservationBatch, Reject, SeriesKey
from thresholds.records import Record

ME, OTHER = "user:甲", "user:乙"
LATER = NOW + timedelta(days=2)


def put(db: Database, content: bytes = b"date,item", actor: str = ME, most: int = 20) -> uploads.Upload:
    return uploads.add(db, actor, "../../表.csv", content, NOW, LATER, most=most)


def count(db: Database, table) -> int:  # type: ignore[no-untyped-def]
    with db.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


# --- uploads --------------------------------------------------------------------------------------------------------


def test_an_upload_is_its_owners_alone(db: Database) -> None:
    """Bytes as they came, under an id that nobody guesses; for others it does not exist."""
    one = put(db)
    assert uploads.find(db, ME, one.id, NOW) == one
    assert uploads.content(db, ME, one.id) == b"date,item"
    assert (one.state, one.size, one.name, one.batch_id) == ("waiting", 9, "../../表.csv", None)
    assert len(one.id) >= 20
    assert uploads.find(db, OTHER, one.id, NOW) is None
    assert uploads.content(db, OTHER, one.id) == b""
    uploads.discard(db, OTHER, one.id)
    uploads.choose(db, OTHER, one.id, {"columns": {"item": "x"}})
    assert uploads.list_uploads(db, ME, NOW) == [one]
    assert uploads.list_uploads(db, OTHER, NOW) == []


def test_an_upload_expires(db: Database) -> None:
    """It is not found after its time, and its bytes are deleted."""
    one = put(db)
    assert uploads.find(db, ME, one.id, LATER) is None
    assert uploads.forget(db, LATER - timedelta(seconds=1)) == 0
    assert uploads.forget(db, LATER) == 1
    assert count(db, upload) == 0


def test_a_person_keeps_so_many_uploads_and_no_more(db: Database) -> None:
    """What has expired does not count."""
    put(db, most=1)
    with pytest.raises(uploads.TooManyUploads):
        put(db, most=1)
    put(db, actor=OTHER, most=1)
    uploads.add(db, ME, "新.csv", b"x", LATER, LATER + timedelta(days=2), most=1)
    assert [one.name for one in uploads.list_uploads(db, ME, LATER)] == ["新.csv"]


def test_a_commit_is_one_transaction_and_happens_once(db: Database) -> None:
    """Accepted rows, rejects and the state together; a second commit stores nothing and says so."""
    one = put(db)
    wrong = [Reject(7, "no_value", "没有报价", "大米,无")]
    added = uploads.commit(db, one, batch((1, 2.0), (2, 2.1), note="促销"), source="填报", now=NOW, rejects=wrong)
    assert (added.counts.accepted, added.counts.rejected) == (2, 1)
    found = uploads.find(db, ME, one.id, NOW)
    assert found is not None
    assert (found.state, found.batch_id, found.stored_at) == ("stored", added.batch_id, NOW)
    with pytest.raises(uploads.AlreadyCommitted) as again:
        uploads.commit(db, one, batch((3, 9.0)), source="填报", now=NOW, rejects=())
    assert again.value.batch_id == added.batch_id
    assert (count(db, observation), count(db, reject), count(db, batch_table)) == (2, 1, 1)
    assert len(dirty_series(db)) == 1


def test_a_commit_that_fails_leaves_the_upload_waiting(db: Database) -> None:
    """Nothing of it is stored; the same for one that was deleted meanwhile."""
    one = put(db)
    with pytest.raises(ValueError, match="not a finite number"):
        uploads.commit(db, one, batch((1, float("nan"))), source="填报", now=NOW, rejects=())
    found = uploads.find(db, ME, one.id, NOW)
    assert found is not None
    assert found.state == "waiting"
    uploads.discard(db, ME, one.id)
    with pytest.raises(KeyError):
        uploads.commit(db, one, batch((1, 2.0)), source="填报", now=NOW, rejects=())
    assert count(db, observation) == count(db, batch_table) == 0


def test_a_mapping_is_remembered_for_its_header(db: Database) -> None:
    """By person and by column names; the newest counts, and the ones not used for longest are forgotten."""
    header = uploads.header_digest(["日期", "品名", "本周价"])
    assert uploads.remembered(db, ME, header) == {}
    uploads.remember(db, ME, header, {"columns": {"value": "本周价"}}, NOW)
    uploads.remember(db, ME, header, {"columns": {"value": "本周均价"}}, NOW + timedelta(minutes=1))
    assert uploads.remembered(db, ME, header) == {"columns": {"value": "本周均价"}}
    assert uploads.remembered(db, OTHER, header) == {}
    assert uploads.header_digest(["日期", "品名"]) != uploads.header_digest(["日期品名"])
    for k in range(uploads.MAPPINGS_KEPT):
        uploads.remember(db, ME, f"{k}", {}, NOW + timedelta(hours=1, seconds=k))
    assert uploads.remembered(db, ME, header) == {}


# --- forms ----------------------------------------------------------------------------------------------------------


def send(db: Database, form_id: str, value: float, actor: str = ME) -> forms.Form:
    form, _ = forms.store_values(
        db,
        batch((1, value)),
        actor=actor,
        form_id=form_id,
        kind="prices",
        source="填报",
        name="form",
        now=NOW,
        answer={"stored": [value]},
    )
    return form


def test_a_form_is_stored_once(db: Database) -> None:
    """A repeat is told what was answered; what was corrected in between stays corrected."""
    first = send(db, "a", 3.0)
    send(db, "b", 3.2)
    with pytest.raises(forms.AlreadyStored) as again:
        send(db, "a", 3.0)
    assert again.value.form == first
    assert forms.find(db, ME, "a") == first
    assert [one.value for one in observations.list_observations(db)] == [3.2]
    assert forms.find(db, OTHER, "a") is None
    send(db, "a", 3.0, actor=OTHER)  # somebody else's form of the same name is another form


def test_two_of_the_same_form_at_once_store_once(db: Database) -> None:
    """Eight threads send one form: one stores, seven are told."""
    outcomes: list[str] = []

    def once() -> None:
        try:
            send(db, "same", 3.0)
            outcomes.append("stored")
        except forms.AlreadyStored:
            outcomes.append("again")

    threads = [threading.Thread(target=once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["again"] * 7 + ["stored"]
    assert (count(db, observation), count(db, entry_form), count(db, batch_table)) == (1, 1, 1)


def test_old_forms_are_forgotten(db: Database) -> None:
    """Those stored before a time, no others."""
    send(db, "a", 3.0)
    assert forms.forget(db, NOW) == 0
    assert forms.forget(db, NOW + timedelta(seconds=1)) == 1


# --- points ---------------------------------------------------------------------------------------------------------


def test_the_lines_of_a_point_have_todays_value_and_the_one_before(db: Database) -> None:
    """Newest revisions, with the note of the day; what was not reported for long is left out."""
    city = CABBAGE.point
    eggs = SeriesKey("鸡蛋", "", "元/500克", "零售", city)
    old = SeriesKey("冬瓜", "", "元/500克", "零售", city)
    observations.add(db, batch((40, 2.0), (41, 2.2), area="南区"), source="a", name="x", now=NOW)
    observations.add(db, batch((42, 2.5), area="南区", note="寒潮"), source="演示数据", name="x", now=NOW)
    observations.add(db, batch((41, 2.3)), source="演示数据", name="x", now=NOW)
    observations.add(db, mixed((eggs, 41, 4.0), (old, 1, 1.0), (PORK, 42, 20.0)), source="a", name="x", now=NOW)
    found = points.lines(db, city, day(42), day(43), oldest=day(10))
    assert [one.key for one in found] == sorted([CABBAGE, eggs])
    cabbage = next(one for one in found if one.key == CABBAGE)
    assert cabbage.day == Value(day(42), 2.5, "寒潮")
    assert cabbage.before == Value(day(41), 2.3)
    assert (cabbage.demo, cabbage.area) == (True, "南区")
    assert next(one for one in found if one.key == eggs).day is None
    assert points.areas_of(db, [city, "无此点"]) == {city: "南区"}
    assert points.known_areas(db) == ["南区"]


def test_what_stands_beside_the_rows_of_a_sheet(db: Database) -> None:
    """The report before each row, stored or of the sheet itself, and whether exactly it is stored already."""
    observations.add(db, batch((1, 2.0), (3, 3.0)), source="a", name="x", now=NOW)
    rows = mixed((CABBAGE, 0, 9.0), (CABBAGE, 2, 2.5), (CABBAGE, 3, 3.0), (CABBAGE, 4, 3.5), (PORK, 2, 20.0))
    found = points.beside(db, rows, back=30 * 86_400)
    assert [None if v != v else v for v in found.before.tolist()] == [None, 2.0, 2.5, 3.0, None]
    assert found.same.tolist() == [False, False, True, False, False]
    assert len(points.beside(db, ObservationBatch.of([]), back=0).before) == 0


def test_a_value_judged_an_error_is_not_compared_with(db: Database) -> None:
    """A slip of yesterday does not make the right price of today look odd."""
    from monitor.schema import observation_mark

    observations.add(db, batch((1, 2.0), (2, 20.0)), source="a", name="x", now=NOW)
    with db.begin() as connection:
        row = {"series_id": 1, "at": int(day(2).timestamp()), "revision": 1, "mark": 2}
        connection.execute(observation_mark.insert().values(flag_id="", actor="甲", marked_at=0, **row))
    assert points.beside(db, batch((3, 2.1)), back=30 * 86_400).before.tolist() == [2.0]


# --- patrols --------------------------------------------------------------------------------------------------------

SEEN = Patrol("", PatrolKind.PRICE, NOW, "南区", "城南市场", ("大白菜",), "大白菜普遍上涨")


def test_a_patrol_is_withdrawn_not_overwritten(db: Database) -> None:
    """Its first words stay; the newest revision says that it was taken back, and by whom."""
    made = patrols.add(db, SEEN, ME, NOW)
    assert patrols.list_patrols(db) == [made]
    gone = patrols.withdraw(db, made.patrol.id, 1, OTHER, LATER)
    assert (gone.revision, gone.patrol.withdrawn, gone.patrol.body) == (2, True, "大白菜普遍上涨")
    assert patrols.get(db, made.patrol.id) == gone
    with pytest.raises(patrols.Changed):
        patrols.withdraw(db, made.patrol.id, 1, ME, LATER)
    with pytest.raises(KeyError):
        patrols.withdraw(db, "无", 1, ME, LATER)
    assert patrols.count_since(db, day(0)) == {}


def test_patrols_are_listed_page_by_page(db: Database) -> None:
    """The latest first, by kind and area, and only where somebody may look."""
    from monitor.schema_entry import patrol

    made = [patrols.add(db, replace(SEEN, at=NOW - timedelta(hours=k)), ME, NOW) for k in range(5)]
    talk = patrols.add(db, replace(SEEN, kind=PatrolKind.TALK, area="北区"), ME, NOW)
    first = patrols.list_patrols(db, kind=PatrolKind.PRICE, limit=3)
    assert first == made[:3]
    last = first[-1].patrol
    rest = patrols.list_patrols(db, kind=PatrolKind.PRICE, after=(int(last.at.timestamp()), last.id), limit=3)
    assert rest == made[3:]
    assert patrols.list_patrols(db, area="北区") == [talk]
    assert patrols.list_patrols(db, where=patrol.c.area == "北区") == [talk]
    assert patrols.count_since(db, day(0)) == {PatrolKind.PRICE: 5, PatrolKind.TALK: 1}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"body": " "}, "body"),
        ({"body": "字" * 4001}, "body"),
        ({"area": ""}, "area"),
        ({"place": "a\0b"}, "place"),
        ({"items": ("",)}, "items"),
        ({"kind": PatrolKind.REMINDER}, "document"),
        ({"kind": PatrolKind.PENALTY}, "document"),
        ({"amount": -1}, "amount"),
        ({"at": NOW + timedelta(hours=1)}, "at"),
    ],
)
def test_a_patrol_says_what_is_wrong_by_field(db: Database, changes: dict[str, object], field: str) -> None:
    """And nothing of it is stored."""
    with pytest.raises(patrols.PatrolError) as error:
        patrols.add(db, replace(SEEN, **changes), ME, NOW)  # type: ignore[arg-type]
    assert set(error.value.faults) == {field}
    assert patrols.list_patrols(db) == []


def test_what_was_seen_reaches_the_rules_in_the_same_transaction(db: Database) -> None:
    """A rush for cabbage: the patrol names the record; sent twice it is one patrol and one record."""
    rows = [Observation(CABBAGE, day(40), 2.0, area="南区")]
    observations.add(db, ObservationBatch.of(rows), source="a", name="x", now=NOW)
    rush = Record("", "observed", "抢购", "甲", "", int(NOW.timestamp()), None, items=("大白菜",), areas=("南区",))
    made = patrols.add(db, SEEN, ME, NOW, form_id="f", seen=rush)
    (stored,) = records.list_records(db)
    assert stored.record.id == made.patrol.record_id
    assert stored.note == "大白菜普遍上涨"
    with pytest.raises(forms.AlreadyStored) as again:
        patrols.add(db, SEEN, ME, NOW, form_id="f", seen=rush)
    assert again.value.form.answer == {"id": made.patrol.id}
    assert len(patrols.list_patrols(db)) == len(records.list_records(db)) == 1
    with pytest.raises(records.RecordError):
        patrols.add(db, SEEN, ME, NOW, form_id="g", seen=replace(rush, items=()))
    assert len(patrols.list_patrols(db)) == 1
