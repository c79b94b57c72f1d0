"""The daily and the weekly report: headings, lead sentence, counts, what is named one by one."""

from __future__ import annotations

from datetime import date

from monitor.documents.abnormal import Abnormal, abnormal
from monitor.documents.model import Report, Row, Section
from monitor.documents.periodic import Given, daily, group_of, weekly
from tests.documents.make import LAST, key, quotes

GOODS = quotes(
    (key("粳米", "甲"), "粮油", {0: 3.0, 1: 3.0, 8: 3.0}),
    (key("精瘦肉", "甲"), "肉禽蛋", {0: 22.0, 1: 20.0, 8: 15.0}),
    (key("鸡蛋", "甲"), "肉禽蛋", {0: 4.5, 1: 5.0, 8: 5.0}),
    (key("大白菜", "甲"), "蔬菜", {0: 2.0, 1: 2.2, 8: 2.0}),
    (key("黄瓜", "甲"), "蔬菜", {0: 4.0, 1: 4.0, 8: 4.0}),
    (key("汽油", "甲", unit="元/升"), "能源", {0: 7.5, 1: 7.5, 8: 7.5}),
)


def given(**changes: object) -> Given:
    fields: dict[str, object] = {
        "quotes": GOODS, "issue": 12, "issuer": "市价格监测中心", "flagged": (), "doubted": 0, "simulated": False,
    }  # fmt: skip
    return Given(**fields | changes)  # type: ignore[arg-type]


def section(report: Report, word: str) -> Section:
    return next(one for one in report.sections if word in one.heading)


def test_the_lead_counts_staples_and_gives_the_mean_of_the_vegetables() -> None:
    assert daily(given(), LAST).lead == (
        "本日监测的3种粮油肉禽蛋鱼价格与上期相比1升1降1平；"
        "2种蔬菜0升1降1平，平均每500克3.00元，比上期下降3.2%；其他1种商品和服务0升0降1平。"
    )


def test_counts_of_the_lead_add_up_where_goods_are_new() -> None:
    new = quotes((key("粳米", "甲"), "粮油", {0: 3.0, 1: 3.0}), (key("小米", "甲"), "粮油", {0: 4.0}))
    assert "2种粮油肉禽蛋鱼价格与上期相比0升0降1平（另有1种上期无价）" in daily(given(quotes=new), LAST).lead


def test_chapters_are_numbered_and_groups_within_them() -> None:
    headings = [one.heading for one in weekly(given(), LAST).sections]
    assert headings == [
        "一、居民食品类价格",
        "（一）粮油",
        "（二）肉禽蛋",
        "（三）蔬菜",
        "二、农资、能源和其他价格",
        "（一）能源",
        "三、近 30 日走势",
        "四、异常情况",
        "五、后期预测",
        "六、说明",
    ]


def test_a_weekly_report_compares_means_of_seven_days_and_names_large_moves() -> None:
    found = section(weekly(given(), LAST), "肉禽蛋")
    row = next(one for one in found.rows if one.item == "精瘦肉")
    assert (row.current, row.previous) == (21.0, 15.0)
    assert found.paragraphs[1] == "涨跌幅在15%以上的品种：精瘦肉上涨40.0%。"


def test_a_day_on_which_nothing_came_says_so() -> None:
    report = daily(given(), date(2026, 6, 1))
    assert report.lead == "本日没有收到可用的价格。"
    assert not any(one.rows for one in report.sections)


def test_what_was_flagged_stands_in_the_report() -> None:
    report = daily(given(flagged=("大白菜（南区，三级）：上涨35%。",)), LAST)
    assert section(report, "异常情况").paragraphs == ("大白菜（南区，三级）：上涨35%。",)


def test_simulated_data_and_prices_in_doubt_are_told() -> None:
    report = daily(given(doubted=3, simulated=True), LAST)
    assert report.simulated
    assert "3个疑似报送差错的价格待核实，未计入" in section(report, "说明").paragraphs[0]
    assert "演示数据" in section(report, "说明").paragraphs[0]


def test_goods_stand_under_the_nearest_heading_of_their_class() -> None:
    assert group_of(("精瘦肉", "猪肉", "肉")) == "肉禽蛋"
    assert group_of(("生猪", "饲养")) == "农资和养殖"
    assert group_of(("未分类",)) == "其他"


def test_the_abnormal_report_has_the_four_parts_of_p5_and_leaves_to_people_what_only_they_know() -> None:
    facts = Abnormal("大白菜", "南区", "2026年3月1日", "上涨35%", "三级", ("规则测得。",), (), "真实波动", False)
    report = abnormal(facts, LAST, "市价格监测中心")
    assert [one.heading for one in report.sections] == [
        "一、异常情况",
        "二、原因、趋势、影响和社会反应",
        "三、已采取措施与建议",
        "四、需要报告的其他内容",
    ]
    assert "区域：南区。" in report.sections[0].paragraphs
    assert "规则测得。" in report.sections[0].paragraphs
    assert report.sections[1].paragraphs[1] == "趋势："


def test_a_row_compares_with_nothing_where_the_earlier_mean_is_zero() -> None:
    assert Row("菜", "", "元", "", 1.0, 0.0, 1).change is None
