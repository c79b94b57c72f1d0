"""Settings of property tests: kernels are compiled at their first call, which is no fault of an example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("core", deadline=None)
settings.load_profile("core")
