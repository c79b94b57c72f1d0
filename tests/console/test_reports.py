"""The pages of the reports: made, edited with a lock, signed, downloaded; each only by those who may."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import docx
import openpyxl
import pytest
from sqlalchemy import Connection

from monitor.documents.options import ReportOptions
from monitor.reporting import Maker
from monitor.store import observations, reports
from monitor.store.flags import save_evaluation
from tests.console.people import Browser, visitor
from tests.store.build import CABBAGE, NOW, PORK, day, flag
from tests.web.conftest import Running, Serve
from thresholds.catalogue import load_catalogue
from thresholds.model import Observation, ObservationBatch, SeriesKey

ZONE = ZoneInfo("Asia/Shanghai")
LAST = day(59).astimezone(ZONE).date().isoformat()


def nobody(_connection: Connection, _changes: object) -> None:
    """Nobody is told."""


@pytest.fixture
def office(serve: Serve) -> Running:
    """A server with two months of prices and one flag in 南区."""
    catalogue, _ = load_catalogue()
    assert catalogue is not None
    made: list[Maker] = []
    running = serve(changes={"report_maker": lambda: made[0]})
    made.append(Maker(running.db, catalogue, ReportOptions(issuer="价格监测中心"), ZONE))
    rows = [
        Observation(key, day(n), price * (1.2 if n == 59 else 1), area="南区")
        for key, price in ((CABBAGE, 2.0), (PORK, 20.0))
        for n in range(60)
    ]
    observations.add(running.db, ObservationBatch.of(rows), source="日报", name="a.csv", now=NOW)
    found = flag("f1", 59, area="南区")
    save_evaluation(running.db, [found], items={CABBAGE.item}, since={}, dirty=[], now=NOW, notify=nobody)
    return running


def make(who: Browser, **fields: Any) -> str:
    answer = who.send_form("/reports", **{"kind": "daily", "last": LAST} | fields)
    assert answer.status_code == 303, answer.text
    location: str = answer.headers["location"]
    return location


def fields_of(who: Browser, path: str) -> dict[str, Any]:
    """What the form of a report holds."""
    page = who.get(path).text
    texts = [
        text.lstrip("\n") for text in re.findall(r'<textarea name="text"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    ]
    remarks = re.findall(r'name="remark" value="([^"]*)"', page)
    revision = re.search(r'name="revision" value="(\d+)"', page)
    assert revision
    return {"revision": revision[1], "text": texts, "remark": remarks, "author": "", "phone": ""}


def test_a_report_is_made_edited_signed_and_downloaded(office: Running) -> None:
    writer, signer = visitor(office, "monitor"), visitor(office, "approver", name="负责人")
    path = make(writer)
    fields = fields_of(writer, path)
    fields["text"][0] = "导语由人改写。"
    fields["remark"][0] = "雨天"
    assert (
        writer.send_form(
            path,
            **fields,
        ).status_code
        == 303
    )
    page = signer.get(path).text
    assert "导语由人改写。" in page
    revision = re.search(r'name="revision" value="(\d+)"', page)
    assert revision
    signer.send_form(f"{path}/sign", revision=revision[1])
    assert "负责人" in signer.get(path).text
    document = docx.Document(BytesIO(signer.get(f"{path}/docx").content))
    text = "\n".join(one.text for one in document.paragraphs)
    assert "导语由人改写。" in text
    assert "签发：负责人" in text
    sheet = openpyxl.load_workbook(BytesIO(signer.get(f"{path}/xlsx").content))["报告"]
    assert "雨天" in {cell.value for row in sheet.iter_rows() for cell in row}


def test_a_second_writer_is_told_and_loses_nothing(office: Running) -> None:
    one, other = visitor(office, "monitor"), visitor(office, "monitor")
    path = make(one)
    first, second = fields_of(one, path), fields_of(other, path)
    first["text"][0], second["text"][0] = "甲写的。", "乙写的。"
    one.send_form(path, **first)
    answer = other.send_form(path, **second)
    assert answer.status_code == 409
    assert "已被他人修改" in answer.text
    assert "乙写的。" in answer.text
    assert "甲写的。" in one.get(path).text


def test_a_signed_report_takes_no_edit_until_it_is_reopened(office: Running) -> None:
    writer, signer = visitor(office, "monitor"), visitor(office, "commander")
    path = make(writer)
    fields = fields_of(writer, path)
    signer.send_form(f"{path}/sign", revision=fields["revision"])
    assert writer.send_form(path, **fields).status_code == 409
    assert "<textarea" not in writer.get(path).text
    signer.send_form(f"{path}/reopen", revision="2")
    assert "<textarea" in writer.get(path).text


def test_drawing_again_takes_the_newest_figures(office: Running) -> None:
    writer = visitor(office, "monitor")
    path = make(writer)
    mended = ObservationBatch.of([Observation(CABBAGE, day(59), 9.99, area="南区")])
    observations.add(office.db, mended, source="更正", name="b.csv", now=NOW)
    assert "9.99" not in writer.get(path).text
    writer.send_form(f"{path}/redraw", revision="1")
    assert "9.99" in writer.get(path).text


def test_the_same_report_is_not_made_twice(office: Running) -> None:
    writer = visitor(office, "monitor")
    assert make(writer) == make(writer)
    assert "没有重新生成" in writer.get("/reports").text


@pytest.mark.parametrize(("field", "value"), [("last", "2026-13-01"), ("last", "2999-01-01"), ("kind", "yearly")])
def test_a_report_that_cannot_be_is_refused_with_the_reason(office: Running, field: str, value: str) -> None:
    writer = visitor(office, "monitor")
    assert make(writer, **{field: value}) == "/reports"
    assert "请选择报告的种类" in writer.get("/reports").text


def test_a_flag_becomes_a_report_for_those_who_see_its_area(office: Running) -> None:
    south, east = (visitor(office, "monitor", areas=[area]) for area in ("南区", "东区"))
    path = make(south, kind="abnormal", flag="f1")
    assert "一周上涨 100%，超过 30%" in south.get(path).text
    assert east.get(path).status_code == 404
    assert east.send_form("/reports", kind="abnormal", flag="f1").status_code == 404
    assert path.rpartition("/")[2] not in re.findall(r"/reports/(\d+)", east.get("/reports").text)


def test_who_has_one_district_makes_and_sees_no_report_of_the_city(office: Running) -> None:
    path = make(visitor(office, "monitor"))
    south = visitor(office, "monitor", areas=["南区"])
    assert south.send_form("/reports", kind="daily", last=LAST).status_code == 404
    for ending in ("", "/docx", "/xlsx"):
        assert south.get(path + ending).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "auditor", "duty"])
def test_readers_read_and_change_nothing(office: Running, role: str) -> None:
    path, reader = make(visitor(office, "monitor")), visitor(office, role)
    assert reader.get(path).status_code == 200
    assert "<textarea" not in reader.get(path).text
    for act in ("", "/sign", "/reopen", "/redraw"):
        assert reader.send_form(path + act, revision="1", text="x").status_code == 404


@pytest.mark.parametrize("act", ["", "/sign", "/reopen", "/redraw"])
def test_an_act_without_the_word_of_the_session_is_refused(office: Running, act: str) -> None:
    path = make(visitor(office, "monitor"))
    signer = visitor(office, "monitor", "approver")
    assert signer.post(path + act, data={"revision": "1", "text": "x", "csrf": "no"}).status_code == 403


def test_nothing_from_outside_becomes_markup(office: Running) -> None:
    hostile = SeriesKey("<script>alert(1)</script>白菜", '"><img src=x>', "元/500克", "零售", "点")
    rows = [Observation(hostile, day(n), 2.0) for n in (58, 59)]
    observations.add(office.db, ObservationBatch.of(rows), source="日报", name="c.csv", now=NOW)
    writer = visitor(office, "monitor")
    path = make(writer)
    fields = fields_of(writer, path)
    fields["text"][0] = "</textarea><script>alert(2)</script>"
    writer.send_form(path, **fields)
    page = writer.get(path).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_reading_and_signing_are_in_the_audit(office: Running) -> None:
    signer = visitor(office, "monitor", "approver", name="负责人")
    path = make(signer)
    signer.get(path)
    signer.get(f"{path}/docx")
    signer.send_form(f"{path}/sign", revision="1")
    from monitor.store import audit

    report_id = path.rpartition("/")[2]
    seen = {
        (entry.actor, entry.action) for entry in audit.entries(office.db) if entry.object == f"report:{report_id}"
    }
    assert {("user:负责人", action) for action in ("make", "view", "download", "sign")} <= seen


def test_the_list_pages_and_filters_by_kind(office: Running) -> None:
    writer = visitor(office, "monitor")
    make(writer)
    make(writer, kind="weekly")
    page = writer.get("/reports?kind=weekly").text
    assert "价格监测周报</a>" in page
    assert "价格监测日报</a>" not in page
    assert reports.list_reports(office.db)
