"""docs/api.md and the settings it names stay true."""

from __future__ import annotations

import re
from pathlib import Path

from monitor.auth import Scope
from monitor.web.context import WebSettings
from monitor.web.problem import TITLES

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


def test_every_scope_and_every_kind_of_problem_is_documented_with_its_status() -> None:
    for scope in Scope:
        assert f"| `{scope}` |" in TEXT, scope
    for kind, (status, _) in TITLES.items():
        row = next((line for line in TEXT.splitlines() if line.startswith("| `") and f"`{kind}`" in line), None)
        assert row is not None, kind
        assert row.endswith(f"| {status} |"), kind


def test_every_setting_named_exists_and_every_limit_stated_is_the_default() -> None:
    named = set(re.findall(r"\[web\] ([a-z_]+)", TEXT))
    assert named <= set(WebSettings.model_fields)
    assert {"max_rows", "max_body_bytes", "open_page", "open_metrics"} <= named
    usual = WebSettings()
    assert f"up to {usual.max_rows:,} rows" in TEXT
    assert f"{usual.max_body_bytes // 2**20} MiB" in TEXT
