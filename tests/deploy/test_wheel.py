"""What a built wheel carries, and what building one needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "monitor" / "web" / "assets"
LEFT_OUT = (".*", "data", "build", "node_modules", "tests", "docs", "bench", "*.egg-info", "__pycache__", "*.db*")
BUILD = "import setuptools.build_meta as backend; print(backend.build_wheel('out'))"


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build a wheel in `folder`, as pip does after it has set up the requirements."""
    command = [sys.executable, "-c", BUILD]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout, as somebody has it who ran `make run`."""
    copy = tmp_path_factory.mktemp("wheel") / "checkout"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in (".npmrc", ".stamp"):  # left out above with the folders that begin with a dot
        for path in [ASSETS / name, ASSETS.parent / "static" / "dist" / name]:
            if path.exists():
                shutil.copy(path, copy / path.relative_to(ROOT))
    return copy


def test_a_wheel_carries_what_the_console_needs_and_not_what_only_builds_it(checkout: Path) -> None:
    done = build(checkout, PATH="/usr/local/bin:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    with ZipFile(checkout / "out" / done.stdout.splitlines()[-1]) as wheel:
        names = set(wheel.namelist())
        manifest = json.loads(wheel.read("monitor/web/static/dist/manifest.json"))
    assert "console.css" in manifest
    assert {f"monitor/web/static/dist/{file}" for file in manifest.values()} <= names
    for folder in ("monitor/web/templates", "monitor/locale", "monitor/migrations/versions", "thresholds/plans"):
        wanted = {p.relative_to(checkout).as_posix() for p in (checkout / folder).rglob("*.*") if p.is_file()}
        assert {name for name in wanted if "__pycache__" not in name} <= names
    assert [name for name in names if name.startswith("monitor/web/assets/")] == []


def test_without_assets_and_without_node_a_wheel_is_refused_with_the_remedy(checkout: Path, tmp_path: Path) -> None:
    bare = tmp_path / "checkout"
    shutil.copytree(checkout, bare, ignore=shutil.ignore_patterns("dist", "build", "out", "*.egg-info"))
    done = build(bare, PATH=str(tmp_path))
    assert done.returncode != 0
    assert "needs Node 18 or newer with npm; none was found" in done.stderr
    assert "make assets" in done.stderr
    assert "Traceback" not in done.stderr.partition("error: building")[2]


def test_the_lock_of_the_scripts_names_no_registry_and_has_a_hash_for_every_package() -> None:
    lock = json.loads((ASSETS / "package-lock.json").read_text("utf-8"))
    packages = {name: facts for name, facts in lock["packages"].items() if name}
    assert packages
    for name, facts in packages.items():
        assert "resolved" not in facts, name
        assert facts["integrity"].startswith("sha512-"), name


def test_every_package_of_the_scripts_is_pinned() -> None:
    wanted = json.loads((ASSETS / "package.json").read_text("utf-8"))
    versions = wanted["dependencies"] | wanted["devDependencies"]
    assert [name for name, version in versions.items() if not version[:1].isdigit()] == []
