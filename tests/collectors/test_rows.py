"""Rows of JSON and SQL to observations: paths, templates, dirty values, times."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from collectors.paths import MISSING, Path, compile_column
from collectors.rows import RowReader, Rows, join
from thresholds.model import SeriesKey

DAY = int(datetime(2026, 3, 8, 16, tzinfo=UTC).timestamp())  # midnight of 2026-03-09 in Shanghai


def read(*rows: Any, columns: dict[str, str] | None = None, defaults: dict[str, str] | None = None) -> Rows:
    return RowReader(columns or {}, defaults or {}, "Asia/Shanghai").read(rows)


def one(**row: Any) -> Rows:
    return read({"date": "2026-03-09", "item": "大米", "value": 5, **row})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [{"c": 1}, {"c": 2}]}),
        ("a.b[1].c", 2),
        ("a.b[-1].c", 2),
        ("a.b[2].c", MISSING),
        ("a.x", MISSING),
        ("a.b.c", MISSING),
        ("['d.e']", 3),
        ("d.e", 3),
        ("价格.单价", 4.5),
        ("", ...),
    ],
)
def test_a_path_leads_to_what_is_there_or_to_nothing(path: str, found: Any) -> None:
    value = {"a": {"b": [{"c": 1}, {"c": 2}]}, "d.e": 3, "价格": {"单价": 4.5}}
    assert Path.parse(path).get(value) == (value if found is ... else found)


@pytest.mark.parametrize("path", [".a", "a..b", "a[", "a[x]", "a]", "[1", "a{b}"])
def test_what_is_no_path_is_refused_with_a_remedy(path: str) -> None:
    with pytest.raises(ValueError, match=r"\|Write it as"):
        Path.parse(path)


def test_a_template_joins_several_values_and_is_missing_when_one_is() -> None:
    column = compile_column("{city.name}/{no}{{x}}")
    assert column({"city": {"name": "市区"}, "no": 7}) == "市区/7{x}"
    assert column({"city": {}, "no": 7}) is MISSING


@pytest.mark.parametrize("spec", ["{a", "a}", "{}", "{a!r}", "{a:3}"])
def test_what_is_no_template_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"\|"):
        compile_column(spec)


def test_columns_come_by_path_and_else_from_the_defaults() -> None:
    rows = read(
        {"when": "2026-03-09", "goods": {"name": "大米", "spec": None}, "price": ["5.20"], "src": "甲"},
        columns={"date": "when", "item": "goods.name", "spec": "goods.spec", "value": "price[0]", "source": "src"},
        defaults={"unit": "元/公斤", "spec": "一级", "area": "市区", "point": "一号"},
    )
    assert rows.batch.keys == [SeriesKey("大米", "一级", "元/公斤", "", "一号")]
    assert (rows.batch.areas, rows.batch.sources) == (["市区"], ["甲"])
    assert (rows.batch.at.tolist(), rows.batch.value.tolist()) == ([DAY], [5.2])


def test_a_row_that_is_a_list_is_read_by_index() -> None:
    rows = read(["2026-03-09", "大米", 5.2], columns={"date": "[0]", "item": "[1]", "value": "[2]"})
    assert rows.batch.value.tolist() == [5.2]


@pytest.mark.parametrize(
    ("value", "number"),
    [(5, 5.0), (5.25, 5.25), (Decimal("5.10"), 5.1), ("5.20", 5.2), ("５．２", 5.2), ("1,234.5", 1234.5), (-3, -3.0)],
)
def test_numbers_are_read_as_in_a_sheet(value: Any, number: float) -> None:
    assert one(value=value).batch.value.tolist() == [number]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": "无"}, "no_value"),
        ({"value": "--"}, "no_value"),
        ({"value": None}, "no_value"),
        ({"value": "75-80"}, "range"),
        ({"value": "5元/斤", "unit": "元/公斤"}, "unit"),
        ({"value": float("nan")}, "not_finite"),
        ({"value": float("inf")}, "not_finite"),
        ({"value": 10**400}, "not_finite"),
        ({"value": Decimal("sNaN")}, "not_finite"),
        ({"value": True}, "not_a_number"),
        ({"value": {"x": 1}}, "not_a_number"),
        ({"date": None}, "no_date"),
        ({"date": "昨天"}, "date"),
        ({"date": "2026-02-30"}, "date"),
        ({"date": True}, "date"),
        ({"date": 1e300}, "date_range"),
        ({"date": float("nan")}, "not_finite"),
        ({"date": 10**400}, "not_finite"),
        ({"item": "无"}, "no_item"),
        ({"item": ["大米"]}, "not_text"),
    ],
)
def test_a_row_that_cannot_be_read_is_rejected_alone_with_its_reason(change: dict[str, Any], reason: str) -> None:
    good = {"date": "2026-03-09", "item": "猪肉", "value": 20}
    rows = read(good, {"date": "2026-03-09", "item": "大米", "value": 5, **change}, good)
    assert [(reject.row, reject.reason) for reject in rows.rejects] == [(2, reason)]
    assert rows.batch.row.tolist() == [1, 3]
    assert rows.count == 3


@pytest.mark.parametrize("row", ["text", 5, None, True])
def test_a_row_that_is_no_object_is_rejected(row: Any) -> None:
    assert [reject.reason for reject in read(row).rejects] == ["shape"]


@pytest.mark.parametrize(
    "when",
    [
        "2026-03-09",
        "2026年3月9日",
        "20260309",
        20260309,
        date(2026, 3, 9),
        datetime(2026, 3, 9),  # noqa: DTZ001  a database's time without offset is local
        datetime(2026, 3, 8, 16, tzinfo=UTC),
        "2026-03-08T16:00:00Z",
        DAY,
        float(DAY),
        DAY * 1000,
        str(DAY),
        str(DAY * 1000),
    ],
)
def test_every_form_of_a_time_is_understood(when: Any) -> None:
    assert one(date=when).batch.at.tolist() == [DAY]


def test_a_note_behind_the_number_and_a_note_of_the_row_are_both_kept() -> None:
    assert dict(one(value="5.2(促销)", note="节前").batch.notes) == {0: "节前；促销"}


def test_joining_keeps_order_series_notes_and_row_numbers() -> None:
    reader = RowReader({}, {}, "Asia/Shanghai")
    rice = {"date": "2026-03-09", "item": "大米", "value": 5}
    first = reader.read([rice, {"item": "x"}])
    second = reader.read([{**rice, "item": "猪肉", "note": "新"}, rice], first_row=3)
    both = join([first, second])
    assert [both.batch.keys[code].item for code in both.batch.series] == ["大米", "猪肉", "大米"]
    assert both.batch.row.tolist() == [1, 3, 4]
    assert dict(both.batch.notes) == {1: "新"}
    assert ([reject.row for reject in both.rejects], both.count) == ([2], 4)


def test_cutting_before_the_last_time_loses_no_row_and_names_only_the_series_needed() -> None:
    days = ["2026-03-07", "2026-03-08", "2026-03-09", "2026-03-09"]
    rows = read(
        *({"date": d, "item": f"第{n}种", "value": n, "note": str(n)} for n, d in enumerate(days)), {"item": "x"}
    )
    done, left = rows.split_last_time()
    assert [key.item for key in done.batch.keys] == ["第0种", "第1种"]
    assert [key.item for key in left.batch.keys] == ["第2种", "第3种"]
    assert dict(left.batch.notes) == {0: "2", 1: "3"}
    assert (done.count, left.count, len(left.rejects)) == (2, 3, 1)
    assert join([done, left]).batch.row.tolist() == rows.batch.row.tolist()


def test_the_newest_time_is_never_in_the_future() -> None:
    rows = read(*({"date": d, "item": "大米", "value": 1} for d in ("2026-03-09", "2096-03-09")))
    assert rows.newest(datetime(2026, 3, 10, tzinfo=UTC)) == DAY
    assert rows.newest(datetime(2020, 1, 1, tzinfo=UTC)) is None


def test_many_rows_of_few_series_become_few_keys() -> None:
    rows = read(*({"date": "2026-03-09", "item": f"第{n % 3}种", "value": n} for n in range(1000)))
    assert len(rows.batch.keys) == 3
    assert np.array_equal(rows.batch.series, np.arange(1000) % 3)


def test_an_unknown_column_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"unknown column 'price'\|Use some of date"):
        RowReader({"price": "x"}, {}, "Asia/Shanghai")
