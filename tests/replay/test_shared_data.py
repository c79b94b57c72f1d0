"""Replay of the published figures beside the project; skipped where they are not."""

from __future__ import annotations

import bisect
import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from collectors.sheet import read_sheet
from tests.thresholds.build import shipped
from tests.thresholds.test_detect import ends, essence
from thresholds.model import Direction, Flag, Kind, ObservationBatch
from thresholds.replay import Replayed, replay, write

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = ("energy_daily", "risk_daily", "food_monthly", "complaints_monthly", "bank_failures_monthly")
CUTS = {
    "energy_daily": (date(1990, 8, 2), date(2008, 10, 10), date(2020, 4, 20), date(2021, 2, 17)),
    "risk_daily": (date(2008, 9, 15), date(2020, 3, 16)),
    "food_monthly": (date(2008, 6, 15), date(2021, 2, 15)),
    "complaints_monthly": (date(2017, 9, 1), date(2023, 7, 1)),
    "bank_failures_monthly": (date(2009, 7, 1),),
}

pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason="the published figures (../shared/data) are not here"),
    pytest.mark.timeout(300),
]


@cache
def batch_of(name: str) -> ObservationBatch:
    result = read_sheet(DATA / f"{name}.csv.gz", name=name)
    return result.batch


@cache
def replayed(name: str) -> Replayed:
    return replay(batch_of(name), shipped())


def cut_at(batch: ObservationBatch, last: date) -> ObservationBatch:
    """The file as it was then: rows up to the day, series that had begun."""
    limit = int(
        datetime(last.year, last.month, last.day, 16, tzinfo=UTC).timestamp()
    )  # midnight in Shanghai after it
    keep = np.flatnonzero(batch.at < limit)
    used = np.unique(batch.series[keep])
    number = np.full(len(batch.keys), -1, np.int64)
    number[used] = np.arange(len(used))
    return ObservationBatch(
        [batch.keys[s] for s in used],
        [batch.areas[s] for s in used],
        [batch.sources[s] for s in used],
        number[batch.series[keep]],
        batch.at[keep],
        batch.value[keep],
        batch.row[keep],
    )


@pytest.mark.parametrize(("name", "last"), [(name, last) for name, cuts in CUTS.items() for last in cuts])
def test_a_file_cut_at_a_date_gives_the_same_flags_up_to_it(name: str, last: date) -> None:
    """Ids, starts, values, expectations, thresholds, reasons, evidence and ends: nothing looks ahead."""
    part = replay(cut_at(batch_of(name), last), shipped())
    newest = datetime.fromtimestamp(int(part.panel.time.max()), UTC)
    known = [f for f in replayed(name).flags if f.first_flagged <= newest]
    assert len(part.flags) > (0 if name != "bank_failures_monthly" else -1)
    assert [essence(f) for f in part.flags] == [essence(f) for f in known]
    assert ends(part.flags, newest) == ends(known, newest)


@pytest.mark.parametrize("name", ["energy_daily"])
def test_written_twice_it_is_the_same_byte_for_byte(name: str, tmp_path: Path) -> None:
    """Another evaluation of the same file writes the same flags."""
    for folder, one in (("one", replayed(name)), ("two", replay(batch_of(name), shipped()))):
        write(tmp_path / folder, one, {})
    assert (tmp_path / "one" / "flags.csv").read_bytes() == (tmp_path / "two" / "flags.csv").read_bytes()


def on(name: str, item: str, day: date) -> list[Flag]:
    return [f for f in replayed(name).flags if f.item == item and local(f) == day]


def local(flag: Flag) -> date:
    from thresholds.panel import SHANGHAI

    return flag.first_flagged.astimezone(SHANGHAI).date()


def test_wti_below_zero_is_a_fall_and_no_error() -> None:
    """2020-04-20, -36.98 dollars: a flag of kind move, downwards, on that day; no data flag on WTI at all."""
    flags = on("energy_daily", "WTI", date(2020, 4, 20))
    assert [(f.kind, f.direction, f.value) for f in flags] == [(Kind.MOVE, Direction.DOWN, -36.98)]
    assert not [f for f in replayed("energy_daily").flags if f.item == "WTI" and f.kind is Kind.DATA]


def test_henry_hub_in_the_texas_freeze_is_a_move_and_no_error() -> None:
    """Within a week it rose sixfold, one day by a factor near eight: a rise, not a slipped digit."""
    freeze = [f for f in replayed("energy_daily").flags if f.item == "HenryHub" and local(f).year == 2021]
    assert [
        f for f in freeze if f.kind is Kind.MOVE and f.direction is Direction.UP and local(f) <= date(2021, 2, 17)
    ]
    assert not [f for f in freeze if f.kind is Kind.DATA]


def events(name: str) -> Iterator[tuple[str, str, date, date]]:
    """(item, direction, last normal day, last day on which the flag may come) of the listed events."""
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        days: dict[str, list[date]] = {}
        for row in csv.DictReader(file):
            days.setdefault(row["item"], []).append(date.fromisoformat(row["date"][:10]))
    with (DATA / "events.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["file"] == f"{name}.csv.gz":
                own = sorted(set(days[row["item"]]))
                place = bisect.bisect_right(own, date.fromisoformat(row["end"])) - 1
                last = own[min(place + 3, len(own) - 1)]
                yield row["item"], row["direction"], date.fromisoformat(row["after"]), last


def test_the_large_moves_in_energy_are_caught() -> None:
    """At least four in five of the listed events of the energy file: flagged after the last normal day, in time."""
    caught = [
        any(
            f.kind is Kind.MOVE and f.item == item and f.direction.value == direction and after < local(f) <= last
            for f in replayed("energy_daily").flags
        )
        for item, direction, after, last in events("energy_daily")
    ]
    assert len(caught) == 15
    assert sum(caught) >= 12


def test_the_load_on_the_duty_officer_stays_bearable() -> None:
    """Energy and risk files together: fewer than 4 flags of kind move per 100 series-weeks."""
    moves = weeks = 0.0
    for name in ("energy_daily", "risk_daily"):
        panel = replayed(name).panel
        spans = panel.time[panel.start[1:] - 1] - panel.time[panel.start[:-1]]
        weeks += float(spans.sum()) / (7 * 86_400)
        moves += sum(f.kind is Kind.MOVE for f in replayed(name).flags)
    assert 100 * moves / weeks < 4
