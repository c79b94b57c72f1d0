"""Second factors in the database are sealed; what was plain, or has an older key, is sealed anew."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.schema_console import account
from monitor.sealing import SealError
from monitor.store import accounts, second_factors
from monitor.store.database import Database
from monitor.store.second_factors import Keys
from tests.console.people import account as made
from thresholds.settings import Secret

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for n, name in enumerate(("old", "new"), 1):
        (tmp_path / name).write_text(base64.b64encode(bytes([n]) * 32).decode(), "utf-8")
    return tmp_path


def keys(files: Path, *names: str) -> Keys:
    return Keys(tuple(Secret(file=name) for name in names), files)


def stored(db: Database) -> dict[str, str]:
    with db.connect() as connection:
        return {row.name: row.totp for row in connection.execute(select(account.c.name, account.c.totp))}


def secret_of(db: Database, used: Keys, id: int) -> str:
    with db.connect() as connection:
        return second_factors.secret_of(db, connection, used, id)[0]


def test_a_second_factor_is_never_plain_in_the_database(db: Database, files: Path) -> None:
    who = made(db, "li", ["monitor"])
    with db.begin() as connection:
        second_factors.keep(db, connection, keys(files, "old"), who.id, SECRET, 1, [])
    assert SECRET not in stored(db)["li"]
    assert accounts.find(db, "li").has_totp
    assert secret_of(db, keys(files, "old"), who.id) == SECRET


def test_plain_secrets_and_those_of_older_keys_are_sealed_with_the_newest(db: Database, files: Path) -> None:
    """Twice does nothing more; then the old key may go."""
    li, wang = made(db, "li"), made(db, "wang")
    made(db, "none")
    with db.begin() as connection:
        accounts.set_totp(connection, li.id, SECRET, 5, ["aaaa-bbbb-cccc-dddd"])
        second_factors.keep(db, connection, keys(files, "old"), wang.id, SECRET, 1, [])
    assert second_factors.seal_all(db, keys(files, "new", "old")) == second_factors.Sealed(2, ())
    assert second_factors.seal_all(db, keys(files, "new", "old")) == second_factors.Sealed(0, ())
    assert stored(db)["none"] == ""
    assert not any(SECRET in one for one in stored(db).values())
    for one in (li, wang):
        assert secret_of(db, keys(files, "new"), one.id) == SECRET
    assert accounts.recovery_codes_left(db, li.id) == 1
    with db.connect() as connection:
        assert accounts.totp_of(connection, li.id)[1] == 5


def test_what_no_key_opens_stays_and_its_owners_are_named(db: Database, files: Path) -> None:
    li, wang = made(db, "li"), made(db, "wang")
    with db.begin() as connection:
        second_factors.keep(db, connection, keys(files, "old"), li.id, SECRET, 1, [])
        accounts.set_totp(connection, wang.id, SECRET, 1, [])
    before = stored(db)["li"]
    done = second_factors.seal_all(db, keys(files, "new"))
    assert (done.changed, done.closed) == (1, ("li",))
    assert "reset-totp" in done.why
    assert stored(db)["li"] == before


def test_no_new_key_file_is_made_while_something_is_sealed_with_a_lost_one(
    db: Database, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the file of SQLite, in the state folder for a server; after the reset of all a new one is made."""
    monkeypatch.setenv("STATE_DIRECTORY", str(files / "state"))
    used = Keys((), files)
    file = used.file(db)
    assert file.parent == (Path(str(db.engine.url.database)).parent if db.dialect == "sqlite" else files / "state")
    who = made(db, "li")
    with db.begin() as connection:
        second_factors.keep(db, connection, used, who.id, SECRET, 1, [])
    assert secret_of(db, used, who.id) == SECRET
    file.unlink()
    with pytest.raises(SealError, match="is not there"):
        second_factors.seal_all(db, used)
    with pytest.raises(SealError), db.begin() as connection:
        second_factors.keep(db, connection, used, who.id, SECRET, 1, [])
    assert not file.exists()
    with db.begin() as connection:
        accounts.reset_totp(connection, who.id)
        second_factors.keep(db, connection, used, who.id, SECRET, 1, [])
    assert secret_of(db, used, who.id) == SECRET
