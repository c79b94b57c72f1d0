"""Prices typed into the form of a day: read field by field, abnormal ones asked back, the others ready to be stored.

A field that is left empty is no report: a price that is missing is not zero. What is asked back is not stored until
its reporter gave the reason, or confirmed it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from collectors.sheet_values import CellError, clean_name, clean_note, parse_value
from monitor.entry.model import Line
from thresholds.catalogue import Classified
from thresholds.explain import Limits, Question, question
from thresholds.model import Observation, SeriesKey

LEAST_REASON = 2
"""Characters that a reason has at least: 节日, 天气; a dot is none."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person wrote for one series: the price as text, the reason, and whether an odd price is meant."""

    value: str
    note: str = ""
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One field as understood. Exactly one of these holds: nothing was written (`value` None and no `error`), it
    cannot be read (`error`), something is asked (`question`), or it is ready to be stored.

    error   what is wrong and how to mend it (Simplified Chinese, as the sheet reader says it)
    """

    line: Line
    typed: Typed
    value: float | None = None
    note: str = ""
    error: str = ""
    question: Question | None = None

    @property
    def ready(self) -> bool:
        return self.value is not None and not self.error and self.question is None


def understood(line: Line, typed: Typed, classify: Callable[[SeriesKey], Classified], limits: Limits) -> Field:
    """One field: read, then compared with the report before."""
    if not typed.value.strip():
        return Field(line, typed)
    try:
        value, behind = parse_value(typed.value, line.key.unit)
        note = clean_note("；".join(part for part in (typed.note.strip(), behind) if part))
    except CellError as error:
        return Field(line, typed, error=str(error))
    if line.day is not None and line.day.value == value:
        return Field(line, typed, value, note)  # sent before: nothing to ask again
    before = None if line.before is None else line.before.value
    asked = question(value, before, line.key, classify(line.key), limits)
    if asked is None or answered(asked, note, typed.sure):
        return Field(line, typed, value, note)
    return Field(line, typed, value, note, question=asked)


def answered(asked: Question, note: str, sure: bool) -> bool:
    """Whether a question is settled: a reason is given, and what looks like a slip is confirmed."""
    if not asked.possible:
        return False
    return len(note.strip()) >= LEAST_REASON and (sure or not asked.to_confirm)


def observations_of(fields: Sequence[Field], at: datetime, area: str) -> list[Observation]:
    """What is ready, as observations of the time `at`; `area` where a series has none."""
    return [
        Observation(one.line.key, at, one.value, one.line.area or area, "", one.note)
        for one in fields
        if one.ready and one.value is not None
    ]


def new_line(parts: Mapping[str, str], point: str, area: str) -> Line | str:
    """A series that the point has not reported before, from the fields item, spec, unit and channel; or what is wrong
    with them."""
    try:
        names = {field: clean_name(parts.get(field, "")) for field in ("item", "spec", "unit", "channel")}
    except CellError as error:
        return str(error)
    if not names["item"]:
        return "请写品种名称"
    if not names["unit"]:
        return "请写计量单位，如 元/500克"
    return Line(0, SeriesKey(point=point, **names), area, False, None, None)
