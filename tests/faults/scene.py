"""The installation that is killed again and again: an inbox, a webhook, a file, and either database."""

from __future__ import annotations

import csv
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.store.database import open_database
from monitor.store.flags import FlagFilter, list_flags
from monitor.store.observations import list_observations
from tests.faults.daemon import Daemon, drop, names, until
from tests.faults.receiver import Call, Receiver, call_of
from tests.faults.sheets import Sheet, revisions
from tests.terminal import monitor

SHANGHAI = ZoneInfo("Asia/Shanghai")

CONFIG = """
[database]
url = "{database}"
[alerts]
max_age = "36500d"
storm_limit = 100000
default_targets = [{{ channel = "phone", address = "duty" }}, {{ channel = "log", address = "duty" }}]
[alerts.retry]
first_delay = "100ms"
max_delay = "1s"
[[channel]]
kind = "webhook"
name = "phone"
url = "{phone}"
secret = {{ env = "DUTY_SECRET" }}
[[channel]]
kind = "file"
name = "log"
path = "alerts.jsonl"
[[source]]
kind = "folder"
name = "inbox"
path = "inbox"
every = "1s"
settle = "10ms"
"""
SECRET = {"DUTY_SECRET": "a secret of the test alone"}


@dataclass
class Scene:
    """An installation, its far end, and the sheets that were put into its inbox, in order.

    ask   the first value of the first row that a query gives; 0 where there is none or no table yet
    """

    daemon: Daemon
    receiver: Receiver
    url: str
    ask: Callable[[str], int]
    sheets: list[Sheet] = field(default_factory=list)
    deaths: int = 0

    @property
    def inbox(self) -> Path:
        return self.daemon.folder / "inbox"

    def put(self, *sheets: Sheet) -> None:
        for sheet in sheets:
            drop(self.inbox, sheet.name, sheet.text)
            self.sheets.append(sheet)

    def kill_when(self, due: Callable[[], object], delay: float = 0.0) -> None:
        """Start the daemon and kill it `delay` seconds after the moment at which `due()` is true."""
        self.daemon.start()
        until(lambda: due() or self.daemon.running.poll() is not None, "the moment to kill came", every=0.001)
        assert self.daemon.running.poll() is None, self.daemon.tail()
        time.sleep(delay)
        self.daemon.kill()
        self.deaths += 1

    def settled(self) -> bool:
        """Nothing is left to do."""
        left = "SELECT (SELECT count(*) FROM dirty) + (SELECT count(*) FROM notification WHERE state IN"
        left += " ('pending', 'leased'))"
        return not names(self.inbox) and self.ask("SELECT count(*) FROM batch") > 0 and self.ask(left) == 0

    def run_until_settled(self) -> None:
        """An undisturbed run, and a clean end."""
        self.daemon.started()
        until(self.settled, f"everything is settled; {self.daemon.tail()}", patience=180, every=0.1)
        code, _ = self.daemon.stop()
        assert code == 0, self.daemon.tail()


# --- what must be true in the end ----------------------------------------------------------------------------------


def check_all(scene: Scene) -> None:
    check_files(scene)
    check_observations(scene)
    stored = check_flags(scene)
    check_messages(scene, stored)


def check_files(scene: Scene) -> None:
    """Every sheet is in done/, once, as it was sent."""
    done = scene.inbox / "done"
    assert names(scene.inbox) == []
    assert names(scene.inbox / "bad") == []
    assert sorted(names(done)) == sorted(sheet.name for sheet in scene.sheets)
    for sheet in scene.sheets:
        assert (done / sheet.name).read_text("utf-8") == sheet.text


def check_observations(scene: Scene) -> None:
    """Every value is stored once, in the order received, as revisions 1, 2, 3 …"""
    wanted = revisions(scene.sheets)
    found: dict[tuple[str, str, date], list[float]] = {}
    db = open_database(scene.url, migrate=False)
    try:
        for one in list_observations(db, every_revision=True, limit=10_000_000):
            key = (one.series.key.item, one.series.key.point, one.at.astimezone(SHANGHAI).date())
            found.setdefault(key, []).append(one.value)
            assert one.revision == len(found[key])
    finally:
        db.close()
    assert found.keys() == wanted.keys()
    assert {key: values for key, values in found.items() if values != wanted[key]} == {}


def check_flags(scene: Scene) -> set[str]:
    """Moves and data errors are exactly those of `monitor replay` on the same sheets; gives their ids.

    What was flagged before a correction came, and was over by then, stays as it was: so it was known at the time.
    """
    db = open_database(scene.url, migrate=False)
    try:
        every = list_flags(db, FlagFilter(kinds=("move", "data")), limit=100_000)
    finally:
        db.close()
    stored = {one.flag.id: one.flag for one in every if one.flag.end_reason != "corrected"}
    replayed = replay(scene, scene.sheets)
    uncorrected = replay(scene, [sheet for sheet in scene.sheets if "correction" not in sheet.name])
    assert {row["kind"] for row in replayed.values()} == {"move", "data"}, "the sheets hold both"
    former = {key for key, flag in stored.items() if flag.end is not None and key in uncorrected} - replayed.keys()
    described = {
        key: (f.kind.value, f.item, f.point, local(f.first_flagged), f.rule)
        for key, f in stored.items()
        if key not in former
    }
    wanted = {
        key: (row["kind"], row["item"], row["point"], row["first_flagged"], row["rule"])
        for key, row in replayed.items()
    }
    assert described == wanted
    for flag_id, row in replayed.items():
        flag = stored[flag_id]
        assert (flag.direction, local(flag.start), local(flag.end)) == (row["direction"], row["start"], row["end"])
        assert (figure(flag.value), figure(flag.expected), figure(flag.peak), flag.reason) == (
            row["value"],
            row["expected"],
            row["peak"],
            row["reason"],
        )
        assert flag.peak_grade.label == row["peak_grade"]
    return set(replayed)


def figure(x: float) -> str:
    return f"{x:.10g}" if math.isfinite(x) else ""


def local(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(SHANGHAI).date().isoformat()


def replay(scene: Scene, sheets: Sequence[Sheet]) -> dict[str, dict[str, str]]:
    """Moves and data errors that the command line finds in the same files."""
    files = [scene.inbox / "done" / sheet.name for sheet in sheets]
    out = scene.daemon.folder / "replayed"
    done = monitor("replay", "--input", *files, "--out", out)
    assert done.returncode == 0, done.stderr
    with (out / "flags.csv").open(encoding="utf-8", newline="") as file:
        return {row["flag"]: row for row in csv.DictReader(file) if row["kind"] != "silence"}


def check_messages(scene: Scene, flags: set[str]) -> None:
    """Each flag was told by both ways; whatever came twice said so."""
    lines = (scene.daemon.folder / "alerts.jsonl").read_text("utf-8").splitlines()
    calls = [call for line in lines if (call := whole(line)) is not None]
    for arrived in (scene.receiver.calls, calls):
        told = {flag for call in arrived for flag, what in call.flags if what == "opened"}
        assert flags <= told, "a flag was told to nobody"
        check_repeats(arrived)
        twice = len(arrived) - len({call.key for call in arrived})
        assert twice <= scene.deaths, "a death leaves one message of each channel in doubt, not more"
    assert scene.ask("SELECT count(*) FROM notification WHERE state IN ('failed', 'expired')") == 0
    keys = {call.key for call in scene.receiver.calls} | {call.key for call in calls}
    assert scene.ask("SELECT count(*) FROM notification WHERE state = 'sent'") == len(keys)


def whole(line: str) -> Call | None:
    """A message of the file; None for a line that a kill cut off."""
    try:
        return call_of(line)
    except json.JSONDecodeError:
        return None


def check_repeats(calls: Iterable[Call]) -> None:
    seen: Counter[str] = Counter()
    for call in calls:
        assert seen[call.key] == 0 or call.repeat, f"{call.key} came again and does not say so"
        assert call.text.startswith("【重复】") == call.repeat
        seen[call.key] += 1


# --- moments -------------------------------------------------------------------------------------------------------

Moment = Callable[[Scene], Callable[[], object]]


def after(seconds: float) -> Moment:
    """So long after the process was started."""

    def moment(_: Scene) -> Callable[[], object]:
        begin = time.monotonic()
        return lambda: time.monotonic() - begin >= seconds

    return moment


def grows(query: str) -> Moment:
    """The number that `query` gives is larger than at the start."""

    def moment(scene: Scene) -> Callable[[], object]:
        before = scene.ask(query) or 0
        return lambda: (scene.ask(query) or 0) > before

    return moment


def moved(scene: Scene) -> Callable[[], object]:
    """A sheet was put away."""
    before = len(names(scene.inbox / "done"))
    return lambda: len(names(scene.inbox / "done")) > before


def evaluated(scene: Scene) -> Callable[[], object]:
    """Something waited for its evaluation, and does not any more."""
    seen: list[int] = []

    def due() -> bool:
        seen.append(scene.ask("SELECT count(*) FROM dirty"))
        return max(seen) > seen[-1]

    return due


def asked(scene: Scene) -> Callable[[], object]:
    """A message has arrived at the far end, which does not answer."""
    scene.receiver.hanging.set()
    before = scene.receiver.asked
    return lambda: scene.receiver.asked > before


def answered(scene: Scene) -> Callable[[], object]:
    """The far end has answered a moment ago."""
    before = scene.receiver.answered
    return lambda: scene.receiver.answered > before


def written(scene: Scene) -> Callable[[], object]:
    """The file channel has a new line."""
    path = scene.daemon.folder / "alerts.jsonl"
    before = path.stat().st_size if path.exists() else 0
    return lambda: path.exists() and path.stat().st_size > before
