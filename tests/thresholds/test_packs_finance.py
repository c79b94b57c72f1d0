"""The packs on financial institutions, each limit tried just below, at, and just above what is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from tests.thresholds.build import at, found
from thresholds.model import Flag, Kind, Observation, SeriesKey
from thresholds.plan import Pack, Policy
from thresholds.plan_files import SHIPPED, load_policy
from thresholds.settings import load

RATIOS = ("fin-ratios", "fin-ratios-bands")


@cache
def everything() -> Policy:
    """All packs, with the rules that ship switched off because their source is from memory."""
    policy, faults = load_policy(enable=RATIOS)
    assert policy is not None, faults
    off = [r.id for p in loaded_packs() for r in p.rules if not r.enabled]
    policy, faults = load_policy(enable=(*RATIOS, *off))
    assert policy is not None, faults
    return policy


def loaded_packs() -> Sequence[Pack]:
    packs = []
    for path in sorted(SHIPPED.glob("fin-*.toml")):
        pack, faults = load(Pack, path)
        assert pack is not None, faults
        packs.append(pack)
    return packs


def only(*packs: str) -> Policy:
    return replace(everything(), packs=tuple(p for p in everything().packs if p.id in packs))


def reports(
    item: str, unit: str, values: Sequence[float], *, point: str = "某农商行", every: int = 31, hour: int = 0
) -> list[Observation]:
    key = SeriesKey(item, "", unit, "", point)
    return [Observation(key, at(n * every, hour=hour), v, area="某区") for n, v in enumerate(values)]


def flagged(rows: Sequence[Observation], *packs: str) -> list[Flag]:
    return [f for f in found(rows, only(*packs)).flags if f.kind is Kind.MOVE]


def rules(rows: Sequence[Observation], *packs: str) -> set[str]:
    """Rules behind the flags, without the name of the pack."""
    return {finding.rule.partition("/")[2] for f in flagged(rows, *packs) for finding in f.findings}


FLOORS = {
    "资本充足率": 8,
    "一级资本充足率": 6,
    "核心一级资本充足率": 5,
    "杠杆率": 4,
    "流动性比例": 25,
    "流动性覆盖率": 100,
    "净稳定资金比例": 100,
    "优质流动性资产充足率": 100,
    "流动性匹配率": 100,
    "拨备覆盖率": 120,
    "贷款拨备率": 1.5,
    "担保Ⅰ、Ⅱ级资产比例": 70,
    "担保Ⅰ级资产比例": 20,
    "风险覆盖率": 100,
    "资本杠杆率": 8,
    "证券流动性覆盖率": 100,
    "证券净稳定资金率": 100,
    "净资本/净资产": 20,
    "净资本/负债": 8,
    "核心偿付能力充足率": 50,
    "综合偿付能力充足率": 100,
}
CAPS = {
    "不良贷款率": 5,
    "不良资产率": 4,
    "单一客户贷款集中度": 10,
    "单一集团客户授信集中度": 15,
    "全部关联度": 50,
    "非同业单一客户风险暴露": 15,
    "非同业关联客户风险暴露": 20,
    "同业客户风险暴露": 25,
    "存款偏离度": 4,
    "小贷同一借款人集中度": 10,
    "小贷关联借款人集中度": 15,
    "单一被担保人集中度": 10,
    "关联被担保人集中度": 15,
    "担保Ⅲ级资产比例": 30,
    "自营权益类证券比例": 100,
    "自营固定收益类证券比例": 500,
}
TIMES = {"小贷非标融资杠杆": 1, "小贷标准化融资杠杆": 4, "担保放大倍数": 10, "小微三农担保放大倍数": 15}
LIMITS = [(i, "%", v, -1) for i, v in FLOORS.items()] + [(i, "%", v, 1) for i, v in CAPS.items()]
LIMITS += [(i, "倍", v, 1) for i, v in TIMES.items()]


def test_every_limit_is_tried() -> None:
    """One row of the tables above per indicator of the pack, but for the two that have tests of their own."""
    tried = {everything().catalogue.classify(SeriesKey(item)).name for item, *_ in LIMITS}
    known = {c for p in loaded_packs() if p.id in RATIOS for r in p.rules for c in r.classes}
    assert known - tried == {"央行评级"}
    assert tried <= known


@pytest.mark.parametrize(("item", "unit", "limit", "side"), LIMITS)
def test_a_limit_holds_at_its_number_and_is_broken_beyond(item: str, unit: str, limit: float, side: int) -> None:
    """A floor of 8 %: 8 keeps it, 7.99 does not; a cap of 5 %: 5 keeps it, 5.01 does not. Safe values: nothing."""
    safe = [limit * (1 - side * 0.5)] * 3
    kept, broken = [limit, limit * (1 + side * 0.001)]
    assert rules(reports(item, unit, [*safe, kept]), "fin-ratios") & limits_of(item, limit) == set()
    hit = rules(reports(item, unit, [*safe, broken]), "fin-ratios")
    assert hit & limits_of(item, limit) == limits_of(item, limit)
    assert flagged(reports(item, unit, safe), *RATIOS) == []


def limits_of(item: str, limit: float) -> set[str]:
    """Rules of the pack on this indicator whose title names this number."""
    name = everything().catalogue.classify(SeriesKey(item)).name
    text = f"{limit:g}%", f"{limit:g}倍"
    (pack,) = [p for p in everything().packs if p.id == "fin-ratios"]
    return {r.id.partition("/")[2] for r in pack.rules if name in r.classes and any(t in r.title for t in text)}


@pytest.mark.parametrize(("item", "unit", "limit", "side"), LIMITS)
def test_the_band_begins_at_120_or_80_percent(item: str, unit: str, limit: float, side: int) -> None:
    """120 % of a floor, 80 % of a cap: kept at the number, level one beyond it, level two at the limit itself."""
    bound = limit * (1.2 if side < 0 else 0.8)
    safe = [limit * (1 - side * 0.5)] * 3
    assert rules(reports(item, unit, [*safe, bound]), "fin-ratios-bands") == set()
    warned = reports(item, unit, [*safe, bound * (1 + side * 0.001)])
    assert len(rules(warned, "fin-ratios-bands")) == 1
    flags = flagged(reports(item, unit, [*safe, bound * (1 + side * 0.001), limit * (1 + side * 0.01)]), *RATIOS)
    first, second = flags
    assert "fin-ratios-bands" in {f.rule.partition("/")[0] for f in first.findings}
    assert second.rule.partition("/")[2] in limits_of(item, limit)


def test_the_same_indicator_as_a_ratio() -> None:
    """0.079 as 比率 breaks the floor of 8 %, 0.081 does not; the sentence is in the unit of the series."""
    (flag,) = flagged(reports("资本充足率", "比率", [0.12, 0.12, 0.079]), "fin-ratios")[-1:]
    assert "为0.079比率，低于界限0.08比率。" in flag.reason
    assert "capital" not in rules(reports("资本充足率", "比率", [0.12, 0.12, 0.081]), "fin-ratios")


def test_each_institution_is_judged_by_itself() -> None:
    """One bank far below the floor beside one far above: their mean would be fine, the bank is named."""
    rows = reports("资本充足率", "%", [12, 12, 6]) + reports("资本充足率", "%", [20, 20, 20], point="某银行")
    (flag,) = [f for f in flagged(rows, "fin-ratios") if f.rule == "fin-ratios/capital"]
    assert flag.points == ("某农商行",)


def test_the_rating_of_the_central_bank() -> None:
    """Eight and more is the red zone; seven is not."""
    assert rules(reports("央行评级", "", [5, 6, 7], every=180), "fin-ratios") == set()
    assert rules(reports("央行评级", "", [5, 6, 8], every=180), "fin-ratios") == {"pbc-rating"}


def test_what_is_from_memory_is_off_as_shipped() -> None:
    """Every rule that is in force without a word of the installation rests on a statute or a press report."""
    policy, _ = load_policy()
    assert policy is not None
    in_force = [(p.source_of(r).mark, r.id) for p in policy.packs if p.domain == "finance" for r in p.rules]
    assert len(in_force) > 40
    assert {mark for mark, _ in in_force} == {"S", "S2"}
    assert not [p for p in policy.packs if p.id == "fin-ratios-bands"]


EVENTS = [
    ("聚集人数", "人", 99, 100, "siege-100"),
    ("网点停业时长", "小时", 3.9, 4, "shut-1"),
    ("挤兑", "起", 0, 1, "run"),
    ("抢劫网点", "起", 0, 1, "robbery"),
    ("从业人员挪用侵占金额", "万元", 999, 1000, "embezzled"),
    ("诉讼损失", "亿元", 0.0999, 0.1, "lawsuit"),
    ("出险企业授信余额", "亿元", 9.99, 10, "borrower"),
    ("自查违规金额", "万元", 9999, 10_000, "breach"),
    ("涉案业务余额", "元", 99_999_999, 100_000_000, "criminal"),
    ("系统中断时长", "分钟", 179, 180, "system-2"),
    ("系统中断时长", "小时", 5.9, 6, "system-1"),
    ("非正常退保人数", "人", 29, 30, "surrender"),
    ("群体性事件人数", "人", 999, 1000, "mass-1000"),
    ("群体性事件人数", "人", 4999, 5000, "mass-5000"),
    ("非法集资金额", "万元", 99, 100, "illegal-amount-1"),
    ("非法集资金额", "万元", 499, 500, "illegal-amount-2"),
    ("非法集资金额", "亿元", 0.4999, 0.5, "illegal-amount-3"),
    ("非法集资人数", "人", 149, 150, "illegal-people-1"),
    ("非法集资人数", "人", 499, 500, "illegal-people-2"),
    ("非法集资人数", "人", 4999, 5000, "illegal-people-3"),
    ("非法集资损失", "万元", 49, 50, "illegal-loss-1"),
    ("非法集资损失", "万元", 249, 250, "illegal-loss-2"),
    ("非法集资损失", "万元", 2499, 2500, "illegal-loss-3"),
    ("集资诈骗金额", "元", 99_999, 100_000, "fraud-1"),
    ("集资诈骗金额", "万元", 99, 100, "fraud-2"),
    ("担保可能损失比例", "%", 4.99, 5, "guarantee-loss"),
    ("静坐上访人数", "人", 9, 10, "sit-in"),
    ("被盗抢现金", "万元", 4.9, 5, "robbed-cash"),
    ("被盗抢物品价值", "万元", 19, 20, "robbed-goods"),
    ("网点死亡人数", "人", 0, 1, "deaths"),
    ("网点重伤人数", "人", 2, 3, "injured"),
]


@pytest.mark.parametrize(("item", "unit", "below", "reached", "rule"), EVENTS)
def test_an_event_must_be_reported_from_its_number_on(
    item: str, unit: str, below: float, reached: float, rule: str
) -> None:
    """Bounds are included: the number itself must be reported, one less need not; the first report counts already."""
    assert rule not in rules(reports(item, unit, [below], every=1), "fin-report-2019")
    (flag,) = flagged(reports(item, unit, [reached], every=1), "fin-report-2019")
    assert rule in {f.rule.partition("/")[2] for f in flag.findings}
    assert "须报告" in flag.reason
    assert flag.peak_grade.rank == 0


def test_twenty_people_for_a_week() -> None:
    """Twenty on each of seven days: on the seventh; six days, or nineteen on one of them, are not enough."""
    assert rules(reports("聚集人数", "人", [20] * 6, every=1), "fin-report-2019") == set()
    assert rules(reports("聚集人数", "人", [20, 20, 20, 19, 20, 20, 20], every=1), "fin-report-2019") == set()
    (flag,) = flagged(reports("聚集人数", "人", [20] * 7, every=1), "fin-report-2019")
    assert (flag.rule, flag.first_flagged, flag.start) == ("fin-report-2019/siege-week", at(6), at(0))


def shut(hours: Sequence[float], item: str = "网点停业时长") -> list[Observation]:
    return [o for n, h in enumerate(hours) for o in reports(item, "小时", [h], point=f"网点{n}")]


def test_outlets_that_are_shut() -> None:
    """Two of two hours each, or five of three days after a disaster; one of two hours, or four, are not enough."""
    assert rules(shut([2, 1.9]), "fin-report-2019") == set()
    assert rules(shut([2, 2]), "fin-report-2019") == {"shut-2"}
    assert rules(shut([72] * 4, "灾害停业时长"), "fin-report-2019") == set()
    assert rules(shut([72] * 5, "灾害停业时长"), "fin-report-2019") == {"shut-disaster"}
    assert rules(shut([71.9] + [72] * 4, "灾害停业时长"), "fin-report-2019") == set()


def test_a_quiet_institution_is_not_suspected() -> None:
    """Zeros day by day, then a siege: no data flag, and the flag of the event."""
    flags = found(reports("聚集人数", "人", [0] * 20 + [120], every=1), only("fin-report-2019")).flags
    assert [(f.kind, f.rule) for f in flags] == [(Kind.MOVE, "fin-report-2019/siege-100")]
