"""The tables of docs/plans.md, made from the models: `python -m tests.thresholds.plans_doc`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from tests.monitor.configuration_doc import default_of, descriptions, type_of
from thresholds.catalogue import CatalogueFile, Entry, ItemClass, Units
from thresholds.conditions import KINDS
from thresholds.plan import Pack, Plan, PlanGrade, Rule, Source
from thresholds.records import Entry as RecordEntry
from thresholds.records import RecordsFile

PAGE = Path(__file__).parents[2] / "docs" / "plans.md"
BLOCK = re.compile(r"<!-- keys: (?P<name>[\w.]+) -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)

MEANING = {
    "kind": "what the file or condition is",
    "id": "its own name, without spaces; flags and the configuration name it so",
    "title": "what people read",
    "version": "of the text: raise it when the content changes; flags keep it",
    "measure": "how changes are measured; where left out the unit decides, else it is a price",
    "plan.domain": "which items it is for: those of classes with this domain",
    "plan.source": "the document",
    "plan.grades": "its grades, from the lowest",
    "grade.rank": "1 for the lowest, counting upwards",
    "grade.label": "as the plan writes it: III",
    "grade.name": "as it is said: 三级",
    "grade.colour": "where the plan has colours",
    "grade.numeric": "whether a rule may propose it; false: it enters only as a recorded decision (P13)",
    "grade.basis": "on what the plan rests it",
    "source.title": "name of the document or method",
    "source.place": "for which place it was made",
    "source.year": "of which year it is; text, since some are known roughly",
    "source.mark": "how well it is established: S the text itself, S2 press or restatement, M-… from memory"
    " (must be switched off), P proposal of this project",
    "source.clause": "place in the document",
    "source.reference": "where the text was found",
    "source.borrowed": "true: a rule of another place, used as advice; shown with every flag",
    "rules.enabled": "whether it is in force unless `[detection] enable` or `disable` says otherwise",
    "rules.effect": "what follows from a hit: report (须报告), watch (关注), candidate (建议研判)",
    "rules.domain": "items of which domain it applies to",
    "rules.valid_from": "first day on which it is in force",
    "rules.valid_until": "last day on which it is in force",
    "rules.source": "where its rules come from, unless a rule names a source of its own",
    "rules.rules": "its rules",
    "rule.id": "unique over all packs; by custom `pack/rule`",
    "rule.title": "the rule in words, as it stands in the reason of a flag",
    "rule.classes": "catalogue classes it applies to, with their subclasses; none: all",
    "rule.without_classes": "classes left out",
    "rule.direction": "rises, falls or both, each with its own flags",
    "rule.scope": "area: on the mean of an item's points in an area; point: on each point's quotes; "
    "class: on the mean of all items of each class that is named, in an area",
    "rule.rank": "grade proposed; 0: none. The plan in force must have it and let numbers raise it",
    "rule.advice": "what people should consider",
    "rule.hold_days": "days that a flag stays open without a new hit, counted in 2 to 10 readings of the series",
    "rule.when": "the condition",
    "change.over": "what the value is compared with: the last report, or that of so long ago",
    "change.op": "`>` excludes the bound (超过), `>=` includes it (以上)",
    "change.percent": "the bound, without sign",
    "score.kernel": "the method",
    "score.window": "moves in the baseline",
    "score.least": "fewest moves in the baseline: with fewer the answer is unknown",
    "score.op": "as in change",
    "score.value": "the bound in robust scales",
    "level.op": "as in change",
    "level.above": "bound for the rise, in the unit of the series",
    "level.below": "bound for the fall",
    "points.at_least": "so many",
    "breadth.of": "the condition that is counted",
    "breadth.at_least": "so many series",
    "breadth.share": "and such a share of those known, 0.2 for a fifth",
    "lasting.of": "the condition that must last",
    "lasting.readings": "so many observations in a row",
    "all.of": "the conditions; `{ all = [ … ] }` for short",
    "any.of": "the conditions; `{ any = [ … ] }` for short",
    "not.of": "the condition; `{ not = { … } }` for short",
    "reach.of": "the condition that must hold there",
    "m_of_n.of": "the condition that is counted",
    "records.records": "what is recorded",
    "catalogue.version": "of the text",
    "catalogue.classes": "classes of items",
    "catalogue.items": "which items belong to them",
    "catalogue.units": "units that decide the measure",
    "class.name": "as rules name it",
    "class.parent": "a rule for the parent covers this class too",
    "class.domain": "which plan its items fall under",
    "entry.item_class": "the class of these items",
    "entry.names": "whole names, regardless of case and width; they win over keywords",
    "entry.contains": "keywords in the name, of which the longest wins; Latin words count whole only",
    "units.names": "units, written out whole",
}


def sections() -> dict[str, type[BaseModel]]:
    """{name in the page: model}."""
    files: dict[str, type[BaseModel]] = {
        "plan": Plan,
        "grade": PlanGrade,
        "source": Source,
        "rules": Pack,
        "rule": Rule,
    }
    catalogue: dict[str, type[BaseModel]] = {
        "catalogue": CatalogueFile,
        "class": ItemClass,
        "entry": Entry,
        "units": Units,
    }
    recorded: dict[str, type[BaseModel]] = {"records": RecordsFile, "record": RecordEntry}
    return files | dict(KINDS) | recorded | catalogue


@cache
def rows() -> Sequence[tuple[str, str, str]]:
    """(section, key, meaning)."""
    return [
        (name, key, described.get(key) or MEANING.get(f"{name}.{key}") or MEANING.get(key, ""))
        for name, model in sections().items()
        for described in [descriptions(model)]
        for key in model.model_fields
    ]


def table(name: str) -> str:
    fields = sections()[name].model_fields
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for of, key, meaning in rows():
        if of == name:
            value, default = type_of(fields[key]), default_of(fields[key])
            if key in ("of", "when") and name != "rules":
                value = "list of conditions" if name in ("all", "any") else "condition"
            lines.append(f"| `{key}` | {value} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def render(page: str) -> str:
    """The page with its tables as the models are now."""
    return BLOCK.sub(lambda match: f"<!-- keys: {match['name']} -->\n{table(match['name'])}<!-- end -->", page)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
