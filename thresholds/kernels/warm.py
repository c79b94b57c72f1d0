"""`python -m thresholds.kernels.warm`: compile every kernel once, so that the first evaluation does not wait for it.

The machine code is kept beside the modules (or in NUMBA_CACHE_DIR) and loaded from there by every later process.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from thresholds.conditions import parse
from thresholds.detect import detect
from thresholds.model import Direction, SeriesKey
from thresholds.panel import DAY, Panel
from thresholds.plan import load_policy
from thresholds.view import View

TABLES: tuple[dict[str, object], ...] = (
    {"kind": "ewma"},
    {"kind": "cusum"},
    {"kind": "volatility"},
    {"kind": "extremes"},
    {"kind": "outlier"},
    {"kind": "dispersion"},
    {"kind": "diffusion", "share": 0.5},
    {"kind": "reach", "of": {"kind": "level", "above": 3.0}},
    {"kind": "staying", "over": "previous", "percent": 1},
    {"kind": "breadth", "of": {"kind": "level", "above": 3.0}, "unusual": 0.99},
)
"""Conditions whose kernels the shipped rules do not reach."""


def main() -> None:
    """Evaluate a small panel that reaches every kernel: points, a spike, a digit slip, a silence, exchanged rows, a
    price that is stuck, counts that stop.
    """
    policy, faults = load_policy(enable=["ladder-30-50-100"])
    if policy is None:
        raise SystemExit("\n".join(map(str, faults)))
    days, points = 60, 6
    keys = [SeriesKey("大米", unit="元/500克", point=f"点{p}") for p in range(points)]
    keys += [SeriesKey("面粉", unit="元/500克", point="点0"), SeriesKey("投诉", unit="件", point="热线")]
    value = 3 + 0.01 * (np.arange(days) % 7) + np.zeros((len(keys), 1))
    value[0, 40] *= 10
    value[1, 45:] *= 1.8
    value[2, 20:] = 3
    value[6] += 2
    value[[0, 6], 30] = value[[6, 0], 30]
    value[7] = np.where(np.arange(days) < 50, 40, 0)
    at = np.tile(np.arange(days) * DAY, len(keys))
    keep = np.ones(value.size, np.bool_)
    keep[-15:-2] = False
    series = np.repeat(np.arange(len(keys)), days)
    areas = ["甲区" if k < 3 else "乙区" for k in range(len(keys))]
    panel = Panel.build(keys, areas, series[keep], at[keep], value.ravel()[keep])
    detect(panel, policy, datetime.fromtimestamp(days * DAY, UTC))
    every = np.ones(len(panel), np.bool_)
    classified = [policy.catalogue.classify(key) for key in keys]
    view = View(panel, classified, every, every, every.astype(np.int32), ~every, every)
    for table in TABLES:
        parse(table).truth(view, Direction.UP)


if __name__ == "__main__":
    main()
