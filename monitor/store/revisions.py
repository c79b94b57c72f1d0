"""What becomes of the rows of a batch: pure columns in, columns out.

The rule: a batch's values for one series and time, in the order received and without repeats in a row, are a
sequence. Where the stored revisions already end with that sequence, nothing is new. Otherwise each value that differs
from the one before it becomes the next revision. So the same sheet twice stores nothing, even if it contradicts
itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitor.store.bulk import Rows
from thresholds.model import BoolArray, FloatArray, IntArray

Outcomes = NDArray[np.uint8]


class Outcome(IntEnum):
    """What became of one row of a batch."""

    ACCEPTED = 0
    """stored, the first value of its series and time"""
    DUPLICATE = 1
    """known already, nothing stored"""
    REVISED = 2
    """stored as a correction of what was known"""


@dataclass(frozen=True, slots=True)
class Sorted:
    """The rows of a batch in the order of (series_id, at), as received within that, as sequences of values.

    order    int64[n], position in the batch of each sorted row
    The rest has one entry per element of a sequence (m), or per key, that is per series and time (k):
    taken [m] the sorted row that an element comes from;  series_id, at, value [m];
    key [m] which key an element belongs to;  first [k] the first element of each key
    """

    order: IntArray
    taken: IntArray
    series_id: IntArray
    at: IntArray
    value: FloatArray
    key: IntArray
    first: IntArray


@dataclass(frozen=True, slots=True)
class Decision:
    """New rows to store, the outcome of every row of the batch in the order received, and contradictions.

    conflicts: the newest revision of each key for which the batch held several values and stored something.
    `place` is the position in the batch that each new row came from.
    """

    new: Rows
    outcome: Outcomes
    conflicts: Rows
    place: IntArray


def sort_batch(series_id: IntArray, at: IntArray, value: FloatArray) -> Sorted:
    """Sort a batch of n rows by key and collapse repeats in a row."""
    order = np.lexsort((at, compact(series_id)))
    sid, when, what = series_id[order], at[order], value[order]
    new_key = np.empty(len(order), np.bool_)
    new_key[:1] = True
    new_key[1:] = (sid[1:] != sid[:-1]) | (when[1:] != when[:-1])
    starts = new_key.copy()
    starts[1:] |= what[1:] != what[:-1]
    taken = np.flatnonzero(starts)
    opens = new_key[taken]
    return Sorted(
        order=order,
        taken=taken,
        series_id=sid[taken],
        at=when[taken],
        value=what[taken],
        key=np.cumsum(opens, dtype=np.int64) - 1,
        first=np.flatnonzero(opens),
    )


def compact(series_id: IntArray) -> NDArray[np.integer]:
    """The same numbers in the smallest type: numpy sorts 16 bits by counting, several times as fast."""
    low, high = (int(series_id.min()), int(series_id.max())) if len(series_id) else (0, 0)
    if high - low < 2**16:
        return (series_id - low).astype(np.uint16)
    return series_id


def decide(batch: Sorted, stored: Rows) -> Decision:
    """Compare a sorted batch with the stored revisions of (at least) its keys."""
    last, count = locate(batch, stored)
    length = np.diff(np.append(batch.first, len(batch.at)))
    known = already_ends(batch, stored, last, count, length)
    previous = np.empty_like(batch.value)
    previous[1:] = batch.value[:-1]
    has_stored = count > 0
    previous[batch.first] = np.nan
    previous[batch.first[has_stored]] = stored.value[last[has_stored]]
    store = ~known[batch.key] & (batch.value != previous)

    base = np.zeros(len(batch.first), np.int64)
    base[has_stored] = stored.revision[last[has_stored]]
    running = np.cumsum(store, dtype=np.int64)
    before = running[batch.first] - store[batch.first]
    revision = base[batch.key] + running - before[batch.key]

    new = rows_at(batch, revision, np.flatnonzero(store))
    ends = np.append(batch.first[1:], len(batch.at)) - 1
    contradicted = (length > 1) & ~known
    return Decision(
        new=new,
        outcome=outcomes(batch, store, revision),
        conflicts=rows_at(batch, revision, ends[contradicted]),
        place=batch.order[batch.taken[store]],
    )


def rows_at(batch: Sorted, revision: IntArray, elements: IntArray) -> Rows:
    return Rows(batch.series_id[elements], batch.at[elements], revision[elements], batch.value[elements])


def outcomes(batch: Sorted, store: BoolArray, revision: IntArray) -> Outcomes:
    """Per row as received: an element's first row is what was stored, its repeats are duplicates."""
    sorted_rows = np.full(len(batch.order), Outcome.DUPLICATE, np.uint8)
    sorted_rows[batch.taken[store]] = np.where(revision[store] == 1, Outcome.ACCEPTED, Outcome.REVISED)
    result = np.empty_like(sorted_rows)
    result[batch.order] = sorted_rows
    return result


def locate(batch: Sorted, stored: Rows) -> tuple[IntArray, IntArray]:
    """Per key of the batch: index of its newest stored revision (-1 without one), and how many there are."""
    keys = len(batch.first)
    last, count = np.full(keys, -1, np.int64), np.zeros(keys, np.int64)
    if not len(stored):
        return last, count
    begins = np.empty(len(stored), np.bool_)
    begins[0] = True
    begins[1:] = (stored.series_id[1:] != stored.series_id[:-1]) | (stored.at[1:] != stored.at[:-1])
    start = np.flatnonzero(begins)
    size = np.diff(np.append(start, len(stored)))
    place = find_pairs(
        (stored.series_id[start], stored.at[start]), (batch.series_id[batch.first], batch.at[batch.first])
    )
    hit = place >= 0
    count[hit] = size[place[hit]]
    last[hit] = start[place[hit]] + count[hit] - 1
    return last, count


def find_pairs(table: tuple[IntArray, IntArray], wanted: tuple[IntArray, IntArray]) -> IntArray:
    """Where each wanted pair stands in the table of distinct pairs, -1 where it does not. Both are sorted."""
    n = len(table[0])
    major, minor = np.concatenate([table[0], wanted[0]]), np.concatenate([table[1], wanted[1]])
    order = np.lexsort((minor, compact(major)))  # stable: a table pair comes right before its equal
    same = np.zeros(len(order), np.bool_)
    same[1:] = (major[order[1:]] == major[order[:-1]]) & (minor[order[1:]] == minor[order[:-1]])
    found = np.full(len(wanted[0]), -1, np.int64)
    after = np.flatnonzero(same)
    found[order[after] - n] = order[after - 1]
    return found


def already_ends(batch: Sorted, stored: Rows, last: IntArray, count: IntArray, length: IntArray) -> BoolArray:
    """Per key: whether the stored revisions end with the whole sequence of the batch."""
    possible = count >= length
    offset = np.arange(len(batch.at)) - batch.first[batch.key]
    compared = (last - length + 1)[batch.key] + offset
    candidate = possible[batch.key]
    same = np.zeros(len(batch.at), np.bool_)
    same[candidate] = stored.value[compared[candidate]] == batch.value[candidate]
    return np.logical_and.reduceat(same, batch.first) if len(batch.first) else possible
