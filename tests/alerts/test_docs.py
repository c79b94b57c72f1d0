"""docs/alerts.md says what the program does: its example runs, and every state, reason and field stands in it."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerts import texts
from alerts.channels.base import SendError
from alerts.channels.webhook import Webhook, WebhookOptions, body_of
from alerts.notify import Reason, What
from alerts.outbox import State
from tests.alerts.channels.contract import message
from tests.alerts.channels.far_end import closed_port
from thresholds.settings import Secret

DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"
ALERTS = DOCS.parents[1] / "alerts"


@dataclass
class Receiver:
    process: subprocess.Popen[str]
    port: int
    channel: Webhook

    def printed(self) -> list[str]:
        self.process.terminate()
        out, _ = self.process.communicate(timeout=30)
        return out.splitlines()


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    monkeypatch.setenv("HOOK_SECRET", "geheim")
    port = closed_port()
    script = tmp_path / "receiver.py"
    script.write_text(code, "utf-8")
    environment = {**os.environ, "PORT": str(port), "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment)
    options = WebhookOptions(
        kind="webhook", name="hook", url=f"http://127.0.0.1:{port}/", secret=Secret(env="HOOK_SECRET")
    )
    wait_for(port)
    yield Receiver(process, port, Webhook(options, tmp_path))
    process.kill()
    process.communicate()


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the receiver of the documentation does not start")


def test_the_receiver_takes_what_is_genuine_and_each_key_once(receiver: Receiver) -> None:
    now = datetime.now(UTC)
    receiver.channel.send(message(), now)
    receiver.channel.send(message(attempt=2, repeat=True), now)
    receiver.channel.send(message(key="k2", address="101"), now)
    assert [line.split()[0] for line in receiver.printed()] == ["100", "101"]


def test_the_receiver_refuses_what_is_old_forged_or_changed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    with pytest.raises(SendError) as caught:
        receiver.channel.send(message(), now - timedelta(minutes=10))
    assert caught.value.reason == "auth"
    body = body_of(message())
    headers = receiver.channel.headers("k1", body, now)
    for changed, sent in (({}, body + b" "), ({"webhook-id": "k9"}, body), ({"webhook-signature": "v1,x"}, body)):
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=5)
        connection.request("POST", "/", sent, {**headers, **changed})
        assert connection.getresponse().status == 401
    monkeypatch.setenv("HOOK_SECRET", "another")
    with pytest.raises(SendError):
        receiver.channel.send(message(), now)
    assert receiver.printed() == []


def test_every_state_reason_and_field_is_described() -> None:
    text = DOCS.read_text("utf-8")
    words = {*State, *Reason, *What, *(field.name for field in fields(texts.Facts))}
    words |= {name.partition(".")[0] for name in texts.TEMPLATES}
    context = next(iter(texts.samples()))
    words |= {*texts.variables(context), *texts.payload_of(context, 1)}
    assert {word for word in words if f"`{word}`" not in text} == set()


def test_every_reason_that_a_channel_gives_is_described() -> None:
    text = DOCS.read_text("utf-8")
    source = "".join(path.read_text("utf-8") for path in [*ALERTS.glob("channels/*.py"), ALERTS / "outbox.py"])
    reasons = set(re.findall(r'SendError\(\s*"([a-z_]+)"', source))
    assert {"timeout", "tls", "address", "bug"} <= reasons
    assert {reason for reason in reasons if f"| `{reason}` |" not in text} == set()
