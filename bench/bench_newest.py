"""The newest day of 100,000 daily series with three years of history in memory, all rules in force, beside two
peers in the same run: reading the panel's values once, and a tail in pandas (last value against the median of the 60
before).

Run: .venv/bin/python bench/bench_newest.py [series]. Prints seconds and ratios. What the newest readings rule out is
found for all series; the items that are left are evaluated whole, with all their history.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from time import perf_counter

import numpy as np
import pandas as pd

from thresholds.detect import detect
from thresholds.model import SeriesKey
from thresholds.newest import Watch, quiet_items
from thresholds.panel import DAY, Panel
from thresholds.plan import load_policy

DAYS, POINTS, AREAS, AT_ONCE = 3 * 365, 20, 4, 5000
NAMES = ("大米", "大豆油", "猪肉", "鸡蛋", "大白菜", "黄瓜", "草鱼", "苹果", "汽油", "阿莫西林")
FIRST = 1_600_000_000 // DAY


def panel_of(n_series: int) -> Panel:
    """Random walks of half a percent a day with sticky quotes, rare jumps and 5 % gaps, made in parts."""
    values, days, counts = [], [], []
    for part in range(0, n_series, AT_ONCE):
        rng = np.random.default_rng(part)
        shape = (min(AT_ONCE, n_series - part), DAYS)
        step = rng.normal(0, 0.005, shape) * (rng.random(shape) < 0.4)
        step += rng.normal(0, 0.2, shape) * (rng.random(shape) < 2e-4)
        value = np.round(5 * np.exp(np.cumsum(step, axis=1)), 2)
        known = rng.random(shape) >= 0.05
        known[:, -1] = True
        values.append(value[known])
        days.append(np.nonzero(known)[1].astype(np.int32) + np.int32(FIRST))
        counts.append(known.sum(axis=1))
    keys = [
        SeriesKey(f"{NAMES[(i // POINTS) % len(NAMES)]}{i // POINTS}", "", "元/500克", "零售", f"点{i % POINTS}")
        for i in range(n_series)
    ]
    areas = [f"区{(i % POINTS) * AREAS // POINTS}" for i in range(n_series)]
    day, value = np.concatenate(days), np.concatenate(values)
    start = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return Panel(keys, areas, start, day.astype(np.int64) * DAY, day, value, np.zeros(len(day), np.uint8))


def part_of(panel: Panel, series: list[int]) -> Panel:
    """Some series of a panel, whole."""
    rows = np.concatenate([np.arange(panel.start[s], panel.start[s + 1]) for s in series])
    start = np.concatenate([[0], np.cumsum([panel.start[s + 1] - panel.start[s] for s in series])]).astype(np.int64)
    keys, areas = [panel.keys[s] for s in series], [panel.areas[s] for s in series]
    return Panel(keys, areas, start, panel.time[rows], panel.day[rows], panel.value[rows], panel.mark[rows])


def main() -> None:
    n_series = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    policy, faults = load_policy()
    assert policy is not None, faults
    panel = panel_of(n_series)
    watch = Watch(policy)
    rows = watch.rows(panel.keys, [policy.catalogue.classify(key) for key in panel.keys])  # once per series
    since = np.full(n_series, (FIRST + DAYS - 1) * DAY, np.int64)
    small = part_of(panel, list(range(200)))
    watch.quiet(small, rows[:200], since[:200])  # machine code is loaded outside the measured time
    detect(small, policy, datetime(2025, 1, 1, tzinfo=UTC))
    begin = perf_counter()
    quiet = quiet_items(panel.keys, watch.quiet(panel, rows, since))
    looked = perf_counter() - begin
    left = [s for s, key in enumerate(panel.keys) if not quiet[key.item]]
    begin = perf_counter()
    rest = part_of(panel, left)
    detection = detect(rest, policy, datetime.fromtimestamp(int(since[0]), UTC), silence=False)
    whole = perf_counter() - begin
    begin = perf_counter()
    total = float(panel.value.sum())
    read = perf_counter() - begin
    ends = panel.start[1:]
    frame = pd.DataFrame(panel.value[ends[:, None] - np.arange(61, 0, -1)[None, :]].T)
    begin = perf_counter()
    far = (frame.iloc[-1] / frame.iloc[:-1].median() - 1).abs()
    tail = perf_counter() - begin
    assert np.isfinite(total)
    assert len(far) == n_series
    print(f"{n_series} series, {len(panel)} observations, {len(quiet)} items, of which {sum(quiet.values())} quiet")
    print(f"newest readings against all rules {looked:.3f} s; panel read once {read:.3f} s; pandas tail {tail:.3f} s")
    print(f"ratio to reading once {looked / read:.1f}, to the pandas tail {looked / tail:.2f}")
    print(f"the other {len(left)} series evaluated whole {whole:.2f} s, {len(detection.flags)} flags of three years")


if __name__ == "__main__":
    main()
