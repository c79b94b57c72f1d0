"""From what a rule measured to the grade that it proposes.

1. A published rule proposes the grade that it names.
2. A statistical rule proposes grades by its score (`rank_from_score`), of these the lowest only, unless a published
   rule proposes a grade for the same flag too or the flag is the whole city's.
3. One grade more where the flag is the whole city's, or where it has lasted `persistent_days` of the plan.
4. Instead, one grade less around Spring Festival where the year before moved alike at the same distance from it: the
   whole city moves then, and for days.
5. Never more than the plan lets numbers propose (P13: price grades II and I are legal facts). A rule that needs a
   recorded decision proposes exactly the grade that it names.

Everything is decided for a hit by what was known at its time, so a flag's grade rises and never changes afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from thresholds import lunar
from thresholds.calendar import Lag
from thresholds.episodes import CITY, Episodes, Hits
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import DAY

if TYPE_CHECKING:
    from thresholds.plan import Plan, Rule
    from thresholds.view import View

ALIKE = 2 / 3
"""A move is the festival's own where the year before moved the same way and at least this share as far."""


class Why(IntFlag):
    """What changed a proposed grade."""

    NOTHING = 0
    BROAD = 1
    LASTING = 2
    FESTIVAL = 4


WORDS = {
    Why.BROAD: "波及多个区域，建议等级提高一级",
    Why.LASTING: "持续多日，建议等级提高一级",
    Why.FESTIVAL: "春节前后且与上年农历同期变动相近，建议等级降低一级",
}


@dataclass(frozen=True)
class Ranks:
    """Per hit: the rank that it proposes (0: none) and what changed it (bits of `Why`)."""

    rank: NDArray[np.int32]
    why: NDArray[np.uint8]


def base_ranks(rule: Rule, score: FloatArray) -> NDArray[np.int32]:
    """int32[n]: the rank that a rule proposes by itself for hits of these scores (in its own unit, either sign)."""
    if not rule.rank_from_score:
        return np.full(len(score), rule.rank, np.int32)
    steps = np.array(rule.rank_from_score)
    return np.searchsorted(steps, np.where(np.isnan(score), 0.0, np.abs(score)), "right").astype(np.int32)


def proposed(
    hits: Hits,
    result: Episodes,
    base: NDArray[np.int32],
    statistical: BoolArray,
    festival: BoolArray,
    plans: Sequence[Plan | None],
    plan: NDArray[np.int32],
) -> Ranks:
    """The ranks of all hits.

    base         int32[n], what the rule of each hit proposes by itself; `statistical` bool[n], by its score
    festival     bool[n], hits that the year before moved alike (`alike_last_year`)
    plan         int32[n], index into `plans`: the plan in force for the hit's item
    """
    n = len(hits)
    rank, why = np.zeros(n, np.int32), np.zeros(n, np.uint8)
    at = np.flatnonzero((result.member >= 0) & hits.opens)  # a hit that only carries on proposes nothing
    if not len(at):
        return Ranks(rank, why)
    episode = result.member[at]
    broad = result.area[episode] == CITY
    ruled = since_ruled(hits, result, at[(base[at] > 0) & ~statistical[at]])
    usual = festival[at]  # the whole city moves at the festival: that it does so confirms nothing
    known = (broad & ~usual) | (hits.time[at] >= ruled[episode])
    own = np.where(statistical[at] & ~known, np.minimum(base[at], 1), base[at])
    days = np.array([p.persistent_days if p else 0 for p in plans], np.int64)[plan[at]]
    lasted = (days > 0) & (hits.time[at] - hits.time[result.first[episode]] >= days * DAY)
    # a rule that only reports or watches proposes no grade, however it goes on
    asks = (base[at] > 0) | statistical[at]
    more = asks & (broad | lasted) & ~usual
    less = asks & usual & (own > 0)
    most = np.array([p.highest if p else 0 for p in plans], np.int32)[plan[at]]
    decided = ~statistical[at] & (base[at] > most)  # such a rule needs a recorded decision, or it would be refused
    more, less = more & ~decided, less & ~decided
    rank[at] = np.where(decided, base[at], np.clip(own + more.astype(np.int32) - less, 0, most))
    bits = np.where(more & broad, Why.BROAD, 0) | np.where(more & ~broad, Why.LASTING, 0)
    why[at] = bits | np.where(less, Why.FESTIVAL, 0)
    return Ranks(rank, why)


def since_ruled(hits: Hits, result: Episodes, at: IntArray) -> IntArray:
    """int64[n_episodes]: from when a published rule proposes a grade for the episode; never where none does."""
    since = np.full(len(result.first), np.iinfo(np.int64).max)
    np.minimum.at(since, result.member[at], hits.time[at])
    return since


def alike_last_year(view: View, at: IntArray, base: IntArray | None) -> BoolArray:
    """bool[n]: hits near Spring Festival whose move the year before had too, at the same distance from the festival.

    at, base   positions of the hits and of what they are compared with; None where that is no observation
    """
    found = np.zeros(len(at), np.bool_)
    if base is None or not len(at):
        return found
    near = np.flatnonzero((np.abs(lunar.offset(view.panel.day[at])) <= lunar.NEAR) & (base >= 0))
    if not len(near):
        return found
    here, there = (view.base_at(Lag.LUNAR_YEAR, None, positions[near]) for positions in (at, base))
    with np.errstate(invalid="ignore"):
        move = view.scaled_at(at[near]) - view.scaled_at(base[near])
        then = view.scaled_at(here) - view.scaled_at(there)
        alike = (np.sign(move) == np.sign(then)) & (np.abs(then) >= ALIKE * np.abs(move))
    found[near] = (here >= 0) & (there >= 0) & alike
    return found


def remark(why: int) -> str:
    """What changed the proposed grade, in Chinese; empty for nothing."""
    return "；".join(text for bit, text in WORDS.items() if why & bit)
