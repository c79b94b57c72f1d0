"""The console on a real server; fixtures as in tests/web."""

from __future__ import annotations

from tests.web.conftest import running, serve

__all__ = ["running", "serve"]
