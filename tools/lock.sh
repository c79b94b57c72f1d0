#!/usr/bin/env bash
# Re-creates the lock files from pyproject.toml, keeping versions that still fit; UPGRADE=1 takes the newest ones.
# Hashes for every platform, and no address of a package index: the machine that installs uses its own. One version of
# a package for all versions of Python (--fork-strategy fewest): what was tested on one runs on the others.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v uv >/dev/null || {
    echo "lock: uv is missing; install it (python3 -m pip install uv) and start again" >&2
    exit 1
}
options=(--quiet --universal --fork-strategy fewest --python-version 3.11)
options+=(--generate-hashes --no-emit-index-url --no-header)
[ -z "${UPGRADE:-}" ] || options+=(--upgrade)
uv pip compile "${options[@]}" --group node -o requirements-node.lock
options+=(--group build)
uv pip compile "${options[@]}" -o requirements.lock pyproject.toml
uv pip compile "${options[@]}" --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
