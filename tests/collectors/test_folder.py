"""The inbox folder: when a file is read, where it goes, and what happens when something goes wrong."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collectors import folder, sheet
from collectors.base import CollectError, Fetched, StoredCounts
from collectors.folder import FolderCollector, FolderOptions
from collectors.sheet_model import REJECTS_LISTED
from thresholds.settings import Fault, validate

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
SHEET = "date,item,point,value\n2024-05-01,猪肉,东风,12.5\n"
DIRTY = SHEET + "2024-05-01,鸡蛋,东风,无\n"


def options(**more: object) -> FolderOptions:
    return FolderOptions.model_validate({"name": "inbox", "kind": "folder", "path": "in", "every": "1m", **more})


class Inbox:
    """A real folder, a collector of it, and what was stored from it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = base / "in"
        self.folder.mkdir()
        self.collector = FolderCollector(options(), base=base)

    def put(self, name: str, content: str | bytes = SHEET, *, age: float = 60) -> Path:
        """A file last written `age` seconds before NOW."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (NOW.timestamp() - age,) * 2)
        return path

    def take(self, now: datetime = NOW, *, settle: bool = True) -> list[Fetched]:
        """Everything that a fetch gives, each settled at once, as after its commit."""
        got = []
        for one in self.collector.fetch({}, now):
            got.append(one)
            if settle:
                one.settled(StoredCounts(accepted=len(one.batch), rejected=len(one.rejects)))
        return got

    def files(self) -> list[str]:
        return sorted(
            str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file() or p.is_symlink()
        )


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


def names(got: Sequence[Fetched]) -> list[str]:
    return [one.name for one in got]


def test_a_sheet_is_read_and_moved_when_it_is_stored(inbox: Inbox) -> None:
    """Before `settled` it stays where it is; afterwards it lies in done/ with its content unchanged."""
    inbox.put("五月.csv")
    (one,) = inbox.take(settle=False)
    assert (one.name, len(one.batch), one.rejects, one.cursor) == ("五月.csv", 1, [], {})
    assert inbox.files() == ["五月.csv"]
    one.settled(StoredCounts(accepted=1))
    assert inbox.files() == ["done/五月.csv"]
    assert (inbox.folder / "done/五月.csv").read_text("utf-8") == SHEET
    assert inbox.take() == []


def test_a_crash_before_the_move_reads_the_file_again(inbox: Inbox) -> None:
    """The same rows come again, and storing finds them known; a late `settled` of the first run is harmless."""
    inbox.put("a.csv")
    (first,) = inbox.take(settle=False)
    (second,) = FolderCollector(options(), base=inbox.base).fetch({}, NOW)
    assert second.batch.value.tolist() == first.batch.value.tolist()
    second.settled(StoredCounts(duplicate=1))
    first.settled(StoredCounts(accepted=1))
    assert inbox.files() == ["done/a.csv"]


def test_rejected_rows_go_beside_the_done_file(inbox: Inbox) -> None:
    """What could be read is done; the report names the rows that could not."""
    inbox.put("a.csv", DIRTY)
    (one,) = inbox.take()
    assert [(r.row, r.reason) for r in one.rejects] == [(3, "no_value")]
    assert inbox.files() == ["done/a.csv", "done/a.csv.rejects.csv"]
    with (inbox.folder / "done/a.csv.rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file))[1][3:] == ["2024-05-01", "鸡蛋", "东风", "无"]


def test_a_bad_file_goes_to_bad_with_its_report_and_stops_no_other(inbox: Inbox) -> None:
    """It is told to the store as one rejected row, so that it is seen."""
    inbox.put("1-bad.csv", "hello\n", age=90)
    inbox.put("2-junk.xlsx", b"PK\x03\x04junk", age=80)
    inbox.put("3-all-rejected.csv", "date,item,value\n2024-05-01,猪肉,无\n", age=70)
    inbox.put("4-good.csv", age=60)
    got = inbox.take()
    assert [(one.name, len(one.batch), [r.reason for r in one.rejects]) for one in got] == [
        ("1-bad.csv", 0, ["header"]),
        ("2-junk.xlsx", 0, ["damaged"]),
        ("3-all-rejected.csv", 0, ["no_value"]),
        ("4-good.csv", 1, []),
    ]
    assert got[0].rejects[0].row == 0
    assert inbox.files() == [
        "bad/1-bad.csv",
        "bad/1-bad.csv.report.txt",
        "bad/2-junk.xlsx",
        "bad/2-junk.xlsx.report.txt",
        "bad/3-all-rejected.csv",
        "bad/3-all-rejected.csv.rejects.csv",
        "done/4-good.csv",
    ]
    report = (inbox.folder / "bad/1-bad.csv.report.txt").read_text("utf-8-sig")
    assert "文件：1-bad.csv\n时间：2024-05-01 20:00:00+08:00\n原因：header\n" in report


def test_nothing_is_ever_overwritten(inbox: Inbox) -> None:
    """The same name again gets a number, and so does its report."""
    for content in (DIRTY, SHEET, DIRTY):
        inbox.put("a.csv", content)
        inbox.take()
    inbox.put("b.csv.gz", "no")
    inbox.take()
    inbox.put("b.csv.gz", "no")
    inbox.take()
    assert inbox.files() == [
        "bad/b.2.csv.gz",
        "bad/b.2.csv.gz.report.txt",
        "bad/b.csv.gz",
        "bad/b.csv.gz.report.txt",
        "done/a.2.csv",
        "done/a.3.csv",
        "done/a.3.csv.rejects.csv",
        "done/a.csv",
        "done/a.csv.rejects.csv",
    ]


def test_a_name_that_a_killed_process_had_taken_is_taken_again(inbox: Inbox) -> None:
    """Killed between taking the name in done/ and the move: the sheet ends there under its own name, once."""
    (inbox.folder / "done").mkdir()
    (inbox.folder / "done" / "a.csv").touch()
    inbox.put("a.csv")
    inbox.take()
    assert inbox.files() == ["done/a.csv"]
    assert (inbox.folder / "done" / "a.csv").read_text("utf-8") == SHEET


def test_the_oldest_file_comes_first(inbox: Inbox) -> None:
    """A correction sent later counts later, whatever it is called."""
    inbox.put("a.csv", age=10)
    inbox.put("b.csv", age=30)
    inbox.put("c.csv", age=20)
    assert names(inbox.take()) == ["b.csv", "c.csv", "a.csv"]


def test_a_file_that_is_still_written_is_not_read(inbox: Inbox) -> None:
    """Only when it has not changed for the settle time, by its own times."""
    inbox.put("a.csv", age=3)
    assert inbox.take() == []
    assert names(inbox.take(NOW + timedelta(seconds=2))) == ["a.csv"]


def test_a_file_copied_with_its_old_date_is_not_taken_for_complete(inbox: Inbox) -> None:
    """Copying keeps the date of writing; the system's own time of change tells that it has only just come."""
    path = inbox.put("a.csv", age=86400)
    came = datetime.fromtimestamp(path.stat().st_ctime, UTC)
    assert inbox.take(came + timedelta(seconds=4)) == []
    assert names(inbox.take(came + timedelta(seconds=6))) == ["a.csv"]


def test_a_file_dated_in_the_future_is_read_once_it_was_seen_unchanged(inbox: Inbox) -> None:
    """A clock that runs ahead elsewhere does not keep a file waiting for ever, and a change begins the wait anew."""
    inbox.put("a.csv", age=-86400)
    assert inbox.take() == []
    assert inbox.take(NOW + timedelta(seconds=4)) == []
    inbox.put("a.csv", SHEET + "2024-05-02,猪肉,东风,13\n", age=-86500)
    assert inbox.take(NOW + timedelta(seconds=8)) == []
    (one,) = inbox.take(NOW + timedelta(seconds=13))
    assert len(one.batch) == 2


def test_a_file_that_grows_while_it_is_read_is_left_for_the_next_time(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a sheet is never stored."""
    path = inbox.put("a.csv")
    real = sheet.read_sheet

    def growing(*args: object, **how: object) -> object:
        result = real(*args, **how)  # type: ignore[arg-type]
        with path.open("a", encoding="utf-8") as file:
            file.write("2024-05-02,猪肉,东风,13\n")
        return result

    monkeypatch.setattr(folder, "read_sheet", growing)
    assert inbox.take() == []
    monkeypatch.undo()
    os.utime(path, (NOW.timestamp() - 60,) * 2)
    assert [len(one.batch) for one in inbox.take()] == [2]


def test_a_file_replaced_after_it_was_read_is_not_moved_away(inbox: Inbox) -> None:
    """The newer one is read the next time."""
    inbox.put("a.csv")
    (one,) = inbox.take(settle=False)
    inbox.put("a.csv", SHEET.replace("12.5", "13"), age=30)
    one.settled(StoredCounts(accepted=1))
    assert inbox.files() == ["a.csv"]
    (again,) = inbox.take()
    assert again.batch.value.tolist() == [13.0]


def test_what_is_no_finished_sheet_is_left_alone(inbox: Inbox, tmp_path: Path) -> None:
    """Unfinished uploads, hidden and lock files, links, pipes and folders."""
    for name in ("a.csv.part", "b.TMP", ".hidden.csv", "~$open.xlsx", ".~lock.x.csv#", "c.csv.crdownload"):
        inbox.put(name)
    (tmp_path / "secret.csv").write_text(SHEET, "utf-8")
    (inbox.folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (inbox.folder / "deeper").mkdir()
    (inbox.folder / "deeper" / "d.csv").write_text(SHEET, "utf-8")
    os.mkfifo(inbox.folder / "pipe.csv")
    for one in ("link.csv", "pipe.csv", "deeper/d.csv"):
        os.utime(inbox.folder / one, (NOW.timestamp() - 60,) * 2, follow_symlinks=False)
    before = inbox.files()
    assert inbox.take() == []
    assert inbox.files() == before


def test_only_names_that_match_the_pattern_are_read(inbox: Inbox) -> None:
    """Without regard to upper and lower case."""
    inbox.collector = FolderCollector(options(pattern="*.xlsx"), base=inbox.base)
    inbox.put("a.csv")
    inbox.put("b.XLSX", SHEET)
    assert names(inbox.take()) == ["b.XLSX"]


def test_a_file_that_cannot_be_opened_is_told_after_the_others(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are stored first; then a CollectError names the file, which stays."""
    inbox.put("1-closed.csv", age=90).chmod(0)
    inbox.put("2-open.csv")
    if os.access(inbox.folder / "1-closed.csv", os.R_OK):  # root may read everything: let the system call refuse
        real = os.open

        def refuse(path: str, *how: int, **more: object) -> int:
            if str(path).endswith("1-closed.csv"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *how, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CollectError, match=r"1-closed\.csv: Permission denied") as error:
        inbox.take()
    assert (error.value.reason, error.value.permanent) == ("io", True)
    assert inbox.files() == ["1-closed.csv", "done/2-open.csv"]


def test_a_move_that_fails_is_told_and_leaves_nothing_behind(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are stored; the file stays, is read again, and is moved when that is possible again."""
    inbox.put("a.csv", DIRTY)
    real = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "a.csv":
            raise OSError(28, "No space left on device", str(self))
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(CollectError, match="No space left"):
            inbox.take()
    assert inbox.files() == ["a.csv"]
    assert names(inbox.take()) == ["a.csv"]
    assert inbox.files() == ["done/a.csv", "done/a.csv.rejects.csv"]


def test_an_inbox_that_cannot_be_used_reads_nothing(tmp_path: Path) -> None:
    """What could not be moved afterwards is not read at all: it would be stored again at every turn."""
    (tmp_path / "in").write_text("a file, not a folder", "utf-8")
    with pytest.raises(CollectError, match="the inbox cannot be used") as error:
        list(FolderCollector(options(), base=tmp_path).fetch({}, NOW))
    assert (error.value.reason, error.value.permanent) == ("io", True)


def test_a_missing_inbox_is_made(tmp_path: Path) -> None:
    """A fresh installation needs no preparation."""
    assert list(FolderCollector(options(path="a/b"), base=tmp_path).fetch({}, NOW)) == []
    assert (tmp_path / "a/b/done").is_dir()
    assert (tmp_path / "a/b/bad").is_dir()


def test_odd_file_names_are_shown_and_moved(inbox: Inbox) -> None:
    """Names in GB18030 bytes, with line breaks, and as long as names can be."""
    encoded = os.fsdecode("价格.csv".encode("gb18030"))
    inbox.put(encoded, DIRTY, age=90)
    inbox.put("a\nb.csv", age=80)
    inbox.put("长" * 83 + ".csv", DIRTY, age=70)
    got = inbox.take()
    assert names(got)[:2] == ["价格.csv", "a b.csv"]
    for one in got:
        one.name.encode()
    assert len(inbox.files()) == 5
    assert all(name.startswith("done/") for name in inbox.files())


def test_the_size_is_bounded(inbox: Inbox) -> None:
    """A file over `max_bytes` is a bad file."""
    inbox.collector = FolderCollector(options(max_bytes=20), base=inbox.base)
    inbox.put("a.csv")
    assert [r.reason for one in inbox.take() for r in one.rejects] == ["too_large"]


def test_the_report_of_a_large_faulty_sheet_is_bounded(inbox: Inbox) -> None:
    """The first rows with their reasons, then one line that says how many more; the counts are of all."""
    rows = "".join(f"2024-05-01,猪肉,点{i},无\n" for i in range(REJECTS_LISTED + 2_345))
    inbox.put("a.csv", "date,item,point,value\n" + rows)
    (one,) = inbox.take()
    assert (len(one.rejects), one.more) == (REJECTS_LISTED, {"no_value": 2_345})
    assert one.reasons["no_value"] == REJECTS_LISTED + 2_345
    lines = (inbox.folder / "bad" / "a.csv.rejects.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == REJECTS_LISTED + 2
    assert lines[-1].startswith(",more,另有 2345 行没有收入")


def test_a_workbook_that_unpacks_to_too_much_is_a_bad_file(inbox: Inbox) -> None:
    """`max_unpacked` of the source bounds it; the report beside the file names the key."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/workbook.xml", b" " * 5_000_000)
    inbox.collector = FolderCollector(options(max_unpacked=1 << 20), base=inbox.base)
    inbox.put("a.xlsx", content.getvalue())
    assert [r.reason for one in inbox.take() for r in one.rejects] == ["too_large"]
    assert "max_unpacked" in (inbox.folder / "bad" / "a.xlsx.report.txt").read_text("utf-8-sig")


def test_mapping_and_defaults_reach_the_sheets(inbox: Inbox) -> None:
    """A source's own column names, defaults and zone are used for its files."""
    inbox.collector = FolderCollector(
        options(columns={"value": "成交价"}, defaults={"point": "东风"}, timezone="UTC"), base=inbox.base
    )
    inbox.put("a.csv", "日期,品种,成交价\n2024-05-01,猪肉,3\n")
    (one,) = inbox.take()
    assert (one.batch.keys[0].point, one.batch.at.tolist()) == ("东风", [1714521600])


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"columns": {"price": "价格"}}, "'price' is no column of an observation sheet"),
        ({"defaults": {"value": "1"}}, "a value cannot have a default"),
        ({"max_bytes": 0}, "greater than 0"),
        ({"settle": 5}, "is not a duration"),
    ],
)
def test_wrong_options_are_faults_with_a_remedy(wrong: dict[str, object], problem: str) -> None:
    """A mapping that can never work is found when the configuration is read, not when the first sheet comes."""
    tables = {"name": "inbox", "kind": "folder", "path": "in", "every": "1m", **wrong}
    model, faults = validate(FolderOptions, tables, "config.toml")
    assert model is None
    (fault,) = faults
    assert isinstance(fault, Fault)
    assert problem in fault.problem
    assert fault.remedy
