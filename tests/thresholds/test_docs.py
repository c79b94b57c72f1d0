"""The documentation of the core: complete, with examples that run and numbers that are measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.thresholds import false_alarms, plans_doc
from thresholds.conditions import KINDS
from thresholds.model import Doubt
from thresholds.plan_files import load_policy

DOCS = Path(__file__).parents[2] / "docs"
DETECTORS = (DOCS / "detectors.md").read_text("utf-8")
PLANS = (DOCS / "plans.md").read_text("utf-8")
SAID = ("Use", "Not for", "Formula", "Units", "Source", "False alarms")


def section(page: str, title: str) -> str:
    """The text under a heading of second order."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("kind", [*KINDS, "The data gate", "Silence"])
def test_every_detector_has_its_page(kind: str) -> None:
    """For each kind of condition that is registered: when to use it, when not, formula, units, source, false alarms,
    and an example."""
    page = section(DETECTORS, kind)
    missing = [word for word in SAID if f"- **{word}** " not in page]
    assert not missing, f"docs/detectors.md, section {kind}: {missing} missing"
    assert "```python" in page


@pytest.mark.parametrize("doubt", [d.name.lower() for d in Doubt if d])
def test_every_doubt_of_the_gate_is_explained(doubt: str) -> None:
    """What a data flag may be about."""
    assert f"`{doubt}`" in section(DETECTORS, "The data gate")


def test_the_examples_run() -> None:
    """Every block of Python in the page, one after the other in one namespace, as a reader would."""
    blocks = re.findall(r"```python\n(.*?)```", DETECTORS, re.DOTALL)
    assert len(blocks) > len(KINDS)
    space: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/detectors.md", "exec"), space)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_false_alarm_rates_are_those_that_are_measured() -> None:
    """The seeded simulation run again gives the rates of the page, within a fifth."""
    stated, measured = false_alarms.stated(DETECTORS), false_alarms.measured()
    assert list(stated) == list(measured), "run python -m tests.thresholds.false_alarms"
    for name, rates in measured.items():
        assert stated[name] == pytest.approx(rates, rel=0.2, abs=0.05), name


def test_the_tables_of_plans_are_those_of_the_models() -> None:
    """Every key of plans, packs, rules, conditions and catalogues, with type, default and meaning."""
    assert plans_doc.render(PLANS) == PLANS, "run python -m tests.thresholds.plans_doc"


def test_no_key_is_without_meaning() -> None:
    """A key that nobody explains is a key that nobody uses rightly."""
    empty = [f"{name}.{key}" for name, key, meaning in plans_doc.rows() if not meaning]
    assert not empty
    blocks = set(re.findall(r"<!-- keys: ([\w.]+) -->", PLANS))
    assert blocks == set(plans_doc.sections())


def test_the_plan_files_of_the_page_are_right(tmp_path: Path) -> None:
    """The examples of docs/plans.md load together as an installation's own files, without a fault."""
    catalogues = []
    files = re.findall(r"```toml\n(# (\S+\.toml)\n.*?)```", PLANS, re.DOTALL)
    assert len(files) >= 3
    for text, name in files:
        (tmp_path / name).write_text(text, "utf-8")
        if 'kind = "catalogue"' in text:
            catalogues.append(tmp_path / name)
    for path in catalogues:
        path.rename(tmp_path.parent / path.name)
    policy, faults = load_policy(
        [tmp_path], catalogues=[tmp_path.parent / p.name for p in catalogues], plans=["price-example"]
    )
    assert policy is not None, [str(f) for f in faults]


def test_shipped_packs_are_listed() -> None:
    """Each shipped plan and pack stands in the page with its id."""
    shipped = sorted(p.stem for p in (DOCS.parent / "thresholds" / "plans").glob("*.toml"))
    assert [name for name in shipped if f"`{name}`" not in PLANS] == []
