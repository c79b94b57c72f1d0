"""What kernels found is kept as long as there is room, and never missed when it is gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tests.thresholds.build import moves, quotes, rule, view_of
from thresholds import detect
from thresholds.conditions import parse
from thresholds.kept import Kept, size_of
from thresholds.model import Direction, FloatArray


def test_what_was_used_longest_ago_goes_first() -> None:
    """Three columns of 80 bytes, the first one used again: with room for two the second one goes."""
    kept = Kept({name: np.zeros(10) for name in "abc"})
    assert len(kept["a"]) == 10  # type: ignore[arg-type]  # an array
    assert kept.trim(160) == 160
    assert list(kept) == ["c", "a"]


def test_nothing_goes_where_there_is_room() -> None:
    """And what is no array takes none: it stays even with room for nothing."""
    kept = Kept({"column": np.zeros(10), "known": True})
    assert kept.trim(80) == 80
    assert set(kept) == {"column", "known"}
    assert kept.trim(0) == 0
    assert set(kept) == {"known"}


def test_sizes_are_those_of_the_arrays_inside() -> None:
    """Of a dataclass and of a tuple; one array in two places counts once, one value for all rows takes no room."""

    @dataclass(slots=True)
    class Found:
        score: FloatArray
        parts: tuple[FloatArray, FloatArray]
        count: int = 3

    found = Found(np.zeros(4), (np.zeros(2), np.zeros(1)))
    assert size_of(found) == 56
    assert size_of((found.score, found.score)) == 32
    assert size_of(np.broadcast_to(1.0, 1000)) == 0


def test_flags_are_the_same_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rules that share columns, each followed by letting everything go."""
    rows = quotes([5.0 + 0.01 * (k % 7) for k in range(90)] + [7.5, 7.6, 7.6, 7.7])
    rules = [
        rule({"kind": "score", "value": 5}, id="step"),
        rule({"any": [{"kind": "ewma"}, {"kind": "cusum"}]}, id="shift"),
        rule({"kind": "lasting", "of": {"kind": "change", "over": "1w", "percent": 20}, "readings": 2}, id="stays"),
    ]
    kept = moves(rows, *rules)
    assert kept
    monkeypatch.setattr(detect, "ROOM", 0)
    monkeypatch.setattr(detect, "LEAST_ROOM", 0)
    left: list[int] = []
    trim = Kept.trim

    def watched(self: Kept, room: int) -> int:
        left.append(trim(self, room))
        return left[-1]

    monkeypatch.setattr(Kept, "trim", watched)
    assert moves(rows, *rules) == kept
    assert left
    assert set(left) == {0}


def test_columns_are_computed_anew_after_they_went() -> None:
    """Bit for bit."""
    view = view_of(quotes([5.0 + 0.01 * (k % 7) for k in range(90)] + [7.5]))
    score = parse({"kind": "score", "value": 5})
    before = score.measure(view, np.arange(91), Direction.UP)
    view.cache.trim(0)
    after = score.measure(view, np.arange(91), Direction.UP)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.score, after.score)
