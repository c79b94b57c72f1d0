"""Making a past evaluation again: the data as it was, the policy of then, and whether the same flag comes out.

The data is rebuilt as of the data revision of the evaluation (monitor/store/past.py), from the time on from which it
was held then; policy and settings are those stored with it. What is computed is compared field by field, number by
number, with what was stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import Connection

from monitor.evaluation import AGAIN, cadences
from monitor.exchanges import EVER, exchanged_items
from monitor.memory import Held, panel_of
from monitor.regime import Regime, program_version, regime_of
from monitor.store.columns import Columns, SeriesColumns
from monitor.store.database import Database
from monitor.store.flag_rows import machine_fields
from monitor.store.flag_states import State
from monitor.store.past import columns_at, series_at
from monitor.store.policies import read_policy
from monitor.store.stamps import Evaluated, digest_of, read_evaluations, read_texts
from thresholds.catalogue import Measure
from thresholds.model import Flag, Kind, SeriesKey
from thresholds.plan import Policy
from thresholds.plan_files import policy_again
from thresholds.together import Together


class CannotReproduceError(Exception):
    """What is needed to make an evaluation again is not there; the message says what."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that came out otherwise: `findings[1].score`."""

    name: str
    stored: object
    again: object

    def __str__(self) -> str:
        return f"{self.name}: stored {self.stored!r}, now {self.again!r}"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came out. `again` is None where the evaluation does not give this flag; no differences: identical."""

    state: State
    evaluated: Evaluated
    again: Flag | None
    differences: Sequence[Difference]
    observations: int
    notes: Sequence[str] = field(default=())

    @property
    def identical(self) -> bool:
        return not self.differences


def reproduce(db: Database, state: State) -> Reproduction:
    """Make the evaluation again that gave this state of a flag. Raises CannotReproduceError, StoreError."""
    evaluated = evaluation_of(db, state)
    policy, regime = policy_of(db, evaluated), regime_then(db, evaluated)
    policy = replace(policy, records=regime.records)
    silence = state.flag.kind is Kind.SILENCE
    held = held_then(db, evaluated, policy, None if silence else state.flag.item, regime)
    notes = []
    if (now := program_version()) != evaluated.stamp.program:
        notes.append(f"evaluated by another program: {evaluated.stamp.program} then, {now} now")
    flags, failed = (silences if silence else moves)(held, evaluated, policy, regime)
    notes += [f"rule {rule} failed and was left out: {error}" for rule, error in failed.items()]
    again = next((flag for flag in flags if flag.id == state.flag.id), None)
    seen = sum(len(h.at) for h in held)
    return Reproduction(state, evaluated, again, list(compared(state, again)), seen, notes)


def evaluation_of(db: Database, state: State) -> Evaluated:
    if state.evaluation is None:
        raise CannotReproduceError(
            "this state was stored before evaluations were kept: what it rests on is not known"
        )
    return read_evaluations(db, [state.evaluation])[state.evaluation]


def policy_of(db: Database, evaluated: Evaluated) -> Policy:
    """The stored policy, loaded again."""
    version = evaluated.stamp.policy
    texts = read_policy(db, version)
    if texts is None:
        raise CannotReproduceError(f"the policy {version} is not stored")
    policy, faults = policy_again(texts)
    if policy is None:
        wrong = "; ".join(map(str, faults))
        raise CannotReproduceError(f"this version of the program cannot read the policy {version}: {wrong}")
    if policy.version != version:
        raise CannotReproduceError(f"the stored texts of the policy {version} are not those it was loaded from")
    return policy


def regime_then(db: Database, evaluated: Evaluated) -> Regime:
    digest = evaluated.stamp.settings
    with db.connect() as connection:
        texts = read_texts(connection, [digest])
    if digest not in texts or digest_of(texts[digest]) != digest:
        raise CannotReproduceError(f"the settings {digest[:12]} are not stored, or not as they were")
    return regime_of(texts[digest])


def held_then(db: Database, evaluated: Evaluated, policy: Policy, item: str | None, regime: Regime) -> list[Held]:
    """The series of all that was evaluated with `item` (of everything when None), as the memory held them then."""
    stamp = evaluated.stamp
    with db.snapshot() as connection:
        known = series_at(connection, stamp.data)
        items: Collection[str] | None = None
        if item is not None:
            by_item: dict[str, list[SeriesKey]] = {item: []}
            for key in known.keys:
                by_item.setdefault(key.item, []).append(key)
            items = items_then(connection, evaluated, policy, item, by_item, known)
        columns = columns_at(connection, stamp.data, items, stamp.since)
    held = rows_of(known, columns, items)
    return sorted(held, key=lambda h: (h.key.item, h.id))  # the order of monitor.memory.Memory.panel


def items_then(
    connection: Connection,
    evaluated: Evaluated,
    policy: Policy,
    item: str,
    by_item: Mapping[str, Sequence[SeriesKey]],
    known: SeriesColumns,
) -> Collection[str]:
    """What was judged with `item`: by the policy, and by rows that stood in each other's place."""
    stamp = evaluated.stamp
    exchanged: dict[str, set[str]] = {}
    items: frozenset[str] = frozenset()
    while (grown := Together(policy, by_item, exchanged).group(item)) != items:
        items = grown
        points = {k.point for k in known.keys if k.item in items}
        beside = {k.item for k in known.keys if k.point in points} | items
        held = rows_of(known, columns_at(connection, stamp.data, beside, stamp.since), beside)
        prices = [h for h in held if policy.catalogue.classify(h.key).measure is Measure.PRICE]
        for one, other in exchanged_items(prices, dict.fromkeys((h.id for h in prices), EVER)):
            exchanged.setdefault(one, set()).add(other)
            exchanged.setdefault(other, set()).add(one)
    return items


def rows_of(known: SeriesColumns, columns: Columns, items: Collection[str] | None) -> list[Held]:
    """The series of these items (of all when None) with their columns."""
    begins = np.searchsorted(columns.series_id, known.ids)
    bounds = dict(zip(known.ids.tolist(), pairwise([*begins.tolist(), len(columns)]), strict=True))
    held = []
    for series_id, key, area, source in zip(known.ids.tolist(), known.keys, known.areas, known.sources, strict=True):
        if items is None or key.item in items:
            part = slice(*bounds[series_id])
            held.append(Held(series_id, key, area, source, columns.at[part], columns.value[part], columns.mark[part]))
    return held


def moves(
    held: Sequence[Held], evaluated: Evaluated, policy: Policy, regime: Regime
) -> tuple[Sequence[Flag], Mapping[str, str]]:
    from thresholds.detect import detect

    panel, _ = panel_of(held, regime.zone)
    found = detect(panel, policy, evaluated.at, city=regime.city, zone=regime.zone, silence=False)
    return found.flags, found.failed


def silences(
    held: Sequence[Held], evaluated: Evaluated, policy: Policy, regime: Regime
) -> tuple[Sequence[Flag], Mapping[str, str]]:
    from thresholds.silence import silence_flags

    panel, held = panel_of(held, regime.zone)
    flags = silence_flags(
        panel,
        [policy.catalogue.classify(h.key) for h in held],
        policy,
        int(evaluated.at.timestamp()),
        cadences=cadences(held, regime.sources, policy.catalogue),
        axis=None,
        zone=regime.zone,
        resumed_since=int((evaluated.at - AGAIN).timestamp()),
    )
    return flags, {}


def compared(state: State, again: Flag | None) -> Iterator[Difference]:
    """What differs between a stored state and what was computed now."""
    withdrawn = state.flag.end_reason == "corrected"
    if again is None or withdrawn:
        if (again is None) != withdrawn:
            stored, now = ("withdrawn", "given") if withdrawn else ("given", "not given")
            yield Difference("flag", stored, now)
        return
    fields = machine_fields(again)
    for name, value in state.fields.items():
        if name == "last_hit_at" and again.kind is Kind.SILENCE and again.end is None:
            continue  # follows the clock from look to look
        yield from differing(name, value, fields[name])


def differing(name: str, stored: Any, again: Any) -> Iterator[Difference]:
    """Differences within columns, lists and objects, each with its path."""
    if isinstance(stored, dict) and isinstance(again, dict):
        for key in [*stored, *(k for k in again if k not in stored)]:
            yield from differing(f"{name}.{key}", stored.get(key), again.get(key))
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for n, (one, other) in enumerate(zip(stored, again, strict=True), 1):
            yield from differing(f"{name}[{n}]", one, other)
    elif stored != again:
        yield Difference(name, stored, again)
