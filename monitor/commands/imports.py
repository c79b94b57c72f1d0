"""`monitor import`: observation sheets into the database, each file in one transaction."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from collectors.base import SourceOptions, StoredCounts
from collectors.sheet import SheetError, read_sheet
from collectors.sheet_rejects import rejects_path, write_rejects
from monitor.commands.common import database, load, progress
from monitor.store import observations
from monitor.store.database import Database
from monitor.store.errors import StoreError

SOME_REJECTED = 3
FAILED = 1


def main(options: argparse.Namespace) -> int:
    config, _ = load(options.config)
    lender = next((s for s in config.source if s.name == options.source), None)
    code = 0
    with database(config) as db:
        for path in options.files:
            try:
                counts, reasons = import_file(db, path, options.source, lender, config.installation.timezone)
            except (SheetError, OSError, StoreError) as error:
                say_failed(path, str(error), options.json)
                code = FAILED
                continue
            say(path, counts, reasons, options.json)
            if counts.rejected and code == 0:
                code = SOME_REJECTED
    return code


def import_file(
    db: Database, path: Path, source: str, lender: SourceOptions | None, zone: str
) -> tuple[StoredCounts, Counter[str]]:
    """Read and store one file; rejected rows go to FILE.rejects.csv. Raises SheetError, StoreError, OSError."""
    columns: Mapping[str, str] = lender.columns if lender else {}
    defaults: Mapping[str, str] = lender.defaults if lender else {}
    with progress(path.name, path.stat().st_size) as advance:
        result = read_sheet(
            path,
            name=path.name,
            columns=columns,
            defaults=defaults,
            timezone=lender.timezone if lender else zone,
            progress=advance,
        )
    added = observations.add(
        db, result.batch, source=source, name=path.name, now=datetime.now(UTC), rejects=result.rejects
    )
    if result.rejects:
        write_rejects(rejects_path(path), result.rejects, result.header.names)
    return added.counts, Counter(r.reason for r in result.rejects)


def say(path: Path, counts: StoredCounts, reasons: Counter[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"file": str(path), **asdict(counts), "reasons": dict(reasons)}, ensure_ascii=False))
        return
    line = f"{path}: accepted {counts.accepted}, duplicate {counts.duplicate}, revised {counts.revised}"
    line += f", rejected {counts.rejected}"
    if reasons:
        line += f" ({', '.join(f'{reason} {n}' for reason, n in reasons.most_common())}; see {path}.rejects.csv)"
    print(line)


def say_failed(path: Path, error: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"file": str(path), "error": error}, ensure_ascii=False))
    print(f"monitor import: {path}: {error}. Nothing of this file was stored", file=sys.stderr)
