"""Reading plans and rule packs from their TOML files, and checking what types cannot.

All faults are told at once, each with file, key and remedy. See docs/plans.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from thresholds.catalogue import Catalogue, catalogue_of, read_catalogues
from thresholds.conditions_recorded import rests_on_decision
from thresholds.exit_rules import EXIT, exit_faults, not_lifted
from thresholds.plan import Pack, Plan, Policy, PolicyTexts, Rule
from thresholds.records import RecordsFile, problems
from thresholds.settings import Fault, TextFile, load, parse_toml, read_text, validate

One = TypeVar("One", Plan, Pack)

SHIPPED = Path(__file__).parent / "plans"


@dataclass
class Loaded:
    """Files read so far, with all faults."""

    plans: dict[str, Plan]
    packs: dict[str, Pack]
    faults: list[Fault]
    digest: hashlib._Hash
    files: dict[str, str]
    """by id of a pack: the file it was read from"""
    recorded: list[tuple[str, RecordsFile]] = field(default_factory=list)
    """with the name of the file"""


def load_policy(
    folders: Sequence[Path] = (),
    *,
    catalogues: Sequence[Path] = (),
    plans: Sequence[str] = ("price-daqing", "finance-luohe"),
    enable: Sequence[str] = (),
    disable: Sequence[str] = (),
    shown: str = "config.toml",
) -> tuple[Policy | None, list[Fault]]:
    """Read the shipped plans and packs, those of `folders`, and the catalogues. All faults at once.

    `enable` and `disable` name packs whose own `enabled` is overruled; `shown` names the file these come from.
    """
    files: list[TextFile] = []
    faults: list[Fault] = []
    for folder in [SHIPPED, *folders]:
        if not folder.is_dir():
            faults.append(Fault(shown, "detection.plan_folders", f"{folder} is not a folder", "Correct the path"))
        for path in sorted(folder.glob("*.toml")):
            text, wrong = read_text(path, path.name)
            faults.extend(wrong)
            if text is not None:
                files.append(text)
    parts, wrong = read_catalogues(catalogues)
    texts = PolicyTexts(tuple(files), tuple(parts), tuple(plans))
    return policy_of(
        texts, [*faults, *wrong], lambda loaded: choose_packs(loaded, plans, enable, disable, shown), shown
    )


def policy_again(texts: PolicyTexts) -> tuple[Policy | None, list[Fault]]:
    """The policy that these texts were taken from. Faults: this version of the program reads such files otherwise."""

    def as_then(loaded: Loaded) -> tuple[Pack, ...]:
        on = [p for p in loaded.packs.values() if p.id in texts.packs]
        return tuple(sorted((with_rules(p, texts.packs) for p in on), key=lambda p: p.id))

    return policy_of(texts, (), as_then, "policy")


def policy_of(
    texts: PolicyTexts, unread: Sequence[Fault], choose: Callable[[Loaded], tuple[Pack, ...]], shown: str
) -> tuple[Policy | None, list[Fault]]:
    """A policy from its texts, or all faults. `choose` gives the packs in force; `unread`: what was not read."""
    loaded = Loaded({}, {}, list(unread), hashlib.sha256(), {})
    for file in texts.files:
        read_policy_file(file, loaded)
    catalogue, faults = catalogue_of(texts.catalogues)
    loaded.faults.extend(faults)
    chosen = choose_plans(loaded, texts.plans, shown)
    packs = choose(loaded)
    for pack in loaded.packs.values():
        check_pack(pack, loaded.files[pack.id], catalogue, loaded.faults)
    for pack in packs:
        check_ranks(pack, loaded.files[pack.id], chosen.values(), loaded.faults)
    check_rule_ids(loaded.packs, loaded.files, loaded.faults)
    for name, recorded in loaded.recorded:
        loaded.faults.extend(check_records(name, recorded, catalogue))
    if loaded.faults or catalogue is None:
        return None, sorted(set(loaded.faults))
    for file in texts.catalogues:
        loaded.digest.update(file.text.encode("utf-8"))
    on = [(p.id, [r.id for r in p.rules]) for p in packs]
    loaded.digest.update(repr((sorted(p.id for p in chosen.values()), on)).encode())
    kept = replace(texts, packs=(*(p.id for p in packs), *(r.id for p in packs for r in p.rules)))
    records = tuple(one for _, recorded in loaded.recorded for one in recorded.as_records())
    opening, exits = split(packs)
    return Policy(catalogue, chosen, opening, loaded.digest.hexdigest()[:12], kept, records, exits), []


def split(packs: Sequence[Pack]) -> tuple[tuple[Pack, ...], tuple[Pack, ...]]:
    """The packs whose rules open flags, and those that propose the end of what flags began."""
    return tuple(p for p in packs if p.effect != EXIT), tuple(p for p in packs if p.effect == EXIT)


def with_one_pack(policy: Policy, path: Path) -> tuple[Policy | None, list[Fault]]:
    """`policy` with the rule pack of one file instead of its own packs, whether it is switched on or not.

    It is checked like the others: for trying a pack on history before it is put in force.
    """
    name = str(path)
    pack, faults = load(Pack, path, name)
    if pack is None:
        return None, faults
    check_pack(pack, name, policy.catalogue, faults)
    check_ranks(pack, name, policy.plans.values(), faults)
    check_rule_ids({pack.id: pack}, {pack.id: name}, faults)
    if faults:
        return None, sorted(set(faults))
    version = f"{policy.version}+{pack.id}@{pack.version}"
    if pack.effect == EXIT:  # by itself it has no flags that could end
        return replace(policy, exits=(pack,), version=version), []
    return replace(policy, packs=(pack,), version=version), []


def read_policy_file(file: TextFile, into: Loaded) -> None:
    tables, faults = parse_toml(file.text, file.name)
    into.faults.extend(faults)
    if faults:
        return
    into.digest.update(file.text.encode("utf-8"))
    kind = tables.get("kind")
    if kind == "plan":
        plan, wrong = validate(Plan, tables, file.name)
        add_once(into.plans, plan, file.name, into.faults)
    elif kind == "rules":
        pack, wrong = validate(Pack, tables, file.name)
        add_once(into.packs, pack, file.name, into.faults)
        if pack is not None:
            into.files[pack.id] = file.name
    elif kind == "records":
        recorded, wrong = validate(RecordsFile, tables, file.name)
        if recorded is not None:
            into.recorded.append((file.name, recorded))
    else:
        remedy = 'Use "plan", "rules" or "records"'
        wrong = [Fault(file.name, "kind", f"{kind!r} is not a kind of policy file", remedy)]
    into.faults.extend(wrong)


def add_once(known: dict[str, One], one: One | None, name: str, faults: list[Fault]) -> None:
    if one is None:
        return
    if one.id in known:
        faults.append(
            Fault(name, "id", f"the id {one.id!r} is used by another file", "Give each file an id of its own")
        )
    known[one.id] = one


def check_records(name: str, recorded: RecordsFile, catalogue: Catalogue | None) -> Iterator[Fault]:
    """What the law and the catalogue do not know."""
    for i, one in enumerate(recorded.as_records(), 1):
        for key, wrong in problems(one, None if catalogue is None else catalogue.classes).items():
            yield Fault(name, f"records[{i}].{key}", wrong.en, "Correct it")


def choose_plans(loaded: Loaded, wanted: Sequence[str], shown: str) -> dict[str, Plan]:
    chosen: dict[str, Plan] = {}
    for i, name in enumerate(wanted, 1):
        plan = loaded.plans.get(name)
        key = f"detection.plans[{i}]"
        if plan is None:
            known = ", ".join(sorted(loaded.plans)) or "none"
            loaded.faults.append(Fault(shown, key, f"the plan {name!r} does not exist", f"Known plans: {known}"))
        elif plan.domain in chosen:
            problem = f"a second plan for {plan.domain}, beside {chosen[plan.domain].id!r}"
            loaded.faults.append(Fault(shown, key, problem, "Keep one plan per domain"))
        else:
            chosen[plan.domain] = plan
    return chosen


def choose_packs(
    loaded: Loaded, plans: Collection[str], enable: Sequence[str], disable: Sequence[str], shown: str
) -> tuple[Pack, ...]:
    """The packs in force, each with its rules in force. `plans` are the ids of the plans in force."""
    rules = {rule.id for pack in loaded.packs.values() for rule in pack.rules}
    for key, names in (("enable", enable), ("disable", disable)):
        for i, name in enumerate(names, 1):
            if name not in loaded.packs and name not in rules:
                known = ", ".join(sorted(loaded.packs))
                problem = f"the rule pack {name!r} does not exist"
                loaded.faults.append(Fault(shown, f"detection.{key}[{i}]", problem, f"Known packs: {known}"))
    both = sorted(set(enable) & set(disable))
    if both:
        problem = f"{both[0]!r} is both enabled and disabled"
        loaded.faults.append(Fault(shown, "detection.enable", problem, "Remove it from one of the lists"))
    here = [p for p in loaded.packs.values() if not p.plan or p.plan in plans]
    on = [p for p in here if (p.enabled or p.id in enable) and p.id not in disable]
    rules_on = {r.id for p in on for r in p.rules if (r.enabled or r.id in enable) and r.id not in disable}
    return tuple(sorted((with_rules(p, rules_on) for p in on), key=lambda p: p.id))


def with_rules(pack: Pack, ids: Collection[str]) -> Pack:
    """The pack with those of its rules that are named."""
    return pack.model_copy(update={"rules": tuple(r for r in pack.rules if r.id in ids)})


def check_pack(pack: Pack, name: str, catalogue: Catalogue | None, faults: list[Fault]) -> None:
    """What types cannot check: classes exist, dates make sense, the mark of the source allows it."""
    if pack.enabled and pack.source.mark.startswith("M"):
        problem = f"the source is from memory ({pack.source.mark}) but the pack is switched on"
        faults.append(
            Fault(name, "enabled", problem, "Verify the source and change its mark, or ship it switched off")
        )
    if pack.valid_from and pack.valid_until and pack.valid_until < pack.valid_from:
        faults.append(Fault(name, "valid_until", "ends before it begins", "Correct one of the two dates"))
    faults.extend(exit_faults(pack, name))
    for i, rule in enumerate(pack.rules, 1):
        mark = rule.source.mark if rule.source else ""
        if pack.enabled and rule.enabled and mark.startswith("M"):
            problem = f"the source is from memory ({mark}) but the rule is switched on"
            remedy = "Verify the source and change its mark, or ship it with enabled = false"
            faults.append(Fault(name, f"rules[{i}].enabled", problem, remedy))
        if rule.valid_from and rule.valid_until and rule.valid_until < rule.valid_from:
            where = f"rules[{i}].valid_until"
            faults.append(Fault(name, where, "ends before it begins", "Correct one of the two dates"))
        for which, classes in (("classes", rule.classes), ("without_classes", rule.without_classes)):
            for k, c in enumerate(classes, 1):
                if catalogue is not None and c not in catalogue.classes:
                    problem = f"the class {c!r} is not in the catalogue"
                    remedy = "Correct it, or add the class to a catalogue"
                    faults.append(Fault(name, f"rules[{i}].{which}[{k}]", problem, remedy))


def check_ranks(pack: Pack, name: str, plans: Collection[Plan], faults: list[Fault]) -> None:
    """Whether the plans in force have the grades that a pack in force proposes, and let numbers raise them."""
    concerned = [p for p in plans if pack.domain in ("any", p.domain)]
    for i, rule in enumerate(pack.rules, 1):
        wrong = not_lifted if pack.effect == EXIT else not_numeric
        faults.extend(fault for p in concerned if (fault := wrong(rule, p, name, f"rules[{i}]")))


def check_rule_ids(packs: Mapping[str, Pack], files: Mapping[str, str], faults: list[Fault]) -> None:
    """Rule ids are unique over all packs: a flag names its rule by the id alone."""
    seen: dict[str, str] = {}
    for pack in packs.values():
        for i, rule in enumerate(pack.rules, 1):
            name = files[pack.id]
            if rule.id in seen:
                problem = f"the rule id {rule.id!r} is used twice (first in {seen[rule.id]})"
                faults.append(Fault(name, f"rules[{i}].id", problem, "Give each rule an id of its own"))
            seen.setdefault(rule.id, name)


def not_numeric(rule: Rule, plan: Plan, name: str, key: str) -> Fault | None:
    """P13: a rule may not propose a grade that only a recorded decision can raise, unless it needs one to be true."""
    if rule.rank == 0:
        return None
    grade = next((g for g in plan.grades if g.rank == rule.rank), None)
    if grade is None:
        return Fault(name, f"{key}.rank", f"the plan {plan.id} has no grade of rank {rule.rank}", "Use a rank it has")
    if not grade.numeric and not rests_on_decision(rule.when):
        problem = f"grade {grade.label} of {plan.id} is a recorded decision, numbers cannot raise it ({grade.basis})"
        return Fault(name, f"{key}.rank", problem, "Propose a lower rank and put the suggestion into `advice`")
    return None
