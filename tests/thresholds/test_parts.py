"""A large panel is evaluated in parts, two at a time; nobody sees that in the flags."""

from __future__ import annotations

from threading import get_ident

import numpy as np
import pytest

from tests.thresholds.build import found, policy_of, rule, shipped, table
from thresholds import parts
from thresholds.kernels import jit
from thresholds.model import Kind
from thresholds.panel import Panel
from thresholds.parts import Part, over_parts
from thresholds.plan import Policy

ITEMS = ("大白菜", "黄瓜", "大米", "猪肉", "鸡蛋", "某某")
POINTS = 12


def walks(seed: int = 5) -> Panel:
    """Items at twelve points each, in turn, so that the series of one item do not stand side by side; leaps that
    single points make, and leaps of all."""
    rng = np.random.default_rng(seed)
    names = list(ITEMS) * POINTS
    step = rng.normal(0, 0.01, (200, len(names))) + 0.4 * (rng.random((200, len(names))) < 0.005)
    for item in ITEMS:
        here = np.array([n == item for n in names])
        step[int(rng.integers(50, 190)), here] += 0.3
    values = np.round(5 * np.exp(np.cumsum(step, axis=0)), 2)
    values[rng.random(values.shape) < 0.05] = np.nan
    return table(values, names)


@pytest.mark.parametrize(
    "policy",
    [
        shipped(),
        policy_of(
            rule({"kind": "outlier"}, scope="point"),
            rule({"kind": "diffusion", "share": 0.5, "among": "class"}, id="drift", scope="point"),
            rule(
                {"kind": "breadth", "of": {"kind": "change", "over": "previous", "percent": 5}, "share": 0.5}, id="b"
            ),
        ),
    ],
    ids=["shipped", "pooled"],
)
def test_flags_do_not_depend_on_the_parts(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = walks()
    monkeypatch.setattr(parts, "ROWS", 10**9)
    whole = found(panel, policy)
    monkeypatch.setattr(parts, "ROWS", 1)
    assert len(parts.parts(panel, policy)) > 2
    split = found(panel, policy)
    assert [repr(f) for f in split.flags] == [repr(f) for f in whole.flags]
    assert sum(f.kind is Kind.MOVE for f in whole.flags) > 5
    assert not split.failed


def test_items_that_are_judged_together_are_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = walks()
    monkeypatch.setattr(parts, "ROWS", 1)
    some = parts.parts(panel, policy_of(rule({"kind": "outlier"})))
    items = [{key.item for key in part.panel().keys} for part in some]
    assert {"大白菜", "黄瓜"} in items
    assert sorted(s for part in some for s in part.series.tolist()) == list(range(panel.n_series))


def test_a_part_holds_what_its_series_hold() -> None:
    panel = walks()
    part = Part(panel, np.array([1, 2, 3, 7, 70], np.int64)).panel()
    for place, s in enumerate((1, 2, 3, 7, 70)):
        here, there = slice(*part.start[place : place + 2]), slice(*panel.start[s : s + 2])
        assert part.keys[place] == panel.keys[s]
        assert part.value[here].tolist() == panel.value[there].tolist()
        assert part.time[here].tolist() == panel.time[there].tolist()


def test_a_part_takes_no_threads_beside_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts at a time keep two cores busy: more threads would only take turns."""
    monkeypatch.setattr(jit, "SMALL", 1)
    panel = walks()
    start = np.array([0, 10, 20], np.int64)

    def threads(part: Part) -> set[int]:
        seen = {get_ident()}
        jit.over_series(start, lambda a, b: seen.add(get_ident()))
        return seen

    tenths = [Part(panel, np.arange(7 * k, 7 * (k + 1))) for k in range(10)]
    assert [len(seen) for seen in over_parts(tenths, threads)] == [1] * 10
    assert [len(seen) > 1 for seen in over_parts(tenths[:2], threads)] == [True, True]  # large ones, one by one
