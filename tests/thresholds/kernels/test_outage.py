"""Publisher outage: counts that fall to near nothing are missing data."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from thresholds.kernels.outage import BELIEVED, Outage, outages
from thresholds.model import SeriesKey
from thresholds.panel import DAY, Panel

REAL = Path(__file__).parents[4] / "shared" / "data" / "complaints_monthly.csv.gz"


def panel_of(values: object, every: int = 7, points: list[str] | None = None, delay: int = 0) -> Panel:
    """One series (item) per row, all of one publisher unless `points` are given; series k is `delay`*k s later."""
    table = np.atleast_2d(np.asarray(values, np.float64))
    n_series, n = table.shape
    keys = [SeriesKey(f"企业{s}投诉", unit="件", point=points[s] if points else "热线") for s in range(n_series)]
    at = np.arange(n, dtype=np.int64) * DAY * every + 12 * 3600
    times = np.concatenate([at + s * delay for s in range(n_series)])
    return Panel.build(keys, ["甲"] * n_series, np.repeat(np.arange(n_series), n), times, table.ravel())


def state(panel: Panel) -> NDArray[np.uint8]:
    """One row per series."""
    found = outages(panel, np.ones(panel.n_series, np.bool_), np.ones(len(panel), np.bool_))
    return found.reshape(panel.n_series, -1)


STEADY = [40, 44, 38, 41, 43, 39, 40, 42]


def test_several_series_that_fall_together_are_an_outage() -> None:
    """Four of four at a tenth or less: missing; the first count afterwards is the return and counts."""
    found = state(panel_of([[*STEADY, 3, 0, 41]] * 4))
    assert (found[:, :8] == Outage.NONE).all()
    assert (found[:, 8:10] == Outage.OUT).all()
    assert (found[:, 10] == Outage.RETURN).all()


def test_one_of_several_that_falls_is_no_outage_of_the_publisher() -> None:
    """One company's complaints fall to a tenth, the other three stay: that is a fall."""
    rows = [[*STEADY, 4], [*STEADY, 40], [*STEADY, 41], [*STEADY, 44]]
    assert not state(panel_of(rows)).any()


def test_series_of_different_publishers_are_not_taken_together() -> None:
    """Three hotlines with one series each that fall to a tenth are three falls."""
    assert not state(panel_of([[*STEADY, 4]] * 3, points=["甲", "乙", "丙"])).any()


def test_a_half_reported_day_is_an_outage_of_many_series() -> None:
    """Six series at two fifths at once: half a month was not delivered; two of six are business."""
    assert (state(panel_of([[*STEADY, 16]] * 6))[:, 8] == Outage.OUT).all()
    assert not state(panel_of([[*STEADY, 16]] * 2 + [[*STEADY, 40]] * 4)).any()


def test_small_series_are_out_with_their_publisher() -> None:
    """Who has two complaints a month is not missed alone, but is missing while the publisher is out."""
    rows = [[*STEADY, 0]] * 4 + [[2, 1, 2, 3, 2, 1, 2, 2, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0]]
    found = state(panel_of(rows))
    assert found[4, 8] == Outage.OUT
    assert found[5, 8] == Outage.NONE  # nothing is its level


def test_one_steady_series_is_judged_alone() -> None:
    """Forty a week and suddenly none: missing. Not so where quiet weeks are usual, or the level is low."""
    assert state(panel_of([*STEADY, 0]))[0, 8] == Outage.OUT
    assert not state(panel_of([40, 2, 38, 1, 43, 39, 0, 42, 0])).any()
    assert not state(panel_of([4, 5, 3, 6, 4, 5, 4, 5, 0])).any()


def test_bank_failures_that_end_are_no_outage() -> None:
    """Waves with zeros in between: 24 in one month and 0 later is no missing data."""
    wave = [0, 1, 0, 0, 3, 8, 14, 24, 20, 17, 13, 9, 6, 2, 0, 0, 1, 0]
    assert not state(panel_of(wave, every=30)).any()


def test_it_stays_out_until_it_is_heard_again() -> None:
    """A trickle during the outage, from fewer and fewer series, is not the return."""
    rows = [[*STEADY, 0, 1, 2, 0, 3, 41]] * 3
    found = state(panel_of(rows))
    assert (found[:, 8:13] == Outage.OUT).all()
    assert (found[:, 13] == Outage.RETURN).all()


def test_a_new_level_is_believed_in_the_end() -> None:
    """After 24 reports in a row near nothing, that is how it is now."""
    found = state(panel_of([*STEADY, *[0] * (BELIEVED + 5)]))
    assert (found[0, 8 : 8 + BELIEVED] == Outage.OUT).all()
    assert not found[0, 8 + BELIEVED :].any()


def test_too_little_history_has_no_level() -> None:
    """Five counts are no level: the sixth may be anything."""
    assert not state(panel_of([40, 40, 40, 40, 40, 0])).any()
    assert not state(panel_of([40, 0])).any()


def test_only_counts_are_judged() -> None:
    """A price that falls to a hundredth is the price gate's business."""
    panel = panel_of([*STEADY, 0])
    assert not outages(panel, np.zeros(1, np.bool_), np.ones(len(panel), np.bool_)).any()


def test_a_judgement_uses_only_what_had_come_by_then() -> None:
    """Four series report an hour apart: the first two that are down cannot know of the third."""
    found = state(panel_of([[*STEADY, 3]] * 4, delay=3600))
    assert found[:, 8].tolist() == [Outage.NONE, Outage.NONE, Outage.OUT, Outage.OUT]


def test_outages_are_causal_bit_for_bit() -> None:
    """Cut anywhere, the states up to then are the same."""
    rng = np.random.default_rng(2)
    table = rng.poisson(30, (6, 60)).astype(np.float64)
    table[:, 20:25] = 1
    table[2, 40:] = 0
    panel = panel_of(table, delay=600)
    everything = np.ones(6, np.bool_)
    whole = outages(panel, everything, np.ones(len(panel), np.bool_))
    for cut in np.unique(panel.time)[::23]:
        keep = panel.time <= cut
        part = panel.until(datetime.fromtimestamp(int(cut), UTC))
        np.testing.assert_array_equal(outages(part, everything, np.ones(len(part), np.bool_)), whole[keep])


def test_the_real_outage_is_found_and_nothing_else() -> None:
    """Complaints to the CFPB: half of 2023-03 and 2023-04 to 2023-10 are missing; nothing else in 15 years is."""
    if not REAL.exists():
        pytest.skip("the folder ../shared/data with real figures is not beside the checkout")
    with gzip.open(REAL, "rt", encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["value"]]
    items = {item: n for n, item in enumerate(dict.fromkeys(r["item"] for r in rows))}
    at = [int(datetime.fromisoformat(r["date"]).replace(tzinfo=UTC).timestamp()) for r in rows]
    panel = Panel.build(
        [SeriesKey(i, "", "件", "投诉", "CFPB") for i in items],
        ["US"] * len(items),
        np.array([items[r["item"]] for r in rows]),
        np.array(at),
        np.array([float(r["value"]) for r in rows]),
    )
    found = outages(panel, np.ones(len(items), np.bool_), np.ones(len(panel), np.bool_))
    months = panel.day.astype("datetime64[D]").astype("datetime64[M]")
    missing = (months >= np.datetime64("2023-04")) & (months <= np.datetime64("2023-10"))
    assert (found[missing] == Outage.OUT).all()
    half = months == np.datetime64("2023-03")
    assert (found[half] == Outage.OUT).mean() > 0.9
    assert set(months[found == Outage.OUT].tolist()) == {date(2023, m, 1) for m in range(3, 11)}
    assert (found[months == np.datetime64("2023-11")] == Outage.RETURN).any()
