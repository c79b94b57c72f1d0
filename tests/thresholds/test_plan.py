"""Plans, rule packs and catalogues: every fault at once; what is shipped is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.thresholds.build import shipped
from thresholds.conditions import KINDS
from thresholds.model import NO_GRADE, Grade
from thresholds.plan import Policy
from thresholds.plan_files import SHIPPED, load_policy, with_one_pack
from thresholds.settings import Fault

BAD = Path(__file__).parents[1] / "data" / "bad_plans"
FAULTY = sorted(BAD.glob("*.toml")) + sorted(p for p in BAD.iterdir() if p.is_dir())

PACK = """
kind = "rules"
id = "own"
title = "自定"
version = "1"
enabled = true
effect = "candidate"
source = {{ title = "本市规定", place = "本市", year = "2026", mark = "S", borrowed = false }}
{extra}
[[rules]]
id = "own/1"
title = "一周涨三成"
{rule}
when = {{ kind = "change", over = "1w", percent = 30 }}
"""
PLAN = """
kind = "plan"
id = "{id}"
title = "某市预案"
version = "1"
domain = "price"
source = {{ title = "某市预案", place = "某市", year = "2026", mark = "S", borrowed = false }}
grades = [
    {{ rank = 1, label = "IV", name = "四级", colour = "蓝", numeric = {first} }},
    {{ rank = 2, label = "III", name = "三级", colour = "黄", numeric = true }},
]
"""


def expected(path: Path) -> list[str]:
    """The messages that a faulty file names in its first lines; {kinds} stands for all kinds of conditions."""
    text = path.read_text("utf-8") if path.is_file() else (path / "expected.txt").read_text("utf-8")
    return sorted(
        line.removeprefix("# fault: ").strip().replace("{kinds}", ", ".join(KINDS))
        for line in text.splitlines()
        if line.startswith("# fault: ")
    )


def faults_of(folder: Path, **options: object) -> list[str]:
    policy, faults = load_policy([folder], **options)  # type: ignore[arg-type]  # as in load_policy
    assert (policy is None) == bool(faults)
    return sorted(map(str, faults))


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda p: p.stem)
def test_each_fault_is_named_with_place_and_remedy(faulty: Path, tmp_path: Path) -> None:
    """One tiny file per fault (or a folder of files): exactly the messages that it announces, no other."""
    catalogues = []
    for path in [faulty] if faulty.is_file() else sorted(faulty.glob("*.toml")):
        text = path.read_bytes()
        if b'kind = "catalogue"' in text:
            catalogues.append(path)
        else:
            (tmp_path / path.name).write_bytes(text)
    got = [
        f.replace(f"{faulty.parent}/", "").replace(f"{faulty}/", "")
        for f in faults_of(tmp_path, catalogues=catalogues)
    ]
    assert expected(faulty), f"{faulty.name} names no expected message: got {got}"
    assert got == expected(faulty)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    """Several files with several faults each: one run names all of them."""
    (tmp_path / "a.toml").write_text(PACK.format(extra="effekt = 1", rule="rank = 77"), "utf-8")
    (tmp_path / "b.toml").write_text("kind =", "utf-8")
    (tmp_path / "c.toml").write_text('kind = "recipe"', "utf-8")
    names = [f.split(":")[0] for f in faults_of(tmp_path, enable=["nobody"], plans=["nowhere"])]
    assert names == ["a.toml", "a.toml", "b.toml", "c.toml", "config.toml", "config.toml"]


@pytest.mark.parametrize("rank", [2, 3])
def test_no_number_proposes_grade_two_or_one_of_the_price_plan(rank: int, tmp_path: Path) -> None:
    """P13: II and I are legal facts; a pack that would propose them by percentage is refused, with the basis."""
    (tmp_path / "own.toml").write_text(PACK.format(extra="", rule=f"rank = {rank}"), "utf-8")
    (fault,) = faults_of(tmp_path)
    assert fault.startswith("own.toml: rules[1].rank: grade I")
    assert "recorded decision" in fault
    assert "国务院" in fault


def test_a_pack_that_is_tried_alone_is_checked_as_well(tmp_path: Path) -> None:
    """`replay --rules FILE`: P13, classes and ids hold there too; a good pack stands instead of all others."""
    path = tmp_path / "own.toml"
    path.write_text(PACK.format(extra="", rule='rank = 2\nclasses = ["麦"]'), "utf-8")
    policy, faults = with_one_pack(shipped(), path)
    assert policy is None
    assert [f.key for f in faults] == ["rules[1].classes[1]", "rules[1].rank"]
    path.write_text(PACK.format(extra="", rule="rank = 1").replace("enabled = true", "enabled = false"), "utf-8")
    policy, faults = with_one_pack(shipped(), path)
    assert policy is not None, faults
    assert [p.id for p in policy.packs] == ["own"]
    assert policy.version != shipped().version
    assert with_one_pack(shipped(), tmp_path / "none.toml")[1][0].problem == "the file does not exist"


def test_ranks_are_judged_by_the_plan_in_force(tmp_path: Path) -> None:
    """Another city's plan may let numbers raise its grade III: the shipped plan that is not in force has no say."""
    (tmp_path / "own.toml").write_text(PACK.format(extra="", rule="rank = 2"), "utf-8")
    (tmp_path / "plan.toml").write_text(PLAN.format(id="price-other", first="true"), "utf-8")
    policy, faults = load_policy([tmp_path], plans=["price-other"])
    assert policy is not None, faults
    assert policy.plan_of("price") is not None


def test_a_pack_that_is_off_is_not_held_against_a_plan(tmp_path: Path) -> None:
    """The shipped ladder proposes rank 1; a plan without a numeric rank 1 still loads while the ladder is off."""
    (tmp_path / "plan.toml").write_text(PLAN.format(id="price-other", first="false"), "utf-8")
    policy, _ = load_policy([tmp_path], plans=["price-other"])
    assert policy is not None
    policy, faults = load_policy([tmp_path], plans=["price-other"], enable=["ladder-30-50-100"])
    assert policy is None
    assert {f.file for f in faults} == {"ladder-30-50-100.toml"}


def test_what_is_shipped_loads_without_a_fault() -> None:
    """What is national, or this project's, is on; what is borrowed from elsewhere is off (THRESHOLDS 8)."""
    on = ["complaints-12315", "fin-ratios", "fin-report-2019", "legal-status", "ndrc-report", "pork2021"]
    assert [p.id for p in shipped().packs] == [*on, "stat-robust", "subsidy-cpi", "zj2004-cumulative"]
    assert [p.id for p in shipped().exits] == ["exit-15-days"]
    assert "ladder-30-50-100" in [p.id for p in shipped(("ladder-30-50-100",)).packs]
    assert sorted(shipped().plans) == ["finance", "price"]


@pytest.mark.parametrize("folder", [Path(__file__).parents[2] / "thresholds" / "plans"])
def test_every_shipped_rule_names_its_source(folder: Path) -> None:
    """Title, place, year and mark; what is borrowed says so; from memory nothing is switched on."""
    texts = {p.stem: p.read_text("utf-8") for p in folder.glob("*.toml")}
    packs = [name for name, text in texts.items() if 'kind = "rules"' in text]
    policy = shipped(tuple(packs))
    shipped_packs = (*policy.packs, *policy.exits)
    assert sorted(p.id for p in shipped_packs) == sorted(packs)
    for pack in shipped_packs:
        for rule in pack.rules:
            source = pack.source_of(rule)
            assert all((source.title, source.place, source.year, source.mark))
            assert source.borrowed or source.mark in ("S", "P")
            assert not (pack.enabled and source.mark.startswith("M"))


def test_the_price_plan_has_three_grades_of_which_one_is_numeric() -> None:
    """III, II, I (P13); the finance plan has four, of which the lowest (G2)."""
    price, finance = shipped().plans["price"], shipped().plans["finance"]
    assert [(g.rank, g.label, g.numeric) for g in price.grades] == [
        (1, "III", True),
        (2, "II", False),
        (3, "I", False),
    ]
    assert [(g.rank, g.label, g.colour) for g in finance.grades] == [
        (1, "IV", "蓝"),
        (2, "III", "黄"),
        (3, "II", "橙"),
        (4, "I", "红"),
    ]
    assert price.grade(1) == Grade(1, "III", "")
    assert price.grade(0) == NO_GRADE
    with pytest.raises(KeyError):
        price.grade(4)


def version(**options: object) -> str:
    policy, faults = load_policy(**options)  # type: ignore[arg-type]  # as in load_policy
    assert policy is not None, faults
    return policy.version


def test_the_version_is_that_of_the_content(tmp_path: Path) -> None:
    """Any change of a file, of a catalogue, or of what is switched on gives the policy another version."""
    (tmp_path / "own.toml").write_text(PACK.format(extra="", rule=""), "utf-8")
    catalogue = tmp_path / "more" / "catalogue.toml"
    catalogue.parent.mkdir()
    catalogue.write_text('kind = "catalogue"', "utf-8")
    seen = [version(), version(enable=["ladder-30-50-100"]), version(disable=["stat-robust"])]
    seen += [version(folders=[tmp_path]), version(folders=[tmp_path], catalogues=[catalogue])]
    catalogue.write_text('kind = "catalogue"\nclasses = [{ name = "特产" }]', "utf-8")
    seen.append(version(folders=[tmp_path], catalogues=[catalogue]))
    (tmp_path / "own.toml").write_text(PACK.format(extra="", rule="rank = 1"), "utf-8")
    seen.append(version(folders=[tmp_path]))
    assert len(set(seen)) == len(seen)
    assert version() == version() == seen[0]


def test_dates_limit_when_a_pack_is_in_force(tmp_path: Path) -> None:
    """`valid_from` and `valid_until` are read as dates."""
    (tmp_path / "own.toml").write_text(
        PACK.format(extra="valid_from = 2026-01-02\nvalid_until = 2026-01-03", rule=""), "utf-8"
    )
    policy, faults = load_policy([tmp_path])
    assert isinstance(policy, Policy), faults
    own = next(p for p in policy.packs if p.id == "own")
    assert str(own.valid_from) == "2026-01-02"
    assert str(own.valid_until) == "2026-01-03"


def test_choices_of_the_installation_are_checked(tmp_path: Path) -> None:
    """A plan or pack that does not exist, two plans for one domain, a pack both on and off, a missing folder."""
    (tmp_path / "plan.toml").write_text(PLAN.format(id="price-other", first="true"), "utf-8")
    _, faults = load_policy(
        [tmp_path, tmp_path / "nowhere"],
        plans=["price-daqing", "price-other", "cyber"],
        enable=["qd2013", "stat-robust"],
        disable=["stat-robust"],
        shown="my.toml",
    )
    packs = sorted(p.stem for p in SHIPPED.glob("*.toml") if 'kind = "rules"' in p.read_text("utf-8"))
    assert {f.key: f.remedy for f in faults if isinstance(f, Fault)} == {
        "detection.plan_folders": "Correct the path",
        "detection.plans[2]": "Keep one plan per domain",
        "detection.plans[3]": "Known plans: finance-luohe, price-daqing, price-other",
        "detection.enable": "Remove it from one of the lists",
        "detection.enable[1]": f"Known packs: {', '.join(packs)}",
    }
    assert {f.file for f in faults} == {"my.toml"}


OWN_RULES = """
[[rules]]
id = "own/2"
title = "一周涨九成"
enabled = false
source = {{ title = "某市规定", place = "某市", year = "2014", mark = "M-low" }}
when = {{ kind = "change", over = "1w", percent = 90 }}
"""


def rules_in_force(folder: Path, **options: object) -> list[str]:
    policy, faults = load_policy([folder], **options)  # type: ignore[arg-type]  # as in load_policy
    assert policy is not None, faults
    return [r.id for p in policy.packs if p.id == "own" for r in p.rules]


def test_a_rule_is_switched_by_its_own_name(tmp_path: Path) -> None:
    """A rule from memory stays off with its pack on, until the installation names it; others can be named off."""
    (tmp_path / "own.toml").write_text(PACK.format(extra="", rule="") + OWN_RULES.format(), "utf-8")
    assert rules_in_force(tmp_path) == ["own/1"]
    assert rules_in_force(tmp_path, enable=["own"]) == ["own/1"]
    assert rules_in_force(tmp_path, enable=["own/2"], disable=["own/1"]) == ["own/2"]
    assert rules_in_force(tmp_path, disable=["own"]) == []
    assert version(folders=[tmp_path]) != version(folders=[tmp_path], enable=["own/2"])


def test_a_rule_may_have_a_source_of_its_own(tmp_path: Path) -> None:
    """It is named in the reason of its flags; the others rest on the source of the pack."""
    (tmp_path / "own.toml").write_text(PACK.format(extra="", rule="") + OWN_RULES.format(), "utf-8")
    policy, faults = load_policy([tmp_path], enable=["own/2"])
    assert policy is not None, faults
    (own,) = [p for p in policy.packs if p.id == "own"]
    assert [own.source_of(r).title for r in own.rules] == ["本市规定", "某市规定"]


def test_a_pack_of_another_plan_is_not_in_force(tmp_path: Path) -> None:
    """Its ranks are those of its plan: where another plan is in force it is left out, and not refused."""
    (tmp_path / "own.toml").write_text(PACK.format(extra='plan = "price-daqing"', rule="rank = 1"), "utf-8")
    (tmp_path / "plan.toml").write_text(PLAN.format(id="price-other", first="false"), "utf-8")
    assert rules_in_force(tmp_path) == ["own/1"]
    assert rules_in_force(tmp_path, plans=["price-other"]) == []
