"""A real sending process that can kill itself with SIGKILL at any numbered step of the send path.

Before and after each of tidy, lease, send and settle is a step, counted from 1; step 0 is never reached.
"""

from __future__ import annotations

import os
import signal
from datetime import datetime
from pathlib import Path

from alerts.channels.base import Message, Sent
from alerts.channels.webhook import Webhook, WebhookOptions
from alerts.outbox import Decision, Leased, Policy, Tidied, deliver
from monitor.store import outbox
from monitor.store.database import open_database
from thresholds.settings import Secret


class Steps:
    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.taken = 0

    def __call__(self) -> None:
        self.taken += 1
        if self.taken == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class Store:
    def __init__(self, real: outbox.Outbox, step: Steps) -> None:
        self.real, self.step = real, step

    def tidy(self, channel: str, now: datetime, policy: Policy) -> Tidied:
        self.step()
        done = self.real.tidy(channel, now, policy)
        self.step()
        return done

    def lease(self, channel: str, owner: str, now: datetime, policy: Policy) -> Leased | None:
        self.step()
        leased = self.real.lease(channel, owner, now, policy)
        self.step()
        return leased

    def settle(self, leased: Leased, decision: Decision, now: datetime) -> bool:
        self.step()
        done = self.real.settle(leased, decision, now)
        self.step()
        return done


class Line:
    name = "hook"

    def __init__(self, real: Webhook, step: Steps) -> None:
        self.real, self.step = real, step

    def send(self, message: Message, now: datetime) -> Sent:
        self.step()
        sent = self.real.send(message, now)
        self.step()  # the far end has it, and we have not said so anywhere
        return sent


def main(url: str, hook: str, now: datetime, fatal: int) -> None:
    """Start as the daemon does, send everything that is due, and end; or die at step `fatal`."""
    os.environ["HOOK_SECRET"] = "geheim"
    options = WebhookOptions(kind="webhook", name="hook", url=hook, secret=Secret(env="HOOK_SECRET"))
    step = Steps(fatal)
    db = open_database(url, migrate=False)
    outbox.recover(db, now)
    store, line = Store(outbox.Outbox(db), step), Line(Webhook(options, Path()), step)
    deliver(store, line, lambda: now, Policy(), owner=str(os.getpid()), random=lambda: 0.0)
    db.close()
