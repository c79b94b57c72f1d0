"""What the daemon loads at start: heavy libraries wait until they are needed, pages until it is ready."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("numba", "pandas", "scipy", "statsmodels", "psycopg", "python_calamine", "tqdm", "matplotlib")
LATER = ("monitor.web.console.pages", "monitor.web.console.queue", "babel", "collectors.demo_city")
PROGRAM = f"""
import sys, time
from pathlib import Path

import monitor.commands.run, monitor.app
from monitor.check import check

def found(names):
    print([name for name in names if name in sys.modules])

found({HEAVY + LATER})
report = check(Path("config.toml"))
with monitor.app.running(report.config, report.policy) as app:
    while not app.evaluation.loaded or app.scheduler.busy:  # the watch has begun, all have ended
        time.sleep(0.01)
    found({HEAVY})
    found(["monitor.web.console.pages"])
"""


def test_starting_the_daemon_loads_no_heavy_library(tmp_path: Path) -> None:
    """statsmodels alone would cost a second and 200 MiB, numba 50 MiB; each of these is imported by the code that
    needs it, which the first runs of the jobs do not while there is no data."""
    (tmp_path / "config.toml").write_text('[database]\nurl = "sqlite:///monitor.db"\n[web]\nport = 0\n', "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.stdout.splitlines() == ["[]", "[]", "['monitor.web.console.pages']"]
