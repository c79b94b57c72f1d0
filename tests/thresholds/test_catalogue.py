"""The catalogue: names before keywords, the longest keyword, user files first, measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.thresholds.build import shipped_catalogue
from thresholds.catalogue import UNCLASSED, Catalogue, Measure, load_catalogue
from thresholds.model import SeriesKey


def load_with(tmp_path: Path, text: str, *more: str) -> Catalogue:
    """The shipped catalogue behind these files of an installation, the first of which wins."""
    paths = []
    for n, content in enumerate([text, *more]):
        paths.append(tmp_path / f"own{n}.toml")
        paths[-1].write_text(f'kind = "catalogue"\n{content}', "utf-8")
    catalogue, faults = load_catalogue(paths)
    assert catalogue is not None, faults
    return catalogue


def class_of(item: str, catalogue: Catalogue | None = None, unit: str = "元/500克") -> str:
    return (catalogue or shipped_catalogue()).classify(SeriesKey(item, unit=unit)).name


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ("大米", "粮"),
        ("东北大米（一级）", "粮"),
        ("玉米", "饲养"),
        ("玉米油 5升桶装", "油"),  # the longer keyword wins over 玉米
        ("大豆油", "油"),
        ("豆腐", "豆"),
        ("猪肉（五花肉）", "猪肉"),
        ("鲜牛肉", "肉"),
        ("鸡蛋", "鸡蛋"),
        ("鸭蛋", "蛋"),
        ("白条鸡", "鸡肉"),
        ("大白菜", "菜"),
        ("92号汽油", "成品油"),
        ("无烟煤", "煤"),
        ("液化石油气（瓶装）", "气"),
        ("尿素", "化肥"),
        ("阿莫西林胶囊", "药"),
        ("WTI", "行情"),
        ("wti", "行情"),
        ("ＷＴＩ", "行情"),  # full-width letters
        ("12315投诉", "投诉"),
        ("不良贷款率", "不良贷款率"),
        ("一级资本充足率", "一级资本充足率"),  # the longest of three keywords
        ("存款余额", "指标"),
        ("Rice (red nadu)", "粮"),
        ("Oil (coconut)", "水果"),
        ("Eggs", "蛋"),
        ("Eggplants", "菜"),  # "egg" is not a word in it
        ("House price", UNCLASSED),  # nor is "rice"
        ("某种新商品", UNCLASSED),
    ],
)
def test_the_shipped_catalogue_knows_what_offices_watch(item: str, name: str) -> None:
    """Whole names first, then the longest keyword; Latin words whole, Chinese ones anywhere."""
    assert class_of(item) == name


def test_a_class_is_watched_by_rules_for_its_parents() -> None:
    """Pork is meat, petrol is energy."""
    assert shipped_catalogue().classify(SeriesKey("猪肉")).chain == ("猪肉", "肉")
    assert shipped_catalogue().classify(SeriesKey("柴油")).chain == ("成品油", "能源")


def test_user_files_win_over_the_shipped_one(tmp_path: Path) -> None:
    """The same keyword, the same name and the same class in an own file overrule the shipped ones; the first own
    file overrules the second."""
    own = load_with(
        tmp_path,
        """
        items = [{ item_class = "特产", contains = ["大米"] }, { item_class = "特产", names = ["鸡蛋"] }]
        classes = [{ name = "特产" }, { name = "猪肉", parent = "特产" }]
        """,
        'items = [{ item_class = "副食", contains = ["大米", "粽子"] }]',
    )
    assert class_of("东北大米", own) == "特产"
    assert class_of("鸡蛋", own) == "特产"
    assert class_of("鸡蛋（散装）", own) == "鸡蛋"
    assert class_of("粽子", own) == "副食"
    assert own.classify(SeriesKey("猪肉")).chain == ("猪肉", "特产")


def test_a_whole_name_wins_over_any_keyword(tmp_path: Path) -> None:
    """Also over a longer keyword of a file that comes first."""
    own = load_with(tmp_path, 'items = [{ item_class = "副食", contains = ["特级wti"] }]')
    assert class_of("WTI", own) == "行情"


@pytest.mark.parametrize(
    ("item", "unit", "measure"),
    [
        ("大米", "元/500克", Measure.PRICE),
        ("某种新商品", "元/个", Measure.PRICE),
        ("某种新商品", "", Measure.PRICE),
        ("每日来电", "件", Measure.COUNT),
        ("12315投诉", "", Measure.COUNT),
        ("不良贷款率", "%", Measure.SIGNED),
        ("不良贷款率", "％", Measure.SIGNED),
        ("OFR FSI", "标准差", Measure.SIGNED),
        ("VIX", "点", Measure.PRICE),  # its own entry says so, whatever the unit
        ("WTI", "USD/bbl", Measure.FUTURES),
        ("大米", "件", Measure.PRICE),  # the class says price: the unit is not asked
    ],
)
def test_measure_comes_from_entry_class_or_unit(item: str, unit: str, measure: Measure) -> None:
    """Nearest first: the entry, the class, its parents, the unit; a price in the end."""
    assert shipped_catalogue().classify(SeriesKey(item, unit=unit)).measure is measure


def test_units_are_compared_whole() -> None:
    """元/件 is a price for a piece, not a count of cases."""
    assert shipped_catalogue().classify(SeriesKey("快递", unit="元/件")).measure is Measure.PRICE


def test_state_set_is_said_of_items(tmp_path: Path) -> None:
    """Government sets petrol prices; an installation may say so of water."""
    own = load_with(tmp_path, 'items = [{ item_class = "服务", names = ["自来水"], state_set = true }]')
    assert own.classify(SeriesKey("自来水")).state_set
    assert own.classify(SeriesKey("92号汽油")).state_set
    assert not own.classify(SeriesKey("大米")).state_set


def test_the_domain_chooses_the_plan() -> None:
    """Indicators and quotations belong to the finance plan, goods to the price plan."""
    assert shipped_catalogue().classify(SeriesKey("不良贷款率")).domain == "finance"
    assert shipped_catalogue().classify(SeriesKey("Brent")).domain == "finance"
    assert shipped_catalogue().classify(SeriesKey("大米")).domain == "price"


def test_every_shipped_keyword_leads_to_its_own_class() -> None:
    """No keyword is swallowed by another entry of the shipped file."""
    catalogue = shipped_catalogue()
    for word, entry in catalogue.keywords.items():
        assert class_of(word) == entry.item_class
