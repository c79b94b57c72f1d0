"""kill -9 of a real sender at every step of the send path: nothing lost, and no repeat that does not say so."""

from __future__ import annotations

import multiprocessing
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess

import pytest
from sqlalchemy import select

from monitor.schema import notification
from monitor.store import outbox
from monitor.store.database import Database
from tests.alerts import sender
from tests.alerts.channels.far_end import FarEnd, answering, listening, read_request
from tests.alerts.make import NOW, PHONE, opened, told_of

pytestmark = pytest.mark.slow


def put(db: Database, *flag_ids: str, now: datetime = NOW) -> set[str]:
    made = told_of([opened(flag_id) for flag_id in flag_ids], PHONE, now=now).notifications
    with db.begin() as connection:
        outbox.enqueue(connection, made)
    return {one.key for one in made}


PROCESSES = multiprocessing.get_context("forkserver")  # fresh processes, without importing everything each time
PROCESSES.set_forkserver_preload(["tests.alerts.sender", "httpx", "psycopg"])


def start(url: str, end: FarEnd, step: int, now: datetime = NOW) -> ForkServerProcess:
    child = PROCESSES.Process(target=sender.main, args=(url, end.url, now, step), daemon=True)
    child.start()
    return child


def ended(child: ForkServerProcess) -> int:
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode


def check(end: FarEnd, keys: set[str], db: Database, deaths: int) -> None:
    """Every message arrived; those that arrived again said so; and no more of them than senders that died."""
    received = [(request.json["key"], request.json["repeat"], request.json["text"]) for request in end.requests]
    assert {key for key, _, _ in received} == keys
    seen: Counter[str] = Counter()
    for key, repeat, text in received:
        assert seen[key] == 0 or repeat, "a message came twice without saying so"
        assert text.startswith("【重复】") == repeat
        seen[key] += 1
    assert sum(seen.values()) - len(keys) <= deaths
    with db.connect() as connection:
        states = Counter(connection.execute(select(notification.c.state)).scalars())
    assert states == {"sent": len(keys)}


def test_kill_at_every_step_of_the_send_path(db: Database, db_url: str) -> None:
    keys: set[str] = set()
    deaths, now = 0, NOW
    with listening(answering("200 OK")) as end:
        for step in steps():
            now += timedelta(seconds=1)
            keys |= put(db, f"a{step}", f"b{step}", now=now)
            if ended(start(db_url, end, step, now)) == 0:
                break
            deaths += 1
    assert deaths >= 2 + 2 * 6 + 2  # two messages, each leased, sent and settled; before and after each
    check(end, keys, db, deaths)


def steps() -> Iterator[int]:
    """1, 2, 3 … until no step is left to die at."""
    yield from range(1, 200)


def test_kill_while_the_far_end_is_reading_and_before_it_answers(db: Database, db_url: str) -> None:
    children: list[ForkServerProcess] = []

    def behave(connection: socket.socket, end: FarEnd) -> None:
        read_request(connection, end)
        if len(end.requests) in (2, 4):
            children[-1].kill()
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with listening(behave) as end:
        keys = put(db, *(f"f{n}" for n in range(5)))
        for _ in range(3):
            children.append(start(db_url, end, 0))
            ended(children[-1])
    assert [child.exitcode for child in children] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    check(end, keys, db, 2)
