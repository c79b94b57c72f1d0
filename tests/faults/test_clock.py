"""The clock is set back by an hour, and forward by a day: nothing is lost, nothing waits, and it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.app import App
from monitor.store.flags import FlagFilter, list_flags
from monitor.store.observations import list_observations
from tests.acceptance.harness import Clock, collect, installation
from tests.faults.daemon import drop, names, until
from tests.faults.receiver import Receiver, receiving
from tests.faults.scene import check_repeats
from tests.faults.sheets import ITEMS, correction, planted
from tests.faults.sources import yesterday

CONFIG = """
[database]
url = "sqlite:///monitor.db"
[web]
port = 0
[alerts]
max_age = "36500d"
storm_limit = 100000
default_targets = [{{ channel = "phone", address = "duty" }}]
[alerts.retry]
first_delay = "1s"
[[channel]]
kind = "webhook"
name = "phone"
url = "{phone}"
secret = {{ env = "DUTY_SECRET" }}
[[source]]
kind = "folder"
name = "inbox"
path = "inbox"
every = "1h"
settle = "10ms"
"""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("DUTY_SECRET", "a secret of the test alone")
    with receiving() as one:
        yield one


def take_in(app: App, folder: Path, sheet_name: str, text: str) -> None:
    """One sheet, read and evaluated: a look to see it, another one to see that it stays as it is."""
    drop(folder / "inbox", sheet_name, text)
    collect(app, "inbox")
    collect(app, "inbox")
    assert sheet_name in names(folder / "inbox" / "done")


def told(app: App, receiver: Receiver) -> bool:
    """Every move and data error was told."""
    flags = {one.flag.id for one in list_flags(app.db, FlagFilter(kinds=("move", "data")), limit=1000)}
    return bool(flags) and flags <= receiver.told()


@pytest.mark.parametrize("step", [{"hours": -1}, {"days": 1}], ids=["back", "forward"])
def test_a_clock_that_jumps_loses_nothing_and_delays_nothing(
    tmp_path: Path, receiver: Receiver, step: dict[str, float]
) -> None:
    clock = Clock(datetime.now(UTC))
    first, second = planted("a.csv", ITEMS[0], yesterday()), planted("b.csv", ITEMS[1], yesterday())
    with installation(tmp_path, CONFIG.format(phone=receiver.url), clock) as app:
        take_in(app, tmp_path, first.name, first.text)
        until(lambda: told(app, receiver), "the first moves are told")
        clock.move(**step)
        take_in(app, tmp_path, second.name, second.text)
        until(lambda: told(app, receiver), "the next moves are told")
        fixed = correction("c.csv", first)
        take_in(app, tmp_path, fixed.name, fixed.text)
        newest = {
            (o.series.key.item, o.series.key.point, o.at): o.value for o in list_observations(app.db, limit=9999)
        }
        assert len(newest) == len(first.rows) + len(second.rows)
        assert len(list_observations(app.db, limit=9999, every_revision=True)) > len(newest)
        app.scheduler.wake("watch")
        name = "back" if step.get("hours", 0) < 0 else "forward"
        metric = f'monitor_clock_steps_total{{direction="{name}"}} 1.0'.encode()
        until(lambda: metric in app.metrics.render()[0], "the jump is counted")
        assert app.health().ready
    check_repeats(receiver.calls)
    keys = [call.key for call in receiver.calls]
    assert len(keys) == len(set(keys)), "a clock that jumps is no reason to ring twice"


def test_a_message_that_waits_for_its_next_attempt_does_not_wait_for_the_old_time(
    tmp_path: Path, receiver: Receiver
) -> None:
    clock = Clock(datetime.now(UTC))
    sheet = planted("a.csv", ITEMS[0], yesterday())
    receiver.answer = 500
    with installation(tmp_path, CONFIG.format(phone=receiver.url), clock) as app:
        take_in(app, tmp_path, sheet.name, sheet.text)
        until(lambda: receiver.asked > 0, "it was tried")
        clock.move(hours=-3)
        receiver.answer = 204

        def told_soon() -> bool:
            """Time goes on: an attempt that was under way waits a second or two by the new time."""
            clock.move(seconds=1)
            app.scheduler.wake("send:phone")
            return told(app, receiver)

        until(told_soon, "it is told at once", every=0.1)
