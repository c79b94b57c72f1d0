#!/usr/bin/env bash
# Makes .venv ready: `tools/setup.sh run` with what the daemon needs, `tools/setup.sh test` with the developers' tools too,
# `tools/setup.sh check` with these but without compiling the numeric kernels, which checks do not need.
# The second call is quick: a stamp in .venv says which lock file, interpreter and folder it was made for.
set -euo pipefail
cd "$(dirname "$0")/.."

want=${1:?run, test or check}
venv=.venv
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
has_ensurepip() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }
has_pip() { "$1" -m pip --version >/dev/null 2>&1; }

# The first interpreter that passes every test given; $PYTHON, when set, is the only one asked.
find_python() {
    local name check
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3}; do
        command -v "$name" >/dev/null 2>&1 || continue
        for check in "$@"; do
            "$check" "$name" || continue 2
        done
        command -v "$name"
        return
    done
    return 1
}

# Debian ships Python without the part that makes virtual environments.
install_venv_package() {
    [ -z "${PYTHON:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    echo "setup: installing Debian's python3-venv" >&2
    tools/apt-install.sh python3 python3-venv
}

make_venv() {
    local python
    if python=$(find_python recent has_ensurepip) || { install_venv_package && python=$(find_python recent has_ensurepip); }; then
        rm -rf "$venv"
        "$python" -m venv "$venv"
    elif python=$(find_python recent has_pip); then # no ensurepip, but a pip that can install into another environment
        rm -rf "$venv"
        "$python" -m venv --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" install --quiet pip
    elif [ -z "${PYTHON:-}" ] && command -v uv >/dev/null 2>&1; then
        rm -rf "$venv"
        uv venv --quiet --seed --python '>=3.11' "$venv"
    elif python=$(find_python recent); then
        fail "$python can make no virtual environment: the venv module or pip is missing." \
            "Install it (Debian: apt-get install python3-venv) and start again."
    else
        fail "no Python 3.11 or newer was found${PYTHON:+ at PYTHON=$PYTHON}." \
            "Install one (Debian 12: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 $want"
    fi
    echo "setup: .venv made with $("$venv/bin/python" --version)" >&2
}

usable() {
    "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" --version 2>/dev/null)" = "$("$venv/bin/python" --version)" ]
}

stamp_for() { # what the packages of .venv depend on
    pwd
    "$venv/bin/python" --version
    cat "$1" pyproject.toml setup.py
}

install() { # stamp name, lock file
    local stamp=$venv/stamp-$1 lock=$2 sum
    sum=$(stamp_for "$lock" | sha256sum)
    [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return
    echo "setup: installing the packages of $lock (the first time takes a minute or two)" >&2
    rm -f "$venv"/stamp-*
    "$venv/bin/python" -m pip install --quiet --require-hashes -r "$lock" ||
        fail "the packages could not be installed; see the message above." \
            "Check the network and the package index (pip config list), then start again: it goes on where it stopped."
    local said # setuptools says much that is of no use to anybody here, unless it fails
    said=$("$venv/bin/python" -m pip install --no-deps --no-build-isolation --editable . 2>&1) ||
        fail "this project could not be installed into $venv:" "$said"
    echo "$sum" >"$stamp"
}

build_assets() { # the console's scripts and styles; the daemon is more important than its looks
    if [ "$want" != run ]; then
        "$venv/bin/python" tools/assets.py --dev || exit 1
    elif ! "$venv/bin/python" tools/assets.py; then
        echo "setup: the console's pages will be plain: everything on them works, without colours and charts" >&2
    fi
}

warm_kernels() { # compile the numeric kernels now, not at the first evaluation
    [ -f thresholds/kernels/warm.py ] || return 0
    local stamp=$venv/stamp-warm sum
    sum=$({ "$venv/bin/python" --version; cat requirements.lock thresholds/kernels/*.py; } | sha256sum)
    [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return
    echo "setup: compiling the numeric kernels" >&2
    if "$venv/bin/python" -m thresholds.kernels.warm; then
        echo "$sum" >"$stamp"
    else
        echo "setup: the kernels were not compiled ahead; the first evaluation will be slower" >&2
    fi
}

# Two makes at once would spoil each other's work: one at a time, with the packages and with the kernels.
alone() { # lock file, kept until the next call or the end
    command -v flock >/dev/null 2>&1 || return 0
    exec 9>"$1"
    flock -n 9 || { echo "setup: waiting for another setup in this folder" >&2; flock 9; }
}

alone .venv.lock

usable || make_venv
case $want in
    run) if [ -f "$venv/stamp-test" ]; then install test requirements-dev.lock; else install run requirements.lock; fi ;;
    test | check) install test requirements-dev.lock ;;
    *) fail "unknown: $want" ;;
esac
build_assets
if [ "$want" != check ]; then
    alone "$venv/warm.lock"
    warm_kernels
fi
