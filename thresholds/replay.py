"""History through the same code, point in time: what `monitor replay` runs, and how its results are written.

The same input gives the same flags.csv and rejects.csv byte for byte; a file cut at a date gives the same flags up to
that date. Only the seconds in summary.json differ from run to run.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thresholds.detect import CITY, Detection, detect, midnight
from thresholds.load import watched
from thresholds.model import Flag, ObservationBatch, Reject
from thresholds.panel import SHANGHAI, Panel
from thresholds.plan import Policy

COLUMNS = (
    *("flag", "kind", "plan", "rule", "item", "point", "area", "direction", "start", "end", "first_flagged"),
    *("peak", "peak_grade", "value", "expected", "threshold", "reason", "points", "exit", "exit_reason"),
)


@dataclass(frozen=True)
class Replayed:
    """What a replay found. `flags` are those first flagged within the dates asked for, from `begin` on."""

    panel: Panel
    flags: list[Flag]
    detection: Detection
    begin: date | None = None


def replay(
    batch: ObservationBatch,
    policy: Policy,
    *,
    begin: date | None = None,
    until: date | None = None,
    city: str = CITY,
    zone: tzinfo = SHANGHAI,
    mark: NDArray[np.uint8] | None = None,
) -> Replayed:
    """Evaluate all of `batch` as it would have been seen then.

    `until`: observations after this day are not looked at. `begin`: flags first flagged before this day are left out;
    earlier observations still serve as history. `mark`: uint8[n], bits of Mark; left out, `batch` is one sheet, which
    may contradict itself.
    """
    panel = panel_of(batch, mark, zone)
    if until is not None:
        panel = panel.only(panel.time < midnight(until, zone) + 86_400)
    axis = np.unique(panel.time)
    last = int(axis[-1]) if len(axis) else 0
    detection = detect(panel, policy, datetime.fromtimestamp(last, UTC), axis=axis, city=city, zone=zone)
    first = datetime.fromtimestamp(midnight(begin, zone), UTC) if begin else None
    flags = [f for f in detection.flags if first is None or f.first_flagged >= first]
    return Replayed(panel, flags, detection, begin)


def panel_of(batch: ObservationBatch, mark: NDArray[np.uint8] | None, zone: tzinfo) -> Panel:
    """The panel of a batch; `mark` as in `replay`."""
    marks = conflicts(batch) if mark is None else mark
    return Panel.build(batch.keys, batch.areas, batch.series, batch.at, batch.value, marks, zone)


def conflicts(batch: ObservationBatch) -> NDArray[np.uint8]:
    """uint8[n], Mark.CONFLICT where the batch holds another value for the same series and time."""
    n = len(batch)
    mark = np.zeros(n, np.uint8)
    if n < 2:
        return mark
    order = np.lexsort((batch.at, batch.series))
    same = (np.diff(batch.series[order]) == 0) & (np.diff(batch.at[order]) == 0)
    differs = same & (np.diff(batch.value[order]) != 0)
    if differs.any():
        run = np.concatenate([[0], np.cumsum(~same)])
        torn = np.zeros(int(run[-1]) + 1, np.bool_)
        torn[run[1:][differs]] = True
        mark[order] = torn[run].astype(np.uint8)  # Mark.CONFLICT is bit 1
    return mark


def write(out: Path, replayed: Replayed, rejects: Mapping[str, Sequence[Reject]], zone: tzinfo = SHANGHAI) -> None:
    """Write flags.csv, rejects.csv and summary.json into the folder `out`, which is made if need be."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [row_of(f, zone) for f in replayed.flags]
    save(out / "flags.csv", COLUMNS, rows)
    write_rejects(out, rejects)
    summary = json.dumps(summary_of(replayed, sum(map(len, rejects.values()))), ensure_ascii=False, indent=2)
    (out / "summary.json").write_text(summary + "\n", "utf-8")


def write_rejects(out: Path, rejects: Mapping[str, Sequence[Reject]]) -> None:
    """Write rejects.csv: the rows that were rejected, by file where there are several."""
    several = len(rejects) > 1
    head = ["row", "reason", "detail", *(["file"] if several else [])]
    lines = [
        [str(r.row), r.reason, r.detail, *([name] if several else [])] for name, some in rejects.items() for r in some
    ]
    save(out / "rejects.csv", head, lines)


def summary_of(replayed: Replayed, rejected: int) -> dict[str, object]:
    """What summary.json holds."""
    kinds = Counter(f.kind.value for f in replayed.flags)
    grades = Counter(f.peak_grade.label or "无" for f in replayed.flags)
    rules = Counter(f.rule for f in replayed.flags)
    detection = replayed.detection
    first_day = (replayed.begin - date(1970, 1, 1)).days if replayed.begin else None
    over = watched(replayed.panel, first_day=first_day)
    return {
        "series": replayed.panel.n_series,
        "observations": len(replayed.panel),
        "rejected": rejected,
        "weeks": round(over.weeks, 2),
        "series_weeks": round(over.series_weeks, 2),
        "flags": {
            "total": len(replayed.flags),
            "kind": dict(sorted(kinds.items())),
            "grade": dict(sorted(grades.items())),
            "rule": dict(sorted(rules.items())),
            "per_week": {kind: rounded(over.per_week(n)) for kind, n in sorted(kinds.items())},
            "per_100_series_weeks": {
                kind: rounded(over.per_100_series_weeks(n)) for kind, n in sorted(kinds.items())
            },
        },
        "failed_rules": detection.failed,
        "seconds": {name: round(s, 3) for name, s in detection.seconds.items()},
    }


def rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 3)


def save(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    path.write_text(text.getvalue(), "utf-8")


def row_of(flag: Flag, zone: tzinfo) -> list[str]:
    return [
        flag.id,
        flag.kind.value,
        flag.plan,
        flag.rule,
        flag.item,
        flag.point,
        flag.area,
        flag.direction.value,
        shown(flag.start, zone),
        shown(flag.end, zone) if flag.end else "",
        shown(flag.first_flagged, zone),
        figure(flag.peak),
        flag.peak_grade.label,
        figure(flag.value),
        figure(flag.expected),
        figure(flag.threshold),
        flag.reason,
        str(len(flag.points)),
        shown(flag.exit.at, zone) if flag.exit else "",
        flag.exit.reason if flag.exit else "",
    ]


def shown(at: datetime, zone: tzinfo) -> str:
    """Local ISO time; a bare date where it is midnight, as dates came in."""
    local = at.astimezone(zone).replace(tzinfo=None)
    return local.date().isoformat() if local.time() == datetime.min.time() else local.isoformat()


def figure(x: float) -> str:
    """Ten significant digits: enough for any price, and free of binary noise."""
    return f"{x:.10g}" if math.isfinite(x) else ""
