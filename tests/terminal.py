"""`monitor …` as somebody types it, without loading the program anew for each command.

A process of its own has it loaded and forks for every command. The fork has its own folder, environment and files
for what it says, and ends with the exit code. That the installed script does the same is seen in
tests/monitor/test_cli.py and tests/faults.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[1]
PATIENCE = 90.0
"""seconds of real time that a command may take before the test fails: the machine may be busy"""


def monitor(
    *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        files = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (out, err)]
        typed = [str(one) for one in arguments]
        job = {"arguments": typed, "cwd": str(cwd or Path.cwd()), "env": dict(env or os.environ), "files": files}
        code = answer(job)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode("utf-8"))
    return subprocess.CompletedProcess(["monitor", *typed], code, *said)


def answer(job: Mapping[str, Any]) -> int:
    process = loaded()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    if not select.select([process.stdout], [], [], PATIENCE)[0]:
        process.kill()
        loaded.cache_clear()
        raise AssertionError(f"monitor {job['arguments']} took longer than {PATIENCE:.0f} s")
    return int(process.stdout.readline())


@cache
def loaded() -> subprocess.Popen[str]:
    """The process that has the program loaded; it ends with this one."""
    command = [sys.executable, "-m", "tests.terminal"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process


def serve(jobs: IO[str], codes: IO[str]) -> None:
    """Do what is asked, a line each; one at a time."""
    from monitor.cli import COMMANDS

    for name in (*(module for _, module in COMMANDS.values()), "monitor.config", "thresholds.detect", "numba"):
        import_module(name)
    for line in jobs:
        if not (child := os.fork()):
            do(json.loads(line))
        _, status = os.waitpid(child, 0)
        codes.write(f"{os.waitstatus_to_exitcode(status)}\n")
        codes.flush()


def do(job: Mapping[str, Any]) -> None:
    """One command, in the fork; ends the process."""
    from monitor.cli import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(job["files"], 1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv = ["monitor", *job["arguments"]]
    code = 1
    try:
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:  # whatever else went wrong is told as the interpreter would tell it
        if (wrong := sys.exc_info()[1]) is not None:
            traceback.print_exception(wrong)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
