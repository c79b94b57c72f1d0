"""What data entry says: questions about prices, reasons to choose from, states of reports."""

from __future__ import annotations

from monitor.entry.duties import Timeliness
from monitor.store.patrols import PatrolKind
from monitor.web.console.i18n import Text, _
from thresholds.explain import JIN_UNITS, KILO_UNITS, Ask, Question

REASONS = (
    _("节日因素"),
    _("天气因素"),
    _("货源减少"),
    _("货源增加"),
    _("换季"),
    _("促销活动"),
    _("进货价变化"),
    _("规格或等级变化"),
    _("正常波动"),
)
"""Offered for the reason (备注); any other words will do."""

STATES: dict[Timeliness, tuple[Text, str]] = {
    Timeliness.ON_TIME: (_("按时"), "ok"),
    Timeliness.LATE: (_("迟报"), "warn"),
    Timeliness.MISSING: (_("未报"), "bad"),
    Timeliness.AWAITED: (_("待报"), "idle"),
}

PATROLS: dict[PatrolKind, Text] = {
    PatrolKind.FINDING: _("巡查发现"),
    PatrolKind.OPINION: _("社会舆情"),
    PatrolKind.SUPPLY: _("供求情况"),
    PatrolKind.PRICE: _("价格异动"),
    PatrolKind.TALK: _("约谈经营者"),
    PatrolKind.REMINDER: _("提醒告诫书"),
    PatrolKind.PENALTY: _("违法处罚"),
}

FIELDS: dict[str, Text] = {
    "date": _("日期"),
    "item": _("品种"),
    "value": _("价格"),
    "unit": _("单位"),
    "point": _("监测点"),
    "spec": _("规格等级"),
    "channel": _("价格类型"),
    "area": _("地区"),
    "note": _("备注"),
    "source": _("来源"),
}
"""Our columns in the words of the forms, in the order in which they are offered."""


def asked(question: Question, unit: str) -> Text:
    """What is asked about one value."""
    numbers = {
        "before": f"{question.before:g}",
        "change": f"{100 * question.change:+.1f}",
        "limit": f"{100 * question.limit:g}",
    }
    text = unit.lower()
    match question.ask:
        case Ask.REASON:
            return _("比上次（%(before)s）变动 %(change)s%%，超过 %(limit)s%%：请写明原因。", **numbers)
        case Ask.KILO if any(u in text for u in JIN_UNITS):
            return _("约为上次（%(before)s）的 2 倍：是否按元/公斤填报？本品种按 500 克填报。", **numbers)
        case Ask.JIN if any(u in text for u in KILO_UNITS):
            return _("约为上次（%(before)s）的一半：是否按元/500克填报？本品种按公斤填报。", **numbers)
        case Ask.KILO | Ask.JIN | Ask.HEAVY:
            return _("与上次（%(before)s）相差 %(change)s%%：计量单位是否有误？", **numbers)
        case Ask.POINT:
            return _("与上次（%(before)s）相差 10 倍或更多：小数点是否有误？", **numbers)
        case Ask.PLACEHOLDER:
            return _("这个数像是占位数：是否确为价格？没有价格请留空。")
        case Ask.FAR:
            return _("与上次（%(before)s）相差 %(change)s%%：是否填错？", **numbers)
        case Ask.ZERO:
            return _("价格不能是零或负数；无货、停售请留空。")
        case _:
            return _("件数应为不小于零的整数。")


SEEN: dict[str, Text] = {
    "抢购": _("争购、抢购"),  # i18n: the key is a word of the rules
    "流言": _("涨价流言"),  # i18n: the key is a word of the rules
    "乱收费": _("乱收费"),  # i18n: the key is a word of the rules
    "扩散风险": _("有扩散风险"),  # i18n: the key is a word of the rules
}
"""Phenomena that rules know, by the word under which they are recorded (thresholds/records.py)."""

MEASURES: dict[str, Text] = {
    "干预": _("价格干预措施"),  # i18n: the key is a word of the rules
    "紧急": _("价格紧急措施"),  # i18n: the key is a word of the rules
}

ISSUERS: dict[str, Text] = {
    "国务院": _("国务院"),  # i18n: the key is a word of the rules
    "省政府": _("省政府"),  # i18n: the key is a word of the rules
}
