"""Single cells: dates, values and names as people write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.sheet_values import CellError, clean_name, clean_note, parse_date, parse_value

SHANGHAI = ZoneInfo("Asia/Shanghai")


def local(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2024-05-01", "2024-05-01"),
        (" 2024-5-1 ", "2024-05-01"),
        ("2024/5/1", "2024-05-01"),
        ("2024.05.01", "2024-05-01"),
        ("2024年5月1日", "2024-05-01"),
        ("2024 年 5 月 1 日", "2024-05-01"),
        ("2024年5月1日 星期三", "2024-05-01"),
        ("2024年5月1日（周三）", "2024-05-01"),
        ("２０２４－０５－０１", "2024-05-01"),
        ("20240501", "2024-05-01"),
        ("45413", "2024-05-01"),
        ("45413.0", "2024-05-01"),
        ("45413.354166666664", "2024-05-01T08:30:00"),
        ("2024-05-01T08:30", "2024-05-01T08:30:00"),
        ("2024-05-01T08:30:15.25", "2024-05-01T08:30:15"),
        ("2024-05-01 8:30:15", "2024-05-01T08:30:15"),
        ("2024年5月1日8时30分", "2024-05-01T08:30:00"),
        ("2024年5月1日 8时", "2024-05-01T08:00:00"),
        ("2024/5/1 00:00:00", "2024-05-01"),
        ("2024-05-01T00:30:00Z", "2024-05-01T08:30:00"),
        ("2024-05-01T08:30:00+08:00", "2024-05-01T08:30:00"),
        ("2024-05-01 08:30 +0800", "2024-05-01T08:30:00"),
        ("2024-04-30T20:30:00-04", "2024-05-01T08:30:00"),
        ("1900-01-01", "1900-01-01"),
        ("2100-12-31", "2100-12-31"),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_dates_mean_local_time_unless_they_say_otherwise(text: str, meant: str) -> None:
    """ISO, Chinese and spreadsheet forms of a date give the same moment; a bare date is its local midnight."""
    assert parse_date(text, SHANGHAI) == local(meant)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_date"),
        ("　", "no_date"),
        ("无", "no_date"),
        ("--", "no_date"),
        ("0001-01-01", "date_range"),
        ("9999-12-31", "date_range"),
        ("1899-12-31", "date_range"),
        ("2101-01-01", "date_range"),
        ("99999", "date_range"),
        ("2024-02-30", "date"),
        ("2023-02-29", "date"),
        ("2024-13-01", "date"),
        ("2024-05-01 25:00", "date"),
        ("2024-05-01T08:30+99:00", "date"),
        ("20241301", "date"),
        ("5/1/2024", "date"),
        ("1-5-2024", "date"),
        ("24-05-01", "date"),
        ("2024-05", "date"),
        ("2024年5月", "date"),
        ("2024年5月上旬", "date"),
        ("2024-05/01", "date"),
        ("365", "date"),
        ("1714492800", "date"),
        ("合计", "date"),
        ("nan", "date"),
        ("inf", "date"),
        ("2024-05-01 2024-05-02", "date"),
        ("2024-05-0\ufffd", "encoding"),
        ("9" * 5000, "date"),
    ],
)
def test_dates_that_could_mean_something_else_are_rejected(text: str, reason: str) -> None:
    """What has no one meaning, does not exist or lies outside 1900–2100 is refused with its own reason."""
    with pytest.raises(CellError) as error:
        parse_date(text, SHANGHAI)
    assert error.value.reason == reason
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("text", "unit", "value", "note"),
    [
        ("12.5", "", 12.5, ""),
        (" 12.5\t", "", 12.5, ""),
        ("-36.98", "", -36.98, ""),
        ("0", "", 0.0, ""),
        ("1e3", "", 1000.0, ""),
        ("1.5E-3", "", 0.0015, ""),
        ("+5", "", 5.0, ""),
        ("１２．５", "", 12.5, ""),
        ("－３", "", -3.0, ""),
        ("−3", "", -3.0, ""),
        ("1,234.5", "", 1234.5, ""),
        ("１，２３４．５", "", 1234.5, ""),
        ("1,234,567", "", 1234567.0, ""),
        ("-1,234.5", "", -1234.5, ""),
        ("¥12.5", "", 12.5, ""),
        ("￥ 1,234.50", "", 1234.5, ""),
        ("-¥5", "", -5.0, ""),
        ("RMB 12.5", "", 12.5, ""),
        ("12.5元", "", 12.5, ""),
        ("12.5 元", "元/500克", 12.5, ""),
        ("12.5元/500克", "元/500克", 12.5, ""),
        ("12.5 元／500克", "元/500克", 12.5, ""),
        ("12.5/500克", "元/500克", 12.5, ""),
        ("3.5万", "万", 3.5, ""),
        ("5%", "%", 5.0, ""),
        ("5％", "%", 5.0, ""),
        ("6.00(散装)", "", 6.0, "散装"),
        ("6.00（2斤装）", "", 6.0, "2斤装"),
        ("6.00 促销", "", 6.0, "促销"),
        ("6.00元 促销", "", 6.0, "促销"),
        ("'-5.5元", "", -5.5, ""),
    ],
)
def test_values_are_read_as_they_are_meant(text: str, unit: str, value: float, note: str) -> None:
    """Full-width digits, thousands separators, the currency and notes behind a number do not change it."""
    assert parse_value(text, unit) == (value, note)


@pytest.mark.parametrize(
    ("text", "unit", "reason"),
    [
        ("", "", "no_value"),
        ("　 ", "", "no_value"),
        ("无", "", "no_value"),
        ("/", "", "no_value"),
        ("／", "", "no_value"),
        ("--", "", "no_value"),
        ("—", "", "no_value"),
        ("——", "", "no_value"),
        ("'--", "", "no_value"),
        ("N/A", "", "no_value"),
        ("缺货", "", "no_value"),
        ("75-80", "", "range"),
        ("75－80", "", "range"),
        ("75～80", "", "range"),
        ("75 - 80", "", "range"),
        ("75元-80元", "", "range"),
        ("75—80元", "", "range"),
        ("75至80", "", "range"),
        ("nan", "", "not_finite"),
        ("inf", "", "not_finite"),
        ("-Infinity", "", "not_finite"),
        ("1e400", "", "not_finite"),
        ("#N/A", "", "cell_error"),
        ("#DIV/0!", "", "cell_error"),
        ("5%", "元", "percent"),
        ("5%", "", "percent"),
        ("3.5万", "元", "unit"),
        ("3.5 万元", "元", "unit"),
        ("12.5元/公斤", "元/500克", "unit"),
        ("12.5元/公斤", "", "unit"),
        ("12.5(元/公斤)", "元/500克", "unit"),
        ("12.5 斤", "", "unit"),
        ("12,5", "", "not_a_number"),
        ("1,23", "", "not_a_number"),
        ("12,3456", "", "not_a_number"),
        ("1_000", "", "not_a_number"),
        ("1.2.3", "", "not_a_number"),
        ("2024-05-01", "", "not_a_number"),
        ("12.5起", "", "not_a_number"),
        ("12.5 13.5", "", "not_a_number"),
        ("最低6.00", "", "not_a_number"),
        ("(5)", "", "not_a_number"),
        ("--5", "", "not_a_number"),
        ("0x10", "", "not_a_number"),
        ("TRUE", "", "not_a_number"),
        ("十二", "", "not_a_number"),
        ("9" * 5000, "", "not_finite"),
        ("x" * 5000, "", "not_a_number"),
        ("12\ufffd", "", "encoding"),
    ],
)
def test_values_that_are_not_one_number_are_rejected(text: str, unit: str, reason: str) -> None:
    """Nothing that could change the number's meaning is dropped: it is refused, and it is said how to mend it."""
    with pytest.raises(CellError) as error:
        parse_value(text, unit)
    assert error.value.reason == reason
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (" 猪肉 ", "猪肉"),
        ("猪肉\u3000（精瘦肉）", "猪肉 (精瘦肉)"),
        ("ＡＢ１２", "AB12"),
        ("大\u00a0 米", "大 米"),
        ("元／500克", "元/500克"),
        ("猪肉\r\n精瘦", "猪肉 精瘦"),
        ("猪\u200b肉\ufeff", "猪肉"),
        ("猪\x00肉", "猪 肉"),
        ("/", ""),
        ("无", ""),
        ("'=猪肉", "=猪肉"),
        ("''=猪肉", "=猪肉"),
        ("无花果", "无花果"),
    ],
)
def test_names_are_compared_in_one_form(text: str, name: str) -> None:
    """Full-width letters, odd spaces and invisible characters do not make a second series."""
    assert clean_name(text) == name


@pytest.mark.parametrize(
    ("text", "reason"), [("x" * 501, "too_long"), ("x" * 100_000, "too_long"), ("猪\ufffd", "encoding")]
)
def test_names_that_cannot_be_right_are_refused(text: str, reason: str) -> None:
    """A name over 500 characters and one with a lost character are refused, not cut."""
    with pytest.raises(CellError) as error:
        clean_name(text)
    assert error.value.reason == reason


def test_a_long_note_is_cut_visibly() -> None:
    """A note keeps 2000 characters and shows that there was more."""
    note = clean_note("长" * 5000)
    assert len(note) == 2000
    assert note.endswith("…")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    """No text makes the cell readers fail in any other way than CellError; what they give is finite and storable."""
    for read in (lambda t: parse_date(t, SHANGHAI), lambda t: parse_value(t, "元"), clean_name, clean_note):
        with suppress(CellError):
            read(text)
    try:
        name = clean_name(text)
    except CellError:
        return
    assert clean_name(name) == name, "cleaning twice changes nothing"
    name.encode()
    assert "\0" not in name


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_exactly(number: float) -> None:
    """The shortest text of a float reads back as that float, also with thousands separators (integers)."""
    assert parse_value(repr(number), "")[0] == number
    if number.is_integer() and abs(number) < 1e15:
        assert parse_value(f"{number:,.0f}", "")[0] == number
