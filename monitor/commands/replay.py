"""`monitor replay`: history through the same code as the daemon's, point in time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from collectors.sheet import SheetError, read_sheet
from monitor.cli import UserError
from monitor.commands.common import load, progress, shown
from thresholds.model import IntArray, Mark, ObservationBatch, Reject, SeriesKey
from thresholds.plan import Policy
from thresholds.plan_files import load_policy, with_one_pack

if TYPE_CHECKING:  # the store is needed for several files only
    from monitor.store.bulk import Rows

SHANGHAI = "Asia/Shanghai"
Marks = NDArray[np.uint8]


def main(options: argparse.Namespace) -> int:
    from thresholds.replay import replay, write

    policy, city, zone = governed(options)
    batch, mark, rejects = read_all(options.input, str(zone))
    with progress("evaluating", 0):
        replayed = replay(batch, policy, begin=options.begin, until=options.until, city=city, zone=zone, mark=mark)
    try:
        write(options.out, replayed, rejects, zone)
    except OSError as error:
        raise UserError(
            f"cannot write to {options.out} ({error.strerror}); name a folder that can be written"
        ) from error
    for rule, error_text in replayed.detection.failed.items():
        print(f"monitor replay: rule {rule} failed and was left out: {error_text}", file=sys.stderr)
    rejected = sum(map(len, rejects.values()))
    print(f"{len(replayed.flags)} flags in {options.out / 'flags.csv'}; rows rejected: {rejected}")
    return 1 if replayed.detection.failed else 0


def governed(options: argparse.Namespace) -> tuple[Policy, str, ZoneInfo]:
    """The policy that is asked for, with the name of the city and the time zone."""
    if options.config is not None:
        config, policy = load(options.config)
        city, zone = config.installation.city, config.zone
    else:
        found, faults = load_policy()
        if found is None:
            raise UserError(shown(faults))
        policy, city, zone = found, "全市", ZoneInfo(SHANGHAI)
    if options.plan:
        policy = only_plan(policy, options.plan)
    if options.rules:
        tried, faults = with_one_pack(policy, options.rules)
        if tried is None:
            raise UserError(shown(faults))
        policy = tried
    return policy, city, zone


def only_plan(policy: Policy, wanted: str) -> Policy:
    """The policy with one plan and the packs of its domain. Raises UserError for a plan that is not known."""
    found, faults = load_policy(plans=[wanted])
    plan = next((p for p in policy.plans.values() if p.id == wanted), None)
    if plan is None and found is not None:
        plan = next(iter(found.plans.values()))
    if plan is None:
        raise UserError("; ".join(f"--plan: {fault.problem}. {fault.remedy}" for fault in faults))
    packs = tuple(p for p in policy.packs if p.domain in ("any", plan.domain))
    exits = tuple(p for p in policy.exits if p.plan in ("", plan.id) and p.domain in ("any", plan.domain))
    return replace(policy, plans={plan.domain: plan}, packs=packs, exits=exits)


def read_all(files: Sequence[Path], zone: str) -> tuple[ObservationBatch, Marks | None, dict[str, list[Reject]]]:
    """All sheets as one batch. Raises UserError for a file that is no sheet: a part would be a wrong answer."""
    batches: list[ObservationBatch] = []
    rejects: dict[str, list[Reject]] = {}
    for path in files:
        try:
            with progress(path.name, path.stat().st_size) as advance:
                result = read_sheet(path, name=path.name, timezone=zone, progress=advance)
        except SheetError as error:
            raise UserError(str(error)) from error
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror})") from error
        batches.append(result.batch)
        rejects[free_name(path, rejects)] = list(result.rejects)
    if len(batches) == 1:
        return batches[0], None, rejects
    return *joined(batches), rejects


def free_name(path: Path, taken: Collection[str]) -> str:
    """The file's name for the reject report; its whole path, or that with a number, where the name is taken."""
    names = chain((path.name, str(path)), (f"{path} ({n})" for n in count(2)))
    return next(name for name in names if name not in taken)


def joined(batches: Sequence[ObservationBatch]) -> tuple[ObservationBatch, Marks]:
    """Several sheets as the daemon would have stored them one after the other: a later one corrects an earlier one.

    Gives the newest revision of every series and time, and its mark (a sheet that contradicts itself).
    """
    from monitor.store.bulk import NO_ROWS, Rows
    from monitor.store.bulk import joined as together
    from monitor.store.revisions import decide, sort_batch

    index: dict[SeriesKey, int] = {}
    areas: list[str] = []
    stored, mark = NO_ROWS, np.zeros(0, np.uint8)
    for batch in batches:
        own = np.array([index.setdefault(key, len(index)) for key in batch.keys], np.int64)
        areas += [""] * (len(index) - len(areas))
        for code, area in zip(own.tolist(), batch.areas, strict=True):
            areas[code] = area or areas[code]
        decision = decide(sort_batch(own[batch.series], batch.at, batch.value), stored)
        every = together([stored, decision.new])
        marks = np.concatenate([mark, contradicted(decision.new, decision.conflicts)])
        order = np.lexsort((every.revision, every.at, every.series_id))
        stored = Rows(every.series_id[order], every.at[order], every.revision[order], every.value[order])
        mark = marks[order]
    place = newest(stored)
    columns = stored.series_id[place], stored.at[place], stored.value[place], place + 1
    return ObservationBatch(list(index), areas, [""] * len(index), *columns), mark[place]


def contradicted(new: Rows, conflicts: Rows) -> Marks:
    """uint8[n]: Mark.CONFLICT at the newest of the new revisions of each key in `conflicts`."""
    from monitor.store.revisions import find_pairs

    mark = np.zeros(len(new), np.uint8)
    last = newest(new)
    mark[last[find_pairs((new.series_id[last], new.at[last]), (conflicts.series_id, conflicts.at))]] = Mark.CONFLICT
    return mark


def newest(rows: Rows) -> IntArray:
    """Positions of the newest revision of each key."""
    ends = (np.diff(rows.series_id) != 0) | (np.diff(rows.at) != 0)
    return np.flatnonzero(np.append(ends, len(rows) > 0))
