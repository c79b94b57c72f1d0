"""Reports in the database: made once, edited with a lock, signed, reopened, seen by area."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from monitor.documents.model import Report, ReportKind, Row, Section
from monitor.rights import EVERYWHERE, Areas
from monitor.store import reports
from monitor.store.database import Database
from tests.store.build import NOW

LAST = date(2026, 3, 1)


def draft(kind: ReportKind = ReportKind.DAILY, last: date = LAST) -> Report:
    rows = (Row("大白菜", "", "元/500克", "零售", 2.0, 1.0, 3),)
    sections = (Section("一、居民食品类价格", ("甲", "乙"), rows), Section("二、说明", ("丙",)))
    return Report(kind, "价格监测日报", 0, "价格监测中心", last, last, "导语", sections)


def test_a_report_of_the_same_period_is_made_once_and_edits_stay(db: Database) -> None:
    made, new = reports.add(db, draft(), "monitor", NOW)
    changed = msgspec.structs.replace(draft(), lead="人写的", issue=1)
    reports.edit(db, made, changed, "user:甲", NOW, revision=1)
    assert new
    assert reports.add(db, draft(), "monitor", NOW) == (made, False)
    assert reports.get(db, made).report.lead == "人写的"
    assert reports.has(db, ReportKind.DAILY, LAST)


def test_issues_count_within_kind_and_year(db: Database) -> None:
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2)]
    ids = [reports.add(db, draft(last=day), "monitor", NOW)[0] for day in days]
    weekly, _ = reports.add(db, draft(ReportKind.WEEKLY), "monitor", NOW)
    assert [reports.get(db, one).report.issue for one in (*ids, weekly)] == [1, 1, 2, 1]


def test_two_who_edit_do_not_overwrite_each_other(db: Database) -> None:
    made, _ = reports.add(db, draft(), "monitor", NOW)
    first = reports.get(db, made)
    reports.edit(db, made, msgspec.structs.replace(first.report, lead="甲"), "user:甲", NOW, revision=first.revision)
    with pytest.raises(reports.ReportChanged):
        reports.edit(
            db, made, msgspec.structs.replace(first.report, lead="乙"), "user:乙", NOW, revision=first.revision
        )
    with pytest.raises(reports.ReportChanged):
        reports.sign(db, made, "user:丙", NOW, revision=first.revision)
    assert reports.get(db, made).report.lead == "甲"


def test_a_signed_report_is_not_edited_until_it_is_reopened_and_all_is_on_record(db: Database) -> None:
    made, _ = reports.add(db, draft(), "monitor", NOW)
    signed = reports.sign(db, made, "user:负责人", NOW, revision=1)
    assert (signed.signed, signed.signed_by, signed.signed_at) == (True, "user:负责人", NOW)
    with pytest.raises(reports.ReportSigned):
        reports.edit(db, made, draft(), "user:甲", NOW, revision=signed.revision)
    with pytest.raises(reports.ReportSigned):
        reports.sign(db, made, "user:甲", NOW, revision=signed.revision)
    again = reports.reopen(db, made, "user:负责人", NOW, revision=signed.revision)
    assert (again.signed, again.signed_by) == (False, "")
    assert [(one.actor, one.action) for one in reports.log_of(db, made)] == [
        ("monitor", "made"),
        ("user:负责人", "signed"),
        ("user:负责人", "reopened"),
    ]


def test_an_edit_that_changes_nothing_leaves_no_trace(db: Database) -> None:
    made, _ = reports.add(db, draft(), "monitor", NOW)
    same = reports.edit(db, made, reports.get(db, made).report, "user:甲", NOW, revision=1)
    assert same.revision == 1
    assert len(reports.log_of(db, made)) == 1


def test_who_may_not_see_an_area_finds_no_report_of_it(db: Database) -> None:
    city, _ = reports.add(db, draft(), "monitor", NOW)
    south, _ = reports.add(db, draft(ReportKind.ABNORMAL), "user:甲", NOW, flag_id="f1", area="南区")
    only = Areas(frozenset({"南区"}))
    assert [one.id for one in reports.list_reports(db, only)] == [south]
    assert {one.id for one in reports.list_reports(db, EVERYWHERE)} == {city, south}
    for unseen, areas in ((city, only), (999, None)):
        with pytest.raises(reports.ReportNotFound):
            reports.get(db, unseen, areas)
    with pytest.raises(reports.ReportNotFound):
        reports.sign(db, city, "user:甲", NOW, revision=1, areas=only)


def test_texts_and_remarks_are_replaced_and_figures_stay() -> None:
    changed = reports.with_texts(draft(), ["新导语", "一", "二", "三"], ["备注"], "填报人甲", "0459-0000000")
    assert reports.texts(changed) == ["新导语", "一", "二", "三"]
    assert changed.sections[0].rows[0].remark == "备注"
    assert changed.sections[0].rows[0].current == 2.0
    assert (changed.author, changed.phone) == ("填报人甲", "0459-0000000")


@pytest.mark.parametrize(("texts", "remarks"), [(["一"], ["备注"]), (["一", "二", "三", "四"], [])])
def test_a_form_of_another_report_is_refused(texts: list[str], remarks: list[str]) -> None:
    with pytest.raises(ValueError, match="reload"):
        reports.with_texts(draft(), texts, remarks, "", "")


def test_pages_of_the_list_follow_one_another(db: Database) -> None:
    ids = [reports.add(db, draft(last=date(2026, 1, n)), "monitor", NOW)[0] for n in range(1, 8)]
    first = reports.list_reports(db, limit=4)
    second = reports.list_reports(db, limit=4, before=first[-1].id)
    assert [one.id for one in (*first, *second)] == ids[::-1]
