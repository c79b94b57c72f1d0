"""`monitor import`: observation sheets into the database, each file in one transaction."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from collectors.base import SourceOptions, StoredCounts
from collectors.folder import FolderOptions
from collectors.sheet import SheetError, SheetResult, read_sheet
from collectors.sheet_model import DEFAULT_MAX_UNPACKED, REJECTS_LISTED
from collectors.sheet_rejects import rejects_path, write_rejects
from monitor.cli import UserError
from monitor.commands.common import database, load, progress
from monitor.store import observations
from monitor.store.database import Database
from monitor.store.errors import StoreError

SOME_REJECTED = 3
FAILED = 1
WORSE = (0, SOME_REJECTED, FAILED)
"""exit codes, the worst last"""


def main(options: argparse.Namespace) -> int:
    config, _ = load(options.config)
    if not options.source.strip() or not options.source.isprintable():
        raise UserError("the name of the source is empty or cannot be shown; write a short name on one line")
    lender = next((s for s in config.source if s.name == options.source), None)
    code = 0
    if not any(path.exists() for path in options.files):  # no database is made for nothing
        for path in options.files:
            say_failed(path, os.strerror(errno.ENOENT), options.json)
        return FAILED
    with database(config) as db:
        for path in options.files:
            try:
                result, counts = import_file(db, path, options.source, lender, config.installation.timezone)
                reasons = result.reasons
            except (SheetError, OSError, StoreError) as error:
                why = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
                say_failed(path, why, options.json)
                code = FAILED
                continue
            say(path, counts, reasons, options.json)
            if result.rejects:
                code = max(code, SOME_REJECTED, key=WORSE.index) if report(path, result) else FAILED
    return code


def report(path: Path, result: SheetResult) -> bool:
    """Write FILE.rejects.csv; says so where that is not possible: the other rows are stored all the same."""
    target = rejects_path(path)
    try:
        write_rejects(target, result.rejects, result.header.names, result.more)
    except OSError as error:
        print(
            f"monitor import: {path}: the accepted rows were stored, but {target} cannot be written"
            f" ({error.strerror}). Let this user write there and import the file again: nothing is stored twice",
            file=sys.stderr,
        )
        return False
    return True


def import_file(
    db: Database, path: Path, source: str, lender: SourceOptions | None, zone: str
) -> tuple[SheetResult, StoredCounts]:
    """Read and store one file. Raises SheetError, StoreError, OSError; then nothing of it was stored."""
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
            max_rejects=REJECTS_LISTED,
            max_bytes=lender.max_bytes if isinstance(lender, FolderOptions) else None,
            max_unpacked=lender.max_unpacked if isinstance(lender, FolderOptions) else DEFAULT_MAX_UNPACKED,
        )
    added = observations.add(
        db,
        result.batch,
        source=source,
        name=path.name,
        now=datetime.now(UTC),
        rejects=result.rejects,
        unlisted=sum(result.more.values()),
    )
    return result, added.counts


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
    print(f"monitor import: nothing of {path} was stored: {error}", file=sys.stderr)
