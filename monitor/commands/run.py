"""`monitor run`: the daemon, until SIGTERM or SIGINT; SIGHUP reloads."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from queue import SimpleQueue

from monitor.cli import UserError
from monitor.commands.common import load
from monitor.config_model import Config, Logging
from monitor.first_account import NAME, first_admin
from monitor.modules import loaded
from monitor.store.accounts import exists_any
from monitor.store.database import Database
from monitor.store.errors import StoreError
from monitor.store.lock import AlreadyRunning

log = logging.getLogger("monitor")


def main(options: argparse.Namespace) -> int:
    config, policy = load(options.config)
    set_up_logging(config.logging)
    app_module = loaded("monitor.app")
    from monitor.evaluation import public_url

    signals: SimpleQueue[int] = SimpleQueue()  # its put is safe within a signal handler
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda n, _: signals.put(n))
    account: list[str] = []

    def prepare(db: Database, now: datetime) -> None:
        seal_second_factors(db, config)
        account.extend(first_account(db, config, now))

    try:
        with app_module.running(config, policy, prepare=prepare) as app:
            app.on_must_stop = lambda: signals.put(signal.SIGTERM)
            if app.must_stop:  # before we could be told
                signals.put(signal.SIGTERM)
            log.info("ready")
            print(banner(config, public_url(app.config), account), flush=True)
            while (number := signals.get()) == signal.SIGHUP:
                app.reload()
                if app.config.logging != config.logging:
                    config = app.config
                    set_up_logging(config.logging)
            log.info("%s: stopping; what is under way is finished or done again after the next start",
                     signal.Signals(number).name)  # fmt: skip
        left, why = app.scheduler.busy, app.must_stop
    except (StoreError, AlreadyRunning) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{error.strerror or error}. Stop what is there, or choose another [web] port") from error
    log.info("stopped")
    code = 1 if why else 0
    if left:  # threads that hang would keep the process; all that counts is in the database
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


def is_demo(config: Config) -> bool:
    return any(s.enabled and s.kind == "demo" for s in config.source)


def seal_second_factors(db: Database, config: Config) -> None:
    """Second factors stand in the database sealed with the newest key, whatever was before. That it cannot be done is
    no reason not to warn: it is logged with what helps, and the console says it to those whom it concerns."""
    from monitor.sealing import SealError
    from monitor.store.second_factors import Keys, seal_all

    try:
        done = seal_all(db, Keys(config.web.second_factor_keys, config.base))
    except SealError as error:
        log.error("nobody can sign in with the code of an app, recovery codes work: %s", error)
        return
    if done.changed:
        log.info("the second factors of %d accounts were sealed with the newest key", done.changed)
    if done.closed:
        log.error(
            "%s cannot sign in with the code of an app, recovery codes work: %s", ", ".join(done.closed), done.why
        )


def first_account(db: Database, config: Config, now: datetime) -> list[str]:
    """What to say of the first account: its password, once. Nothing where there are accounts.

    Where the output goes into the journal, which keeps it, no account is made but said how to make it.
    """
    if in_journal():
        return (
            [] if exists_any(db) else [f"There is no account yet: monitor users add {NAME} --role admin --generate"]
        )
    password = first_admin(db, now, demo=is_demo(config))
    if not password:
        return []
    return [
        f"Sign in as {NAME} with the password {password}",
        "It is shown this once, is kept nowhere, and must be changed at the first sign-in.",
    ]


def in_journal() -> bool:
    """Whether standard output is what systemd keeps (systemd.exec, JOURNAL_STREAM)."""
    try:
        out = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{out.st_dev}:{out.st_ino}"


def banner(config: Config, address: str, account: Sequence[str] = ()) -> str:
    """What the terminal shows once the daemon is ready."""
    lines = [f"{config.installation.name}: the console is at {address}/", *account]
    if is_demo(config):
        lines.append(
            "It shows a demonstration city; its data is simulated (演示数据). The first flags come within a minute."
        )
    return "\n".join(lines)


class JsonLines(logging.Formatter):
    """One object per line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def set_up_logging(options: Logging) -> None:
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    handler.setFormatter(JsonLines() if options.format == "json" else text)
    logging.basicConfig(level=options.level.upper(), handlers=[handler], force=True)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of every turn left out, without a name
    for chatty in ("httpx", "httpcore", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
