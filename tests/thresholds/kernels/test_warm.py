"""Warming: after it no evaluation waits for a compiler."""

from __future__ import annotations

import subprocess
import sys

from thresholds import kinds
from thresholds.conditions import KINDS, walk
from thresholds.kernels import warm

WITHOUT_KERNELS = {"level", "points", "all", "any", "not", "state_set", "recorded", "season", "holiday", "series"}
WITHOUT_KERNELS |= {"calm"}

AFTERWARDS = """
from numba.core.dispatcher import Dispatcher
import numpy as np, sys
from datetime import UTC, datetime
from thresholds.kernels import warm

def compiled():
    return {
        f"{name}.{key}{signature}"
        for name, module in list(sys.modules.items())
        if name.startswith("thresholds")
        for key, value in list(vars(module).items())
        if isinstance(value, Dispatcher)
        for signature in value.signatures
    }

warm.main()
before = compiled()

from tests.thresholds.build import found, policy_of, rule, shipped
from tests.thresholds.false_alarms import RULES
from thresholds.model import SeriesKey
from thresholds.newest import Cells, Watch
from thresholds.panel import DAY, Panel

rng = np.random.default_rng(3)
days, items = 1200, ("大米", "大白菜", "生猪", "玉米", "投诉", "贷款余额")
units = ["件" if item == "投诉" else "元/500克" for item in items]
keys = [SeriesKey(item, unit=unit, point=f"点{p}") for item, unit in zip(items, units) for p in range(5)]
n = len(keys)
value = np.round(5 * np.exp(np.cumsum(rng.normal(0, 0.01, (n, days)), axis=1)), 2)
value[20:25] = rng.poisson(30, (5, days))
value[3, 700] *= 10
at = np.tile(1_600_000_000 // DAY * DAY + np.arange(days) * DAY, n)
keep = rng.random(n * days) < 0.95
series = np.repeat(np.arange(n), days)
areas = ["甲区" if k % 2 else "乙区" for k in range(n)]
panel = Panel.build(keys, areas, series[keep], at[keep], value.ravel()[keep])
tables = [*warm.TABLES, *(table for table, _, _ in RULES.values())]
for scope in ("point", "area"):
    assert found(panel, policy_of(*(rule(table, scope=scope) for table in tables))).flags
assert found(panel, shipped()).flags
since = np.full(panel.n_series, int(panel.time.max()) - 30 * DAY)
assert found(panel, shipped(), since=since).flags
watch = Watch(shipped())
asked = watch.rows(panel.keys, [watch.policy.catalogue.classify(key) for key in panel.keys])
watch.quiet(panel, asked, since)
watch.calm(panel, asked, since, np.zeros(len(panel), np.uint8), Cells.of(np.arange(n)))
later = sorted(compiled() - before)
print(len(before), "kernels were ready")
sys.exit("compiled later: " + ", ".join(later) if later else 0)
"""


def test_every_kind_with_a_kernel_is_warmed() -> None:
    """A kind that is added is either warmed or said to have no kernel."""
    warmed = {part.kind for rule in warm.pack().rules for part in walk(rule.when)}
    assert kinds.MODULES
    assert warmed | WITHOUT_KERNELS == set(KINDS)
    assert warmed & WITHOUT_KERNELS == {"level"}  # what the others are about


def test_after_warming_an_evaluation_compiles_nothing() -> None:
    """Three years of points, areas, counts and ratios by every kind of condition, in a process of its own: numba
    knows no signature that it did not know after warming.
    """
    done = subprocess.run(
        [sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 30
