"""Proposals to end, and rules on class baskets: day by day through the daemon as all at once by replay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor.cli import build_parser
from monitor.commands.explain import main as explain_command
from monitor.store.flags import FlagFilter, flag_log, list_flags
from tests.acceptance.harness import Clock, Phone, collect, installation
from tests.acceptance.test_live_like_replay import CONFIG, Publisher, replay

BEGIN, DAYS = date(2026, 1, 1), 110
RULES = 'enable = ["ladder-30-50-100", "gd2013-lamp"]'


def rows() -> list[dict[str, str]]:
    """Rice and vegetables at points of two districts, and complaints that name rice; with jumps that calm down."""
    rng = np.random.default_rng(11)
    found = []
    for n, (item, level) in enumerate((("大米", 3.0), ("大白菜", 2.0), ("黄瓜", 4.0), ("面粉", 2.5))):
        for p in range(3):
            steps = rng.normal(0, 0.002, DAYS)
            steps[[60 + n, 85]] += [0.45, -0.4 if n == 1 else 0.0]
            values = level * np.exp(np.cumsum(steps))
            found += [row(d, item, f"点{p}", f"{p % 2}区", f"{v:.2f}", "元/500克") for d, v in enumerate(values)]
    for d in range(DAYS):
        count = rng.poisson(5) + (25 if 60 <= d < 66 else 0)
        found.append(row(d, "12315投诉举报", "热线", "0区", str(count), "件", spec="大米"))
    return sorted(found, key=lambda r: r["date"])


def row(day: int, item: str, point: str, area: str, value: str, unit: str, spec: str = "") -> dict[str, str]:
    day_of = (BEGIN + timedelta(days=day)).isoformat()
    return {"date": day_of, "item": item, "point": point, "value": value, "unit": unit, "area": area, "spec": spec}


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    monkeypatch.setenv("DUTY_SECRET", "a secret of the test alone")
    phone = Phone()
    yield phone
    phone.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_proposed_day_by_day_is_what_replay_proposes(
    tmp_path: Path, phone: Phone, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same flags on items and baskets, with the same proposals to end, whatever order days came in; explained."""
    every = rows()
    publisher = Publisher(every)
    text = CONFIG.format(phone=phone.url, prices=publisher.url).replace("[detection]", f"[detection]\n{RULES}")
    clock = Clock(datetime(BEGIN.year, BEGIN.month, BEGIN.day, tzinfo=UTC) + timedelta(days=50, hours=9))
    with installation(tmp_path, text, clock) as app:
        for day in range(50, DAYS):
            publisher.shown = (BEGIN + timedelta(days=day)).isoformat()
            collect(app, "prices")
            clock.move(days=1)
        stored = list_flags(app.db, FlagFilter(kinds=("move",)), limit=10_000)
        live = {r.flag.id: r.flag for r in stored}
        ended = next(f for f in live.values() if f.exit is not None and f.item == "大米")
        actions = [entry.action for entry in flag_log(app.db, ended.id)]
    expected = replay(every, tmp_path, "--config", str(tmp_path / "config.toml"))
    moves = {r["flag"]: r for r in expected if r["kind"] == "move"}
    assert set(live) == set(moves)
    for name, flag in live.items():
        assert (flag.exit.reason if flag.exit else "") == moves[name]["exit_reason"], name
        assert flag.reason == moves[name]["reason"]
        assert (flag.end is None) == (moves[name]["end"] == "")
    assert {f.item for f in live.values()} >= {"大米", "菜（品类均价）", "粮（品类均价）", "12315投诉举报"}
    assert {f.exit.rule for f in live.values() if f.exit} >= {
        "exit-15-days/stable-staple", "exit-15-days/complaints-about", "exit-15-days/complaints",
    }  # fmt: skip
    assert "exit_proposed" in actions
    said = [f["exit"] for call in list(phone.calls) for f in call["data"]["flags"] if f["what"] in ("exit", "ended")]
    assert any(text.startswith("大米") for text in said)
    options = build_parser().parse_args(["explain", ended.id, "--config", str(tmp_path / "config.toml")])
    assert explain_command(options) == 0
    assert "建议终止：大米" in capsys.readouterr().out
    basket = next(f for f in live.values() if f.item == "菜（品类均价）")
    words = ["explain", basket.id, "--config", str(tmp_path / "config.toml"), "--reproduce", "all"]
    assert explain_command(build_parser().parse_args(words)) == 0
