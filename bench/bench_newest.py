"""The newest day of 100,000 daily series with three years of history in memory, all rules in force, beside two
peers in the same run: reading the panel's values once, and a tail in pandas (last value against the median of the 60
before).

Run: .venv/bin/python bench/bench_newest.py [series]. What is known as of the day before (flags, and what the gate
said of each reading) is found beforehand by evaluating everything; measured is what the newest day needs. Prints
seconds and ratios, and compares the flags of some of the items with those of their whole history.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter, process_time

import numpy as np
import pandas as pd

from thresholds.detect import CITY, detect
from thresholds.model import BoolArray, Flag, FloatArray, IntArray, SeriesKey
from thresholds.newest import Cells, Watch
from thresholds.panel import DAY, Panel, codes_of
from thresholds.plan import Policy
from thresholds.plan_files import load_policy
from thresholds.restart import BEGINNING, Restart, Restarts, one_mean, settled_from

DAYS, POINTS, AREAS, AT_ONCE = 3 * 365, 20, 4, 5000
NAMES = ("大米", "大豆油", "猪肉", "鸡蛋", "大白菜", "黄瓜", "草鱼", "苹果", "汽油", "阿莫西林")
FIRST = 1_600_000_000 // DAY
NEWS = (FIRST + DAYS - 1) * DAY
NOW = datetime.fromtimestamp(NEWS, UTC)
TIMES = 12


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


def keys_of(panel: Panel) -> dict[str, list[SeriesKey]]:
    """The keys of each item."""
    found: dict[str, list[SeriesKey]] = {}
    for key in panel.keys:
        found.setdefault(key.item, []).append(key)
    return found


def part_of(panel: Panel, series: Sequence[int]) -> Panel:
    """Some series of a panel, whole."""
    ends = panel.start[np.add(series, 1)]
    cuts = [slice(a, b) for a, b in zip(panel.start[series].tolist(), ends.tolist(), strict=True)]
    columns = (np.concatenate([c[cut] for cut in cuts]) for c in (panel.time, panel.day, panel.value, panel.mark))
    start = np.concatenate([[0], np.cumsum([cut.stop - cut.start for cut in cuts])]).astype(np.int64)
    return Panel([panel.keys[s] for s in series], [panel.areas[s] for s in series], start, *columns)


@dataclass
class City:
    """A city on the evening before its newest day.

    rows, item, cells  per series what the rules ask of it, the number of its item; its areas
    flags, settled     by item, as of the day before, and from when on nothing changes them (thresholds.restart)
    status             uint8[n], what the gate said of each reading
    alone              by item: whether it has one series of means in each area
    """

    panel: Panel
    policy: Policy
    watch: Watch
    rows: IntArray
    item: IntArray
    names: list[str]
    cells: Cells
    status: np.ndarray
    flags: dict[str, list[Flag]] = field(default_factory=dict)
    settled: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    alone: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, panel: Panel, policy: Policy) -> City:
        watch = Watch(policy)
        rows = watch.rows(panel.keys, [policy.catalogue.classify(key) for key in panel.keys])
        names = list(dict.fromkeys(key.item for key in panel.keys))
        item = codes_of([key.item for key in panel.keys]).astype(np.int64)
        cells = Cells.of(codes_of(list(zip(panel.group.tolist(), panel.areas, strict=True))).astype(np.int64))
        city = cls(panel, policy, watch, rows, item, names, cells, np.zeros(len(panel), np.uint8))
        for first in range(0, panel.n_series, AT_ONCE):
            city.look_back(range(first, min(first + AT_ONCE, panel.n_series)))
        own = [[settled_from(f, policy) for f in city.flags.get(name, ())] for name in names]
        city.alone = {name: one_mean(keys) for name, keys in keys_of(panel).items()}
        city.settled = np.array([max(times, default=BEGINNING) for times in own], np.int64)
        return city

    def look_back(self, series: range) -> None:
        """Evaluate some series whole, up to the day before."""
        part = part_of(self.panel, series)
        known = part.time < NEWS
        found = detect(part.only(known), self.policy, NOW, silence=False)
        assert not found.failed
        for flag in found.flags:
            self.flags.setdefault(flag.item, []).append(flag)
        own = self.status[self.panel.start[series[0]] : self.panel.start[series[-1] + 1]]
        own[known] = found.status

    def newest(self) -> tuple[list[Flag], dict[str, Restart], dict[str, float]]:
        """The newest day: flags that began since each item's restart, the restarts, and seconds by stage."""
        seconds: dict[str, float] = {}
        begin = perf_counter()
        since = np.full(self.panel.n_series, NEWS, np.int64)
        quiet = self.watch.quiet(self.panel, self.rows, since)
        seconds["quiet"] = perf_counter() - begin
        opened = self.settled > NEWS
        doubtful = self.some(~quiet, self.item) & ~opened
        cells, lead = self.cells_of(doubtful)
        calm = self.watch.calm(self.panel, self.rows, since, self.status, cells)
        left = self.some(~calm, self.item[lead]) | opened
        seconds["calm"] = perf_counter() - begin - sum(seconds.values())
        series = np.flatnonzero(left[self.item])
        begins = Restarts(self.policy, CITY)
        chosen = [self.names[i] for i in np.flatnonzero(left)]
        restarts = {name: begins.of(self.flags.get(name, ()), NEWS, alone=self.alone[name]) for name in chosen}
        part = part_of(self.panel, series.tolist())
        seconds["restart"] = perf_counter() - begin - sum(seconds.values())
        found = detect(
            part,
            self.policy,
            NOW,
            silence=False,
            since=np.array([restarts[key.item].since for key in part.keys], np.int64),
            asked=np.array([restarts[key.item].asked for key in part.keys], np.int64),
        )
        assert not found.failed
        return found.flags, restarts, seconds | found.seconds

    def some(self, hit: BoolArray, item: IntArray) -> BoolArray:
        """bool[n_items]: items among those of the rows hit."""
        found = np.zeros(len(self.names), np.bool_)
        found[item[hit]] = True
        return found

    def cells_of(self, items: BoolArray) -> tuple[Cells, IntArray]:
        """The areas of some items, and the first series of each."""
        bounds, members = self.cells.bounds, self.cells.members
        wanted = items[self.item[members[bounds[:-1]]]]
        sizes = np.diff(bounds)[wanted]
        chosen = members[np.repeat(wanted, np.diff(bounds))]
        begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return Cells(begins, chosen), chosen[begins[:-1]]

    def check(self, found: Iterable[Flag], restarts: dict[str, Restart], names: Sequence[str]) -> int:
        """Compare with the whole history of some items; how many flags were compared."""
        wanted = set(names)
        part = part_of(self.panel, [s for s, key in enumerate(self.panel.keys) if key.item in wanted])
        whole = detect(part, self.policy, NOW, silence=False).flags
        for name in names:
            begin = restarts[name].since if name in restarts else NEWS
            got = [f for f in self.flags.get(name, ()) if f.first_flagged.timestamp() < begin]
            got += [f for f in found if f.item == name]
            assert [repr(f) for f in got] == [repr(f) for f in whole if f.item == name], name
        return len(whole)


def tail(panel: Panel) -> tuple[float, FloatArray]:
    """Seconds of the tail in pandas, and what it gives."""
    frame = pd.DataFrame(panel.value[panel.start[1:, None] - np.arange(61, 0, -1)[None, :]].T)
    begin = perf_counter()
    far = (frame.iloc[-1] / frame.iloc[:-1].median() - 1).abs()
    return perf_counter() - begin, far.to_numpy()


def main() -> None:
    n_series = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    policy, faults = load_policy()
    assert policy is not None, faults
    city = City.of(panel_of(n_series), policy)
    panel = city.panel
    taken = []
    for _ in range(TIMES):  # the first turn loads machine code; of the others the quickest: the machine is shared
        begin, cpu = perf_counter(), process_time()
        found, restarts, seconds = city.newest()
        taken.append((perf_counter() - begin, process_time() - cpu, seconds))
    wall, _, seconds = min(taken[1:], key=lambda t: t[0])
    cpu = min(t[1] for t in taken[1:])
    reads = []
    for _ in range(TIMES):
        begin = perf_counter()
        total = float(panel.value.sum())
        reads.append(perf_counter() - begin)
    assert np.isfinite(total)
    read, peer = min(reads), min(tail(panel)[0] for _ in range(TIMES))
    names = [*list(restarts)[:60], *[n for n in city.names if n not in restarts][:60]]
    compared = city.check(found, restarts, names)
    print(f"{n_series} series, {len(panel)} observations, {len(city.names)} items, {len(restarts)} evaluated")
    stages = ", ".join(f"{k} {v:.3f}" for k, v in seconds.items())
    print(f"newest day, all rules {wall:.3f} s, of CPU {cpu:.3f} s (each the least of {TIMES - 1} turns): {stages}")
    print(f"panel read once {read:.3f} s, ratio {wall / read:.1f}; pandas tail {peer:.3f} s, ratio {wall / peer:.2f}")
    print(f"by seconds of CPU: ratios {cpu / read:.1f} and {cpu / peer:.2f}")
    print(f"{compared} flags of {len(names)} items are those of their whole history")


if __name__ == "__main__":
    main()
