"""Replay of 10,000 series x 3 years of daily prices with 5 % gaps, all rules of the shipped packs, beside one peer:
`pandas.DataFrame.rolling(60).median()` alone on the same panel, in the same run.

Run: .venv/bin/python bench/bench_replay.py [series]. Prints seconds, the ratio, flags and peak memory.
"""

from __future__ import annotations

import resource
import sys
from datetime import UTC, datetime
from time import perf_counter

import numpy as np
import pandas as pd

from thresholds.detect import detect
from thresholds.model import SeriesKey
from thresholds.panel import DAY, Panel
from thresholds.plan_files import load_policy

DAYS = 3 * 365
POINTS = 20
NAMES = ("大米", "大豆油", "猪肉", "鸡蛋", "大白菜", "黄瓜", "草鱼", "苹果", "汽油", "阿莫西林")


def panel_of(n_series: int, seed: int = 1) -> tuple[Panel, pd.DataFrame]:
    """Random walks of half a percent a day with sticky quotes, rare jumps and 5 % gaps: as panel and as frame."""
    rng = np.random.default_rng(seed)
    step = rng.normal(0, 0.005, (DAYS, n_series)) * (rng.random((DAYS, n_series)) < 0.4)
    step += rng.normal(0, 0.2, (DAYS, n_series)) * (rng.random((DAYS, n_series)) < 2e-4)
    value = np.round(5 * np.exp(np.cumsum(step, axis=0)), 2)
    value[rng.random(value.shape) < 0.05] = np.nan
    keys = [
        SeriesKey(
            f"{NAMES[(i // POINTS) % len(NAMES)]}{i // POINTS}",
            unit="元/500克",
            channel="零售",
            point=f"点{i % POINTS}",
        )
        for i in range(n_series)
    ]
    areas = [f"区{(i % POINTS) // 5}" for i in range(n_series)]
    known = np.isfinite(value.T)
    series, day = np.nonzero(known)
    panel = Panel.build(keys, areas, series.astype(np.int64), 1_600_000_000 // DAY * DAY + day * DAY, value.T[known])
    return panel, pd.DataFrame(value)


def main() -> None:
    n_series = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    policy, faults = load_policy(enable=["ladder-30-50-100"])
    assert policy is not None, faults
    small, _ = panel_of(200)
    detect(small, policy, datetime(2025, 1, 1, tzinfo=UTC))  # machine code is loaded outside the measured time
    panel, frame = panel_of(n_series)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin = perf_counter()
    detection = detect(panel, policy, datetime.fromtimestamp(int(panel.time.max()), UTC))
    ours = perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin = perf_counter()
    frame.rolling(60, min_periods=12).median()
    peer = perf_counter() - begin
    print(f"{n_series} series, {len(panel)} observations, {len(detection.flags)} flags")
    print("stages: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in detection.seconds.items()))
    print(f"replay with all rules {ours:.2f} s; pandas rolling median alone {peer:.2f} s; ratio {ours / peer:.2f}")
    print(f"peak memory {peak:.0f} MiB ({before:.0f} MiB before; the panel is {len(panel) * 21 / 2**20:.0f} MiB)")


if __name__ == "__main__":
    main()
