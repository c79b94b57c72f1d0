"""Conditions on one series: how often something was true lately, and which series it is."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from thresholds.catalogue import folded
from thresholds.conditions import AnyCondition, Condition, Measured, Truth, condition
from thresholds.model import BoolArray, Direction, IntArray, SeriesKey
from thresholds.view import View


@condition
class MofN(Condition):
    """Of the `n` newest observations of the series, this one included, `of` was true at `m` or more.

    Use for moves that come and go (three of five days), where `lasting` would break at every calm day. Not for a
    first notice: it comes m - 1 readings late; nor across seasons: n readings of a monthly series are long. Suspected
    errors do not count among the n. Unknown while the unknown ones among the n could still make it true; a series
    with fewer than n observations is judged by those it has. Units: those of `of`. Source: this project's.
    """

    kind: Literal["m_of_n"] = "m_of_n"
    of: AnyCondition
    m: int = Field(ge=1, le=400)
    """so many"""
    n: int = Field(ge=2, le=400)
    """of so many observations"""

    @model_validator(mode="after")
    def possible(self) -> MofN:
        if self.m > self.n:
            raise ValueError("`m` is greater than `n`|Lower it: there are never more of them")
        return self

    def children(self) -> tuple[Condition, ...]:
        return (self.of,)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        inner = self.of.truth(view, direction, ease)
        found = np.zeros(len(view.panel), np.int8)
        at = np.flatnonzero(view.tested)
        hits, perhaps = (self.counted(view, at, answer) for answer in (inner == 1, inner != 0))
        found[at] = np.where(hits >= self.m, 1, np.where(perhaps >= self.m, -1, 0))
        return found

    def counted(self, view: View, at: IntArray, hit: BoolArray) -> IntArray:
        """int64[m]: at how many of the newest `n` tested observations, up to each of `at`, `hit` is true."""
        total = np.concatenate([[0], np.cumsum(hit[at])])
        here = np.arange(len(at))
        return np.asarray(total[here + 1] - total[self.oldest(view, at)], np.int64)

    def oldest(self, view: View, at: IntArray) -> IntArray:
        """int64[m]: place in `at`, the tested observations, of the oldest of the newest `n` up to each of them."""
        begin = np.searchsorted(at, view.panel.start[view.panel.series[at]])
        return np.maximum(np.arange(len(at)) - self.n + 1, begin)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        """The numbers of `of`, where it is true now; on the calm days between it says nothing."""
        measured = self.of.measure(view, at, direction)
        return None if measured is None else measured.where(self.of.truth(view, direction)[at] == 1)

    def since(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        tested = np.flatnonzero(view.tested)
        hit = np.flatnonzero(self.of.truth(view, direction)[tested] == 1)
        oldest = self.oldest(view, tested)[np.searchsorted(tested, at)]
        first = np.searchsorted(hit, oldest)  # the first that was true among the newest n
        return np.asarray(tested[hit[np.minimum(first, len(hit) - 1)]] if len(hit) else at, np.int64)


@condition
class Series(Condition):
    """The series is one of those meant: its names mention a word, its channel is one of those named.

    Use for rules that hold for one origin or stage only: the coal band of one port, retail prices. Not where a class
    of the catalogue can say it: classes are chosen before, at no cost. True where all that is given holds; names are
    compared regardless of case and width. Always known; measures nothing; no unit. Source: each rule names its own.
    """

    kind: Literal["series"] = "series"
    mentions: tuple[str, ...] = ()
    """one of these words occurs in item, spec, channel, point or area"""
    channels: tuple[str, ...] = ()
    """whole names of channels, 零售 and the like; "" for series without one"""

    @model_validator(mode="after")
    def some(self) -> Series:
        if not (self.mentions or self.channels):
            raise ValueError("neither `mentions` nor `channels` is given|Say which series are meant")
        return self

    def meant(self, key: SeriesKey, area: str) -> bool:
        names = folded(" ".join((key.item, key.spec, key.channel, key.point, area)))
        if self.mentions and not any(folded(word) in names for word in self.mentions):
            return False
        return not self.channels or folded(key.channel) in {folded(c) for c in self.channels}

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        panel = view.panel
        per_series = [self.meant(key, area) for key, area in zip(panel.keys, panel.areas, strict=True)]
        return np.array(per_series, np.bool_)[panel.series].astype(np.int8)
