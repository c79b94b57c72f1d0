"""Units of one kind, so that a limit holds whatever it is reported in: money, shares, time, people, prices by weight.

A limit of 8 % must hold for 0.08 reported as 比率 as well, one of 1,000 万元 for 0.1 亿元. Only units that are sure
are here: others are not converted.
"""

from __future__ import annotations

import unicodedata

KINDS: dict[str, dict[str, float]] = {
    "money": {"元": 1.0, "千元": 1e3, "万元": 1e4, "百万元": 1e6, "千万元": 1e7, "亿元": 1e8, "人民币元": 1.0},
    "share": {"%": 1.0, "百分比": 1.0, "‰": 0.1, "比率": 100.0, "倍": 100.0, "比值": 100.0},
    "time": {"小时": 1.0, "h": 1.0, "分钟": 1 / 60, "min": 1 / 60, "天": 24.0, "日": 24.0},
    "people": {"人": 1.0, "名": 1.0, "万人": 1e4},
    "outlets": {"家": 1.0, "个": 1.0, "处": 1.0},
}
"""{kind: {unit: how many of the first unit it is}}"""


def factor(unit: str, into: str) -> float | None:
    """What a value in `unit` is multiplied by to be in `into`; None where the two do not go together.

    A unit that was not given is taken to be that of the limit: most forms leave out what everybody knows.
    """
    here, there = plain(unit), plain(into)
    if here in (there, ""):
        return 1.0
    for units in KINDS.values():
        if here in units and there in units:
            return units[here] / units[there]
    from thresholds.kernels.composite import conversion  # numba comes with it: only where weights are compared

    return conversion(here, there)


def plain(unit: str) -> str:
    return unicodedata.normalize("NFKC", unit).casefold().strip()
