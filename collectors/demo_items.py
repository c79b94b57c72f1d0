"""What the demonstration city sells: items with unit and base price, behaviour by class, Spring Festival dates.

Items, specs and units are those of published price-monitoring forms; base prices are plausible, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

MARK = "演示数据"
"""In the source of every simulated series: wherever the series is shown, this word is shown with it."""

AREAS = ("演示东区", "演示南区", "演示西区", "演示北区")
INSTITUTION = "演示农村商业银行"
RETAIL = "零售"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How prices of one class move. Ratios are in logarithms: 0.01 is about one per cent.

    sigma     spread of the city's price level around its season, within some weeks
    festival  rise before Spring Festival
    reprice   chance that a point changes its quote on a given day; between, the quote is unchanged
    weekend   change on Saturday and Sunday
    jitter    spread of one quote around the point's level
    """

    sigma: float
    festival: float
    reprice: float
    weekend: float = 0.0
    jitter: float = 0.0


CLASSES = {
    "粮": Behaviour(sigma=0.008, festival=0.0, reprice=0.04),
    "油": Behaviour(sigma=0.010, festival=0.01, reprice=0.04),
    "肉": Behaviour(sigma=0.030, festival=0.06, reprice=0.20),
    "蛋": Behaviour(sigma=0.030, festival=0.05, reprice=0.30),
    "水产": Behaviour(sigma=0.040, festival=0.18, reprice=0.35, weekend=0.01, jitter=0.01),
    "菜": Behaviour(sigma=0.120, festival=0.28, reprice=0.50, weekend=0.02, jitter=0.015),
    "果": Behaviour(sigma=0.060, festival=0.12, reprice=0.35, weekend=0.01, jitter=0.01),
    "奶": Behaviour(sigma=0.008, festival=0.01, reprice=0.04),
    "副食": Behaviour(sigma=0.008, festival=0.0, reprice=0.03),
    "饲养": Behaviour(sigma=0.025, festival=0.0, reprice=0.30),
    "能源": Behaviour(sigma=0.015, festival=0.0, reprice=0.10),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One item and spec. `season` is the yearly swing, at its highest on day `peak` of the year (1 = 1 January)."""

    name: str
    spec: str
    unit: str
    kind: str
    price: float
    season: float = 0.0
    peak: int = 30
    channel: str = RETAIL

    @property
    def weighed(self) -> bool:
        """Sold by 500 g: the unit in which a quote per kilogram is a likely slip."""
        return self.unit == "元/500克"


JIN = "元/500克"
BARREL = "元/5升"
KILO = "元/千克"
FRESH = "新鲜一级"

ITEMS = (
    Item("籼米", "二级", JIN, "粮", 2.60),
    Item("粳米", "二级", JIN, "粮", 2.85),
    Item("面粉", "特一粉", JIN, "粮", 2.55),
    Item("面粉", "标准粉", JIN, "粮", 2.20),
    Item("面粉", "富强粉", JIN, "粮", 2.75),
    Item("菜籽油", "桶装一级", BARREL, "油", 72.0),
    Item("大豆油", "桶装一级", BARREL, "油", 54.0),
    Item("花生油", "桶装一级", BARREL, "油", 128.0),
    Item("调和油", "桶装一级", BARREL, "油", 66.0),
    Item("猪肉", "精瘦肉", JIN, "肉", 14.8, 0.03, 20),
    Item("猪肉", "五花肉", JIN, "肉", 13.6, 0.03, 20),
    Item("猪肉", "带皮后腿肉", JIN, "肉", 11.9, 0.03, 20),
    Item("猪肉", "肋排", JIN, "肉", 22.5, 0.03, 20),
    Item("牛肉", "腱子", JIN, "肉", 39.0, 0.02, 10),
    Item("牛肉", "牛腩", JIN, "肉", 34.5, 0.02, 10),
    Item("牛肉", "后腿", JIN, "肉", 36.0, 0.02, 10),
    Item("羊肉", "带骨", JIN, "肉", 37.0, 0.04, 10),
    Item("鸡肉", "白条鸡", JIN, "肉", 11.2),
    Item("活鸡", "", JIN, "肉", 13.5),
    Item("鸭肉", "白条鸭", JIN, "肉", 10.4),
    Item("鸡蛋", "鲜鸡蛋", JIN, "蛋", 5.30, 0.05, 255),
    Item("鸭蛋", "鲜鸭蛋", JIN, "蛋", 9.60, 0.04, 160),
    Item("草鱼", "鲜活", JIN, "水产", 9.80, 0.04, 130),
    Item("鲤鱼", "鲜活", JIN, "水产", 8.20, 0.04, 130),
    Item("鲫鱼", "鲜活", JIN, "水产", 10.6, 0.04, 130),
    Item("鲢鱼", "鲜活", JIN, "水产", 6.40, 0.04, 130),
    Item("带鱼", "冻", JIN, "水产", 17.5, 0.02, 20),
    Item("芹菜", FRESH, JIN, "菜", 3.20, 0.18, 35),
    Item("大白菜", FRESH, JIN, "菜", 1.35, 0.15, 60),
    Item("油菜", FRESH, JIN, "菜", 3.00, 0.20, 40),
    Item("黄瓜", FRESH, JIN, "菜", 3.80, 0.30, 30),
    Item("萝卜", FRESH, JIN, "菜", 1.50, 0.12, 90),
    Item("茄子", FRESH, JIN, "菜", 3.60, 0.28, 35),
    Item("西红柿", FRESH, JIN, "菜", 3.90, 0.25, 25),
    Item("土豆", FRESH, JIN, "菜", 2.00, 0.10, 80),
    Item("胡萝卜", FRESH, JIN, "菜", 2.30, 0.10, 100),
    Item("青椒", FRESH, JIN, "菜", 3.70, 0.27, 30),
    Item("尖椒", FRESH, JIN, "菜", 4.10, 0.28, 30),
    Item("圆白菜", FRESH, JIN, "菜", 1.60, 0.18, 55),
    Item("豆角", FRESH, JIN, "菜", 5.60, 0.32, 30),
    Item("蒜薹", FRESH, JIN, "菜", 5.80, 0.16, 20),
    Item("韭菜", FRESH, JIN, "菜", 3.40, 0.22, 20),
    Item("莴笋", FRESH, JIN, "菜", 3.10, 0.20, 45),
    Item("洋葱", FRESH, JIN, "菜", 1.80, 0.10, 100),
    Item("菜花", FRESH, JIN, "菜", 3.50, 0.18, 40),
    Item("豆腐", "", JIN, "菜", 2.70),
    Item("苹果", "红富士一级", JIN, "果", 6.40, 0.06, 170),
    Item("香蕉", "国产一级", JIN, "果", 4.10, 0.08, 100),
    Item("西瓜", "地产一级", JIN, "果", 2.60, 0.28, 45),
    Item("纯牛奶", "250ml", "元/盒", "奶", 3.30),
    Item("酱油", "500ml一级", "元/瓶", "副食", 8.90),
    Item("白砂糖", "袋装一级", JIN, "副食", 5.20),
    Item("食盐", "加碘", JIN, "副食", 3.00),
    Item("仔猪", "15千克左右", KILO, "饲养", 31.0, 0.08, 110, "收购"),
    Item("生猪", "三元", "元/50千克", "饲养", 745.0, 0.04, 15, "出场"),
    Item("玉米", "二等", KILO, "饲养", 2.38, 0.02, 220, "批发"),
    Item("育肥猪配合饲料", "", KILO, "饲养", 3.45),
    Item("液化石油气", "15千克瓶装", "元/瓶", "能源", 118.0, 0.03, 15),
    Item("民用煤", "蜂窝煤", "元/吨", "能源", 980.0, 0.03, 5),
    Item("木炭", "机制炭", KILO, "能源", 5.60, 0.03, 5),
)

INDICATORS = (
    # item, value, month-to-month spread, all in per cent
    ("不良贷款率", 2.10, 0.04),
    ("资本充足率", 13.2, 0.08),
    ("流动性比例", 68.0, 1.2),
    ("拨备覆盖率", 196.0, 2.5),
)

SPRING_FESTIVALS = tuple(
    date(2015 + i, month, day)
    for i, (month, day) in enumerate(
        [
            *[(2, 19), (2, 8), (1, 28), (2, 16), (2, 5), (1, 25), (2, 12)],  # 2015 to 2021
            *[(2, 1), (1, 22), (2, 10), (1, 29), (2, 17), (2, 6), (1, 26)],  # 2022 to 2028
            *[(2, 13), (2, 3), (1, 23), (2, 11), (1, 31), (2, 19), (2, 8)],  # 2029 to 2035
        ]
    )
)
"""First day of the first lunar month, 2015 to 2035 (facts of the Chinese calendar)."""


def swap_pairs(items: int) -> tuple[tuple[int, int], ...]:
    """Neighbours on the form whose quotes differ enough that entering them in each other's row shows."""
    pairs: list[tuple[int, int]] = []
    for i in range(items - 1):
        one, other = ITEMS[i], ITEMS[i + 1]
        alike = one.unit == other.unit and one.kind == other.kind
        if alike and not 0.55 < one.price / other.price < 1.8 and (not pairs or pairs[-1][1] != i):
            pairs.append((i, i + 1))
    return tuple(pairs)
