"""Every page that the navigation leads to, and those of one's own account: good in both languages, light and dark."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from monitor.schema_entry import duty_rule
from monitor.web.console import render
from tests.browser.checks import good
from tests.browser.conftest import Tabs
from tests.console import people
from tests.web.conftest import Running
from tests.web.make import flag, store_flags

DUTY = {
    "id": "d1", "revision": 1, "since": 20_000, "area": "", "point": "城东农贸市场", "items": ["鸡蛋", "猪肉"],
    "item_class": "", "weekdays": 0, "every": 0, "due": 570, "working_days": True, "emergency": False, "none": False,
    "until": None, "ended": False, "note": "市价〔2026〕3号", "actor": "user:chief", "recorded_at": 1_772_400_000,
}  # fmt: skip
ROLES = ("viewer", "monitor", "duty", "technician", "approver", "commander", "auditor", "admin")
OTHERS = (
    "/flags/f1",
    "/profile",
    "/profile/password",
    "/profile/second-factor",
    "/admin/roles",
    "/duties/d1",
)


@pytest.mark.parametrize(("language", "dark"), [("zh-CN", False), ("en-GB", True)], ids=["zh-light", "en-dark"])
def test_every_page_is_good(tabs: Tabs, running: Running, language: str, dark: bool) -> None:
    store_flags(running.db, flag("f1"), flag("f2", item="鸡蛋（散装，白壳，每 500 克）"), flag("f3", item="<i>"))
    with running.db.begin() as connection:
        connection.execute(insert(duty_rule).values(DUTY))
    who = people.browser(running, people.account(running.db, "chief", ROLES), way="oidc+")
    page = tabs(who, language=language, dark=dark)
    page.goto("/")
    ways = page.locator("header nav a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert set(ways) <= {entry.path for entry in render.NAVIGATION}
    assert len(ways) >= 9
    for path in (*ways, *OTHERS):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        good(page, f"page-{language}{path.replace('/', '-')}")
