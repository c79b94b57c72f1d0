"""`monitor users`, and the first start, as somebody at the terminal sees them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from monitor.accounts import fits
from monitor.commands.run import in_journal
from monitor.store import accounts, audit, sessions
from monitor.store.database import Database, open_database
from tests.monitor.test_cli_people import CONFIG, good, refused

PASSWORD = "长江后浪推前浪 1867"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "here"
    made.mkdir()
    (made / "config.toml").write_text(CONFIG, "utf-8")
    return made


def now() -> datetime:
    return datetime.now(UTC)


def opened(folder: Path) -> Database:
    return open_database(f"sqlite:///{folder / 'monitor.db'}")


def test_an_account_is_made_listed_changed_and_switched_off(folder: Path) -> None:
    made = good(folder, "users", "add", "li", "--role", "monitor=甲区,乙区", "--role", "viewer", "--generate")
    assert re.fullmatch(r"made: li\n[a-z0-9-]{24}\n", made)
    listed = good(folder, "users", "list")
    for part in ("li", "on, must change password", "monitor=乙区,甲区 viewer", "signed in never"):
        assert part in listed, part
    assert "duty" in good(folder, "users", "roles", "li", "--role", "duty")
    assert "monitor" not in good(folder, "users", "roles", "li")
    assert "switched off" in good(folder, "users", "disable", "li")
    assert "\toff" in good(folder, "users", "list")
    good(folder, "users", "enable", "li")
    db = opened(folder)
    actions = [one.action for one in reversed(audit.entries(db))]
    assert actions == ["account.made", "account.roles", "account.off", "account.on"]
    assert audit.entries(db)[0].actor.startswith("cli:")
    db.close()


def test_a_password_is_read_from_standard_input_checked_and_never_shown(folder: Path) -> None:
    command = [sys.executable, "-m", "monitor", "users", "add", "li", "--role", "admin"]
    tries = (("kurz", 1, "shorter than 12"), ("password123456", 1, "tries first"), (PASSWORD, 0, ""))
    for typed, code, said in tries:
        done = subprocess.run(command, cwd=folder, input=f"{typed}\n".encode(), capture_output=True, timeout=60)
        assert done.returncode == code, done.stderr
        assert said in done.stderr.decode()
        assert PASSWORD not in (done.stdout + done.stderr).decode()
    db = opened(folder)
    assert fits(accounts.credentials(db, "li")[1], PASSWORD)
    db.close()


def test_whoever_lost_everything_is_let_in_again(folder: Path) -> None:
    good(folder, "users", "add", "admin", "--role", "admin", "--generate")
    db = opened(folder)
    who = accounts.find(db, "admin")
    with db.begin() as connection:
        accounts.set_totp(connection, who.id, "SECRET", 1, ["aaaa-bbbb-cccc-dddd"])
        session = sessions.start(connection, who.id, now(), timedelta(days=1), sessions.Origin())
    for _ in range(8):
        sessions.claim_attempt(db, {f"code:{who.id}": 5}, now())
    assert sessions.waits(db, f"code:{who.id}", now()) > 0
    password = good(folder, "users", "passwd", "admin", "--generate").splitlines()[1]
    good(folder, "users", "reset-totp", "admin")
    good(folder, "users", "unlock", "admin")
    good(folder, "users", "end-sessions", "admin")
    _, stored, secret, _ = accounts.credentials(db, "admin")
    assert fits(stored, password)
    assert not secret
    assert sessions.waits(db, f"code:{who.id}", now()) == 0
    assert sessions.find(db, session.secret, now(), timedelta(hours=1)) is None
    assert accounts.find(db, "admin").must_change
    db.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "li", "--role", "boss", "--generate"), "there is no role 'boss'"),
        (("add", "li", "--role", "monitor=", "--generate"), "needs areas"),
        (("add", "a/b", "--role", "monitor", "--generate"), "cannot be used"),
        (("passwd", "nobody", "--generate"), "there is no account named 'nobody'"),
        (("disable", "nobody"), "there is no account named 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_remedy(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(folder, "users", *arguments)


def test_the_first_start_makes_an_administrator_and_shows_the_password_once(folder: Path) -> None:
    (folder / "config.toml").write_text("[web]\nport = 0\n" + CONFIG, "utf-8")
    shown = start(folder)
    found = re.search(r"Sign in as admin with the password ([a-z0-9-]{24})\n", shown[0])
    assert found
    assert found[1] not in shown[1], "never in the log"
    assert "password" not in start(folder)[0]
    db = opened(folder)
    who = accounts.find(db, "admin")
    assert (who.must_change, set(who.roles)) == (True, {"admin"})
    assert fits(accounts.credentials(db, "admin")[1], found[1])
    db.close()
    files = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert found[1].encode() not in files


def start(folder: Path) -> tuple[str, str]:
    """Start the daemon, wait until it is ready, stop it; gives what it wrote."""
    out, err = folder.parent / "out.txt", folder.parent / "err.txt"
    with out.open("wb") as said, err.open("wb") as logged:
        daemon = subprocess.Popen([sys.executable, "-m", "monitor", "run"], cwd=folder, stdout=said, stderr=logged)
        deadline = time.monotonic() + 60
        while not (address := re.search(r"console is at (http://\S+/)\n", out.read_text("utf-8"))):
            assert daemon.poll() is None, err.read_text("utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert httpx.get(f"{address[1]}signin").status_code == 200
        daemon.terminate()
        daemon.wait(60)
    return out.read_text("utf-8"), err.read_text("utf-8")


def test_a_journal_is_told_from_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    out = os.fstat(sys.__stdout__.fileno())  # type: ignore[union-attr]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", sys.__stdout__)
        patch.setenv("JOURNAL_STREAM", f"{out.st_dev}:{out.st_ino}")
        assert in_journal()
        patch.setenv("JOURNAL_STREAM", "1:1")  # inherited from the session's manager
        assert not in_journal()
