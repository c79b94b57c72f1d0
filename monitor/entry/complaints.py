"""Counts of complaints (12315; P11, P36): one series per item and area, in the class 投诉 of the catalogue.

The rules on complaints (thresholds/plans/complaints-12315.toml) watch whole numbers per day. A day without complaints
is a zero that somebody reports; a day that nobody reports is missing.
"""

from __future__ import annotations

from collectors.sheet_values import CellError, clean_name
from thresholds.model import SeriesKey

ITEM = "12315投诉举报"
CHANNEL, UNIT = "12315", "件"
ALL = "合计"
"""What stands for all complaints together, whatever they are about."""


def series_of(goods: str, area: str) -> SeriesKey:
    """The series of complaints about some goods or services in an area.

    The area is part of the point, since areas themselves do not tell series apart. What it is about is its spec, an
    item or a class: by that the rules on prices find the complaints about an item (thresholds.concerns). It is in the
    name as well, so that flags are about complaints of one kind. Raises CellError.
    """
    name, place = clean_name(goods), clean_name(area)
    if not name or not place:
        raise CellError("no_item", "请写品种和区域")
    if name == ALL:
        return SeriesKey(ITEM, "", UNIT, CHANNEL, point_of(place))
    return SeriesKey(f"{ITEM}({name})", name, UNIT, CHANNEL, point_of(place))


def goods_of(key: SeriesKey) -> str | None:
    """What a series of complaints is about; None where it is none of these."""
    if key.item == ITEM:
        return ALL
    return key.spec if key.spec and key.item == f"{ITEM}({key.spec})" else None


def point_of(area: str) -> str:
    """The point under which the complaints of an area are kept."""
    return f"{area}{CHANNEL}"


def count_of(text: str) -> int:
    """A whole number from zero, in digits of any width. Raises CellError."""
    plain = clean_name(text).replace(",", "")
    if not plain.isdecimal() or len(plain) > 7:
        raise CellError("count", "件数应为不小于零的整数，没有投诉请填 0")
    return int(plain)
