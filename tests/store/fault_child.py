"""What a child process does on a disk that it may fill or that it may not write.

Its arguments are the name of a function below and a folder. It prints one line per step; the tests compare them.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from monitor.store.database import Database, StoreError, open_database
from monitor.store.observations import add
from tests.store.build import CABBAGE, NOW, PORK, mixed
from thresholds.model import ObservationBatch

ROWS = 2 * 3_000


def sheet(value: float) -> ObservationBatch:
    return mixed(*((key, n, value + n) for key in (CABBAGE, PORK) for n in range(3_000)))


def put(db: Database, value: float) -> str:
    """Store 6,000 rows; gives 'stored' or the reason why not, and tells the message."""
    try:
        add(db, sheet(value), source="s", name="a", now=NOW)
    except StoreError as error:
        print("message", error)
        return error.reason
    return "stored"


def fill_until_refused(db: Database) -> tuple[int, str]:
    """Store revisions until the disk refuses one; gives how many batches went in, and the reason."""
    stored = 0
    while (result := put(db, 1_000.0 * stored)) == "stored":
        stored += 1
        assert stored < 200, "the disk is never full"
    return stored, result


def everything_is_whole(db: Database, batches: int) -> None:
    with db.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM observation").scalar() == batches * ROWS
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def tiny_disk(folder: Path) -> None:
    """The folder is a disk of a few MiB, with a file of somebody else on it."""
    other = folder / "other"
    other.write_bytes(bytes(1_000_000))
    db = open_database(f"sqlite:///{folder}/monitor.db")
    stored, reason = fill_until_refused(db)
    print("refused", reason)
    everything_is_whole(db, stored)
    other.unlink()
    print("with room again", put(db, -1.0))
    everything_is_whole(db, stored + 1)


def full_disk_at_start(folder: Path) -> None:
    """The disk is full before there is any database."""
    other = fill(folder)
    try:
        open_database(f"sqlite:///{folder}/monitor.db")
    except StoreError as error:
        print("message", error)
        print("opening", error.reason)
    other.unlink()
    print("with room again", put(open_database(f"sqlite:///{folder}/monitor.db"), 1.0))


def full_disk_when_started_again(folder: Path) -> None:
    """The disk fills up while the program does not run: not even SQLite's small index of its log fits."""
    db = open_database(f"sqlite:///{folder}/monitor.db")
    assert put(db, 1.0) == "stored"
    db.close()
    other = fill(folder)
    print("started again", put(db, 2.0))
    other.unlink()
    print("with room again", put(db, 3.0))
    everything_is_whole(db, 2)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    other = folder / "other"
    with other.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return other


def file_size_limit(folder: Path) -> None:
    """A limit on the size of files, as a service manager may set it."""
    db = open_database(f"sqlite:///{folder}/monitor.db")
    assert put(db, -1.0) == "stored"
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, most))
    stored, reason = fill_until_refused(db)
    print("refused", reason)
    everything_is_whole(db, stored + 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    print("without the limit", put(db, -2.0))
    everything_is_whole(db, stored + 2)


def read_only(folder: Path) -> None:
    """The folder and the file lose their write permission while the program runs, and get it back."""
    db = open_database(f"sqlite:///{folder}/monitor.db")
    assert put(db, 1.0) == "stored"
    db.close()
    become_nobody(folder)
    for place in (folder / "monitor.db", folder):  # closed each time: as when it is started then
        writable = place.stat().st_mode
        place.chmod(0o555)
        print(place.suffix or "folder", put(db, 2.0))
        try:
            open_database(f"sqlite:///{folder}/monitor.db")
        except StoreError as error:
            print("opening", error.reason)
        place.chmod(writable)
        print("writable again", put(db, 3.0))
        db.close()
    everything_is_whole(db, 2)


def new_in_read_only_folder(folder: Path) -> None:
    """There is no database yet, and none can be made."""
    become_nobody(folder)
    folder.chmod(0o555)
    for place in (folder, folder / "data"):
        try:
            open_database(f"sqlite:///{place}/monitor.db")
        except StoreError as error:
            print("message", error)
            print("opening", error.reason)


def become_nobody(folder: Path) -> None:
    """Permissions do not bind root. What is imported later must be imported by now: root's files may be private."""
    if os.geteuid() == 0:
        for place in (folder, *folder.iterdir()):
            os.chown(place, 65534, 65534)
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
