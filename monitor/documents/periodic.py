"""The daily and the weekly price monitoring report (forms of price offices, see docs/console.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from monitor.documents.comparison import FLAT, Counted, Quotes, compared, counted, index_chart, means, newest
from monitor.documents.model import TITLES, Report, ReportKind, Row, Section
from thresholds.model import FloatArray

FOOD = (
    ("粮油", ("粮", "油")),
    ("肉禽蛋", ("肉", "蛋")),
    ("水产品", ("水产",)),
    ("蔬菜", ("菜",)),
    ("水果", ("水果",)),
    ("奶、豆制品和副食", ("奶", "豆", "副食")),
)
OTHERS = (
    ("能源", ("能源",)),
    ("农资和养殖", ("化肥", "饲养", "棉")),
    ("药品", ("药",)),
    ("服务", ("服务",)),
)
REST = "其他"
LARGE = 0.15
"""change from which a weekly report names the goods one by one (form of a county's weekly report)"""
CHART_DAYS = 30
CARRIED = 7
"""days for which the last quote stands for the period before in a daily report: offices do not ask every day"""
ORDINALS = "一二三四五六七八九十"


@dataclass(frozen=True)
class Given:
    """What a periodic report is made from.

    flagged    lines about open flags of the period, in words
    doubted    number of quotes left out because they are suspected errors
    """

    quotes: Quotes
    issue: int
    issuer: str
    flagged: Sequence[str]
    doubted: int
    simulated: bool


def group_of(chain: Sequence[str]) -> str:
    """The heading under which the goods of a class stand: the nearest of its classes that a heading names."""
    for name in chain:
        for heading, classes in (*FOOD, *OTHERS):
            if name in classes:
                return heading
    return REST


def daily(given: Given, day: date) -> Report:
    """Quotes of `day`, each compared with the last one of the seven days before."""
    current = means(given.quotes, day, day)
    previous = newest(given.quotes, day - timedelta(days=1), CARRIED)
    return periodic(ReportKind.DAILY, given, (day, day), current, previous)


def weekly(given: Given, last: date) -> Report:
    """Means of the seven days up to `last`, compared with those of the seven days before."""
    first = last - timedelta(days=6)
    current = means(given.quotes, first, last)
    previous = means(given.quotes, first - timedelta(days=7), first - timedelta(days=1))
    return periodic(ReportKind.WEEKLY, given, (first, last), current, previous)


def periodic(
    kind: ReportKind, given: Given, period: tuple[date, date], current: FloatArray, previous: FloatArray
) -> Report:
    rows = compared(given.quotes, current, previous)
    food = [(heading, rows[heading]) for heading, _ in FOOD if heading in rows]
    others = [(heading, rows[heading]) for heading in (*(h for h, _ in OTHERS), REST) if heading in rows]
    parts = [
        *chapter("居民食品类价格", food, kind),
        *chapter("农资、能源和其他价格", others, kind),
    ]
    headings = [heading for heading, _ in (*food, *others)]
    chart = index_chart(
        given.quotes,
        headings,
        period[1],
        CHART_DAYS,
        "分类价格指数（首日=100）",
        lambda s: bool(np.isfinite(current[s])),
    )
    if chart.lines:
        parts.append(Section("近 30 日走势", ("同一监测点逐日环比的几何平均连乘，起始日为 100。",), chart=chart))
    parts.append(Section("异常情况", tuple(given.flagged) or ("本期没有需要提示的异常波动。",)))
    if kind is ReportKind.WEEKLY:
        parts.append(Section("后期预测", ("",)))
    parts.append(Section("说明", (method(kind, given),)))
    return Report(
        kind=kind,
        title=TITLES[kind],
        issue=given.issue,
        issuer=given.issuer,
        first=period[0],
        last=period[1],
        lead=lead(kind, food, others),
        sections=numbered(parts),
        simulated=given.simulated,
    )


def chapter(heading: str, groups: Sequence[tuple[str, list[Row]]], kind: ReportKind) -> list[Section]:
    """A heading, then one section for each group of goods."""
    if not groups:
        return []
    every = [row for _, rows in groups for row in rows]
    parts = [Section(heading, (in_words(counted(every)),))]
    for place, (name, rows) in enumerate(groups):
        texts = [f"{name}{in_words(counted(rows))}"]
        if kind is ReportKind.WEEKLY and (named := large(rows)):
            texts.append(named)
        parts.append(Section(f"（{ORDINALS[place]}）{name}", tuple(texts), tuple(remarked(rows))))
    return parts


def numbered(parts: Sequence[Section]) -> tuple[Section, ...]:
    """Chapters get 一、二、…; the groups within them have their numbers already."""
    found, place = [], 0
    for part in parts:
        if part.heading.startswith("（"):
            found.append(part)
            continue
        found.append(Section(f"{ORDINALS[place]}、{part.heading}", part.paragraphs, part.rows, part.chart))
        place += 1
    return tuple(found)


def in_words(count: Counted) -> str:
    """3升7降5平, as price offices write it."""
    if not count.total:
        return "监测品种无上期可比。"
    return f"共{count.total}种可比，与上期相比{count.up}升{count.down}降{count.flat}平。"


def large(rows: Sequence[Row]) -> str:
    """The goods that moved by 15 % or more, largest first; empty where there are none."""
    moved = sorted(
        (row for row in rows if row.change is not None and abs(row.change) >= LARGE),
        key=lambda row: (-abs(row.change or 0), row.item, row.spec),
    )
    if not moved:
        return ""
    return "涨跌幅在15%以上的品种：" + "；".join(f"{named(row)}{moved_by(row.change or 0)}" for row in moved) + "。"


def named(row: Row) -> str:
    return f"{row.item}（{row.spec}）" if row.spec else row.item


def moved_by(change: float) -> str:
    if abs(change) < FLAT:
        return "持平"
    return f"{'上涨' if change > 0 else '下降'}{abs(change):.1%}"


def remarked(rows: Sequence[Row]) -> list[Row]:
    """With a remark where there is something to say that the columns do not."""
    return [
        Row(r.item, r.spec, r.unit, r.channel, r.current, r.previous, r.points, "" if r.previous else "无上期可比")
        for r in rows
    ]


def lead(kind: ReportKind, food: Sequence[tuple[str, list[Row]]], others: Sequence[tuple[str, list[Row]]]) -> str:
    """The sentence at the head: counts up, down and flat by groups, the vegetables with their mean."""
    when = "本日" if kind is ReportKind.DAILY else "本周"
    staple = [row for name, rows in food if name in ("粮油", "肉禽蛋", "水产品") for row in rows]
    vegetables = [row for name, rows in food if name == "蔬菜" for row in rows]
    texts = []
    if staple:
        texts.append(f"{len(staple)}种粮油肉禽蛋鱼价格与上期相比{ups_and_downs(staple)}")
    if vegetables:
        texts.append(f"{len(vegetables)}种蔬菜{of_vegetables(vegetables)}")
    rest = [row for name, rows in others for row in rows]
    if rest:
        texts.append(f"其他{len(rest)}种商品和服务{ups_and_downs(rest)}")
    if not texts:
        return f"{when}没有收到可用的价格。"
    return f"{when}监测的" + "；".join(texts) + "。"


def ups_and_downs(rows: Sequence[Row]) -> str:
    """Counts that add up to the number of rows."""
    count = counted(rows)
    new = len(rows) - count.total
    return f"{count.up}升{count.down}降{count.flat}平" + (f"（另有{new}种上期无价）" if new else "")


def of_vegetables(rows: Sequence[Row]) -> str:
    """Counts, and the mean price where all are in one unit."""
    text = ups_and_downs(rows)
    both = [row for row in rows if row.previous is not None]
    units = {row.unit for row in both}
    if len(units) != 1 or not both:
        return text
    unit = units.pop().removeprefix("元/")
    now = sum(row.current for row in both) / len(both)
    before = sum(row.previous or 0 for row in both) / len(both)
    change = now / before - 1 if before else 0.0
    trend = "与上期持平" if abs(change) < FLAT else f"比上期{moved_by(change)}"
    return f"{text}，平均每{unit}{now:.2f}元，{trend}"


def method(kind: ReportKind, given: Given) -> str:
    previous = "此前七日内最近一次报价" if kind is ReportKind.DAILY else "上一周的均价"
    text = f"均价为各监测点的算术平均；变动幅度只比较两期都有报价的监测点，上期为{previous}。"
    if given.doubted:
        text += f"另有{given.doubted}个疑似报送差错的价格待核实，未计入。"
    if given.simulated:
        text += "本报告含演示数据，由模拟程序生成，不是真实价格。"
    return text
