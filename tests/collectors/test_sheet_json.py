"""JSON lines as sheets."""

from __future__ import annotations

import gzip

import pytest

from collectors.sheet import SheetError, SheetResult, read_sheet
from thresholds.model import SeriesKey


def read(text: str, **how: object) -> SheetResult:
    return read_sheet(text.encode(), name="test.jsonl", **how)  # type: ignore[arg-type]


def values(result: SheetResult) -> list[tuple[int, float]]:
    return list(zip(result.batch.row.tolist(), result.batch.value.tolist(), strict=True))


def test_objects_are_rows() -> None:
    """Numbers and texts, in any order of keys; blank lines count as lines but are no rows."""
    result = read(
        '{"date":"2024-05-01","item":"猪肉","point":"东风","value":12.5,"unit":"元/500克","n":{"a":1}}\n'
        "\n"
        '{"value":"1,234.5","point":1001,"item":"猪肉","date":20240502}\r\n'
        '{"date":"2024-05-03","item":"猪肉","point":null,"value":0.1,"note":"促销"}'
    )
    assert result.batch.keys == [
        SeriesKey("猪肉", unit="元/500克", point="东风"),
        SeriesKey("猪肉", point="1001"),
        SeriesKey("猪肉"),
    ]
    assert values(result) == [(1, 12.5), (3, 1234.5), (4, 0.1)]
    assert result.batch.notes == {2: "促销"}
    assert (result.rows, result.rejects, result.header.format, result.header.row) == (3, [], "json", 0)


def test_lines_that_are_no_objects_are_rejected_alone() -> None:
    """Broken JSON, lists, NaN, nothing where the value belongs: each with its line and reason."""
    result = read(
        '{"date":"2024-05-01","item":"猪肉","value":1}\n'
        '{"date":"2024-05-01","item":"猪肉","val\n'
        "[1,2]\n"
        '{"date":"2024-05-01","item":"猪肉","value":NaN}\n'
        '{"date":"2024-05-01","item":"猪肉","value":null}\n'
        '{"date":"2024-05-01","item":"猪肉","value":true}\n'
        '{"date":"2024-05-01","item":"猪肉","value":1e999}\n'
        '{"date":"2024-05-01","item":"猪肉","value":[3]}\n'
        '{"date":"2024-05-01","value":3}\n'
        '{"date":"2024-05-02","item":"猪肉","value":2}\n'
    )
    assert values(result) == [(1, 1.0), (10, 2.0)]
    assert [(r.row, r.reason) for r in result.rejects] == [
        (2, "json"),
        (3, "json"),
        (4, "json"),
        (5, "no_value"),
        (6, "not_a_number"),
        (7, "json"),
        (8, "not_a_number"),
        (9, "no_item"),
    ]
    assert result.rows == 10


def test_a_column_that_comes_late_is_not_dropped() -> None:
    """A key of ours that the first lines did not have would change the series: that line is rejected. Others pass."""
    line = '{"date":"2024-05-01","item":"猪肉","value":1}\n'
    late = '{"date":"2024-05-02","item":"猪肉","value":2,"unit":"元"}\n'
    other = '{"date":"2024-05-03","item":"猪肉","value":3,"weather":"晴"}\n'
    result = read(line * 300 + late + other)
    assert [(r.row, r.reason) for r in result.rejects] == [(301, "columns")]
    assert result.batch.value[-1] == 3
    assert read(line + late).rejects == []


def test_keys_are_mapped_and_packed_files_read() -> None:
    """As with other sheets."""
    text = '{"when":"2024-05-01","what":"猪肉","how_much":1}\n'
    columns = {"date": "when", "item": "what", "value": "how_much"}
    assert values(read(text, columns=columns)) == [(1, 1.0)]
    assert len(read_sheet(gzip.compress(text.encode()), name="x.jsonl.gz", columns=columns).batch) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"date":"2024-05-01"}]', "format"),
        ('[\n {"date":1}\n]', "format"),
        ('{"a":1}\n', "header"),
        ("{broken\n", "empty"),
    ],
)
def test_other_json_is_refused(text: str, reason: str) -> None:
    """An array, foreign keys, nothing that is an object."""
    with pytest.raises(SheetError) as error:
        read(text)
    assert error.value.reason == reason
