"""An upload as it is understood: choices, own points, the past, what is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from monitor.entry.model import Beside
from monitor.entry.sheets import Choices, Reader, Reading, chosen, picked_twice, selected, with_reasons
from monitor.entry.tools import shipped_tools
from thresholds.explain import Ask
from thresholds.model import Observation, ObservationBatch, SeriesKey

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
HEAD = "日期,品种,单位,监测点,价格,备注\n"


def beside(batch: ObservationBatch) -> Beside:
    """Every price was 4.00 before; nothing is stored yet."""
    n = len(batch)
    return Beside(np.full(n, 4.0), np.zeros(n, np.bool_), np.zeros(len(batch.keys), np.bool_))


def read(text: str, points: frozenset[str] | None = frozenset({"东"}), choices: Choices = Choices()) -> Reading:  # noqa: B008
    tools = shipped_tools()
    reader = Reader(
        ZoneInfo("Asia/Shanghai"), NOW, points, tools.limits, tools.catalogue.classify, beside, 1 << 20, 1000
    )
    return reader.read((HEAD + text).encode(), "表.csv", choices)


def test_rows_that_may_not_be_stored_become_rejects() -> None:
    """Another point's, tomorrow's and impossible ones; each with its row and remedy, in the order of the sheet."""
    found = read(
        "2026-03-02,鸡蛋,元/500克,东,4.1,\n2026-03-02,鸡蛋,元/500克,西,4.1,\n2026-03-03,鸡蛋,元/500克,东,4.1,\n"
        "2026-03-02,鸡蛋,元/500克,东,0,停售\n2026-03-02,鸡蛋,元/500克,东,无,\n"
    )
    assert found.fault is None
    assert [(r.row, r.reason) for r in found.rejects] == [
        (3, "not_your_point"),
        (4, "future"),
        (5, "zero"),
        (6, "no_value"),
    ]
    assert found.batch.row.tolist() == [2]
    assert found.rows == 5


def test_a_person_with_one_point_need_not_write_it() -> None:
    """With several it must be chosen; whoever reports for all may write any."""
    row = "2026-03-02,鸡蛋,元/500克,,4.1,\n"
    assert read(row).batch.keys[0].point == "东"
    both = frozenset({"东", "西"})
    assert [r.reason for r in read(row, both).rejects] == ["not_your_point"]
    assert read(row, both, Choices(defaults={"point": "西"})).batch.keys[0].point == "西"
    assert read("2026-03-02,鸡蛋,元/500克,北,4.1,\n", None).batch.keys[0].point == "北"


def test_what_is_asked_and_what_is_not() -> None:
    """A move without a note, a slip with or without; nothing of months ago."""
    found = read(
        "2026-03-02,鸡蛋,元/500克,东,4.5,\n2026-03-02,鸭蛋,元/500克,东,4.5,节日\n2026-03-02,鹅蛋,元/500克,东,8.0,节日\n"
        "2025-12-01,禽蛋,元/500克,东,8.0,\n2026-03-02,鸡蛋饼,元/500克,东,4.1,\n"
    )
    asked = {found.batch.keys[int(found.batch.series[p])].item: q.ask for p, q in found.asked.items()}
    assert asked == {"鸡蛋": Ask.REASON, "鹅蛋": Ask.KILO}
    assert len(found.batch) == 5


def test_positions_of_questions_follow_the_rows_that_are_kept() -> None:
    """An impossible row before them moves them up."""
    found = read("2026-03-02,鸡蛋,元/500克,东,0,\n2026-03-02,鸭蛋,元/500克,东,4.5,\n")
    assert list(found.asked) == [0]
    assert found.batch.keys[int(found.batch.series[0])].item == "鸭蛋"


def test_choices_are_kept_as_json_and_come_back() -> None:
    """What is damaged counts as not chosen."""
    made = chosen(
        ["日期", "品名", "", "本周价", "内部"], ["date", "item", "value", "value", ""], {"unit": "元", "date": " "}
    )
    assert made == Choices({"date": "日期", "item": "品名", "value": "本周价"}, ("内部",), {"unit": "元"})
    assert Choices.of(made.as_json()) == made
    assert Choices.of({"columns": 1, "ignore": "x", "defaults": None}) == Choices()
    assert chosen(["甲"], ["<script>"], {}) == Choices({}, ("甲",), {})
    assert picked_twice(["a", "b", "c"], ["item", "item", ""]) == ["item"]


def test_part_of_a_batch_keeps_its_notes_and_series() -> None:
    """Notes move with their rows; series without rows go."""
    keys = [SeriesKey("甲"), SeriesKey("乙"), SeriesKey("丙")]
    batch = ObservationBatch.of([Observation(k, NOW, float(i), note=f"{i}") for i, k in enumerate(keys)])
    part = selected(batch, np.array([True, False, True]))
    assert [part.keys[c].item for c in part.series.tolist()] == ["甲", "丙"]
    assert (part.value.tolist(), part.notes, part.row.tolist()) == ([0.0, 2.0], {0: "0", 1: "2"}, [1, 3])
    full = with_reasons(part, {1: "换季"}, {"": "东区"})
    assert full.notes == {0: "0", 1: "2；换季"}
    assert list(full.areas) == ["东区", "东区"]


@pytest.mark.parametrize("rows", [1001, 3000])
def test_too_many_rows_are_refused(rows: int) -> None:
    """As a whole, with what to do."""
    found = read("2026-03-02,鸡蛋,元/500克,东,4.1,\n" * rows)
    assert found.fault is not None
    assert "请分成几个文件上传" in str(found.fault)
    assert len(found.batch) == 0
