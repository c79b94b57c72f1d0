"""Replay of the published figures beside the project; skipped where they are not."""

from __future__ import annotations

import bisect
import csv
import gzip
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from collectors.sheet import read_sheet
from tests.thresholds.build import shipped
from tests.thresholds.test_detect import ends, essence
from thresholds.model import Direction, Flag, Kind, ObservationBatch
from thresholds.replay import Replayed, replay, write

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = ("energy_daily", "risk_daily", "food_monthly", "complaints_monthly", "bank_failures_monthly")
FOUND = {
    "energy_daily": (15, 15),
    "risk_daily": (23, 22),
    "food_monthly": (6, 5),
    "complaints_monthly": (8, 7),
    "bank_failures_monthly": (2, 2),
}
"""Of each file: events listed, events caught."""
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


TOLERANCE = {"daily": 3, "monthly": 1}
"""Observations after the end of an event within which a flag still announces it."""


@cache
def days_of(name: str) -> dict[tuple[str, str], list[date]]:
    """The dates of each series of a file; with point "" of all points of an item."""
    found: dict[tuple[str, str], set[date]] = {}
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for point in {row["point"], ""}:
                found.setdefault((row["item"], point), set()).add(date.fromisoformat(row["date"][:10]))
    return {key: sorted(days) for key, days in found.items()}


def delay(name: str, event: dict[str, str]) -> int | None:
    """Observations from the last normal one to the first flag that announces the event; None where none does."""
    days = days_of(name)[event["item"], event["point"]]
    after, end = (bisect.bisect_right(days, date.fromisoformat(event[key])) - 1 for key in ("after", "end"))
    last = min(end + TOLERANCE[event["cadence"]], len(days) - 1)
    kinds = (Kind.MOVE,) if event["kind"] == "move" else (Kind.DATA, Kind.SILENCE)
    announced = [
        bisect.bisect_right(days, local(f)) - 1 - after
        for f in replayed(name).flags
        if f.kind in kinds
        and f.item == event["item"]
        and (not event["point"] or f.point in ("", event["point"]))
        and (event["kind"] != "move" or f.direction.value == event["direction"])
    ]
    return min((n for n in announced if 0 < n <= last - after), default=None)


@cache
def delays(name: str) -> list[int | None]:
    """Of the listed events of a file."""
    with (DATA / "events.csv").open(encoding="utf-8", newline="") as file:
        return [delay(name, row) for row in csv.DictReader(file) if row["file"] == f"{name}.csv.gz"]


def load(name: str) -> float:
    """Flags of kind move per 100 series-weeks."""
    spans = [days[-1] - days[0] for (_, point), days in days_of(name).items() if point]
    weeks = sum(span.days for span in spans) / 7
    return 100 * sum(f.kind is Kind.MOVE for f in replayed(name).flags) / weeks


@pytest.mark.parametrize(
    ("name", "listed", "found"), [(name, listed, found) for name, (listed, found) in FOUND.items()]
)
def test_the_listed_events_are_caught(name: str, listed: int, found: int) -> None:
    """File by file, as docs/detectors.md states it."""
    assert len(delays(name)) == listed
    assert sum(n is not None for n in delays(name)) >= found


def test_most_events_are_caught_and_half_of_them_at_their_first_observation() -> None:
    """Over all files with one configuration: at least 85 %, the median delay one observation."""
    every = [n for name in FILES for n in delays(name)]
    caught = [n for n in every if n is not None]
    assert len(caught) >= 0.85 * len(every)
    assert median(caught) <= 1


def test_the_load_on_the_duty_officer_stays_bearable() -> None:
    """At most two flags of kind move per 100 series-weeks on the mean of the files."""
    assert sum(load(name) for name in FILES) / len(FILES) <= 2


def test_what_the_extract_lacks_is_no_fall_of_complaints() -> None:
    """From 2023-03 to 2023-10 nearly nothing came: no move downwards then, and no surge when it came back."""
    gone = [f for f in replayed("complaints_monthly").flags if date(2023, 3, 1) <= local(f) <= date(2023, 10, 31)]
    assert {f.kind for f in gone} <= {Kind.DATA, Kind.SILENCE}
    assert any(f.item == "ALL" and f.kind is Kind.DATA for f in gone)
    back = [f for f in replayed("complaints_monthly").flags if local(f) == date(2023, 11, 1) and f.item == "ALL"]
    assert not [f for f in back if f.kind is Kind.MOVE]
