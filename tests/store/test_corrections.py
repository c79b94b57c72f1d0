"""The contract of corrections: a further revision with its reason, and what it changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import false, true

from monitor.rights import Areas
from monitor.schema import series as series_table
from monitor.store.acts import Who
from monitor.store.columns import dirty_series, read_columns
from monitor.store.corrections import (
    CorrectionError,
    SeriesNotFound,
    ValueChanged,
    correct,
    corrections_of,
)
from monitor.store.database import Database
from monitor.store.flags import FlagChange, review, save_evaluation
from monitor.store.observations import add, list_series, revisions
from monitor.store.stamps import Stamp, data_revision
from tests.store.build import CABBAGE, NOW, PORK, batch, day, flag
from thresholds.model import Flag

ANNA = Who(1, "user:jia", "监测员甲")
ALL = true()
ITEM = CABBAGE.item


def evaluate(db: Database, *computed: Flag) -> None:
    """Save an evaluation of all items, stamped with the data as it is."""

    def nobody(_connection: object, _changes: Sequence[FlagChange]) -> None: ...

    with db.connect() as connection:
        stamp = Stamp("policy", "settings", data_revision(connection), 0, "1")
    items = {ITEM, PORK.item}
    more: dict[str, Any] = {"items": items, "since": dict.fromkeys(items, 0), "stamp": stamp}
    save_evaluation(db, computed, dirty=dirty_series(db), now=NOW, notify=nobody, **more)


@pytest.fixture
def prices(db: Database) -> Database:
    add(db, batch((9, 2.0), (10, 42.0), area="东区"), source="s", name="a", now=NOW)
    add(db, batch((10, 20.0), key=PORK, area="西区"), source="s", name="b", now=NOW)
    evaluate(db, flag("f1", area="东区"), flag("f2", area="西区", direction="down"))
    return db


def series_of(db: Database, item: str = ITEM) -> int:
    return list_series(db, item=item)[0].id


def fix(db: Database, value: float = 4.2, seen: int = 1, reason: str = "小数点错位", **more: Any) -> int:
    fields: dict[str, Any] = {"within": ALL, "flag_id": "f1"}
    return correct(db, series_of(db), day(10), seen, value, reason, ANNA, NOW, **fields | more)


def effects(db: Database, see: Any = ALL) -> list[tuple[str, str]]:
    return [(one.flag, one.action) for one in corrections_of(db, [ITEM], ALL, see)[0].effects]


def test_a_correction_is_a_further_revision_with_its_reason_and_is_evaluated(prices: Database) -> None:
    assert fix(prices) == 2
    history = revisions(prices, series_of(prices), day(10))
    assert [(one.revision, one.value, one.note, one.source) for one in history] == [
        (1, 42.0, "", "s"),
        (2, 4.2, "人工更正：小数点错位", "s"),
    ]
    assert history[1].name == "人工更正 user:jia"
    assert read_columns(prices, [series_of(prices)]).value.tolist() == [2.0, 4.2]
    assert [(d.series_id, d.since_at) for d in dirty_series(prices)] == [
        (series_of(prices), int(day(10).timestamp()))
    ]
    (one,) = corrections_of(prices, [ITEM], ALL, ALL)
    assert (one.before, one.value, one.reason, one.name, one.flag, one.revision) == (
        42.0,
        4.2,
        "小数点错位",
        "监测员甲",
        "f1",
        2,
    )
    assert (one.evaluated, one.effects) == (False, ())


def test_the_mark_of_a_data_error_stays_with_the_value_that_was_wrong(prices: Database) -> None:
    review(prices, "f1", "data_error", "", "user:jia", NOW, 1)
    fix(prices)
    assert read_columns(prices, [series_of(prices)]).mark.tolist() == [0, 0]


def test_it_is_told_which_flags_a_correction_ended_or_changed(prices: Database) -> None:
    fix(prices)
    evaluate(prices, flag("f2", area="西区", direction="down", value=3.9), flag("f3", area="东区"))
    (one,) = corrections_of(prices, [ITEM], ALL, ALL)
    assert one.evaluated
    assert sorted(effects(prices)) == [("f1", "withdrawn"), ("f2", "changed"), ("f3", "opened")]
    evaluate(prices, flag("f2", area="西区", direction="down", value=3.8), flag("f3", area="东区"))
    assert sorted(effects(prices)) == [("f1", "withdrawn"), ("f2", "changed"), ("f3", "opened")]


def test_a_person_is_told_only_of_flags_of_his_areas(prices: Database) -> None:
    from monitor.schema import flag as flag_table

    fix(prices)
    evaluate(prices)
    assert effects(prices, Areas.of(["东区"], "全市").where(flag_table.c.area)) == [("f1", "withdrawn")]


def test_a_correction_that_was_evaluated_with_other_news_is_not_named_as_the_cause(prices: Database) -> None:
    fix(prices)
    add(prices, batch((11, 9.0), area="东区"), source="s", name="c", now=NOW)
    evaluate(prices)
    assert effects(prices) == []


def test_whoever_saw_an_older_value_is_told_the_newer_one_and_changes_nothing(prices: Database) -> None:
    fix(prices)
    with pytest.raises(ValueChanged) as error:
        fix(prices, 4.5)
    assert (error.value.value, error.value.revision) == (4.2, 2)
    assert fix(prices, 42.0, seen=2) == 3, "back to the first value is a correction as well"
    assert len(revisions(prices, series_of(prices), day(10))) == 3


@pytest.mark.parametrize(
    ("value", "reason", "said"),
    [
        (math.nan, "x", "value"),
        (math.inf, "x", "value"),
        (42.0, "x", "same"),
        (4.2, "  ", "why"),
        (4.2, "长" * 501, "why"),
    ],
)
def test_what_is_no_correction_is_refused_with_its_reason(
    prices: Database, value: float, reason: str, said: str
) -> None:
    with pytest.raises(CorrectionError) as error:
        fix(prices, value, reason=reason)
    assert error.value.reason == said
    assert len(revisions(prices, series_of(prices), day(10))) == 1


def test_a_series_of_another_area_does_not_exist(prices: Database) -> None:
    east = Areas.of(["东区"], "全市").where(series_table.c.area)
    fix(prices, within=east)
    with pytest.raises(SeriesNotFound):
        correct(prices, series_of(prices, PORK.item), day(10), 1, 2.0, "x", ANNA, NOW, east)
    with pytest.raises(SeriesNotFound):
        correct(prices, series_of(prices), day(77), 1, 2.0, "x", ANNA, NOW, east)
    assert corrections_of(prices, [ITEM], false(), ALL) == []
