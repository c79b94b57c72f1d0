"""From a flag in the database to a real receiver and back, on both databases."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from alerts.ack import hash_of
from alerts.channels.file import File, FileOptions
from alerts.channels.webhook import Webhook, WebhookOptions
from alerts.outbox import Outcome, Policy, State, deliver
from monitor.store import flags, outbox
from monitor.store.database import Database
from tests.alerts.channels.far_end import FarEnd, after_request, answering, listening
from tests.alerts.make import FLAG, NOW, duty, many, told_of
from thresholds.settings import Secret


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "geheim")


def hook(end: FarEnd, name: str = "hook", timeout: float = 5) -> Webhook:
    seconds = timedelta(seconds=timeout)
    secret = Secret(env="HOOK_SECRET")
    options = WebhookOptions(kind="webhook", name=name, url=end.url, secret=secret, timeout=seconds)
    return Webhook(options, Path())


def send(db: Database, channel: Webhook | File, at: timedelta = timedelta()) -> list[Outcome]:
    return deliver(outbox.Outbox(db), channel, lambda: NOW + at, Policy(), owner="me", random=lambda: 0.0)


def test_a_flag_reaches_the_phone_and_its_link_acknowledges_it(db: Database) -> None:
    def queue(connection: Connection, changes: Sequence[flags.FlagChange]) -> None:
        outbox.enqueue(connection, told_of(changes, duty(("hook", "100"))).notifications)

    flags.save_evaluation(db, [FLAG], items={FLAG.item}, since={FLAG.item: 0}, dirty=(), now=NOW, notify=queue)
    with listening(answering("200 OK", b'{"id": "m1"}')) as end:
        (outcome,) = send(db, hook(end))
        assert send(db, hook(end)) == []
    assert (outcome.state, outcome.reason, outcome.repeat) == (State.SENT, "accepted", False)
    (request,) = end.requests
    token = request.json["link"].rpartition("/")[2]
    done = outbox.acknowledge_by_token(db, hash_of(token), NOW + timedelta(minutes=1))
    assert done is not None
    record = flags.get_flag(db, FLAG.id)
    assert record is not None
    assert (record.state, record.acknowledged_by) == ("acknowledged", "值班员甲")


def test_a_receiver_that_is_down_gets_everything_once_when_it_is_back(db: Database) -> None:
    put(db, 4)
    with listening(answering("503 Service Unavailable")) as down:
        assert {o.state for o in send(db, hook(down))} == {State.PENDING}
        assert send(db, hook(down), timedelta(seconds=10)) == []
    with listening(answering("200 OK")) as end:
        assert [o.attempt for o in send(db, hook(end), timedelta(minutes=5))] == [2, 2, 2, 2]
    assert len({request.json["key"] for request in end.requests}) == len(end.requests) == 4
    assert not any(request.json["repeat"] for request in end.requests)


def test_g2_a_receiver_that_takes_but_does_not_answer_gets_a_marked_repeat(db: Database) -> None:
    put(db, 1)
    with listening(after_request(lambda connection: connection.close())) as silent:
        (outcome,) = send(db, hook(silent))
    assert (outcome.state, outcome.repeat) == (State.PENDING, False)
    with listening(answering("200 OK")) as end:
        (outcome,) = send(db, hook(end), timedelta(minutes=1))
    assert outcome.repeat
    (first,), (second,) = silent.requests, end.requests
    assert first.json["key"] == second.json["key"]
    assert (first.json["repeat"], second.json["repeat"]) == (False, True)
    assert second.json["subject"].startswith("【重复】")


def test_a_channel_that_hangs_keeps_no_other_waiting(db: Database, tmp_path: Path) -> None:
    put(db, 3)
    put(db, 3, channel="file")
    release = threading.Event()

    def hang(_: socket.socket) -> None:
        release.wait(10)

    with listening(after_request(hang)) as hanging:
        stuck = threading.Thread(target=send, args=(db, hook(hanging, timeout=8)))
        stuck.start()
        while not hanging.requests:
            time.sleep(0.01)
        done = send(db, File(FileOptions(kind="file", name="file", path="out.jsonl"), tmp_path))
        assert stuck.is_alive()
        assert [o.state for o in done] == [State.SENT] * 3
        release.set()
        stuck.join(30)
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 3


def put(db: Database, n: int, channel: str = "hook") -> None:
    with db.begin() as connection:
        outbox.enqueue(connection, told_of(many(n), duty((channel, "100")), channels=[channel]).notifications)
