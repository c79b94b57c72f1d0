"""Import of 1,000,000 rows of CSV into SQLite, durable and without duplicates, beside the least that could be done.

The peer is `polars.read_csv` and one `sqlite3.executemany` of the same rows into one table (WAL, one commit): it
finds no duplicates, keeps no revisions, checks nothing and marks nothing for evaluation. Target: at most 4 times as
long, under 600 MiB. Each is measured in a process of its own, on the same file, in turn.

    python bench/bench_import.py [rounds]
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

SERIES, DAYS = 5_000, 200
ROUNDS = 3
TARGET_RATIO, TARGET_MIB = 4.0, 600


def write_sheet(path: Path) -> None:
    """Day after day, every series of the day: as prices come in."""
    noise = random.Random(7)
    names = [(f"品种{n % 250:03}", f"{n // 250:02}号监测点", 2 + n % 90) for n in range(SERIES)]
    with path.open("w", encoding="utf-8") as file:
        file.write("date,item,point,value,unit,area\n")
        for n in range(DAYS):
            day = date(2026, 1, 1) + timedelta(days=n)
            for item, point, level in names:
                file.write(f"{day},{item},{point},{level * noise.uniform(0.97, 1.03):.2f},元/500克,全市\n")


def peer(folder: Path) -> None:
    """Read, insert, commit."""
    import polars

    frame = polars.read_csv(folder / "sheet.csv")
    connection = sqlite3.connect(folder / "peer.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE row (date TEXT, item TEXT, point TEXT, value REAL, unit TEXT, area TEXT)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?)", frame.iter_rows())
    connection.execute("COMMIT")
    connection.close()


def ours(folder: Path) -> None:
    """What `monitor import` does with one file."""
    from monitor.commands.imports import import_file
    from monitor.store.database import open_database

    db = open_database(f"sqlite:///{folder}/ours.db")
    result, counts = import_file(db, folder / "sheet.csv", "bench", None, "Asia/Shanghai")
    db.close()
    assert (len(result.rejects), counts.revised) == (0, 0)
    assert counts.accepted + counts.duplicate == SERIES * DAYS


WORK: dict[str, Callable[[Path], None]] = {"peer": peer, "ours": ours}


def child(name: str, folder: Path) -> None:
    """Do it, and print seconds and peak memory."""
    begin = time.perf_counter()
    WORK[name](folder)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def measured(name: str, folder: Path) -> tuple[float, float]:
    done = subprocess.run([sys.executable, __file__, "--child", name, folder], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    answer = json.loads(done.stdout)
    return answer["seconds"], answer["mib"]


def one_round(sheet: Path, parent: Path) -> dict[str, tuple[float, float]]:
    """Seconds and MiB of the peer, of the first import and of the same import again, on fresh databases."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        (folder / "sheet.csv").symlink_to(sheet)
        return {
            "peer": measured("peer", folder),
            "import": measured("ours", folder),
            "import again": measured("ours", folder),
        }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="bench-import-") as name:
        sheet = Path(name) / "sheet.csv"
        write_sheet(sheet)
        print(f"{SERIES * DAYS:,} rows, {sheet.stat().st_size / 1e6:.0f} MB of CSV; medians of {rounds} rounds")
        results = [one_round(sheet, Path(name)) for _ in range(rounds)]
    seconds = {key: statistics.median(r[key][0] for r in results) for key in results[0]}
    memory = {key: max(r[key][1] for r in results) for key in results[0]}
    for key in seconds:
        print(f"{key:13} {seconds[key]:6.2f} s   peak {memory[key]:4.0f} MiB")
    ratio = statistics.median(r["import"][0] / r["peer"][0] for r in results)
    again = statistics.median(r["import again"][0] / r["peer"][0] for r in results)
    peak = max(memory["import"], memory["import again"])
    print(f"ratio {ratio:.2f} (target at most {TARGET_RATIO:g}); again {again:.2f}")
    print(f"peak {peak:.0f} MiB (target under {TARGET_MIB})")
    print("target missed" if ratio > TARGET_RATIO or peak >= TARGET_MIB else "target met")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
