"""Whole sheets as text: headers, encodings, rows, rejects and their report."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collectors.sheet import SheetError, SheetResult, read_sheet, rejects_path, write_rejects
from thresholds.model import Reject, SeriesKey

DATA = Path(__file__).parent.parent / "data" / "sheets"
REAL = Path(__file__).parents[3] / "shared" / "data"
SHANGHAI = ZoneInfo("Asia/Shanghai")


def read(text: str | bytes, **how: object) -> SheetResult:
    return read_sheet(text.encode() if isinstance(text, str) else text, name="test.csv", **how)  # type: ignore[arg-type]


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp())


def taken(result: SheetResult) -> list[tuple[int, str, str, float]]:
    """(row, item, point, value) of all that was accepted."""
    b = result.batch
    return [
        (int(row), b.keys[series].item, b.keys[series].point, float(value))
        for row, series, value in zip(b.row, b.series, b.value, strict=True)
    ]


def reasons(result: SheetResult) -> list[tuple[int, str]]:
    return [(reject.row, reject.reason) for reject in result.rejects]


def refused(text: str | bytes, **how: object) -> SheetError:
    with pytest.raises(SheetError) as error:
        read(text, **how)
    return error.value


# --- the contract's own form ---------------------------------------------------------------------------------------


def test_a_plain_sheet_becomes_columns_in_the_order_received() -> None:
    """Keys, times, values, rows, areas, sources and notes are where the model says."""
    result = read(
        "date,item,point,value,unit,area,spec,channel,source,note\n"
        "2024-05-01,猪肉,东风,12.5,元/500克,让胡路区,精瘦肉,零售,监测,促销\n"
        "2024-05-02T08:30:00+08:00,猪肉,东风,-36.98,元/500克,让胡路区,精瘦肉,零售,监测,\n"
        "2024-05-01,鸡蛋,东风,0,元/500克,萨尔图区,,,,\n"
    )
    b = result.batch
    assert b.keys == [
        SeriesKey("猪肉", "精瘦肉", "元/500克", "零售", "东风"),
        SeriesKey("鸡蛋", "", "元/500克", "", "东风"),
    ]
    assert (b.areas, b.sources) == (["让胡路区", "萨尔图区"], ["监测", ""])
    assert b.series.tolist() == [0, 0, 1]
    assert b.at.tolist() == [epoch("2024-05-01"), epoch("2024-05-02T08:30"), epoch("2024-05-01")]
    assert b.value.tolist() == [12.5, -36.98, 0.0]
    assert b.row.tolist() == [2, 3, 4]
    assert b.notes == {0: "促销"}
    assert [c.dtype.name for c in (b.series, b.at, b.value, b.row)] == ["int64", "int64", "float64", "int64"]
    assert (result.rows, result.rejects) == (3, [])
    assert (result.header.row, result.header.format, result.header.encoding) == (1, "csv", "utf-8")


def test_series_are_numbered_by_their_first_row() -> None:
    """Whatever comes later, and without those of which every row was rejected."""
    result = read("date,item,value\n2024-05-01,丙,无\n2024-05-01,乙,1\n2024-05-01,甲,2\n2024-05-02,乙,3\n")
    assert [key.item for key in result.batch.keys] == ["乙", "甲"]
    assert result.batch.series.tolist() == [0, 1, 0]


def test_columns_stand_in_any_order_and_extra_ones_are_ignored() -> None:
    """A column that nobody asked for is named in the header's `ignored`, the others are found by name."""
    result = read("序号,VALUE,Item,涨跌,Date,point\n1,12.5,猪肉,--,2024-05-01,东风\n")
    assert taken(result) == [(2, "猪肉", "东风", 12.5)]
    assert result.header.ignored == ("序号", "涨跌")


def test_the_names_of_chinese_forms_are_known() -> None:
    """Every column of the contract has its Chinese names."""
    result = read("采价日期,商品名称,规格等级,计量单位,监测点,价格类型,区县,本期价格,来源,备注\n"
                  "2024/5/1,猪肉,精瘦肉,元/500克,东风,零售,让胡路区,12.5,监测,促销\n")  # fmt: skip
    assert result.batch.keys == [SeriesKey("猪肉", "精瘦肉", "元/500克", "零售", "东风")]
    assert (result.batch.areas, result.batch.sources) == (["让胡路区"], ["监测"])
    assert result.batch.notes == {0: "促销"}


def test_other_names_are_mapped_and_a_mapped_column_must_be_there() -> None:
    """A mapping wins over known names; where its column is missing, no other column is taken in its place."""
    text = "日期,品种,监测点,价格,成交价\n2024-05-01,猪肉,东风,1,2\n"
    assert taken(read(text, columns={"value": "成交价"})) == [(2, "猪肉", "东风", 2.0)]
    error = refused(text, columns={"value": "均价"})
    assert error.reason == "header"
    assert "value（均价）" in str(error)
    assert refused(text, columns={"value": "价格", "unit": "计价单位"}).reason == "header", (
        "also for optional columns"
    )
    assert len(read(text, columns={"value": "价格", "unit": "计价单位"}, defaults={"unit": "元"}).batch) == 1


def test_defaults_fill_missing_columns_and_empty_cells() -> None:
    """A default counts where the sheet has no such column, or nothing in it."""
    result = read(
        "date,value,unit\n2024-05-01,1,\n2024-05-02,2,元/公斤\n",
        defaults={"item": "猪肉", "unit": "元/500克", "point": "东风"},
    )
    assert result.batch.keys == [
        SeriesKey("猪肉", "", "元/500克", "", "东风"),
        SeriesKey("猪肉", "", "元/公斤", "", "东风"),
    ]


def test_times_without_an_offset_are_local_to_the_source() -> None:
    """`timezone` says where a bare date has its midnight."""
    text = "date,item,value\n2024-05-01,WTI,1\n"
    assert read(text, timezone="UTC").batch.at.tolist() == [1714521600]
    assert read(text).batch.at.tolist() == [1714521600 - 8 * 3600]


# --- headers -------------------------------------------------------------------------------------------------------


def test_a_county_form_is_read_as_it_was_published() -> None:
    """Titles, 序号 and 上期价格, placeholders, a range, full-width digits, a cell over two lines, a footer."""
    result = read_sheet(DATA / "county_emergency.csv", name="county_emergency.csv")
    assert [(row, item, value) for row, item, _, value in taken(result)] == [
        (4, "猪肉", 28.0),
        (7, "大米 (籼米)", 2.65),
        (9, "鸡蛋", 4.8),
        (10, "食用油", 1065.0),
    ]
    assert reasons(result) == [(5, "no_value"), (6, "range"), (12, "no_date")]
    assert result.batch.notes == {1: "袋装,散装同价", 2: "正常波动;"}
    assert set(result.batch.at.tolist()) == {epoch("2020-09-01")}
    assert result.rows == 7


def test_names_in_two_rows_are_read_together() -> None:
    """Under 价格 stand 上期 and 本期: the current one is taken, and the unit from the heading."""
    result = read_sheet(DATA / "two_row_header.csv", name="two_row_header.csv")
    assert taken(result) == [(4, "大白菜", "东风市场", 2.35), (5, "土豆", "东风市场", 3.0)]
    assert result.header.row == 3
    assert result.rejects == []


MERGED = """日期,品种,,单位,价格,,备注
,名称,规格,,{},{},
2024-05-01,大白菜,一级,元/500克,2.35,9.9,
2024-05-01,土豆,,元/500克,3,8,促销
"""


def test_names_under_merged_cells_are_columns_of_their_own() -> None:
    """品种 over 名称 and 规格, 价格 over 今日 and 昨日: the spec is read, and today's price, not yesterday's."""
    result = read(MERGED.format("今日", "昨日"))
    assert [(key.item, key.spec, key.unit) for key in result.batch.keys] == [
        ("大白菜", "一级", "元/500克"),
        ("土豆", "", "元/500克"),
    ]
    assert (result.batch.value.tolist(), result.rejects) == ([2.35, 3.0], [])
    assert result.header.names == ("日期", "品种 名称", "品种 规格", "单位", "价格 今日", "价格 昨日", "备注")
    assert (result.header.row, result.header.columns["value"]) == (2, "价格 今日")
    titled = (
        "某市价格监测表\n监测日期：2024年5月1日\n品种,,单位,价格,\n名称,规格,,今日,昨日\n大白菜,一级,元,2.35,9.9\n"
    )
    (key,) = read(titled).batch.keys
    assert (key.spec, key.unit) == ("一级", "元")


def test_every_column_under_a_merged_cell_can_be_mapped() -> None:
    """By both names or by the lower one. Of two prices only the mapped one is read, and none without a mapping."""
    both = MERGED.format("批发", "零售")
    error = refused(both)
    assert error.reason == "header"
    assert "“价格 批发”、“价格 零售”" in str(error)
    for name, values in {"价格 零售": [9.9, 8.0], "零售": [9.9, 8.0], "价格批发": [2.35, 3.0]}.items():
        assert read(both, columns={"value": name}).batch.value.tolist() == values
    yesterday = read(
        MERGED.format("今日", "昨日"), columns={"value": "价格 昨日", "item": "品种 规格"}, defaults={"item": "无级"}
    )
    assert yesterday.batch.value.tolist() == [9.9, 8.0]
    assert [key.item for key in yesterday.batch.keys] == ["一级", "无级"]


@pytest.mark.parametrize("second", [",,元/公斤\n", "日期,品种,价格\n", "2024-05-01,猪肉,停售\n", ",猪肉,缺货\n"])
def test_a_row_that_holds_no_column_names_is_no_second_header(second: str) -> None:
    """A row of units, the names again, a row of data without a price: they are rejected, the rows below are read."""
    result = read("日期,品种,价格\n" + second + "2024-05-01,大白菜,2.35\n")
    assert (result.header.row, result.batch.value.tolist(), len(result.rejects)) == (1, [2.35], 1)


TITLED = "某市价格监测表\n监测日期：2024年5月1日,,单位：元\n项目名称,规格等级,本期均价\n猪肉,精瘦肉,28\n鸡蛋,,4.8\n"


def test_a_date_in_the_title_counts_for_all_rows() -> None:
    """Published forms name the day of the prices above the table; two days, or that of filling in, do not count."""
    result = read(TITLED)
    assert taken(result) == [(4, "猪肉", "", 28.0), (5, "鸡蛋", "", 4.8)]
    assert set(result.batch.at.tolist()) == {epoch("2024-05-01")}
    assert refused(TITLED.replace("某市", "采价日期 2024-04-30")).reason == "header"
    assert refused(TITLED.replace("监测日期", "填报日期")).reason == "header"
    assert refused(TITLED, columns={"date": "日期"}).reason == "header"
    assert read(TITLED, defaults={"date": "2024-05-02"}).batch.at[0] == epoch("2024-05-02")


def test_a_wide_table_gives_a_quote_for_every_point() -> None:
    """Each point column is a series of its own, and its empty cells are rejected one by one."""
    result = read_sheet(
        DATA / "pinghu_wide.csv",
        name="pinghu_wide.csv",
        columns={"point:监测点1": "监测点1", "point:中心市场": "监测点2"},
        defaults={"date": "2024-05-15"},
    )
    assert taken(result) == [
        (2, "鲜猪肉", "监测点1", 28.5),
        (2, "鲜猪肉", "中心市场", 29.0),
        (3, "鲜猪肉", "中心市场", 25.8),
        (4, "草鱼", "监测点1", 9.9),
    ]
    assert reasons(result) == [(3, "no_value"), (4, "range")]
    assert "监测点1" in result.rejects[0].detail
    assert result.rows == len(result.batch) + len(result.rejects) == 6


def test_a_unit_in_the_heading_counts_where_there_is_no_unit_column() -> None:
    """价格（元/公斤） names the unit of all rows; a unit column is believed instead where there is one."""
    assert read("日期,品种,价格（元/公斤）\n2024-05-01,猪肉,1\n").batch.keys[0].unit == "元/公斤"
    assert read("日期,品种,价格（元/公斤）,单位\n2024-05-01,猪肉,1,元/斤\n").batch.keys[0].unit == "元/斤"


def test_without_a_header_the_message_says_what_was_found_and_how_to_map_it() -> None:
    """The columns there, the missing ones, and an example of the remedy."""
    error = refused("日期,品名,收购价\n2024-05-01,猪肉,1\n")
    assert error.reason == "header"
    for part in ("test.csv", "“日期”、“品名”、“收购价”", "value（价格）", "columns = {"):
        assert part in str(error)


def test_two_columns_that_could_both_be_meant_are_not_guessed() -> None:
    """价格 and 均价 side by side need a mapping; our own name `value` would settle it too."""
    text = "日期,品种,价格,均价\n2024-05-01,猪肉,1,2\n"
    error = refused(text)
    assert error.reason == "header"
    assert "“价格”" in str(error)
    assert "“均价”" in str(error)
    assert taken(read(text, columns={"value": "均价"})) == [(2, "猪肉", "", 2.0)]
    assert taken(read(text.replace("均价", "value")))[0][3] == 2.0


@pytest.mark.parametrize(
    "how",
    [
        {"columns": {"price": "价格"}},
        {"columns": {"value": "  "}},
        {"columns": {"value": "价格", "item": "价格"}},
        {"columns": {"point:": "价格"}},
        {"columns": {"point:甲": "价格", "value": "均价"}},
        {"defaults": {"value": "1"}},
        {"defaults": {"price": "1"}},
    ],
)
def test_an_impossible_mapping_is_said_so(how: dict[str, dict[str, str]]) -> None:
    """Unknown columns, empty names, one column for two, a default for the value."""
    assert refused("日期,品种,价格\n", **how).reason == "mapping"


def test_a_sheet_with_a_header_only_is_empty_but_sound() -> None:
    """No rows is no error."""
    result = read("date,item,point,value\n")
    assert (result.rows, len(result.batch), result.rejects) == (0, 0, [])
    assert result.batch.series.dtype.name == "int64"


# --- encodings and delimiters --------------------------------------------------------------------------------------

SMALL = "日期,品种,监测点,价格\r\n2024-05-01,猪肉,东风市场,12.5\r\n2024-05-01,鸡蛋,东风市场,4.8\r\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "utf-32"]
)
def test_the_encoding_is_told_from_the_content(encoding: str) -> None:
    """UTF-8 and UTF-16 with and without a mark, and GB18030, give the same sheet."""
    assert taken(read(SMALL.encode(encoding))) == taken(read(SMALL))


def test_chinese_text_far_down_in_another_encoding_is_found() -> None:
    """Plain ASCII for the first megabyte does not fix the encoding of what follows."""
    text = "date,item,point,value\n" + "2024-05-01,pork,A,12.5\n" * 60_000 + "2024-05-01,猪肉,A,1\n"
    result = read(text.encode("gb18030"))
    assert result.header.encoding == "gb18030"
    assert taken(result)[-1] == (60_002, "猪肉", "A", 1.0)


def test_one_damaged_character_costs_one_row() -> None:
    """Otherwise sound UTF-8 is not taken for GB18030, and only the damaged row is rejected."""
    lines = ["日期,品种,监测点,价格".encode(), *[f"2024-05-01,猪肉,东风市场{i},1".encode() for i in range(50)]]
    lines[7] = b"2024-05-01,\xe7\x8c\xff\xe8\x82\x89,A,1"
    result = read(b"\n".join(lines))
    assert reasons(result) == [(8, "encoding")]
    assert len(result.batch) == 49
    assert result.batch.keys[0].item == "猪肉"


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_other_delimiters_are_found_by_the_header(delimiter: str) -> None:
    """Spreadsheet programs also write tabs and semicolons; a comma is then a thousands separator."""
    text = f"日期{delimiter}品种{delimiter}价格\n2024-05-01{delimiter}猪肉{delimiter}1,234.5\n"
    assert taken(read(text)) == [(2, "猪肉", "", 1234.5)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_understood(end: str) -> None:
    """Also the last line without an end."""
    assert taken(read(end.join(["date,item,value", "2024-05-01,猪肉,1", "2024-05-02,猪肉,2"]))) == [
        (2, "猪肉", "", 1.0),
        (3, "猪肉", "", 2.0),
    ]


def test_gzip_is_told_from_the_content() -> None:
    """A compressed sheet needs no particular name."""
    assert taken(read(gzip.compress(SMALL.encode("gb18030"), mtime=0))) == taken(read(SMALL))


# --- dirt ----------------------------------------------------------------------------------------------------------


def test_rows_of_another_length_are_rejected_unless_only_attributes_are_missing() -> None:
    """More cells than the header, or too few to tell the series, are `ragged`; missing area and note are empty."""
    result = read(
        "date,item,point,value,unit,area,note\n"
        "2024-05-01,猪肉,东风,1,元,区\n"
        "2024-05-01,猪肉,东风,2,元\n"
        "2024-05-01,猪肉,东风,3\n"
        "2024-05-01,猪肉,东风,1,234.5,元,区,\n"
        "2024-05-01,猪肉,东风,5,元,区,,,\n"
        "2024-05-01,猪肉,东风,1,234.5,元,区\n"
        "\n"
        ",,,,,,\n"
        "   \n"
        "2024-05-01\n"
    )
    assert [(row, value) for row, _, _, value in taken(result)] == [(2, 1.0), (3, 2.0)]
    assert reasons(result) == [(4, "ragged"), (5, "ragged"), (6, "ragged"), (7, "unit"), (11, "ragged")]
    assert result.rows == 7


def test_a_stray_quotation_mark_costs_one_row() -> None:
    """The rest of the sheet is not swallowed into one cell, whether the mark is closed later or never."""
    result = read(
        'date,item,point,value\n2024-05-01,"猪肉,东风,1\n2024-05-02,猪肉,东风,2\n2024-05-03,"鸡蛋,东风,3\n'
        '2024-05-04,猪肉,东风,4\n2024-05-05,"猪"肉,东风,5\n2024-05-06,5"管,东风,6\n2024-05-07,"a""b",东风,7\n2024-05-08,"x'
    )
    assert [(row, item, value) for row, item, _, value in taken(result)] == [
        (3, "猪肉", 2.0),
        (5, "猪肉", 4.0),
        (7, '5"管', 6.0),
        (8, 'a"b', 7.0),
    ]
    assert reasons(result) == [(2, "quote"), (4, "quote"), (6, "quote"), (9, "quote")]
    assert result.rows == 8


def test_a_quotation_mark_closed_lines_later_does_not_join_rows_of_another_width() -> None:
    """What would become one row over two lines, but not as wide as the header, is two lines."""
    result = read(
        'date,item,point,value\n2024-05-01,"猪肉,东风,1\n2024-05-02,猪肉",东风,2,x\n2024-05-03,猪肉,东风,3\n'
    )
    assert taken(result) == [(4, "猪肉", "东风", 3.0)]
    assert reasons(result) == [(2, "quote"), (3, "ragged")]


def test_control_characters_and_long_cells_do_no_harm() -> None:
    """NUL and other control characters become spaces in names; an endless cell is rejected, the next row is read."""
    result = read(
        "date,item,value\n2024-05-01,猪\x00肉\x0b,1\n2024-05-01," + "长" * 200_000 + ",2\n2024-05-01,鸡蛋,3\n"
    )
    assert [(row, item) for row, item, _, _ in taken(result)] == [(2, "猪 肉"), (4, "鸡蛋")]
    assert reasons(result) == [(3, "too_long")]
    assert len(result.rejects[0].content) < 1000


def test_a_line_without_an_end_is_no_sheet() -> None:
    """Megabytes without a line break are refused before they fill the memory."""
    assert refused("date,item,value\n" + "x" * 20_000_000).reason == "too_long"


def test_broken_titles_are_no_rows() -> None:
    """A stray quotation mark above the header is not reported as a lost row."""
    result = read('"东风"市场价格表\n"未完\ndate,item,value\n2024-05-01,猪肉,1\n')
    assert (result.rows, result.rejects, result.header.row) == (1, [], 3)


def test_a_repeated_header_is_no_data() -> None:
    """Page breaks repeat the header; that row is rejected by its own reason."""
    assert reasons(read("date,item,value\n2024-05-01,猪肉,1\ndate,item,value\n2024-05-02,猪肉,2\n")) == [
        (3, "repeated_header")
    ]


def test_a_note_behind_the_number_goes_to_the_notes() -> None:
    """Nothing that was written is lost."""
    result = read(
        "date,item,value,note\n2024-05-01,猪肉,6.00（散装）,促销\n2024-05-02,猪肉,6,\n2024-05-03,猪肉,6 特价,\n"
    )
    assert result.batch.notes == {0: "促销；散装", 2: "特价"}


def test_names_that_differ_only_in_form_are_one_series() -> None:
    """Full-width and half-width, with and without spaces round them; the first area that is given counts."""
    result = read("date,item,value,area,spec\n2024-05-01,ＡＢ米,1,,/\n2024-05-02, AB米 ,2,城区,\n")
    assert result.batch.keys == [SeriesKey("AB米")]
    assert result.batch.areas == ["城区"]


def test_future_dates_are_taken() -> None:
    """The reader has no clock."""
    assert len(read("date,item,value\n2099-01-01,猪肉,1\n").batch) == 1


# --- files that are no sheets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \r\n\t\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\0" * 10_000, "empty"),
        (b",,,\n,,\n", "empty"),
        (b"hello", "header"),
        (b"%PDF-1.7 ...", "format"),
        (b"<html><table>", "format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "format"),
        (b"PK\x03\x04" + b"junk" * 100, "damaged"),
        (b"PK\x05\x06" + b"\0" * 18, "empty"),
        (b"7z\xbc\xaf\x27\x1c", "format"),
        (b"Rar!\x1a\x07", "format"),
        (gzip.compress(gzip.compress(b"date,item,value\n", mtime=0), mtime=0), "format"),
        (gzip.compress(b"date,item,value\n2024-05-01,x,1\n" * 1000, mtime=0)[:-20], "damaged"),
        (gzip.compress(b"date,item,value\n", mtime=0) + b"trailing junk", "damaged"),
        (b"\x1f\x8b\x08garbage", "damaged"),
        (bytes(range(256)) * 50, "header"),
    ],
)
def test_what_is_no_sheet_is_refused_as_a_whole(content: bytes, reason: str) -> None:
    """Each kind of file that people send by mistake has its reason, and the message names the file and a remedy."""
    error = refused(content)
    assert error.reason == reason
    assert str(error).startswith("test.csv：")
    assert "请" in str(error)


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    """No stack trace for a wrong path."""
    with pytest.raises(SheetError) as error:
        read_sheet(tmp_path / "none.csv", name="none.csv")
    assert error.value.reason == "io"


def test_size_is_bounded_after_decompression() -> None:
    """A gzip bomb stops at the bound, long before it is unpacked."""
    bomb = gzip.compress(b"date,item,value\n" + b"2024-05-01,x,1\n" * 5_000_000, mtime=0)
    assert len(bomb) < 1_000_000
    assert refused(bomb, max_bytes=1 << 20).reason == "too_large"
    assert refused(SMALL, max_bytes=50).reason == "too_large"
    assert len(read(SMALL, max_bytes=len(SMALL.encode())).batch) == 2


def test_any_stream_can_be_read_and_progress_is_told() -> None:
    """A stream that cannot be rewound is read all the same; progress counts its bytes up to the end."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert len(read_sheet(Pipe(SMALL.encode("gb18030")), name="pipe").batch) == 2
    told: list[int] = []
    data = ("date,item,value\n" + "2024-05-01,x,1\n" * 100_000).encode()
    read_sheet(data, name="x", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(data)
    assert len(told) > 2


# --- the reject report ---------------------------------------------------------------------------------------------


def test_the_reject_report_opens_in_a_spreadsheet_and_can_be_sent_again(tmp_path: Path) -> None:
    """Marked as UTF-8, the original cells under their names, formulas disarmed; once mended it is a sheet itself."""
    sheet = tmp_path / "五月.csv"
    sheet.write_text(
        '日期,品种,价格,备注\n2024-05-01,=SUM(A1),无,"@a, ""b"""\n2024-05-02,猪肉,-5-x,-36.98\n', "utf-8"
    )
    result = read_sheet(sheet, name=sheet.name)
    report = rejects_path(sheet)
    write_rejects(report, result.rejects, result.header.names)
    assert report.name == "五月.csv.rejects.csv"
    assert report.read_bytes().startswith(b"\xef\xbb\xbfrow,reason,detail,")
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["row", "reason", "detail", "日期", "品种", "价格", "备注"]
    assert rows[1][:2] == ["2", "no_value"]
    assert rows[1][3:] == ["2024-05-01", "'=SUM(A1)", "无", '\'@a, "b"']
    assert rows[2][5:] == ["'-5-x", "-36.98"], "numbers stay numbers"
    mended = report.read_text("utf-8-sig").replace("无,", "3.5,").replace("'-5-x", "-5")
    assert taken(read(mended)) == [(2, "=SUM(A1)", "", 3.5), (3, "猪肉", "", -5.0)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["五月.csv", "五月.csv.rejects.csv"]


def test_the_reject_report_is_whole_or_not_there(tmp_path: Path) -> None:
    """Where it cannot be put in place, an earlier report stays and nothing half written is left."""
    (tmp_path / "r.csv").mkdir()
    with pytest.raises(OSError, match=r"r\.csv"):
        write_rejects(tmp_path / "r.csv", [Reject(1, "x", "y", "z")])
    assert [p.name for p in tmp_path.iterdir()] == ["r.csv"]


# --- real data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "rejected"),
    [
        ("energy_daily", 27_621, 1),
        ("food_monthly", 40_529, 0),
        ("risk_daily", 67_699, 0),
        ("complaints_monthly", 11_156, 0),
        ("bank_failures_monthly", 241, 0),
    ],
)
def test_every_row_of_the_published_figures_is_accounted_for(name: str, rows: int, rejected: int) -> None:
    """The five files of real data: all rows accepted, but for the one blank value, which is rejected as such."""
    path = REAL / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip("the folder ../shared/data with real figures is not beside the checkout")
    result = read_sheet(path, name=path.name)
    assert (result.rows, len(result.batch), len(result.rejects)) == (rows, rows - rejected, rejected)
    assert sorted([*result.batch.row.tolist(), *(r.row for r in result.rejects)]) == list(range(2, rows + 2))
    assert {r.reason for r in result.rejects} <= {"no_value"}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        want = [float(row["value"]) for row in csv.DictReader(file) if row["value"]]
    assert result.batch.value.tolist() == want
