"""A watched inbox folder: sheets that are put into it are read, then moved to done/ or bad/, with their reports.

A file is read when it has not changed for a while, and moved only after what it held was stored. A crash in between
reads it again, and storing repeats nothing.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from collectors.base import CollectError, Cursor, Fetched, SourceOptions, StoredCounts
from collectors.sheet import SheetError, SheetResult, read_sheet, rejects_path, write_rejects
from collectors.sheet_header import mapping_problems
from collectors.sheet_model import DEFAULT_MAX_BYTES, DEFAULT_MAX_UNPACKED, REJECTS_LISTED
from thresholds.model import ObservationBatch, Reject
from thresholds.settings import Duration

UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp")
"""How programs name files that they are still writing."""

OWN_MARKS = (".", "~$", ".~")
"""How names begin that are no sheets: hidden files, lock files of spreadsheet programs."""

NAME_ROOM = 40  # bytes kept free in a file name for a number and the name of a report
MAX_NAME_BYTES = 255


class FolderOptions(SourceOptions):
    """A folder that people and programs put sheets into; docs/sheets.md describes every key."""

    kind: Literal["folder"]
    path: str
    """relative to the configuration file; created where it is missing"""
    pattern: str = "*"
    """only files whose names match, e.g. *.xlsx"""
    max_bytes: int = Field(DEFAULT_MAX_BYTES, gt=0)
    """bound on a file's size after decompression"""
    max_unpacked: int = Field(DEFAULT_MAX_UNPACKED, ge=1024)
    """bound on what a workbook (XLSX) unpacks to, and on the memory that its cells take"""
    settle: Duration = timedelta(seconds=5)
    """a file is read when it has not changed for so long"""

    @model_validator(mode="after")
    def mapping_is_possible(self) -> Self:
        if problems := mapping_problems(self.columns, self.defaults):
            raise ValueError(problems[0])
        return self


Look = tuple[int, int, int, int]
"""device, inode, size, time of change: a file with the same look has not changed"""


def look(status: os.stat_result) -> Look:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class SheetFile(Fetched):
    """One file of the inbox; it is moved when what it held is stored."""

    move: Callable[[], None] = lambda: None

    def settled(self, stored: StoredCounts) -> None:
        self.move()


class FolderCollector:
    """Reads the files of one folder, the oldest first. Folders in it and links are left alone."""

    def __init__(self, options: FolderOptions, base: Path = Path()) -> None:
        self.name = options.name
        self.options = options
        self.folder = base / options.path
        self._seen: dict[str, tuple[Look, datetime]] = {}

    def fetch(self, cursor: Cursor, now: datetime) -> Iterator[Fetched]:
        """Yield every file that is complete. At the end raises CollectError('io') for those it could not read."""
        self._prepare()
        problems: list[OSError] = []
        for path in self._complete(now):
            try:
                one = self._read(path, now, problems)
            except FileNotFoundError:
                continue  # somebody took it away
            except OSError as error:
                problems.append(error)
                continue
            if one is not None:
                yield one
        if problems:
            raise CollectError(
                "io",
                f"{len(problems)} of the files in {self.folder} could not be read or moved; all others were taken in:"
                f" {'; '.join(map(describe, problems[:5]))}. Check their owner and permissions and the free space",
                permanent=all(isinstance(error, PermissionError) for error in problems),
            )

    def _prepare(self) -> None:
        """Before anything is read: can it be moved afterwards?"""
        try:
            for folder in (self.folder, self.folder / "done", self.folder / "bad"):
                folder.mkdir(parents=True, exist_ok=True)
                if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                    raise PermissionError(13, "not writable", str(folder))
        except OSError as error:
            raise CollectError(
                "io",
                f"the inbox cannot be used: {describe(error)}. Give the daemon the right to read and write"
                f" {self.folder} and the folders done and bad in it; no file was read",
                permanent=True,
            ) from error

    def _complete(self, now: datetime) -> list[Path]:
        """The files that nobody is writing any more, the oldest first."""
        seen: dict[str, tuple[Look, datetime]] = {}
        ready: list[tuple[int, Path]] = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if is_wanted(entry.name, self.options.pattern) and entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        seen[entry.name] = self._first_look(entry.name, status, now)
                        if self._is_settled(status, seen[entry.name][1], now):
                            ready.append((status.st_mtime_ns, Path(entry.path)))
        except OSError as error:
            raise CollectError(
                "io", f"the inbox cannot be listed: {describe(error)}. Check its permissions"
            ) from error
        self._seen = seen
        return [path for _, path in sorted(ready)]

    def _first_look(self, name: str, status: os.stat_result, now: datetime) -> tuple[Look, datetime]:
        """The file's look and since when it has been so."""
        before = self._seen.get(name)
        return before if before is not None and before[0] == look(status) else (look(status), now)

    def _is_settled(self, status: os.stat_result, since: datetime, now: datetime) -> bool:
        """Unchanged for the settle time: by what was seen before, or by the file's own times.

        Times that lie in the future (a clock was set back) say nothing.
        """
        if now - since >= self.options.settle:
            return True
        clock = now.timestamp()
        past = [t for t in (status.st_mtime, status.st_ctime) if t <= clock]
        return bool(past) and clock - max(past) >= self.options.settle.total_seconds()

    def _read(self, path: Path, now: datetime, problems: list[OSError]) -> Fetched | None:
        """What a file holds, or None where it changed meanwhile. Raises OSError."""
        name, options = shown_name(path.name), self.options
        with open_file(path) as stream:
            before = look(os.fstat(stream.fileno()))
            try:
                result: SheetResult | SheetError = read_sheet(
                    stream,
                    name=name,
                    columns=options.columns,
                    defaults=options.defaults,
                    timezone=options.timezone,
                    max_bytes=options.max_bytes,
                    max_unpacked=options.max_unpacked,
                    max_rejects=REJECTS_LISTED,
                )
            except SheetError as error:
                if error.reason == "io" and isinstance(error.__cause__, OSError):
                    raise error.__cause__ from None
                result = error
        more: Mapping[str, int] = {}
        if look(path.stat(follow_symlinks=False)) != before:
            return None
        if isinstance(result, SheetError):
            batch, rejects = ObservationBatch.of(()), [Reject(0, result.reason, str(result))]
        else:
            batch, rejects, more = result.batch, result.rejects, result.more

        def move() -> None:
            try:
                self._move(path, before, result, now)
            except OSError as error:
                problems.append(error)

        return SheetFile(name=name, batch=batch, rejects=rejects, more=more, move=move)

    def _move(self, path: Path, before: Look, result: SheetResult | SheetError, now: datetime) -> None:
        """Put a file that was stored where it belongs, its report first. Raises OSError."""
        try:
            if look(path.stat(follow_symlinks=False)) != before:
                return  # a newer file has taken its place and is read next time
        except FileNotFoundError:
            return
        good = isinstance(result, SheetResult) and (len(result.batch) > 0 or not result.rejects)
        target = reserve(self.folder / ("done" if good else "bad"), path.name)
        report = rejects_path(target) if isinstance(result, SheetResult) else text_report_path(target)
        try:
            if isinstance(result, SheetError):
                at = now.astimezone(ZoneInfo(self.options.timezone)).isoformat(sep=" ", timespec="seconds")
                text = f"文件：{shown_name(path.name)}\n时间：{at}\n原因：{result.reason}\n说明：{result}\n"
                report.write_text(text, "utf-8-sig")
            elif result.rejects:
                write_rejects(report, result.rejects, result.header.names, result.more)
            path.replace(target)
        except OSError:
            report.unlink(missing_ok=True)
            target.unlink(missing_ok=True)  # empty until the file itself takes its place
            raise


def text_report_path(sheet: Path) -> Path:
    """Where it is said why a file was no sheet at all."""
    return sheet.with_name(sheet.name + ".report.txt")


def is_wanted(name: str, pattern: str) -> bool:
    lower = name.lower()
    return (
        not name.startswith(OWN_MARKS)
        and not lower.endswith(UNFINISHED)
        and fnmatch.fnmatchcase(lower, pattern.lower())
    )


def open_file(path: Path) -> BinaryIO:
    """Open a plain file, never a link and never anything that could block. Raises OSError."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(22, "not a plain file", str(path))
        return os.fdopen(number, "rb")
    except OSError:
        os.close(number)
        raise


def reserve(folder: Path, name: str) -> Path:
    """A free name in `folder`, taken with an empty file, so that nothing is ever overwritten. Raises OSError.

    An empty file without a report was taken so and left by a process that was killed before it could move the sheet:
    no sheet is kept so, for an empty one is bad and has its report.
    """
    stem, ending = split_name(name)
    while len(os.fsencode(stem + ending)) > MAX_NAME_BYTES - NAME_ROOM and len(stem) > 1:
        stem = stem[:-1]
    number = 1
    while True:
        target = folder / (f"{stem}.{number}{ending}" if number > 1 else stem + ending)
        if not any(os.path.lexists(report) for report in (rejects_path(target), text_report_path(target))):
            try:
                target.touch(exist_ok=False)
                return target
            except FileExistsError:
                if left_over(target):
                    return target
        number += 1


def left_over(target: Path) -> bool:
    """Whether a name was taken and never used."""
    try:
        status = target.stat(follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def split_name(name: str) -> tuple[str, str]:
    """('prices', '.csv.gz'): the part that a number follows, and the ending."""
    stem, ending = os.path.splitext(name)
    if ending.lower() == ".gz":
        stem, inner = os.path.splitext(stem)
        ending = inner + ending
    return stem, ending if len(ending) <= 20 else ending[:20]


def shown_name(name: str) -> str:
    """A file name as text: names in another encoding than the system's are tried as GB18030."""
    data = os.fsencode(name)
    for encoding in ("utf-8", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return "".join(c if c.isprintable() else " " for c in text)
    return data.decode("utf-8", "replace")


def describe(error: OSError) -> str:
    where = shown_name(os.path.basename(os.fsdecode(error.filename))) if error.filename else "a file"
    return f"{where}: {error.strerror or error}"
