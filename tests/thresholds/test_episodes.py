"""The machine that makes episodes of hits, against a slow one in plain Python and by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresholds.episodes import CITY, CLEARED, EXCEEDED, FURTHER, GRADE, MERGED, NEVER, OPEN, Episodes, Hits, episodes


@dataclass(frozen=True, order=True)
class Hit:
    """One hit as in a table: `hold` is how long after it the episode lasts."""

    key: int
    time: int
    area: int
    score: float
    opens: bool = True
    hold: int = 5
    n_areas: int = 4
    series: int = 0
    level: float = 0.0
    leap: bool = False


def run(hits: list[Hit]) -> tuple[Episodes, list[Hit]]:
    rows = sorted(hits, key=lambda h: (h.key, h.time, h.area))
    columns = Hits(
        np.array([h.key for h in rows], np.int64),
        np.array([h.area for h in rows], np.int32),
        np.array([h.n_areas for h in rows], np.int32),
        np.array([h.time for h in rows], np.int64),
        np.array([h.time + h.hold if h.hold < 900 else NEVER for h in rows], np.int64),
        np.array([h.opens for h in rows], np.bool_),
        np.array([h.score for h in rows], np.float64),
        np.array([h.series for h in rows], np.int64),
        np.array([h.level for h in rows], np.float64),
        np.array([h.leap for h in rows], np.bool_),
    )
    return episodes(columns, 5), rows


@dataclass
class Episode:
    key: int
    area: int
    start: int
    until: int = 0
    peak: float = 0.0
    last: int = 0
    end: int = NEVER
    how: int = OPEN
    leader: Hit | None = None
    """the hit that was told about"""
    hits: list[int] = field(default_factory=list)


class Slow:
    """The same machine, told in sets and dictionaries."""

    def __init__(self, rows: list[Hit]) -> None:
        self.rows, self.all = rows, list[Episode]()
        for key in sorted({h.key for h in rows}):
            self.open: dict[int, Episode] = {}
            self.over: dict[int, Episode] = {}
            mine = [i for i, h in enumerate(rows) if h.key == key]
            for now in sorted({rows[i].time for i in mine}):
                self.step(key, now, [i for i in mine if rows[i].time == now])
            self.expire(NEVER)

    def expire(self, now: int) -> None:
        for slot, one in list(self.open.items()):
            if one.until < now:
                one.end, one.how = one.until, CLEARED
                self.over[slot] = self.open.pop(slot)

    def held_back(self, slot: int, now: int, score: float) -> bool:
        before = self.over.get(slot)
        return before is not None and now <= before.end + (before.end - before.last) and score <= before.peak

    def begin(self, key: int, slot: int, now: int) -> None:
        self.open[slot] = Episode(key, slot, now)
        self.all.append(self.open[slot])

    def step(self, key: int, now: int, at: list[int]) -> None:
        self.expire(now)
        openers = [i for i in at if self.rows[i].opens]
        areas = {self.rows[i].area for i in openers}
        strongest = max((self.rows[i].score for i in openers), default=0.0)
        whole = len(areas) >= 3 or (len(areas) == 2 and 2 * len(areas) >= self.rows[at[0]].n_areas)
        if whole and CITY not in self.open and not self.held_back(CITY, now, strongest):
            for slot in list(self.open):
                one = self.open.pop(slot)
                one.end, one.how = now, MERGED
            self.begin(key, CITY, now)
        for slot in list(self.open):
            here = [self.rows[i] for i in openers if slot in (CITY, self.rows[i].area)]
            if any(is_further(h.score, self.open[slot].peak) or leads_on(h, self.open[slot]) for h in here):
                one = self.open.pop(slot)
                one.end, one.how = now, EXCEEDED
                self.begin(key, slot, now)
        for i in at:
            self.take(key, now, i)

    def take(self, key: int, now: int, i: int) -> None:
        hit = self.rows[i]
        slot = CITY if CITY in self.open else hit.area
        if slot not in self.open:
            back = self.held_back(slot, now, hit.score) or self.held_back(CITY, now, hit.score)
            if back or not hit.opens:
                return
            self.begin(key, slot, now)
        one = self.open[slot]
        one.hits.append(i)
        one.last = now
        one.until = max(one.until, now + hit.hold if hit.hold < 900 else NEVER)
        if hit.opens:
            one.peak = max(one.peak, hit.score)
        if hit.opens and now == one.start:
            one.leader = min(one.leader or hit, hit, key=lambda h: (-h.score, h.series, -h.level))


def is_further(score: float, peak: float) -> bool:
    same_grade = int(score // GRADE) == int(peak // GRADE)
    return peak > 0 and same_grade and score % GRADE > FURTHER * (peak % GRADE)


def leads_on(hit: Hit, one: Episode) -> bool:
    told = one.leader
    same_grade = int(hit.score // GRADE) == int(one.peak // GRADE)
    return hit.leap and told is not None and hit.series == told.series and hit.level > told.level and same_grade


SCORE = st.sampled_from([1.0, 1.1, 1.2, 1.5, 2.0, 4.0, GRADE + 1.0, GRADE + 1.5])
HITS = st.lists(
    st.builds(
        Hit,
        key=st.integers(0, 1),
        time=st.integers(1, 12),
        area=st.integers(0, 3),
        score=SCORE,
        opens=st.sampled_from([True, True, False]),
        hold=st.sampled_from([1, 2, 3, 5, 999]),
        series=st.integers(0, 2),
        leap=st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=500)
@given(HITS, st.sampled_from([2, 4, 5]))
def test_the_machine_does_what_the_slow_one_does(hits: list[Hit], n_areas: int) -> None:
    """Hold, hysteresis, refractory, widening, merging, further moves: the same episodes from the same hits."""
    got, rows = run([replace(h, n_areas=n_areas, level=(7 * h.series + 5 * h.time) % 4) for h in hits])
    slow = Slow(rows)
    expected = [(rows[e.hits[0]].time, e.area, e.last, e.end, e.how, e.hits) for e in slow.all]
    found = [
        (
            rows[int(got.first[e])].time,
            int(got.area[e]),
            int(got.last_hit[e]),
            int(got.end[e]),
            int(got.how[e]),
            np.flatnonzero(got.member == e).tolist(),
        )
        for e in range(len(got.first))
    ]
    assert sorted(found) == sorted(expected)


@settings(max_examples=200)
@given(HITS, st.integers(1, 12))
def test_what_comes_later_changes_no_episode_that_began_before(hits: list[Hit], cut: int) -> None:
    """Cut at any time: the same episodes had begun, and those that had ended had ended the same."""
    whole, rows = run(hits)
    part, known = run([h for h in hits if h.time <= cut])

    def begun(one: Episodes, of: list[Hit]) -> list[tuple[int, int, int, int]]:
        out = []
        for e in range(len(one.first)):
            hit = of[int(one.first[e])]
            end = int(one.end[e]) if one.end[e] <= cut else NEVER
            if hit.time <= cut:
                out.append((hit.key, hit.time, int(one.area[e]), end))
        return sorted(out)

    assert begun(part, known) == begun(whole, rows)


def told(hits: list[Hit]) -> list[tuple[int, int, int, int]]:
    """(area, first, end, how) of each episode."""
    got, rows = run(hits)
    return [
        (int(got.area[e]), rows[int(got.first[e])].time, int(got.end[e]), int(got.how[e]))
        for e in range(len(got.first))
    ]


def test_hits_within_the_hold_are_one_episode() -> None:
    """Days 1, 4 and 9 with a hold of 5 are one; after 5 quiet days it is over, at that time."""
    assert told([Hit(0, t, 0, 1.0) for t in (1, 4, 9)]) == [(0, 1, 14, CLEARED)]


def test_weaker_hits_carry_on_but_do_not_open() -> None:
    """Hysteresis: what stays above nine tenths of the threshold keeps a flag open; alone it is nothing."""
    weak = [Hit(0, t, 0, 0.95, opens=False) for t in (5, 9, 13)]
    assert told(weak) == []
    assert told([Hit(0, 1, 0, 1.0), *weak]) == [(0, 1, 18, CLEARED)]


def test_after_an_end_hits_no_stronger_are_held_back() -> None:
    """For as long as the hold was: day 8 is held back, a stronger one on day 8 and the same one on day 12 are not."""
    first = Hit(0, 1, 0, 1.2)
    assert told([first, Hit(0, 8, 0, 1.2)]) == [(0, 1, 6, CLEARED)]
    assert told([first, Hit(0, 8, 0, 1.3)]) == [(0, 1, 6, CLEARED), (0, 8, 13, CLEARED)]
    assert told([first, Hit(0, 12, 0, 1.2)]) == [(0, 1, 6, CLEARED), (0, 12, 17, CLEARED)]


def test_several_areas_at_once_are_the_city_and_end_their_own_flags() -> None:
    """One area first; then a second of two at the same time: the city takes over, the first is merged into it."""
    hits = [Hit(0, 1, 0, 1.0, n_areas=2), Hit(0, 3, 0, 1.0, n_areas=2), Hit(0, 3, 1, 1.0, n_areas=2)]
    assert told(hits) == [(0, 1, 3, MERGED), (CITY, 3, 8, CLEARED)]


@pytest.mark.parametrize(("areas", "of", "city"), [(2, 4, True), (2, 5, False), (3, 16, True), (1, 1, False)])
def test_how_many_areas_make_the_city(areas: int, of: int, city: bool) -> None:
    """Three of any number, or two where they are half."""
    found = told([Hit(0, 1, area, 1.0, n_areas=of) for area in range(areas)])
    assert [area for area, *_ in found] == ([CITY] if city else list(range(areas)))


def test_areas_hit_on_different_days_stay_apart() -> None:
    """Merging asks for the same time: two areas of two, a day apart, are two flags."""
    assert [a for a, *_ in told([Hit(0, 1, 0, 1.0, n_areas=2), Hit(0, 2, 1, 1.0, n_areas=2)])] == [0, 1]


def test_a_further_move_is_told_again_whatever_the_order_of_hits() -> None:
    """A move 1.3 times as strong as all before is news, also where a weaker rule hits at the same time."""
    news = [Hit(0, 3, 0, 1.0), Hit(0, 3, 0, 2.0)]
    for order in (news, news[::-1]):
        assert told([Hit(0, 1, 0, 1.2), *order]) == [(0, 1, 3, EXCEEDED), (0, 3, 8, CLEARED)]
    assert told([Hit(0, 1, 0, 1.2), Hit(0, 3, 0, 1.5)]) == [(0, 1, 8, CLEARED)]


def test_a_leap_to_where_the_series_has_not_been_is_told_again() -> None:
    """However weak it is beside the first one; but no leap back, no climb, no other series, no weaker grade."""
    first = Hit(0, 1, 0, 2.0, series=1, level=10.0)
    assert told([first, Hit(0, 3, 0, 1.0, series=1, level=11.0, leap=True)]) == [
        (0, 1, 3, EXCEEDED),
        (0, 3, 8, CLEARED),
    ]
    for other in (
        Hit(0, 3, 0, 1.0, series=1, level=10.0, leap=True),
        Hit(0, 3, 0, 1.0, series=1, level=11.0),
        Hit(0, 3, 0, 1.0, series=2, level=11.0, leap=True),
        Hit(0, 3, 0, 1.0, series=1, level=11.0, leap=True, opens=False),
    ):
        assert told([first, other]) == [(0, 1, 8, CLEARED)]
    graded = Hit(0, 1, 0, GRADE + 2.0, series=1, level=10.0)
    assert told([graded, Hit(0, 3, 0, 1.0, series=1, level=11.0, leap=True)]) == [(0, 1, 8, CLEARED)]


@pytest.mark.parametrize("later", [2, 1])
def test_what_was_told_about_is_the_strongest_hit_whatever_the_order_of_hits(later: int) -> None:
    """Of equals the series that comes first by name."""
    hits = [
        Hit(0, 1, 0, 1.5, series=2, level=5.0),
        Hit(0, 1, 0, 1.5, series=1, level=7.0),
        Hit(0, 1, 0, 1.2, series=0),
    ]
    leap = Hit(0, 3, 0, 1.0, series=later, level=8.0, leap=True)
    for order in (hits, hits[::-1]):
        assert len(told([*order, leap])) == (2 if later == 1 else 1)


def test_an_episode_whose_hold_lies_beyond_the_data_is_open() -> None:
    """Nothing is over before it is known to be."""
    assert told([Hit(0, 1, 0, 1.0, hold=999)]) == [(0, 1, NEVER, OPEN)]


def test_items_and_directions_are_kept_apart() -> None:
    """What one key does, its refractory too, is nothing to the next key."""
    assert told([Hit(0, 1, 0, 2.0), Hit(1, 7, 0, 1.0)]) == [(0, 1, 6, CLEARED), (0, 7, 12, CLEARED)]
