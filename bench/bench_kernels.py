"""Replay of 10,000 series x 3 years of daily prices with every kernel but the forecast, beside one peer:
`pandas.DataFrame.rolling(60).median()` alone on the same panel, in the same run.

Run: .venv/bin/python bench/bench_kernels.py [series]. Prints seconds of a processor by rule, seconds by stage (of two
threads together), the whole path, the ratio and the peak of memory (Linux).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import perf_counter, process_time, thread_time
from typing import Any
from unittest.mock import patch

from bench_replay import panel_of

from thresholds import detect as path
from thresholds import grading
from thresholds.detect import detect
from thresholds.plan import Pack
from thresholds.plan_files import load_policy

STEP = {"kind": "change", "over": "previous", "percent": 5}
WHEN: dict[str, dict[str, Any]] = {
    "lag": {"any": [{"kind": "change", "over": over, "percent": 20} for over in ("1d", "1w", "旬", "1m", "1y")]},
    "lag, lunar year": {"kind": "change", "over": "1y-lunar", "percent": 40},
    "robust": {"kind": "score", "window": 60, "value": 5, "percent": 5},
    "seasonal": {"kind": "seasonal", "value": 5},
    "ewma": {"kind": "ewma"},
    "cusum": {"kind": "cusum"},
    "volatility": {"kind": "volatility"},
    "extremes": {"kind": "extremes"},
    "lasting": {"kind": "lasting", "of": STEP, "readings": 2},
    "breadth": {"kind": "breadth", "of": STEP, "unusual": 0.99},
    "outlier": {"kind": "outlier"},
    "dispersion": {"kind": "dispersion"},
    "diffusion": {"kind": "diffusion", "share": 0.5},
    "surge": {"kind": "surge"},
    "multiple": {"kind": "multiple"},
    "ifpa": {"kind": "ifpa"},
}
POINTS = ("outlier", "dispersion", "diffusion", "breadth")
"""judged on each point's quotes, as in docs/detectors.md; the others on means of areas, as shipped packs do"""


def rules() -> Pack:
    """A pack with one rule for each kernel."""
    source = {"title": "bench", "place": "bench", "year": "2026", "mark": "P"}
    table = [
        {"id": name, "title": name, "when": when, "scope": "point" if name in POINTS else "area"}
        for name, when in WHEN.items()
    ]
    head = {"kind": "rules", "id": "bench", "title": "bench", "version": "1", "enabled": True, "effect": "watch"}
    return Pack.model_validate({**head, "domain": "any", "source": source, "rules": table})


def peak_of_memory(*, anew: bool = False) -> float:
    """MiB, the greatest resident size of this process so far, or from now on."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def main() -> None:
    n_series = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    shipped, faults = load_policy()
    assert shipped is not None, faults
    policy = replace(shipped, packs=(rules(),), version="bench")
    small, _ = panel_of(200)
    detect(small, policy, datetime(2025, 1, 1, tzinfo=UTC))  # machine code is loaded outside the measured time
    panel, frame = panel_of(n_series)
    spent: dict[str, float] = {}
    inner, lock = grading.hits_of, Lock()

    def timed(rule: Any, pack: Any, view: Any, valid: Any) -> Any:
        begin = thread_time()
        found = inner(rule, pack, view, valid)
        with lock:  # parts of the panel are evaluated two at a time
            spent[rule.id] = spent.get(rule.id, 0.0) + thread_time() - begin
        return found

    before = peak_of_memory(anew=True)
    with patch.object(path, "hits_of", timed):
        begin, cpu = perf_counter(), process_time()
        detection = detect(panel, policy, datetime.fromtimestamp(int(panel.time.max()), UTC))
        ours, cpu = perf_counter() - begin, process_time() - cpu
    more = peak_of_memory() - before
    size = len(panel) * 21 / 2**20
    begin = perf_counter()
    frame.rolling(60, min_periods=12).median()
    peer = perf_counter() - begin
    assert not detection.failed, detection.failed
    print(f"{n_series} series, {len(panel)} observations, {len(detection.flags)} flags")
    print("rules: " + ", ".join(f"{name} {s:.2f} s" for name, s in sorted(spent.items(), key=lambda x: -x[1])))
    print("stages: " + ", ".join(f"{name} {s:.2f} s" for name, s in detection.seconds.items()))
    print(f"all kernels {ours:.2f} s, {cpu:.2f} s of processors")
    print(f"pandas rolling median alone {peer:.2f} s; ratio {ours / peer:.2f}")
    print(f"memory at most {more:.0f} MiB beside the panel of {size:.0f} MiB: {1 + more / size:.1f} times, with it")
    print(f"target {'met' if ours <= 5 else 'missed'}: at most 5 s")


if __name__ == "__main__":
    main()
