"""All pages of data entry on SQLite and on PostgreSQL, also with what no database takes in a text."""

from __future__ import annotations

import pytest

from monitor.store import observations, patrols, records
from tests.console import people
from tests.console.test_entry import EGGS, POINT, PORK, ids, put, send, stored
from tests.console.test_entry_records import complaints, count, decide, patrol
from tests.console.test_entry_upload import SHEET, preview
from tests.web.conftest import Running, Serve

PAGES = ("/entry", "/entry/upload", "/records", "/records/patrols", "/records/decisions", "/records/complaints")


@pytest.fixture
def running(serve: Serve, db_url: str) -> Running:
    """A server on each database, with some days of two items."""
    running = serve(url=db_url)
    put(running.db, *((key, days, 4.0) for days in range(9, 0, -1) for key in (EGGS, PORK)))
    return running


def test_a_morning_on_both_databases(running: Running) -> None:
    """A form, a sheet, counts, a patrol, a decision; every page answers afterwards."""
    browser = people.visitor(running, "reporter", "duty", "approver", "monitor", points=[POINT])
    n = ids(running.db)
    assert send(browser, {f"v-{n['鸡蛋']}": "4.1"}).status_code == 303
    assert stored(running.db) == [(4.1, "")]
    path, page = preview(browser, SHEET.replace("4.3", "4.05"))
    assert "可以提交" in page
    assert browser.send_form(f"{path}/commit").status_code == 303
    assert count(browser, {"合计": "12", "鸡蛋": "3"}).status_code == 303
    assert patrol(browser, measure="抢购").status_code == 303
    assert decide(browser).status_code == 303
    assert stored(running.db) == [(4.1, ""), (4.05, "")]
    assert len(complaints(running.db)) == 2
    assert len(patrols.list_patrols(running.db)) == 1
    assert len(records.list_records(running.db)) == 2
    for address in (*PAGES, "/reports-due", f"/reports-due?point={POINT}", path, f"{path}/rejects.csv"):
        assert browser.get(address).status_code == 200, address


def test_odd_texts_are_answered(running: Running) -> None:
    """NUL, half characters and very long texts in addresses and fields: an answer in words, never a fault of ours."""
    browser = people.visitor(running, "reporter", "duty", "approver", "monitor", points=[POINT])
    odd = ("%00", "%ED%A0%80", "x" * 3000, "%F0%9F%92%A9", "..%2F..%2Fetc%2Fpasswd", "' OR 1=1 --")
    for text in odd:
        for address in (
            f"/entry?point={text}",
            f"/entry?day={text}",
            f"/entry/upload/{text}",
            f"/entry/upload/{text}/rejects.csv",
            f"/records/patrols?kind={text}&area={text}&after={text}",
            f"/records/complaints?area={text}",
            f"/records/complaints?day={text}",
            f"/reports-due?point={text}",
            f"/reports-due?area={text}&state={text}",
        ):
            assert browser.get(address).status_code < 500, address
    nasty = "a\0b" + "字" * 5000
    n = ids(running.db)
    new = {f"{field}-new": nasty for field in ("item", "spec", "unit", "channel", "v", "n")}
    assert send(browser, {f"v-{n['鸡蛋']}": nasty, f"n-{n['鸡蛋']}": nasty} | new).status_code == 422
    assert count(browser, {nasty: "3"}).status_code == 422
    assert patrol(browser, place=nasty, items=nasty).status_code == 422
    assert decide(browser, document=nasty, items=nasty).status_code == 422
    for path in (f"/records/patrols/{nasty[:50]}/withdraw", f"/records/{nasty[:50]}/end", "/entry/upload/%00/commit"):
        assert browser.send_form(path.replace("\0", "%00"), revision="1", end="2026-03-01").status_code == 404
    assert len(observations.list_observations(running.db, item="鸡蛋")) == 9
