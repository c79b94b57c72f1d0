"""The catalogue: which class an item belongs to, and how its values are measured.

Rules name classes (粮, 油, 肉, …), not items. The shipped catalogue (thresholds/catalogue.toml) is extended by an
installation's own files, which win. An item is matched by its whole name first, then by the longest keyword that it
contains (one of an entry marked `first` before all others); an item that nothing matches is in class 未分类 and is
watched by the statistical rules only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from thresholds.model import SeriesKey
from thresholds.settings import Fault, Settings, TextFile, parse_toml, read_text, validate

UNCLASSED = "未分类"
SHIPPED = Path(__file__).parent / "catalogue.toml"


class Measure(StrEnum):
    """How changes of a value are measured."""

    PRICE = "price"
    """positive; changes are ratios; zero and negative values are impossible"""
    SIGNED = "signed"
    """may be zero or negative (indices, spreads, futures); changes are differences"""
    FUTURES = "futures"
    """a quoted price that may settle at or below zero; changes are differences of asinh(x/2): ratios far from zero"""
    COUNT = "count"
    """whole numbers from zero; changes are differences of 2*sqrt(x), whose variance does not grow with the count"""


class ItemClass(Settings):
    """One class. `parent`: a rule for the parent covers it too. `domain` chooses the plan."""

    name: str
    parent: str = ""
    domain: Literal["price", "finance"] = "price"
    measure: Measure | None = None


class Entry(Settings):
    """Items of one class: by whole name (`names`) or by a keyword in the name (`contains`)."""

    item_class: str
    names: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    measure: Measure | None = None
    state_set: bool = False
    """prices set by government: exempt from rules that exclude them"""
    first: bool = False
    """its keywords win over longer ones of other entries: 大白菜投诉 is no vegetable"""


class Units(Settings):
    """Units that decide the measure where neither entry nor class does, each written out whole."""

    measure: Measure
    names: tuple[str, ...]


class CatalogueFile(Settings):
    """A file of classes, items and units."""

    page = "docs/plans.md"
    kind: Literal["catalogue"]
    version: str = ""
    classes: tuple[ItemClass, ...] = ()
    items: tuple[Entry, ...] = ()
    units: tuple[Units, ...] = ()


@dataclass(frozen=True, slots=True)
class Classified:
    """What the catalogue says of one item: its class with all parents (nearest first), domain, measure."""

    chain: tuple[str, ...]
    domain: str
    measure: Measure
    state_set: bool

    @property
    def name(self) -> str:
        return self.chain[0]


class Catalogue:
    """Several catalogue files as one; earlier files win over later ones."""

    def __init__(self, parts: Sequence[CatalogueFile]) -> None:
        self.classes: dict[str, ItemClass] = {UNCLASSED: ItemClass(name=UNCLASSED)}
        self.exact: dict[str, Entry] = {}
        self.keywords: dict[str, Entry] = {}
        self.units: list[Units] = []
        self.seen: dict[tuple[str, str], Classified] = {}
        for part in parts:
            self.units.extend(part.units)
            for one in part.classes:
                self.classes.setdefault(one.name, one)
            for entry in part.items:
                for name in entry.names:
                    self.exact.setdefault(folded(name), entry)
                for word in entry.contains:
                    self.keywords.setdefault(folded(word), entry)
        self.version = "+".join(p.version for p in parts if p.version)

    def classify(self, key: SeriesKey) -> Classified:
        """Class, domain and measure of a series."""
        known = self.seen.get((key.item, key.unit))
        if known is None:
            known = self.seen[key.item, key.unit] = self.find(key)
        return known

    def find(self, key: SeriesKey) -> Classified:
        entry = self.entry(key.item)
        name = entry.item_class if entry else UNCLASSED
        chain = self.chain(name)
        known = [self.classes[c] for c in chain]
        measure = entry.measure if entry else None
        measure = measure or next((c.measure for c in known if c.measure), None) or self.by_unit(key.unit)
        return Classified(chain, known[0].domain, measure, bool(entry and entry.state_set))

    def entry(self, item: str) -> Entry | None:
        name = folded(item)
        if name in self.exact:
            return self.exact[name]
        found = [word for word in self.keywords if occurs(word, name)]
        return self.keywords[max(found, key=lambda word: (self.keywords[word].first, len(word)))] if found else None

    def chain(self, name: str) -> tuple[str, ...]:
        """The class and its parents, each once: files with a circle are refused, but the check itself walks here."""
        chain = [name]
        while (parent := self.classes[chain[-1]].parent) and parent not in chain and parent in self.classes:
            chain.append(parent)
        return tuple(chain)

    def by_unit(self, unit: str) -> Measure:
        """What the unit says: counts of things, indices; else a price, since prices are what this watches."""
        text = folded(unit)
        return next((u.measure for u in self.units if any(folded(w) == text for w in u.names)), Measure.PRICE)


def occurs(word: str, name: str) -> bool:
    """Whether the keyword is in the name. Latin words count whole only: "egg" is not in "eggplant"."""
    at = name.find(word)
    while at >= 0:
        before, after = name[:at][-1:], name[at + len(word) :][:1]
        if not (latin(before) and latin(word[0])) and not (latin(after) and latin(word[-1])):
            return True
        at = name.find(word, at + 1)
    return False


def latin(letter: str) -> bool:
    return letter.isascii() and letter.isalpha()


BASKET = "（品类均价）"


def basket_of(name: str) -> str:
    """What the mean over all items of a class is called, where flags name their item."""
    return name + BASKET


def is_basket(item: str) -> bool:
    """Whether the item of a flag is a class's mean, and no item that is reported."""
    return item.endswith(BASKET)


def point_in_basket(key: SeriesKey) -> str:
    """What a point's quotes of one item are called among those of a class: 东市场（大白菜）."""
    return f"{key.point}（{key.item}{key.spec}）"


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def load_catalogue(extra: Sequence[Path] = ()) -> tuple[Catalogue | None, list[Fault]]:
    """The installation's catalogues before the shipped one; all faults of all files at once."""
    texts, faults = read_catalogues(extra)
    return catalogue_of(texts, faults)


def read_catalogues(extra: Sequence[Path] = ()) -> tuple[list[TextFile], list[Fault]]:
    """The texts of the installation's catalogues, then of the shipped one, and why some could not be read."""
    texts: list[TextFile] = []
    faults: list[Fault] = []
    for path in [*extra, SHIPPED]:
        text, wrong = read_text(path, path.name if path == SHIPPED else str(path))
        faults.extend(wrong)
        if text is not None:
            texts.append(text)
    return texts, faults


def catalogue_of(texts: Sequence[TextFile], unread: Sequence[Fault] = ()) -> tuple[Catalogue | None, list[Fault]]:
    """A catalogue from the texts of its files. `unread`: faults that were found in reading them."""
    parts: dict[str, CatalogueFile] = {}
    faults = list(unread)
    for one in texts:
        tables, wrong = parse_toml(one.text, one.name)
        part = None
        if not wrong:
            part, wrong = validate(CatalogueFile, tables, one.name)
        faults.extend(wrong)
        if part:
            parts[one.name] = part
    known = {c.name for p in parts.values() for c in p.classes} | {UNCLASSED}
    for shown, part in parts.items():
        faults.extend(unknown_classes(part, known, shown))
        faults.extend(circles(part, list(parts.values()), shown))
    return (None, faults) if faults else (Catalogue(list(parts.values())), [])


def circles(part: CatalogueFile, all_parts: Sequence[CatalogueFile], shown: str) -> list[Fault]:
    """Classes of `part` that are, over several steps, parents of themselves."""
    catalogue = Catalogue(all_parts)
    faults = []
    for i, one in enumerate(part.classes, 1):
        chain = catalogue.chain(one.name)
        if catalogue.classes[chain[-1]].parent == one.name:
            way = " -> ".join((*chain, one.name))
            faults.append(
                Fault(shown, f"classes[{i}].parent", f"the parents form a circle: {way}", "Cut it somewhere")
            )
    return faults


def unknown_classes(part: CatalogueFile, known: set[str], shown: str) -> list[Fault]:
    remedy = "Name a class of this file or of the shipped catalogue, or add it under [[classes]]"
    items = [
        Fault(shown, f"items[{i}].item_class", f"the class {e.item_class!r} does not exist", remedy)
        for i, e in enumerate(part.items, 1)
        if e.item_class not in known
    ]
    parents = [
        Fault(shown, f"classes[{i}].parent", f"the class {c.parent!r} does not exist", remedy)
        for i, c in enumerate(part.classes, 1)
        if c.parent and c.parent not in known
    ]
    return items + parents
