"""Uploading a sheet: looked at before anything is stored, mapped, explained, committed as a whole."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from datetime import date, timedelta
from pathlib import Path

import httpx
import openpyxl
import pytest

from monitor.store import audit, observations, uploads
from monitor.store.database import Database
from tests.console import people
from tests.console.people import Browser
from tests.console.test_entry import CABBAGE, EGGS, OTHER, POINT, PORK, TODAY, put
from tests.web.conftest import NOW, Running, Serve

SHEET = """日期,品种,规格,单位,类型,价格,备注
2026-03-02,鸡蛋,,元/500克,零售,4.3,
2026-03-02,猪肉,精瘦肉,元/500克,零售,无,
2026-03-02,大白菜,,元/500克,零售,1.05,
"""


@pytest.fixture
def stocked(running: Running) -> Running:
    put(running.db, *((key, days, price) for days in (2, 1) for key, price in ((EGGS, 4.2), (PORK, 12.5))))
    put(running.db, (CABBAGE, 1, 1.0))
    return running


@pytest.fixture
def reporter(stocked: Running) -> Browser:
    return people.visitor(stocked, "reporter", name="cai", points=[POINT])


def upload(browser: Browser, content: str | bytes, name: str = "价格.csv", **fields: str) -> httpx.Response:
    data = content.encode() if isinstance(content, str) else content
    form = {"csrf": browser.csrf, "point": POINT} | fields
    return browser.post("/entry/upload", data=form, files={"file": (name, data)})


def preview(browser: Browser, content: str | bytes, name: str = "价格.csv") -> tuple[str, str]:
    """The address of the preview, and its page."""
    answer = upload(browser, content, name)
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"]
    return path, browser.get(path).text


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())


def values(db: Database, item: str) -> list[tuple[str, float, str]]:
    """(local day, value, note) of the newest revisions."""
    found = observations.list_observations(db, item=item)
    return [((o.at + timedelta(hours=8)).date().isoformat(), o.value, o.note) for o in found]


def test_nothing_is_stored_before_the_commit(reporter: Browser, stocked: Running) -> None:
    """The rows as read, the wrong one marked in place with its remedy; stored is the upload alone."""
    before = len(observations.list_observations(stocked.db))
    path, page = preview(reporter, SHEET)
    text = words(page)
    assert "可以提交 2 项" in text
    assert "不能接受 1 项" in text
    row = page.partition("无</td>")[2]
    assert "没有报价（“无”）；如有价格请补填" in row.partition("</table>")[0].split("<tr")[1]
    assert re.search(r'<tr class="bad">\s*<th scope="row" class="number">3', page)
    assert len(observations.list_observations(stocked.db)) == before
    assert stocked.woken == []
    assert path.startswith("/entry/upload/")


def test_a_commit_stores_all_accepted_rows_together(reporter: Browser, stocked: Running) -> None:
    """One batch of one source; a second press changes nothing; the rejects can be had as a file."""
    path, _ = preview(reporter, SHEET)
    answer = reporter.send_form(f"{path}/commit")
    assert answer.status_code == 303
    again = reporter.send_form(f"{path}/commit")
    assert (again.status_code, again.headers["location"]) == (303, path)
    assert values(stocked.db, "鸡蛋")[-1] == ("2026-03-02", 4.3, "")
    assert values(stocked.db, "大白菜")[-1] == ("2026-03-02", 1.05, "")
    assert {o.key.point for o in observations.list_series(stocked.db)} == {POINT}
    assert {s.area for s in observations.list_series(stocked.db)} == {"东区"}
    assert stocked.woken == [1]
    ((source, counts, reasons),) = stocked.stored
    assert (source, counts.accepted, counts.rejected, reasons) == ("填报", 2, 1, {"no_value": 1})
    page = words(reporter.get(path).text)
    assert "新保存 2 项" in page
    assert "未接受 1 项" in page
    (line,) = audit.entries(stocked.db, action="entry.commit")
    assert (line.actor, line.detail["rows"], line.detail["rejected"]) == ("user:cai", 2, 1)


def test_rejects_are_mended_and_sent_again(reporter: Browser, stocked: Running) -> None:
    """The file has the sheet's own columns and the reason beside them; formulas are harmless; it can be uploaded."""
    sheet = SHEET + "2026-03-02,=cmd|' /C calc'!A0,,元/500克,零售,缺,\n"
    path, _ = preview(reporter, sheet)
    reporter.send_form(f"{path}/commit")
    answer = reporter.get(f"{path}/rejects.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="rejects.csv"'
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0][:5] == ["row", "reason", "detail", "日期", "品种"]
    assert [r[4] for r in rows[1:]] == ["猪肉", "'=cmd|' /C calc'!A0"]
    mended = answer.content.decode("utf-8-sig").replace("无,", "12.6,")
    second, page = preview(reporter, mended.replace("缺", ""))
    assert "可以提交 1 项" in words(page)
    reporter.send_form(f"{second}/commit")
    assert values(stocked.db, "猪肉")[-1] == ("2026-03-02", 12.6, "")


def test_a_mapping_is_chosen_once_and_remembered(reporter: Browser, stocked: Running) -> None:
    """An unknown column name: mapped on the page, read again, and the next sheet of the kind needs no mapping."""
    sheet = "采集,货品,本周大概价\n2026-03-02,鸡蛋,4.3\n"
    path, page = preview(reporter, sheet)
    assert "这个文件还不能读取" in page
    assert "本周大概价" in page
    assert 'id="f-column-2"' in page
    fields = {"column-0": "date", "column-1": "item", "column-2": "value", "default-unit": "元/500克"}
    assert reporter.send_form(f"{path}/columns", **fields).status_code == 303
    assert "可以提交 1 项" in words(reporter.get(path).text)
    _, page = preview(reporter, sheet.replace("4.3", "4.35"))
    assert "可以提交 1 项" in words(page)
    assert re.search(r'<option value="value" selected>', page)
    other = people.visitor(stocked, "reporter", points=[POINT])
    assert "这个文件还不能读取" in preview(other, sheet)[1]


def test_a_column_understood_wrongly_is_corrected(reporter: Browser, stocked: Running) -> None:
    """The reader takes 价格; the person says it is the other column, and that the note is none."""
    sheet = SHEET.replace("价格,备注", "价格,内部价").replace("4.3,", "9.9,4.3")
    path, page = preview(reporter, sheet)
    fields = {"column-0": "date", "column-1": "item", "column-2": "spec", "column-3": "unit", "column-4": "channel"}
    reporter.send_form(f"{path}/columns", **fields, **{"column-5": "", "column-6": "value"})
    page = reporter.get(path).text
    assert "可以提交 1 项" in words(page)
    twice = reporter.send_form(f"{path}/columns", **(fields | {"column-4": "item", "column-6": "value"}))
    assert "只能对应一列" in reporter.get(twice.headers["location"]).text


def test_points_side_by_side_are_mapped_to_columns(stocked: Running) -> None:
    """A wide form: each point's prices in a column of its own."""
    both = people.visitor(stocked, "reporter", points=[POINT, OTHER])
    path, page = preview(both, "日期,品种,单位,甲,乙\n2026-03-02,鸡蛋,元/500克,4.3,4.1\n")
    assert f'value="point:{OTHER}"' in page
    fields = {"column-0": "date", "column-1": "item", "column-2": "unit"}
    both.send_form(f"{path}/columns", **fields, **{"column-3": f"point:{POINT}", "column-4": f"point:{OTHER}"})
    assert "可以提交 2 项" in words(both.get(path).text)
    both.send_form(f"{path}/commit")
    found = {(o.series.key.point, o.value) for o in observations.list_observations(stocked.db, since=TODAY)}
    assert found == {(POINT, 4.3), (OTHER, 4.1)}


def test_abnormal_values_are_explained_or_left_out(reporter: Browser, stocked: Running) -> None:
    """Each needs its reason, a slip its confirmation; what is left out is among the rejects."""
    sheet = SHEET.replace("4.3,", "4.9,").replace("无,", "25,").replace("1.05,", "1.5,寒潮")
    path, page = preview(reporter, sheet)
    text = words(page)
    assert "可以提交 1 项" in text  # the sheet itself explains the cabbage
    assert "需要说明 2 项" in text
    assert "是否按元/公斤填报？" in text
    refused = reporter.send_form(f"{path}/commit", **{"n-0": "货源减少"})
    assert refused.status_code == 422
    assert "还有 1 行没有写明原因或没有确认" in refused.text
    assert 'value="货源减少"' in refused.text
    assert values(stocked.db, "鸡蛋")[-1][1] == 4.2
    answer = reporter.send_form(f"{path}/commit", without="1", **{"n-0": "货源减少"})
    assert answer.status_code == 303
    assert values(stocked.db, "鸡蛋")[-1] == ("2026-03-02", 4.9, "货源减少")
    assert values(stocked.db, "大白菜")[-1] == ("2026-03-02", 1.5, "寒潮")
    assert values(stocked.db, "猪肉")[-1][1] == 12.5
    assert "unexplained" in reporter.get(f"{path}/rejects.csv").text


def test_one_reason_for_all(reporter: Browser, stocked: Running) -> None:
    """A festival moves everything: one reason and one confirmation for the rest."""
    sheet = SHEET.replace("4.3,", "4.9,").replace("无,", "25,")
    path, _ = preview(reporter, sheet)
    answer = reporter.send_form(f"{path}/commit", **{"n-all": "节日因素", "s-all": "1"})
    assert answer.status_code == 303
    assert values(stocked.db, "猪肉")[-1] == ("2026-03-02", 25.0, "节日因素")


def test_rows_of_other_points_and_of_the_future_are_refused(reporter: Browser, stocked: Running) -> None:
    """Marked in place, each with its remedy."""
    sheet = (
        f"日期,品种,单位,监测点,价格\n2026-03-02,鸡蛋,元/500克,{OTHER},4.1\n2026-03-03,鸡蛋,元/500克,{POINT},4.1\n"
    )
    path, page = preview(reporter, sheet)
    assert f"监测点“{OTHER}”不由您填报" in page
    assert "没有可以提交的行" in page
    assert ">提交 0 项" not in page
    assert "日期 2026-03-03 还没有到" in page
    assert reporter.send_form(f"{path}/commit").status_code == 422
    assert observations.list_series(stocked.db, point=OTHER) == []


def test_an_upload_is_its_owners_alone(reporter: Browser, stocked: Running) -> None:
    """For a colleague of the same point, for the monitor and for strangers it does not exist."""
    path, _ = preview(reporter, SHEET)
    colleague = people.visitor(stocked, "reporter", points=[POINT])
    monitor = people.visitor(stocked, "monitor")
    for other in (colleague, monitor):
        assert other.get(path).status_code == 404
        assert other.get(f"{path}/rejects.csv").status_code == 404
        for act in ("commit", "columns", "discard"):
            assert other.send_form(f"{path}/{act}").status_code == 404
    assert reporter.get(path).status_code == 200
    assert reporter.get("/entry/upload/unknown").status_code == 404
    assert people.visitor(stocked, "viewer").get("/entry/upload").status_code == 404


def test_a_discarded_upload_is_gone(reporter: Browser, stocked: Running) -> None:
    path, _ = preview(reporter, SHEET)
    assert reporter.send_form(f"{path}/discard").status_code == 303
    assert reporter.get(path).status_code == 404
    assert uploads.list_uploads(stocked.db, "user:cai", NOW) == []


def test_an_upload_needs_its_word(reporter: Browser, stocked: Running) -> None:
    """csrf in a multipart form is checked like any other."""
    assert upload(reporter, SHEET, csrf="x").status_code == 403
    assert uploads.list_uploads(stocked.db, "user:cai", NOW) == []


def test_a_file_keeps_no_path_and_no_markup(reporter: Browser, stocked: Running, tmp_path: Path) -> None:
    """Its name is shown, never used; cells and names are text."""
    nasty = "<script>alert(1)</script>"
    sheet = SHEET.replace("备注", nasty).replace("4.3,", f"4.3,{nasty}") + f"{nasty},{nasty},,,,{nasty},\n"
    for name in ("../../../etc/cron.d/evil.csv", "..\\..\\evil.csv", f"/tmp/{nasty}.csv", "\u202egpj.csv"):
        _, page = preview(reporter, sheet, name)
        assert nasty not in page
        assert "../" not in page
        assert "\u202e" not in page
    one = uploads.list_uploads(stocked.db, "user:cai", NOW)[0]
    assert "/" not in one.name
    assert not list(tmp_path.rglob("evil*"))
    assert nasty not in reporter.get("/entry/upload").text


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/workbook.xml", b"<workbook/>")
        book.writestr("xl/worksheets/sheet1.xml", b"<sheetData>" + b"0" * (1 << 20) * 80)
    return file.getvalue()


def with_doctype() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["日期", "品种", "价格"])  # type: ignore[union-attr]
    plain, evil = io.BytesIO(), io.BytesIO()
    book.save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(evil, "w") as target:
        for part in source.infolist():
            data = source.read(part)
            if part.filename.endswith("sheet1.xml"):
                entities = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
                data = data.replace(b"<worksheet", entities + b"<worksheet", 1)
            target.writestr(part, data)
    return evil.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(bomb(), "超过允许的", id="zip bomb"),
        pytest.param(gzip.compress(b"0" * (80 << 20)), "超过允许的", id="gzip bomb"),
        pytest.param(with_doctype(), "已损坏", id="xml entities"),
        pytest.param(b"<?xml version='1.0'?><!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>", "XML", id="xml"),
        pytest.param(b"%PDF-1.7", "PDF", id="pdf"),
        pytest.param(b"PK\x03\x04" + b"\0" * 100, "工作簿", id="broken zip"),
        pytest.param(b"\x00\x01\x02" * 100, "表头", id="noise"),
    ],
)
def test_hostile_files_are_refused_in_words(reporter: Browser, content: bytes, says: str) -> None:
    """The page says why; nothing can be committed."""
    path, page = preview(reporter, content, "x.xlsx")
    assert says in page.partition("这个文件还不能读取")[2]
    assert reporter.send_form(f"{path}/commit").status_code == 422


def test_an_empty_form_and_too_many_uploads_are_refused(serve: Serve) -> None:
    """So that nobody fills the database with files."""
    from monitor.entry.options import EntryOptions
    from monitor.entry.tools import shipped_tools, tools

    made = tools(EntryOptions(uploads=2, max_rows=10), shipped_tools().catalogue, ())
    running = serve(changes={"entry": lambda: made}, max_body_bytes=100_000)
    browser = people.visitor(running, "reporter", points=[POINT])
    assert upload(browser, b"").status_code == 422
    assert browser.send_form("/entry/upload", point=POINT).status_code == 422
    long = SHEET + "2026-03-02,鸡蛋,,元/500克,零售,4.3,\n" * 1200
    assert "超过每次 10 行的上限" in preview(browser, long)[1]
    preview(browser, SHEET)
    third = upload(browser, SHEET)
    assert third.status_code == 422
    assert "您已有 2 个上传的文件" in third.text
    assert upload(browser, b"0" * 200_000).status_code == 413


def test_a_long_sheet_is_shown_page_by_page(reporter: Browser, stocked: Running) -> None:
    """Fifty rows a page; the wrong ones alone on request."""
    sheet = "日期,品种,单位,价格\n" + "".join(
        f"2026-03-02,品种{k:03},元,{'缺' if k == 120 else k + 1}\n" for k in range(130)
    )
    path, page = preview(reporter, sheet)
    assert "第 1 页，共 3 页" in page
    assert "品种049" not in page
    assert "没有报价（“缺”）" not in page
    assert "没有报价（“缺”）" in reporter.get(path, params={"page": 3}).text
    wrong = reporter.get(path, params={"show": "wrong"}).text
    assert "品种120" in wrong
    assert "品种119" not in wrong


def test_a_workbook_with_several_worksheets(reporter: Browser, stocked: Running) -> None:
    """All that have the header are read; their faults are named with the worksheet."""
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.append(["日期", "品种", "单位", "价格"])
    first.append(["2026-03-02", "鸡蛋", "元/500克", 4.3])
    second = book.create_sheet("下午")
    second.append(["日期", "品种", "单位", "价格"])
    second.append(["2026-03-02", "猪肉", "元/500克", "缺"])
    book.create_sheet("说明").append(["填表说明"])
    file = io.BytesIO()
    book.save(file)
    _, page = preview(reporter, file.getvalue(), "表.xlsx")
    text = words(page)
    assert "可以提交 1 项" in text
    assert "第 2 行：工作表“下午”：没有报价" in text
    assert "没有读取的工作表：说明" in text


def test_a_sheet_moves_no_point_and_names_no_source(reporter: Browser, stocked: Running) -> None:
    """Where a point lies decides who sees it, and who brought it whether it is shown as simulated."""
    sheet = "日期,品种,单位,类型,价格,地区,来源\n2026-03-02,鸡蛋,元/500克,零售,4.3,西区,演示数据\n"
    path, _ = preview(reporter, sheet)
    assert reporter.send_form(f"{path}/commit").status_code == 303
    (eggs,) = observations.list_series(stocked.db, item="鸡蛋")
    assert (eggs.area, eggs.source) == ("东区", "填报")


def test_the_same_file_again_is_told_and_changes_nothing(reporter: Browser, stocked: Running) -> None:
    """Who is not sure sends it again."""
    path, _ = preview(reporter, SHEET)
    reporter.send_form(f"{path}/commit")
    second, page = preview(reporter, SHEET)
    assert "同一个文件已经提交过" in page
    reporter.send_form(f"{second}/commit")
    assert "与已有相同 2 项" in words(reporter.get(second).text)
    assert len(values(stocked.db, "鸡蛋")) == 3


def test_names_under_merged_cells_are_picked_one_by_one(reporter: Browser, stocked: Running) -> None:
    """A workbook with 品种 over 名称 and 规格, 价格 over 批发 and 零售: each column has its own line on the page."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["蔬菜价格表"])
    sheet.append(["日期", "品种", None, "单位", "价格", None])
    sheet.append([None, "名称", "规格", None, "批发", "零售"])
    for cells in ("A1:F1", "A2:A3", "B2:C2", "D2:D3", "E2:F2"):
        sheet.merge_cells(cells)
    sheet.append([date(2026, 3, 2), "鸡蛋", "散装", "元/500克", 3.9, 4.3])
    file = io.BytesIO()
    book.save(file)
    path, page = preview(reporter, file.getvalue(), "表.xlsx")
    assert all(name in page for name in ("品种 名称", "品种 规格", "价格 批发", "价格 零售"))
    picked = dict(enumerate(["date", "item", "spec", "unit", "", "value"]))
    reporter.send_form(f"{path}/columns", **{f"column-{place}": field for place, field in picked.items()})
    assert "可以提交 1 项" in words(reporter.get(path).text)
    reporter.send_form(f"{path}/commit")
    (eggs,) = [one for one in observations.list_series(stocked.db, item="鸡蛋") if one.key.spec == "散装"]
    assert eggs.key.unit == "元/500克"
    assert [value for _, value, _ in values(stocked.db, "鸡蛋")][-1] == 4.3
