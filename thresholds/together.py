"""Which items must be evaluated together, so that evaluating what changed gives what evaluating everything gives.

Most rules look at one item. Ratios look at two, breadth over kinds and pooled cross-sections at a class, rules on
complaints about an item at the counts that name it, rules on baskets at all items of a class, and whether a publisher
of counts is out at all counts that it publishes. Two items of which a point once reported one in the row of the other
(thresholds.kernels.beside) are judged together too. The daemon evaluates the items that changed and, with them, all
items named here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from thresholds.catalogue import UNCLASSED, Classified, Measure, basket_of, folded
from thresholds.concerns import concerns
from thresholds.conditions import Company, walk
from thresholds.model import SeriesKey

if TYPE_CHECKING:
    from thresholds.plan import Pack, Policy, Rule

Known = Mapping[str, Collection[SeriesKey]]
"""All series there are, by item."""


@dataclass(frozen=True)
class Asked:
    """A condition of a rule that looks beyond one item."""

    rule: Rule
    pack: Pack
    names: frozenset[str]
    classes: frozenset[str | Company]
    about: frozenset[str] = frozenset()


class Together:
    """The items of `known` as groups: each is judged as a whole, none looks at another.

    exchanged  {item: items of which rows stood in the place of its rows}, both ways
    """

    def __init__(self, policy: Policy, known: Known, exchanged: Mapping[str, Collection[str]] | None = None) -> None:
        self.catalogue, self.known = policy.catalogue, known
        self.exchanged = exchanged or {}
        self.asked = list(beyond_one_item(policy))
        self.packs = policy.packs

    @cached_property
    def by_folded(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in self.known:
            found.setdefault(folded(name), set()).add(name)
        return found

    @cached_property
    def classified(self) -> dict[str, Classified]:
        return {name: self.catalogue.classify(next(iter(keys))) for name, keys in self.known.items() if keys}

    @cached_property
    def by_publisher(self) -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = {}
        for name in self.known:
            for publisher in self.publishers(name):
                found.setdefault(publisher, set()).add(name)
        return found

    @cached_property
    def concerned(self) -> dict[str, set[str]]:
        """Items whose prices are judged with counts that concern them by name, and these counts, both ways."""
        found: dict[str, set[str]] = {}
        for one in self.asked:
            counts = [name for name, c in self.classified.items() if one.about and not one.about.isdisjoint(c.chain)]
            if not counts:
                continue
            for item, c in self.classified.items():
                if not one.about.isdisjoint(c.chain) or not covers(one, c):
                    continue
                for name in counts:
                    if any(concerns(key, item, c.chain) for key in self.known[name]):
                        found.setdefault(item, set()).add(name)
                        found.setdefault(name, set()).add(item)
        return found

    @cached_property
    def baskets(self) -> dict[str, set[str]]:
        """Items of classes of whose baskets there are rules, and what the baskets are called, both ways."""
        found: dict[str, set[str]] = {}
        for name in {c for pack in self.packs for rule in pack.rules if rule.scope == "class" for c in rule.classes}:
            items = {item for item, classified in self.classified.items() if name in classified.chain}
            if items:
                found.setdefault(basket_of(name), set()).update(items)
                for item in items:
                    found.setdefault(item, set()).add(basket_of(name))
        return found

    def groups(self, items: Collection[str]) -> Iterator[frozenset[str]]:
        """The groups that `items` belong to, each once, in order of its first item by name."""
        seen: set[str] = set()
        for item in sorted(items):
            if item not in seen:
                group = self.group(item)
                seen |= group
                yield group

    def group(self, item: str) -> frozenset[str]:
        """All items that are judged with `item`, or with those in turn; itself among them, and the names of baskets,
        which flags have as their item."""
        grown = {item}
        while True:
            more = {other for name in grown for other in self.same_publisher(name)}
            more |= {other for name in grown for other in self.exchanged.get(name, ())}
            for one in self.asked:
                more |= self.named(one, grown) | self.pooled(one, grown)
            more |= {other for name in grown for other in self.concerned.get(name, ())}
            more |= {other for name in grown for other in self.baskets.get(name, ())}
            if more <= grown:
                return frozenset(grown)
            grown |= more

    def named(self, one: Asked, items: Collection[str]) -> set[str]:
        """Items that a condition names, where it names one of `items`."""
        if one.names.isdisjoint(map(folded, items)):
            return set()
        return {name for word in one.names for name in self.by_folded.get(word, ())}

    def pooled(self, one: Asked, items: Collection[str]) -> set[str]:
        """Items of the classes that a condition pools, and those judged by it, where one of `items` is among them."""
        found: set[str] = set()
        if not one.classes:
            return found
        classes = frozenset(c for c in one.classes if isinstance(c, str))
        judged = {name for name, c in self.classified.items() if covers(one, c)}
        if classes:
            every = judged | {name for name, c in self.classified.items() if not classes.isdisjoint(c.chain)}
            found |= every if not every.isdisjoint(items) else set()
        if Company.OWN_CLASS in one.classes:
            mine = {self.classified[name].name for name in judged.intersection(items)} - {UNCLASSED}
            found |= {name for name in judged if self.classified[name].name in mine}
        return found

    def same_publisher(self, item: str) -> set[str]:
        """Items counted by the same publishers (point and channel) as `item`: see thresholds.kernels.outage."""
        return {name for publisher in self.publishers(item) for name in self.by_publisher[publisher]}

    def publishers(self, item: str) -> set[tuple[str, str]]:
        counts = (k for k in self.known.get(item, ()) if self.catalogue.classify(k).measure is Measure.COUNT)
        return {(k.point, k.channel) for k in counts}


def beyond_one_item(policy: Policy) -> Iterator[Asked]:
    for pack in (*policy.packs, *policy.exits):
        for rule in pack.rules:
            for condition in walk(rule.when):
                needs = condition.needs(), condition.needs_classes(), condition.needs_about()
                if any(needs):
                    yield Asked(rule, pack, *needs)


def covers(one: Asked, classified: Classified) -> bool:
    """Whether a rule applies to items classified so."""
    chain = set(classified.chain)
    wanted = not one.rule.classes or not chain.isdisjoint(one.rule.classes)
    return wanted and chain.isdisjoint(one.rule.without_classes) and one.pack.domain in ("any", classified.domain)
