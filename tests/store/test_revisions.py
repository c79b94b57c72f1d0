"""The rule for revisions, in columns, against the same rule written row by row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.store.bulk import Rows
from monitor.store.revisions import Outcome, decide, sort_batch

Row = tuple[int, int, float]
Known = dict[tuple[int, int], list[float]]

ROWS = st.lists(
    st.tuples(st.sampled_from([3, 70_000, 5]), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 2.0])), max_size=14
)


def plainly(known: Known, rows: Sequence[Row]) -> tuple[list[int], set[tuple[int, int]]]:
    """The rule as it is written: changes `known`; gives the outcomes and the keys that contradict themselves."""
    outcome = [int(Outcome.DUPLICATE)] * len(rows)
    clashes = set()
    for key in {(s, at) for s, at, _ in rows}:
        places = [i for i, row in enumerate(rows) if row[:2] == key]
        sequence = [(next(group)) for _, group in groupby(places, key=lambda i: rows[i][2])]
        values = [rows[i][2] for i in sequence]
        have = known.setdefault(key, [])
        if have[-len(values) :] == values:
            continue
        if len(values) > 1:
            clashes.add(key)
        for i, value in zip(sequence, values, strict=True):
            if have and have[-1] == value:
                continue
            outcome[i] = int(Outcome.REVISED if have else Outcome.ACCEPTED)
            have.append(value)
    return outcome, clashes


def as_rows(known: Known) -> Rows:
    flat = [(s, at, n, v) for (s, at), values in sorted(known.items()) for n, v in enumerate(values, 1)]
    series, at, revision, value = zip(*flat, strict=True) if flat else ((), (), (), ())
    ids, times, numbers = (np.array(column, np.int64) for column in (series, at, revision))
    return Rows(ids, times, numbers, np.array(value, np.float64))


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_columns_decide_as_the_rule_says_row_by_row(batches: list[list[Row]]) -> None:
    known: Known = {}
    for rows in batches:
        series, at, value = (np.array(c) for c in (zip(*rows, strict=True) if rows else ([], [], [])))
        ordered = sort_batch(series.astype(np.int64), at.astype(np.int64), value.astype(np.float64))
        decision = decide(ordered, as_rows(known))
        before = {key: list(values) for key, values in known.items()}
        outcome, clashes = plainly(known, rows)
        assert decision.outcome.tolist() == outcome
        new = decision.new
        for s, when, n, v in zip(
            *(c.tolist() for c in (new.series_id, new.at, new.revision, new.value)), strict=True
        ):
            before.setdefault((s, when), []).append(v)
            assert len(before[s, when]) == n, "revisions count from 1 without a gap"
        assert before == {key: values for key, values in known.items() if values}
        assert set(zip(decision.conflicts.series_id.tolist(), decision.conflicts.at.tolist(), strict=True)) == clashes
        assert [rows[i] for i in decision.place.tolist()] == list(
            zip(new.series_id.tolist(), new.at.tolist(), new.value.tolist(), strict=True)
        )
