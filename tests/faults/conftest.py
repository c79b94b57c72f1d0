"""Asserts outside of test files are explained like those in them."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.faults.scene")
