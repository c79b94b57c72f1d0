"""The pages that need no account: what is open now, one flag, the acknowledge link."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.alerts.make import GRADE_I
from tests.browser.checks import good
from tests.browser.conftest import Tabs
from tests.web.conftest import Running
from tests.web.make import ack_path, flag, store_flags
from thresholds.model import Direction


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_open_flags_are_shown_and_lead_to_the_flag(tabs: Tabs, running: Running, scripts: bool) -> None:
    long = "一周上涨 12.0%，超过 10%，连续三天，甲市场、乙市场、丙市场三处同时，" * 3
    store_flags(
        running.db,
        flag("f1", peak_grade=GRADE_I, reason=long),
        flag("f2", item="鸡蛋（散装，白壳，每 500 克）", direction=Direction.DOWN, area="乙区"),
    )
    page = tabs(scripts=scripts)
    page.goto("/")
    if scripts:
        good(page, "open")
    page.get_by_role("link", name="大米").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("大米")
    if scripts:
        good(page, "open-flag")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_link_in_a_message_acknowledges_it_on_a_phone(tabs: Tabs, running: Running, scripts: bool) -> None:
    [told] = store_flags(running.db, flag("f1"), tell=True)
    page = tabs(scripts=scripts, width=360)
    page.goto(ack_path(told))
    if scripts:
        good(page, "ack")
    page.get_by_role("button", name="确认收到").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("已确认")
    if scripts:
        good(page, "acked")
