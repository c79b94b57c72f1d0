"""What the daemon loads at start: heavy libraries wait until they are needed."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numba", "pandas", "scipy", "statsmodels", "psycopg", "python_calamine", "tqdm", "matplotlib")


def test_starting_the_daemon_loads_no_heavy_library() -> None:
    """statsmodels alone would cost a second and 200 MiB; each of these is imported by the code that needs it."""
    program = f"import sys, monitor.commands.run, monitor.app; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
