"""One typed field: read, asked about, or ready."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitor.entry.model import Line, Value
from monitor.entry.tools import shipped_tools
from monitor.entry.typed import Field, Typed, new_line, observations_of, understood
from thresholds.explain import Ask
from thresholds.model import SeriesKey

AT = datetime(2026, 3, 1, 16, tzinfo=UTC)
EGGS = Line(1, SeriesKey("鸡蛋", "", "元/500克", "零售", "东"), "东区", False, None, Value(AT, 4.0))


def field(value: str, note: str = "", sure: bool = False, line: Line = EGGS) -> Field:
    tools = shipped_tools()
    return understood(line, Typed(value, note, sure), tools.catalogue.classify, tools.limits)


def test_an_empty_field_is_no_report() -> None:
    """Neither ready nor wrong."""
    one = field("  ")
    assert (one.ready, one.error, one.question) == (False, "", None)


@pytest.mark.parametrize(("text", "value"), [("4.1", 4.1), ("４．１", 4.1), (" ¥4.1 ", 4.1), ("4.1元", 4.1)])
def test_a_price_is_read_as_from_a_sheet(text: str, value: float) -> None:
    """Full-width digits, the currency and spaces do not matter; what stands behind becomes the note."""
    assert (field(text).value, field(text).ready) == (value, True)
    assert field("4.1 (促销)").note == "促销"


def test_a_reason_settles_a_move_and_a_confirmation_a_slip() -> None:
    """One character is no reason; a reason alone does not settle a slip."""
    assert field("4.3").question is not None
    assert field("4.3", "节").question is not None
    assert field("4.3", "节日").ready
    slip = field("8.0", "节日")
    assert slip.question is not None
    assert slip.question.ask is Ask.KILO
    assert not field("8.0", "", sure=True).ready
    assert field("8.0", "节日", sure=True).ready
    assert not field("0", "停售", sure=True).ready


def test_what_is_stored_already_is_not_asked_again() -> None:
    """The same price of the day sent once more."""
    line = Line(1, EGGS.key, "东区", False, Value(AT, 9.0), EGGS.before)
    assert field("9", line=line).ready
    assert not field("9.5", line=line).ready


def test_only_what_is_ready_is_stored() -> None:
    """With note and area."""
    fields = [field("4.1", "晴"), field("9.9"), field("x"), field("")]
    (one,) = observations_of(fields, AT, "西区")
    assert (one.value, one.note, one.area, one.at) == (4.1, "晴", "东区", AT)


def test_a_new_item_needs_a_name_and_a_unit() -> None:
    """Names are cleaned as in sheets."""
    parts = {"item": " 带鱼 ", "spec": "/", "unit": "元/500克", "channel": "零售"}
    line = new_line(parts, "东", "东区")
    assert isinstance(line, Line)
    assert line.key == SeriesKey("带鱼", "", "元/500克", "零售", "东")
    assert new_line({"item": "", "unit": "元"}, "东", "") == "请写品种名称"
    assert "单位" in str(new_line({"item": "带鱼"}, "东", ""))
    assert "字符" in str(new_line({"item": "鱼" * 600, "unit": "元"}, "东", ""))
