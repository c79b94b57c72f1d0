"""`python -m thresholds.kernels.warm`: compile every kernel once, so that the first evaluation does not wait for it.

The machine code is kept beside the modules (or in NUMBA_CACHE_DIR) and loaded from there by every later process.
Set-up does this, and starting does not: a process that finds the machine code loads of it what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context

import numpy as np

from thresholds.detect import detect
from thresholds.model import Direction, SeriesKey
from thresholds.newest import Cells, Watch
from thresholds.panel import DAY, Panel, codes_of
from thresholds.plan import Pack, Policy
from thresholds.plan_files import load_policy
from thresholds.quality import gate
from thresholds.view import View

LEVEL = {"kind": "level", "above": 3.0}
HOGS = {"numerator": ["生猪"], "denominator": ["玉米"], "max_age": "10d", "above": 1.0}
TABLES: tuple[dict[str, object], ...] = (
    {"kind": "change", "over": "1w", "percent": 0.1},
    {"kind": "score", "value": 1},
    {"kind": "score", "over": 5, "value": 1, "percent": 1},
    {"kind": "lasting", "of": LEVEL, "readings": 2, "span": "1d"},
    {"kind": "m_of_n", "of": LEVEL, "m": 2, "n": 3},
    {"kind": "breadth", "of": LEVEL},
    {"kind": "breadth", "of": LEVEL, "unusual": 0.99},
    {"kind": "reach", "of": LEVEL},
    {"kind": "reach", "of": LEVEL, "count": "items"},
    {"kind": "staying", "over": "previous", "percent": 1},
    {"kind": "forecast", "above": 3.0},
    {"kind": "forecast", "percent": 1, "season": 7},
    {"kind": "seasonal", "value": 1},
    {"kind": "ifpa"},
    {"kind": "ewma"},
    {"kind": "ewma", "white": False},
    {"kind": "cusum"},
    {"kind": "volatility"},
    {"kind": "extremes"},
    {"kind": "outlier"},
    {"kind": "dispersion"},
    {"kind": "diffusion", "share": 0.5},
    {"kind": "diffusion", "share": 0.5, "among": "class"},
    {"kind": "surge"},
    {"kind": "multiple"},
    {"kind": "steady", "span": "15d", "percent": 5},
    {"kind": "receded"},
    {"kind": "complaints", "of": {"kind": "receded"}},
    {"kind": "hp_gap", "above": 0.01},
    {"kind": "ratio", **HOGS},
)
"""Every kind of condition that has a kernel; a test holds against it what the kinds are."""


def pack() -> Pack:
    """Rules with these conditions, on points and on areas."""
    source = {"title": "warm", "place": "warm", "year": "2026", "mark": "P"}
    rules = [
        {"id": f"warm/{n}-{scope}", "title": "warm", "when": when, "scope": scope}
        for n, when in enumerate(TABLES)
        for scope in ("point", "area")
    ]
    head = {"kind": "rules", "id": "warm", "title": "warm", "version": "1", "enabled": True, "effect": "watch"}
    return Pack.model_validate({**head, "domain": "any", "source": source, "rules": rules})


def small_panel() -> Panel:
    """Points, a spike, a digit slip, a silence, exchanged rows, a price that is stuck, counts that stop."""
    days, points = 60, 6
    keys = [SeriesKey("大米", unit="元/500克", point=f"点{p}") for p in range(points)]
    keys += [SeriesKey("面粉", unit="元/500克", point="点0"), SeriesKey("投诉", unit="件", point="热线")]
    keys += [SeriesKey(item, unit="元/500克", point="点0") for item in ("生猪", "玉米")]
    value = 3 + 0.01 * (np.arange(days) % 7) + np.zeros((len(keys), 1))
    value[0, 40] *= 10
    value[1, 45:] *= 1.8
    value[2, 20:] = 3
    value[6] += 2
    value[[0, 6], 30] = value[[6, 0], 30]
    value[7] = np.where(np.arange(days) < 50, 40, 0)
    value[8] *= 2
    at = np.tile(np.arange(days) * DAY, len(keys))
    keep = np.ones(value.size, np.bool_)
    keep[8 * days - 15 : 8 * days - 2] = False
    series = np.repeat(np.arange(len(keys)), days)
    areas = ["甲区" if k < 3 else "乙区" for k in range(len(keys))]
    return Panel.build(keys, areas, series[keep], at[keep], value.ravel()[keep])


def failures() -> Iterator[str]:
    """Evaluate the panel by the shipped rules and those of `pack`; the rules that failed, and why."""
    policy, faults = load_policy(enable=["ladder-30-50-100"])
    if policy is None:
        yield from map(str, faults)
        return
    panel = small_panel()
    now = datetime.fromtimestamp(int(panel.time.max()), UTC)
    classified = [policy.catalogue.classify(key) for key in panel.keys]
    gated = gate(panel, classified)
    tried = replace(policy, packs=(*policy.packs, pack()))
    both_at_once(
        lambda: detect(panel, policy, now), lambda: detect(panel, replace(policy, packs=tried.packs[-1:]), now)
    )
    yield from (f"{rule}: {error}" for rule, error in detect(panel, tried, now).failed.items())
    newest_day(panel, policy)
    every = np.ones(len(panel), np.bool_)
    view = View(panel, classified, every, every, every.astype(np.int32), gated.rebased, every)
    with np.errstate(divide="ignore", invalid="ignore"):  # measured also where nothing is true
        for rule in tried.packs[-1].rules:
            for direction in (Direction.UP, Direction.DOWN):
                rule.when.truth(view, direction)
                rule.when.measure(view, np.arange(len(panel)), direction)


def newest_day(panel: Panel, policy: Policy) -> None:
    """What is done when a day is new: the looks at what may have changed, and rules asked about some rows."""
    watch, classified = Watch(policy), [policy.catalogue.classify(key) for key in panel.keys]
    rows, status = watch.rows(panel.keys, classified), gate(panel, classified).status
    since = np.full(panel.n_series, int(panel.time.max()), np.int64)
    watch.quiet(panel, rows, since)
    groups = zip(panel.group.tolist(), panel.areas, strict=True)
    watch.calm(panel, rows, since, status, Cells.of(codes_of(list(groups)).astype(np.int64)))
    detect(panel, policy, datetime.fromtimestamp(int(panel.time.max()), UTC), since=since - 20 * DAY)


def both_at_once(here: Callable[[], object], there: Callable[[], object]) -> None:
    """The compiler keeps one processor busy: half of the work is done by a process beside this one.

    What fails there is left to be done, and told, here.
    """
    child = get_context("fork").Process(target=there)
    child.start()
    here()
    child.join()


def main() -> None:
    """Reach every kernel; raises SystemExit with what failed."""
    if failed := list(failures()):
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
