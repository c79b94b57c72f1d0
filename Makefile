# Every target works alone on a fresh clone. PYTHON=… chooses the interpreter (3.11 or newer).
.PHONY: help run test check bench assets messages lock clean setup-run setup-test setup-check
.DEFAULT_GOAL := help
export PYTHON

help:
	@echo 'make run     set up everything and start the daemon with config.toml (CONFIG=… names another)'
	@echo 'make test    set up everything and run all tests (ARGS=… goes to pytest)'
	@echo 'make check   formatting, lint, types, import arrows'
	@echo 'make bench   the benchmarks, each printing a ratio'
	@echo 'make assets  build the scripts and styles of the console, when they changed'
	@echo 'make messages  bring the console catalogues (monitor/locale) up to date with its texts'
	@echo 'make lock    re-create the lock files (UPGRADE=1: with the newest versions)'
	@echo 'make clean   remove what was set up; your data stays'

CONFIG ?= config.toml
# some tests wait for servers and clocks: one worker more than there are processors
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)

run: setup-run
	@exec .venv/bin/monitor run --config $(CONFIG)

test: setup-test
	@tools/system-packages.sh
	.venv/bin/pytest -n $(WORKERS) --dist loadfile --ignore tests/deploy/test_daemon.py --ignore tests/test_arrows.py $(ARGS)
	@# a daemon starved by tests beside it raises alerts, and rightly: this one runs alone
	@# and CPython 3.11 cannot parse while another thread does, as printing a traceback does
	.venv/bin/pytest tests/deploy/test_daemon.py tests/test_arrows.py

check: setup-check
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/pytest -q tests/test_arrows.py

bench: setup-test
	@set -e; for file in bench/[!_]*.py; do echo "== $$file"; .venv/bin/python "$$file"; done

assets: setup-test

messages: setup-test
	.venv/bin/python -m tests.console.messages

lock:
	tools/lock.sh

clean:
	rm -rf .venv .venv.lock build dist monitor/web/static/dist monitor/web/assets/node_modules *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-run:
	@tools/setup.sh run

setup-test:
	@tools/setup.sh test

setup-check:
	@tools/setup.sh check
