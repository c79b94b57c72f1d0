"""What makes a move news: it does not only take back one just before it, and it leads where the price has not been.

After a leap the way back is part of the same story: the flag of the leap is open, and ends when nothing more happens.
A further leap is news however long the flag has been open (thresholds.episodes).
"""

from __future__ import annotations

import numpy as np

from thresholds.catalogue import Measure
from thresholds.model import BoolArray, IntArray
from thresholds.view import View

LOOKED_BACK = 31
"""Days before a move among which one is looked for that it only takes back: the report of the month before is in."""


def takes_back(view: View, at: IntArray, base: IntArray | None) -> BoolArray:
    """bool[k]: moves that only take back one just before them (thresholds.kernels.rebound).

    at, base   positions of the moves' ends and of what they are compared with; None where that is no observation
    """
    if base is None or not len(at):
        return np.zeros(len(at), np.bool_)
    from thresholds.kernels.rebound import AREA, RATIO, ROOT, SIGNED, rebounds  # see thresholds.view

    code = {Measure.PRICE: RATIO, Measure.COUNT: ROOT, Measure.FUTURES: AREA}
    kinds, codes = view.kinds
    series = view.panel.series_at(at)
    scale = np.array([code.get(one.measure, SIGNED) for one in kinds], np.int8)[codes[series]]
    panel = view.panel
    return rebounds(
        panel.value, view.usable, view.rebased, panel.day, at, base, panel.start[series], scale, LOOKED_BACK
    )  # fmt: skip


def leaps(view: View, at: IntArray, base: IntArray | None) -> BoolArray:
    """bool[k]: moves that are single steps, from the reading just before (`base`) to the positions `at`."""
    if base is None:
        return np.zeros(len(at), np.bool_)
    from thresholds.kernels.rebound import singles

    return singles(view.usable, at, base)
