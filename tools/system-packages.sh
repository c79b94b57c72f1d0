#!/usr/bin/env bash
# Installs the servers that the tests start (PostgreSQL, Prometheus, Alertmanager), SQLite's command, and Chromium with a
# small Chinese font. Without root, or without a network, it says what is missing; the tests that need it are then
# skipped with that reason.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
{ command -v prometheus && command -v promtool; } >/dev/null || missing+=(prometheus)
{ command -v prometheus-alertmanager || command -v alertmanager; } >/dev/null || missing+=(prometheus-alertmanager)
command -v sqlite3 >/dev/null || missing+=(sqlite3)
{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || missing+=(chromium)
[ -n "$(command -v fc-list >/dev/null && fc-list :lang=zh)" ] || missing+=(fontconfig fonts-wqy-microhei)
[ ${#missing[@]} -gt 0 ] || exit 0

skipped="the tests that need it are skipped"
if ! command -v apt-get >/dev/null; then
    echo "tests: not installed: ${missing[*]} (this is no Debian); $skipped" >&2
elif [ "$(id -u)" != 0 ]; then
    echo "tests: not installed: ${missing[*]} (apt-get install needs root); $skipped" >&2
elif echo "tests: installing ${missing[*]}" >&2 && ! tools/apt-install.sh "${missing[@]}"; then
    echo "tests: ${missing[*]} could not be installed; $skipped" >&2
fi
