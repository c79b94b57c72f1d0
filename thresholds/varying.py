"""Which thresholds of a rule can be varied, and the rule with another value there.

A rule is varied as it stands in its file, so that every value is checked like one that somebody wrote there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from thresholds.kinds import KINDS
from thresholds.plan import Pack, Rule
from thresholds.settings import Fault, validate

Value = int | float | str | bool
Steps = tuple[str | int, ...]

BRANCHES = ("all", "any", "not")
OF_RULE = ("hold_days", "ease")
THRESHOLDS = (
    "value",
    "percent",
    "times",
    "width",
    "limit",
    "share",
    "c",
    "above",
    "below",
    "alpha",
    "level",
    "chance",
)
"""Keys by which a condition is made stricter or looser, the first one that it has"""
FACTORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3)
"""A grid round a rule's own value: close by for choosing, wide enough to see the whole curve"""


@dataclass(frozen=True)
class Place:
    """One key of a rule. `steps` lead to it from the rule's table; `table` is the one it stands in."""

    steps: Steps
    kind: str
    table: Mapping[str, Any]
    own: object
    written: bool
    """whether the file gives it; else `own` is its default"""

    @property
    def key(self) -> str:
        return str(self.steps[-1])

    @property
    def name(self) -> str:
        """As faults name it: when.all[1].percent."""
        text = ""
        for step in self.steps:
            text += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
        return text[1:]

    def __str__(self) -> str:
        return f"{self.name} (own value {self.own})" if self.written else f"{self.name} (default {self.own})"


def places(rule: Mapping[str, Any]) -> list[Place]:
    """All keys of a rule's table that can be varied, those of the rule itself last."""
    found = []
    for steps, table in conditions(rule["when"], ("when",)):
        kind = kind_of(table)
        for key, field in KINDS[kind].model_fields.items():
            if key not in ("kind", "of"):
                found.append(Place((*steps, key), kind, table, own(table, key, field), key in table))
    fields = Rule.model_fields
    return found + [Place((key,), "rule", rule, own(rule, key, fields[key]), key in rule) for key in OF_RULE]


def conditions(value: Any, steps: Steps) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    """The tables of a condition and of all below it, with the way to them."""
    if isinstance(value, list):
        for i, one in enumerate(value):
            yield from conditions(one, (*steps, i))
    elif isinstance(value, Mapping):
        if kind_of(value):
            yield steps, value
        for key, below in value.items():
            yield from conditions(below, (*steps, key))


def kind_of(table: Mapping[str, Any]) -> str:
    """The kind of a condition, empty for a table that is none."""
    short = next((name for name in BRANCHES if name in table), "")
    return str(table.get("kind", short))


def own(table: Mapping[str, Any], key: str, field: FieldInfo) -> object:
    default = None if field.default is PydanticUndefined else field.default
    return table.get(key, default)


def called(every: Sequence[Place], wanted: str) -> list[Place]:
    """The places that `wanted` names: a key, kind.key, or the end of a name. One threshold that is written in several
    equal conditions is one. Raises ValueError where nothing or more than one is meant."""
    found = [p for p in every if wanted in (p.key, f"{p.kind}.{p.key}", p.name) or p.name.endswith(f".{wanted}")]
    found = [p for p in found if p.written] or found  # a key that is written is meant rather than a default
    if not found:
        has = ", ".join(p.name for p in every)
        raise ValueError(f"the rule has no key {wanted!r}; it has {has}")
    return only_one(found)


def threshold(every: Sequence[Place]) -> list[Place]:
    """The places of the rule's own threshold. Raises ValueError where it has none or several."""
    found = []
    tables = {p.steps[:-1] for p in every}
    for table in sorted(tables, key=str):
        here = {p.key: p for p in every if p.steps[:-1] == table}
        best = next((here[k] for k in THRESHOLDS if k in here and is_number(here[k].own) and here[k].own), None)
        if best is not None:
            found.append(best)
    if not found:
        raise ValueError(f"the rule has no threshold that is a number; it has {', '.join(p.name for p in every)}")
    return only_one(found)


def only_one(found: list[Place]) -> list[Place]:
    if all(p.table == found[0].table and p.key == found[0].key for p in found):
        return found
    several = ", ".join(map(str, found))
    raise ValueError(f"it is not clear which threshold is meant: {several}. Name one of them")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def grid(place: Place) -> list[Value]:
    """Values round the rule's own one, rising in strength. Raises ValueError where that is no number."""
    value = place.own
    if not isinstance(value, int | float) or isinstance(value, bool) or not value:
        raise ValueError(f"{place} is no number to vary; give the values: {place.key}=…,…")
    annotation = KINDS[place.kind].model_fields[place.key].annotation if place.kind in KINDS else int
    if place.kind == "rule":
        annotation = Rule.model_fields[place.key].annotation
    whole = annotation is int
    values: list[Value] = []
    for factor in FACTORS:
        near: Value = value if factor == 1 else max(1, round(value * factor)) if whole else short(value * factor)
        if near not in values:
            values.append(near)
    return values


def short(x: float) -> float:
    """Three significant digits."""
    return float(f"{x:.3g}")


def parsed(text: str) -> Value:
    """A value as it would be written in the file, text without its quotation marks."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


@dataclass(frozen=True)
class Draft:
    """A rule as it stands in the file of its pack."""

    name: str
    """of the file, as faults name it"""
    tables: Mapping[str, Any]
    index: int

    @property
    def rule(self) -> Mapping[str, Any]:
        rule: Mapping[str, Any] = self.tables["rules"][self.index]
        return rule

    def with_value(self, where: Sequence[Place], value: Value) -> tuple[Pack | None, list[Fault]]:
        """The pack with this rule alone, with another value at these places; or why that is no rule."""
        tables = deepcopy(dict(self.tables))
        for place in where:
            *way, key = place.steps
            table = tables["rules"][self.index]
            for step in way:
                table = table[step]
            table[key] = value
        pack, faults = validate(Pack, tables, self.name)
        return (alone(pack, self.index) if pack else None), faults


def alone(pack: Pack, index: int) -> Pack:
    """The pack with one of its rules."""
    return pack.model_copy(update={"rules": (pack.rules[index],)})


def drafted(pack: Pack, tables: Mapping[str, Any], name: str, wanted: str | None) -> Draft:
    """The rule of this id, or the only one of the pack. Raises ValueError for any other."""
    ids = [rule.id for rule in pack.rules]
    if wanted is None and len(ids) > 1:
        raise ValueError(f"{name} has {len(ids)} rules; name one of them: {', '.join(ids)}")
    if wanted is not None and wanted not in ids:
        raise ValueError(f"{name} has no rule {wanted!r}; it has {', '.join(ids)}")
    return Draft(name, tables, ids.index(wanted) if wanted else 0)
