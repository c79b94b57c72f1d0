"""Secrets of second factors are sealed with a key that is not in the database."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from monitor.check import check
from monitor.commands.common import database, load
from monitor.commands.run import seal_second_factors
from monitor.sealing import FILE, Keyring, SealError, is_sealed, key_of, keyring
from monitor.store import accounts
from tests.console.people import account
from tests.monitor.test_cli_people import CONFIG
from thresholds.settings import Secret

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def ring(*keys: str) -> Keyring:
    return Keyring(tuple(key_of(key) for key in keys), "here")


def test_what_is_sealed_says_nothing_and_is_opened_again() -> None:
    """The same secret is never stored the same way twice."""
    one, other = ring(OLD).seal(SECRET, 7), ring(OLD).seal(SECRET, 7)
    assert is_sealed(one)
    assert not is_sealed(SECRET)
    assert SECRET not in one
    assert one != other
    assert ring(OLD).open(one, 7) == SECRET
    assert ring(OLD).open(SECRET, 7) == SECRET, "what was stored before there were keys"
    assert OLD not in repr(ring(OLD))


def test_a_sealed_secret_fits_its_own_account_and_key_only() -> None:
    """Copied to another account, changed by one letter or without its key it stays closed, and what helps is said."""
    sealed = ring(OLD).seal(SECRET, 7)
    with pytest.raises(SealError, match="reset-totp") as other:
        ring(OLD).open(sealed, 8)
    assert other.value.reason == "damaged"
    for at in (-2, len(sealed) // 2):
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at:][1:]
        with pytest.raises(SealError):
            ring(OLD).open(changed, 7)
    with pytest.raises(SealError, match="Put that key back") as missing:
        ring(NEW).open(sealed, 7)
    assert missing.value.reason == "missing"


def test_after_a_new_key_old_secrets_open_and_new_ones_are_sealed_with_it() -> None:
    sealed = ring(OLD).seal(SECRET, 7)
    both = ring(NEW, OLD)
    assert both.open(sealed, 7) == SECRET
    assert not both.is_current(sealed)
    assert ring(NEW).open(both.seal(SECRET, 7), 7) == SECRET


def test_without_a_configured_key_a_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "data" / FILE
    made = keyring((), tmp_path, file, create=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keyring((), tmp_path, file, create=True) == made
    assert [one.name for one in file.parent.iterdir()] == [FILE]


def test_a_missing_or_damaged_key_is_said_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / FILE
    with pytest.raises(SealError, match=r"is not there.*reset-totp"):
        keyring((), tmp_path, file, create=False)
    file.write_text("too short", "utf-8")
    with pytest.raises(SealError, match=r"damaged.*backup"):
        keyring((), tmp_path, file, create=True)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(SealError, match="NO_SUCH_KEY is not set"):
        keyring((Secret(env="NO_SUCH_KEY"),), tmp_path, file, create=True)
    monkeypatch.setenv("NEW_KEY", NEW)
    (tmp_path / "old").write_text(OLD, "utf-8")
    found = keyring((Secret(env="NEW_KEY"), Secret(file="old")), tmp_path, file, create=True)
    assert found == Keyring(ring(NEW, OLD).keys, "[web] second_factor_keys")


def test_at_the_start_secrets_from_before_are_sealed_and_a_lost_key_is_said_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    config, _ = load(tmp_path / "config.toml")
    with database(config) as db:
        who = account(db, "li")
        with db.begin() as connection:
            accounts.set_totp(connection, who.id, SECRET, 1, [])
        seal_second_factors(db, config)
        with db.connect() as connection:
            assert is_sealed(accounts.totp_of(connection, who.id)[0])
        assert caplog.messages == []
        (file,) = tmp_path.rglob(FILE)
        file.unlink()
        seal_second_factors(db, config)
    assert "recovery codes work" in caplog.text
    assert "reset-totp" in caplog.text
    assert SECRET not in caplog.text


def test_a_configured_key_that_is_none_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2", "utf-8")
    text = CONFIG + '\n[web]\nsecond_factor_keys = [{ file = "key" }, { file = "none" }]\n'
    (tmp_path / "config.toml").write_text(text, "utf-8")
    found = {fault.key: str(fault) for fault in check(tmp_path / "config.toml").faults}
    assert "openssl rand -base64 32" in found["web.second_factor_keys[1]"]
    assert "hunter2" not in str(found)
    assert "cannot be read" in found["web.second_factor_keys[2]"]
