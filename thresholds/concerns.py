"""Which counts of complaints concern an item: those that name it (P11: complaint counts per item and area)."""

from __future__ import annotations

from collections.abc import Sequence

from thresholds.catalogue import UNCLASSED, folded, occurs
from thresholds.model import SeriesKey


def concerns(count: SeriesKey, item: str, chain: Sequence[str]) -> bool:
    """Whether a series of counts is about `item`, whose class and its parents are `chain`.

    Its `spec` names the item or one of the classes (12315投诉举报 with 大米, or with 粮), or its own name holds that
    of the item (大米投诉举报). Counts of all complaints together are about no item.
    """
    about, name = folded(count.spec), folded(item)
    if about and (about == name or about in {folded(c) for c in chain if c != UNCLASSED}):
        return True
    own = folded(count.item)
    return bool(name) and own != name and occurs(name, own)
