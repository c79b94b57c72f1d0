"""The file channel: whole lines, durable, and nothing lost by a full disk or a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from alerts.channels.base import SendError
from alerts.channels.file import File, FileOptions
from tests.alerts.channels.contract import NOW, message


def channel(base: Path, path: str = "out/messages.jsonl") -> File:
    return File(FileOptions(kind="file", name="file", path=path), base)


def lines(base: Path) -> list[dict[str, object]]:
    text = (base / "out/messages.jsonl").read_text("utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_each_message_is_one_line_of_json_in_a_folder_that_is_created(tmp_path: Path) -> None:
    one = channel(tmp_path)
    one.send(message(), NOW)
    one.send(message(key="k2", attempt=2, repeat=True), NOW)
    first, second = lines(tmp_path)
    assert (first["key"], first["to"], first["text"]) == ("k1", "100", message().body)
    assert (second["key"], second["attempt"], second["repeat"]) == ("k2", 2, True)


def test_the_file_is_not_for_everybody_to_read(tmp_path: Path) -> None:
    channel(tmp_path).send(message(), NOW)
    assert (tmp_path / "out/messages.jsonl").stat().st_mode & 0o007 == 0


def test_a_fragment_that_a_crash_left_does_not_spoil_the_next_line(tmp_path: Path) -> None:
    one = channel(tmp_path)
    one.send(message(), NOW)
    with (tmp_path / "out/messages.jsonl").open("ab") as file:
        file.write(b'{"key": "bro')
    one.send(message(key="k2"), NOW)
    text = (tmp_path / "out/messages.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["key"] for line in (text[0], text[2])] == ["k1", "k2"]
    assert text[1] == '{"key": "bro'


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    def write(n: int) -> None:
        for i in range(20):
            channel(tmp_path).send(message(key=f"{n}-{i}", body="长" * 5_000), NOW)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({line["key"] for line in lines(tmp_path)}) == 80


FULL = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from alerts.channels.base import SendError
from tests.alerts.channels.test_file import channel
from tests.alerts.channels.contract import NOW, message
base = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
one = channel(base)
one.send(message(), NOW)
size = (base / "out/messages.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
try:
    one.send(message(key="k2"), NOW)
except SendError as error:
    print(error.reason, error.permanent, error.uncertain, (base / "out/messages.jsonl").stat().st_size == size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
one.send(message(key="k3"), NOW)
"""


def test_a_line_that_does_not_fit_is_taken_back_and_room_mends_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["io", "False", "False", "True"]
    assert [line["key"] for line in lines(tmp_path)] == ["k1", "k3"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_temporary_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(SendError) as caught:
        channel(tmp_path, "/dev/full").send(message(), NOW)
    assert (caught.value.reason, caught.value.permanent) == ("io", False)
    assert "full" in str(caught.value)


def test_a_folder_that_is_a_file_is_a_temporary_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(SendError) as caught:
        channel(tmp_path).send(message(), NOW)
    assert (caught.value.reason, caught.value.permanent) == ("io", False)
