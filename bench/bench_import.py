"""Import of 1,000,000 rows of CSV into SQLite, durable and deduplicated, beside a peer in the same run:
polars.read_csv plus a raw sqlite3.executemany of the same rows into one table (WAL, one commit).

Run: .venv/bin/python bench/bench_import.py [rows]. Each runs in a process of its own; prints seconds, peak memory and
the ratio. The file holds 5,000 series in order of days, with the columns of the sheet contract.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter

HEAD = "date,item,point,value,unit,area,spec,channel,source\n"
N_SERIES = 5_000


def write_sheet(path: Path, rows: int) -> None:
    day, written = date(2025, 1, 1), 0
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD)
        while written < rows:
            for s in range(min(N_SERIES, rows - written)):
                value = 2 + (s * 7 + written // N_SERIES * 13) % 500 / 100
                item, point = s // 50, s % 50
                file.write(f"{day},品种{item},监测点{point},{value:.2f},元/500克,区{point % 6},一级,零售,价格监测\n")
            written += N_SERIES
            day += timedelta(days=1)


def ours(sheet: Path, folder: Path) -> None:
    from collectors.sheet import read_sheet
    from monitor.store import observations
    from monitor.store.database import open_database

    db = open_database("sqlite:///ours.db", base=folder)
    for turn in ("first", "again"):
        begin = perf_counter()
        result = read_sheet(sheet, name=sheet.name)
        added = observations.add(db, result.batch, source="bench", name=sheet.name, now=datetime.now(UTC))
        print(f"{turn} {perf_counter() - begin:.2f} {added.counts.accepted} {added.counts.duplicate}")
    db.close()


def peer(sheet: Path, folder: Path) -> None:
    import sqlite3

    import polars

    begin = perf_counter()
    frame = polars.read_csv(sheet)
    connection = sqlite3.connect(folder / "peer.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"CREATE TABLE sheet ({HEAD.strip()})")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO sheet VALUES (?,?,?,?,?,?,?,?,?)", frame.iter_rows())
    connection.execute("COMMIT")
    connection.close()
    print(f"first {perf_counter() - begin:.2f} {len(frame)} 0")


def measured(which: str, sheet: Path, folder: Path) -> list[list[str]]:
    command = [sys.executable, __file__, which, str(sheet), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.split() for line in done.stdout.splitlines()]


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sheet = folder / "sheet.csv"
        write_sheet(sheet, rows)
        (first, again, our_memory), (raw, raw_memory) = (
            measured("ours", sheet, folder),
            measured("peer", sheet, folder),
        )
        ratio = float(first[1]) / float(raw[1])
        print(f"{rows} rows: import {first[1]} s ({first[2]} accepted), peak {our_memory[1]} MiB")
        print(f"the same file again: {again[1]} s ({again[3]} duplicates, {again[2]} accepted)")
        print(f"polars.read_csv plus raw executemany: {raw[1]} s, peak {raw_memory[1]} MiB; ratio {ratio:.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        {"ours": ours, "peer": peer}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
        print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}")
    else:
        main()
