"""What `monitor tune` found, in files and in words."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from monitor.event_list import EventList
from thresholds.load import Watched
from thresholds.plan import Rule
from thresholds.replay import save
from thresholds.trial import Event, Judged, Outcome, Window
from thresholds.varying import Place, Value

COLUMNS = (
    *("rule", "key", "value", "own", "flags", "flags_per_week", "flags_per_100_series_weeks"),
    *("events", "caught", "recall", "median_delay", "percent_at_no_more_load", "percent_recall"),
)
ONE_LINE = "percent"
"""What the rule of one line is called in the table"""


@dataclass(frozen=True)
class Tried:
    """One rule with one value and what it did; `per_week` and `load` (per 100 series-weeks) as far as known."""

    value: Value
    own: bool
    outcome: Outcome
    per_week: float | None
    load: float | None


@dataclass(frozen=True)
class Result:
    """All that was tried on one history."""

    rule: Rule
    watched: Watched
    places: Sequence[Place]
    tried: Sequence[Tried]
    percent: Sequence[Tried]
    judged: Judged

    def beside(self, load: float | None) -> Tried | None:
        """The one-line rule at its best with no more load; None where it makes more at any of its values."""
        if load is None:
            return None
        possible = [t for t in self.percent if t.load is not None and t.load <= load * (1 + 1e-9)]
        return max(possible, key=lambda t: (t.outcome.recall or 0.0, t.load), default=None)


# --- what is written -----------------------------------------------------------------------------------------------


def write(out: Path, result: Result, listed: EventList | None) -> None:
    """tune.csv, tune.png and, with a list of events, tune-events.csv."""
    from monitor.trade_off import Dot, draw

    rows = [row_of(result, t, result.rule.id, result.places[0].name) for t in result.tried]
    rows += [row_of(result, t, ONE_LINE, "change to the previous report, %") for t in result.percent]
    save(out / "tune.csv", COLUMNS, rows)
    if listed is not None:
        save(out / "tune-events.csv", *event_rows(result))
    dots = [
        [Dot(label(t.value), t.load, t.outcome.recall, t.own) for t in some if t.load is not None]
        for some in (result.tried, telling(result.percent))
    ]
    draw(out / "tune.png", result.rule.title, f"{result.rule.id}: {result.places[0].name}", dots[0], dots[1])


def row_of(result: Result, one: Tried, rule: str, key: str) -> list[str]:
    outcome = one.outcome
    events = len(outcome.delays)
    simple = result.beside(one.load) if rule != ONE_LINE and events else None
    return [
        *(rule, key, label(one.value), "yes" if one.own else "", str(outcome.flags)),
        *(figure(one.per_week), figure(one.load)),
        *((str(events), str(outcome.caught)) if events else ("", "")),
        *(figure(outcome.recall), figure(outcome.median_delay)),
        *((label(simple.value), figure(simple.outcome.recall)) if simple else ("", "")),
    ]


def event_rows(result: Result) -> tuple[list[str], list[list[str]]]:
    """Which event was found at which value, after how many reports: head and rows."""
    head = ["line", "item", "point", "direction", "start", "end", "judged", *(label(t.value) for t in result.tried)]
    rows = []
    for k, window in enumerate(result.judged.windows):
        delays = [t.outcome.delays[k] for t in result.tried]
        rows.append([*named(window.event), "yes", *("" if d is None else str(d) for d in delays)])
    blank = [""] * len(result.tried)
    rows += [[*named(e), "no: unknown item or point", *blank] for e in result.judged.unknown]
    rows += [[*named(e), "no: the rule does not watch it", *blank] for e in result.judged.beyond]
    return head, sorted(rows, key=lambda row: int(row[0]))


def named(event: Event) -> list[str]:
    return [str(event.row), event.item, event.point, event.direction.value, iso(event.start), iso(event.end)]


def iso(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def label(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def figure(x: float | None) -> str:
    return "" if x is None or not math.isfinite(x) else f"{x:.4g}"


# --- what is said --------------------------------------------------------------------------------------------------


def left_out(judged: Judged, listed: EventList) -> str:
    """The events that are not judged: how many, which, why. Empty where all are."""
    parts = []
    if judged.unknown:
        about = dict.fromkeys(f"{e.item} at {e.point}" if e.point else e.item for e in judged.unknown)
        parts.append(f"{len(judged.unknown)} of items or points that the sheets do not have ({', '.join(about)})")
    if judged.beyond:
        about = dict.fromkeys(f"{e.item} {iso(e.start)}" for e in judged.beyond)
        parts.append(
            f"{len(judged.beyond)} whose item, direction or time the rule does not watch ({', '.join(about)})"
        )
    if listed.other_kinds:
        parts.append(f"{len(listed.other_kinds)} of another kind than move")
    if listed.other_files:
        parts.append(f"{len(listed.other_files)} of other files")
    return "; ".join(parts)


def tell_left_out(result: Result, listed: EventList | None, refused: Sequence[Value]) -> None:
    """Whatever was asked for and not done, on standard error."""
    if refused:
        values = ", ".join(map(label, refused))
        print(f"monitor tune: {result.places[0].name} cannot be {values}; left out", file=sys.stderr)
    if listed is not None and (text := left_out(result.judged, listed)):
        print(f"monitor tune: events left out: {text}", file=sys.stderr)


def tell(result: Result, out: Path) -> None:
    """The table, for people."""
    watched = result.watched
    windows = result.judged.windows
    print(
        f"{result.rule.id}: {', '.join(map(str, result.places))}; {watched.series} series, {watched.weeks:.1f} weeks,"
        f" {watched.series_weeks:.1f} series-weeks" + (f"; {len(windows)} events" if windows else "")
    )
    head = [result.places[0].key, "flags", "a week", "per 100 series-weeks"]
    if windows:
        head += ["caught", "recall", "median delay", "| percent rule at no more load: > p %", "recall"]
    print_table([head, *(printed(result, t) for t in result.tried)])
    print("\nchange to the previous report > p %")
    print_table([["p", *head[1:7]], *(printed(result, t)[:7] for t in telling(result.percent))])
    if windows:
        missed_at_own(result, windows)
    files = ["tune.csv", "tune.png", *(["tune-events.csv"] if windows else [])]
    print(f"\nin {out}: {', '.join(files)}")


def telling(tried: Sequence[Tried]) -> Sequence[Tried]:
    """Up to the first value that flags nothing: the higher ones flag nothing either."""
    last = next((n for n, t in enumerate(tried) if not t.outcome.flags), len(tried))
    return tried[: last + 1]


def missed_at_own(result: Result, windows: Sequence[Window]) -> None:
    """Which events the rule misses as it stands."""
    own = next((t for t in result.tried if t.own), None)
    if own is None:
        return
    missed = [w.event for w, d in zip(windows, own.outcome.delays, strict=True) if d is None]
    if missed:
        what = ", ".join(" ".join(filter(None, (e.item, e.point, iso(e.start)))) for e in missed)
        print(f"\nmissed with its own value: {what}")


def printed(result: Result, one: Tried) -> list[str]:
    outcome = one.outcome
    row = [label(one.value) + (" *" if one.own else ""), str(outcome.flags), figure(one.per_week), figure(one.load)]
    if outcome.delays:
        simple = result.beside(one.load)
        row += [str(outcome.caught), figure(outcome.recall), figure(outcome.median_delay) or "-"]
        row += [f"| {label(simple.value)}", figure(simple.outcome.recall)] if simple else ["| -", "-"]
    return row


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns of one width each, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.ljust(width) if cell.startswith("|") else cell.rjust(width)
            for cell, width in zip(row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())
