"""The push source: observations that others bring by POST /api/v1/observations; never asked, so without schedule."""

from __future__ import annotations

from typing import Literal

from collectors.base import SourceOptions


class PushOptions(SourceOptions):
    """Observations brought over the API. `cadence` and `expect` say when silence of those who push is flagged."""

    kind: Literal["push"]
