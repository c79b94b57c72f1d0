"""kill -9 of the real daemon at many moments: nothing lost, nothing half stored, nothing doubled in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.faults.daemon import Daemon
from tests.faults.receiver import Receiver, receiving
from tests.faults.scene import (
    CONFIG,
    SECRET,
    SHANGHAI,
    Moment,
    Scene,
    after,
    answered,
    asked,
    check_all,
    evaluated,
    grows,
    moved,
    written,
)
from tests.faults.sheets import ITEMS, correction, large, planted
from tests.postgres import Postgres

BATCHES = grows("SELECT count(*) FROM batch")
ATTEMPTS = grows("SELECT last_attempt_at FROM source_state")
FLAGS = grows("SELECT count(*) FROM flag")
SENT = grows("SELECT count(*) FROM notification WHERE state = 'sent'")
LEASES = grows("SELECT sum(attempts) FROM notification")

MOMENTS: list[tuple[str, Moment, float]] = [
    *((f"start+{t}", after(t), 0.0) for t in (0.1, 0.6, 1.1, 1.6)),
    *((f"fetching+{t}", ATTEMPTS, t) for t in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)),
    *((f"stored+{t}", BATCHES, t) for t in (0.0, 0.002, 0.01)),
    *((f"put away+{t}", moved, t) for t in (0.0, 0.01, 0.05)),
    ("evaluated", evaluated, 0.0),
    *((f"flagged+{t}", FLAGS, t) for t in (0.0, 0.005)),
    *((f"leased+{t}", LEASES, t) for t in (0.0, 0.01)),
    *((f"arrived+{t}", asked, t) for t in (0.0, 0.02)),
    *((f"answered+{t}", answered, t) for t in (0.0, 0.003)),
    *((f"written+{t}", written, t) for t in (0.0, 0.003)),
    ("sent", SENT, 0.0),
]
LARGE_AT = {"fetching+0.1", "fetching+0.3", "stored+0.0"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def scene_of(folder: Path, receiver: Receiver, url: str, ask: Callable[[str], int]) -> Scene:
    config = CONFIG.format(database=url, phone=receiver.url)
    return Scene(Daemon(folder, config, env=SECRET), receiver, url, ask)


def kill_at_each(scene: Scene, moments: list[tuple[str, Moment, float]]) -> None:
    """One death per moment, each with something new in the inbox; then one run to the end."""
    last = datetime.now(SHANGHAI).date() - timedelta(days=1)
    sent = []
    try:
        for n, (name, moment, delay) in enumerate(moments):
            sent.append(planted(f"{n:02}-prices.csv", ITEMS[n], last))
            scene.put(sent[-1])
            if n % 3 == 2:
                scene.put(correction(f"{n:02}-correction.csv", sent[n - 1]))
            if name in LARGE_AT:
                scene.put(large(f"{n:02}-large.csv", [f"大米{n}{k}" for k in "甲乙丙丁"], last, 300, 40))
            scene.kill_when(moment(scene), delay)
            scene.receiver.hanging.clear()
        scene.run_until_settled()
    finally:
        scene.daemon.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_daemon_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, receiver: Receiver) -> None:
    def ask(query: str) -> int:
        return int(scene.daemon.one(query) or 0)

    scene = scene_of(tmp_path, receiver, f"sqlite:///{tmp_path}/monitor.db", ask)
    kill_at_each(scene, MOMENTS)
    check_all(scene)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_a_daemon_on_postgresql_killed_at_any_moment_loses_and_doubles_nothing(
    tmp_path: Path, receiver: Receiver, postgres: Postgres
) -> None:
    name = postgres.create()
    with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:

        def ask(query: str) -> int:
            try:
                row = connection.execute(query.encode()).fetchone()
            except psycopg.errors.UndefinedTable:
                return 0
            return int(row[0] or 0) if row else 0

        scene = scene_of(tmp_path, receiver, postgres.url(name), ask)
        kill_at_each(scene, MOMENTS[1::3])
        check_all(scene)
    postgres.drop(name)
