"""The systemd unit: accepted by systemd, hardened, restarted for ever, stopped with time to finish."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.conftest import DEPLOY

UNIT = DEPLOY / "systemd" / "price-risk-monitor.service"
TEXT = UNIT.read_text("utf-8")


def setting(name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", TEXT, re.MULTILINE)
    assert len(found) == 1, f"{name} is set {len(found)} times"
    return str(found[0])


def analyze(folder: Path, *arguments: str) -> str:
    """systemd-analyze on the unit, with a program that exists on every machine in place of ours."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    unit = folder / UNIT.name
    unit.write_text(TEXT.replace("/opt/price-risk-monitor/.venv/bin/monitor", "/bin/true"), "utf-8")
    done = subprocess.run([program, *arguments, str(unit)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    assert UNIT.name not in analyze(tmp_path, "verify", "--man=no")  # where its complaints name the unit


def test_the_service_is_little_exposed(tmp_path: Path) -> None:
    report = analyze(tmp_path, "security", "--offline=true", "--threshold=20")  # of 100; fails above
    assert "Overall exposure level" in report


def test_the_service_is_restarted_for_ever_and_has_time_to_stop() -> None:
    assert setting("Restart") == "always"
    assert setting("StartLimitIntervalSec") == "0"
    assert int(setting("TimeoutStopSec")) > 10
    assert setting("KillSignal") == "SIGTERM"


def test_a_reload_sends_the_signal_that_the_daemon_reads_its_configuration_on() -> None:
    assert setting("ExecReload") == "/bin/kill -HUP $MAINPID"


def test_compiled_kernels_may_run_and_have_a_place_for_their_cache() -> None:
    assert not re.search(r"^MemoryDenyWriteExecute=", TEXT, re.MULTILINE)
    assert f"NUMBA_CACHE_DIR=/var/cache/{setting('CacheDirectory')}" in setting("Environment")
