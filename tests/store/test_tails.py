"""The contract of small charts: the last readings of what a flag is about, of many flags at once."""

from __future__ import annotations

import numpy as np

from monitor.store.database import Database
from monitor.store.observations import add
from monitor.store.tails import MOST_SERIES, READINGS, Place, read_tails
from tests.store.build import CABBAGE, NOW, batch, epoch
from thresholds.model import SeriesKey

LATE = 2**40


def key(point: str, unit: str = "元/500克") -> SeriesKey:
    return SeriesKey("大白菜", "", unit, "零售", point)


def put(db: Database, point: str, *rows: tuple[int, float], area: str = "东区", unit: str = "元/500克") -> None:
    add(db, batch(*rows, key=key(point, unit), area=area), source="s", name="a", now=NOW)


def test_a_place_gives_the_newest_revisions_of_its_last_readings(db: Database) -> None:
    put(db, "甲", *((n, float(n)) for n in range(100)))
    put(db, "甲", (99, 7.5))
    (tail,) = read_tails(db, [Place("大白菜", "东区", (), LATE)])
    assert len(tail.at) == READINGS
    assert (tail.value[0], tail.value[-1]) == (40.0, 7.5)
    assert tail.at[-1] == epoch(99)


def test_readings_after_the_end_of_a_flag_are_not_shown(db: Database) -> None:
    put(db, "甲", *((n, float(n)) for n in range(100)))
    short, long = read_tails(db, [Place("大白菜", "东区", (), epoch(10)), Place("大白菜", "东区", ("甲",), LATE)])
    assert short.value.tolist() == [float(n) for n in range(11)]
    assert long.value[-1] == 99.0


def test_a_place_is_the_median_of_its_points_each_holding_its_last_value(db: Database) -> None:
    put(db, "甲", (1, 2.0), (2, 4.0), (3, 6.0))
    put(db, "乙", (2, 8.0))
    put(db, "丙", (1, 100.0), area="西区")
    east, one, city = read_tails(
        db,
        [
            Place("大白菜", "东区", (), LATE),
            Place("大白菜", "东区", ("乙",), LATE),
            Place("大白菜", None, (), LATE),
        ],
    )
    assert east.value.tolist() == [2.0, 6.0, 7.0]
    assert one.value.tolist() == [8.0]
    assert city.value.tolist() == [51.0, 8.0, 8.0]


def test_several_units_are_each_taken_relative_to_their_own_level(db: Database) -> None:
    put(db, "甲", (1, 2.0), (2, 2.0), (3, 4.0))
    put(db, "乙", (1, 4.0), (2, 4.0), (3, 8.0), unit="元/公斤")
    (tail,) = read_tails(db, [Place("大白菜", "东区", (), LATE)])
    assert np.allclose(tail.value, [1.0, 1.0, 2.0])


def test_what_nothing_is_known_of_gives_nothing_and_many_points_are_cut_off(db: Database) -> None:
    for n in range(MOST_SERIES + 3):
        put(db, f"点{n}", (1, float(n)))
    none, nowhere, many = read_tails(
        db,
        [Place("没有", "东区", (), LATE), Place("大白菜", "南区", (), LATE), Place(CABBAGE.item, "东区", (), LATE)],
    )
    assert (len(none.at), len(nowhere.at)) == (0, 0)
    assert many.value.tolist() == [(MOST_SERIES - 1) / 2]
    assert read_tails(db, []) == []
