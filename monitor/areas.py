"""The areas of the city as the configuration draws them: `[[area]]`."""

from __future__ import annotations

from pydantic import Field

from thresholds.settings import Settings


class AreaOptions(Settings):
    """One area (county, district) and its place on the map of the wall: a grid of squares, like a cartogram."""

    name: str = Field(min_length=1)
    """as it stands in the sheets"""
    row: int = Field(default=0, ge=0, le=12)
    """row on the map, from 1 at the top; 0: below the others"""
    column: int = Field(default=0, ge=0, le=12)
    """column on the map, from 1 on the left; 0: below the others"""
