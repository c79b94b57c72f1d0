"""Outages of publishers: one question for all counts that are missing, no warning there and back (P4, P15)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.thresholds.build import at, found, panel_of, policy_of, quotes, rule, shipped_catalogue
from tests.thresholds.test_detect import ends, essence
from thresholds.model import Doubt, Flag, Kind, Observation
from thresholds.quality import Status, gate

STEADY = [40, 44, 38, 41, 43, 39, 40, 42]
CHANGE = rule({"kind": "change", "over": "previous", "percent": 50})
SURGE = rule({"kind": "surge", "alpha": 0.01})


def counts(*series: Sequence[float], point: str = "热线", every: int = 7, times: float = 1.0) -> list[Observation]:
    """One category of complaints per series, weekly."""
    return [
        o
        for n, values in enumerate(series)
        for o in quotes(
            [times * v for v in values], item=f"第{n}类投诉", unit="件", point=point, area="全市", every=every
        )
    ]


def flags(rows: Sequence[Observation]) -> list[Flag]:
    return [f for f in found(rows, policy_of(CHANGE, SURGE)).flags if f.kind is not Kind.SILENCE]


def weeks(flag: Flag) -> tuple[str, int, int | None]:
    """What, when first flagged and when over, in weeks."""
    told = [None if t is None else (t - at(0)).days // 7 for t in (flag.first_flagged, flag.end)]
    assert told[0] is not None
    return ("move" if flag.kind is Kind.MOVE else flag.rule, told[0], told[1])


def test_an_outage_is_one_question_and_its_return_no_surge() -> None:
    """Four categories fall to nothing for three weeks and come back: one flag of kind data, nothing else."""
    rows = counts(*[[*STEADY, 1, 0, 2, 41, 40]] * 4)
    (flag,) = flags(rows)
    assert weeks(flag) == ("gate/outage", 8, 11)
    assert (flag.item, flag.point, flag.end_reason, flag.last_hit) == ("第3类投诉", "热线", "resumed", at(70))
    assert flag.reason == (
        "第3类投诉等4项在全市热线同日近乎归零，疑为数据中断而非下降（其中第3类投诉由此前约40.5件降至1件）。"
        "中断期间的数值不计入基线、不作预警，恢复时亦不视为激增，请向数据报送单位核实。"
    )


def test_it_stands_with_the_largest_series() -> None:
    """The total is the one that people know."""
    total = [9.0 * v for v in STEADY] + [2.0]
    rows = counts(*[[*STEADY, 1]] * 3)
    rows += quotes(total, item="总投诉", unit="件", point="热线", area="全市", every=7)
    (flag,) = flags(rows)
    assert (flag.item, flag.expected, flag.value) == ("总投诉", 9 * 40.5, 2)


def test_a_real_fall_of_one_of_them_is_a_move() -> None:
    """One category falls to a tenth while the others go on; and one of them doubles while nothing is out."""
    assert [weeks(f)[:2] for f in flags(counts([*STEADY, 4], *[[*STEADY, 41]] * 3))] == [("move", 8)]
    assert [weeks(f)[:2] for f in flags(counts([*STEADY, 90], *[[*STEADY, 41]] * 3))] == [("move", 8)]


def test_all_at_a_third_is_incomplete_and_then_stopped() -> None:
    """Six categories at a third of a month are told as incomplete; that nothing comes any more is told once more."""
    rows = counts(*[[*STEADY, 14, 0, 1, 0, 42]] * 6)
    partly, stopped = flags(rows)
    assert (weeks(partly), weeks(stopped)) == (("gate/outage", 8, 12), ("gate/outage", 9, 12))
    assert "疑为当期数据不完整" in partly.reason
    assert "疑为数据中断" in stopped.reason


def test_each_publisher_has_its_own() -> None:
    """Two hotlines at the same time, and a second outage of one of them later."""
    once, twice = [*STEADY, 0, 41, *STEADY, 40], [*STEADY, 0, 41, *STEADY, 0]
    rows = counts(*[once] * 3) + counts(*[twice] * 3, point="网站")
    told = sorted(flags(rows), key=lambda f: (f.first_flagged, f.point))
    assert [(f.point, *weeks(f)) for f in told] == [
        ("热线", "gate/outage", 8, 9),
        ("网站", "gate/outage", 8, 9),
        ("网站", "gate/outage", 18, None),
    ]


def test_one_series_on_its_own() -> None:
    """A steady hotline that says nothing: asked about, over when it is heard again."""
    (flag,) = flags(counts([*STEADY, 0, 41]))
    assert weeks(flag) == ("gate/outage", 8, 9)
    assert flag.reason.startswith("第0类投诉在全市热线同日近乎归零")


def test_it_is_over_when_half_are_heard_again() -> None:
    """Four stop, one comes back, then two more: over at the second of them; the last one opens nothing new."""
    rows = counts([*STEADY, 0, 40, 40, 40, 40], *[[*STEADY, 0, 0, 40, 40, 40]] * 2, [*STEADY, 0, 0, 0, 0, 40])
    assert [weeks(f) for f in flags(rows)] == [("gate/outage", 8, 10)]


def test_counts_of_an_outage_are_no_baseline() -> None:
    """They are neither accepted nor tested, with their doubt; the others of the day are."""
    rows = counts(*[[*STEADY, 1, 41]] * 3) + quotes([3.2] * 10, every=7)
    panel = panel_of(rows)
    judged = gate(panel, [shipped_catalogue().classify(k) for k in panel.keys])
    missing = np.flatnonzero(judged.status == Status.MISSING)
    assert panel.value[missing].tolist() == [1, 1, 1]
    assert (judged.doubt[missing] == Doubt.OUTAGE).all()
    assert not judged.accepted[missing].any()
    assert not judged.tested[missing].any()
    assert judged.accepted.sum() == len(panel) - 3


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_changes_nothing_that_was_told(seed: int) -> None:
    """Outages of several kinds at random, cut at every week: the same flags with the same words and ends."""
    rng = np.random.default_rng(seed)
    table = rng.poisson(40, (7, 40)).astype(float)
    for _ in range(4):
        some, first, length = rng.random(7) < 0.8, int(rng.integers(8, 36)), int(rng.integers(1, 5))
        table[some, first : first + length] *= rng.choice([0.0, 0.02, 0.3])
    rows = counts(*np.round(table).tolist())
    whole = flags(rows)
    assert len(whole) >= 2
    for week in range(8, 40):
        part = flags([o for o in rows if o.at <= at(7 * week)])
        known = [f for f in whole if f.first_flagged <= at(7 * week)]
        assert [essence(f) for f in part] == [essence(f) for f in known]
        assert ends(part, at(7 * week)) == ends(known, at(7 * week))
