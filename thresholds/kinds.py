"""All kinds of conditions that rules may use: importing this module registers them.

A new detector is a module with a kernel and a module with its condition (`@condition`); its name is added here.
"""

from __future__ import annotations

from thresholds import (
    conditions,
    conditions_calendar,
    conditions_charts,
    conditions_complaints,
    conditions_composite,
    conditions_counts,
    conditions_crosssection,
    conditions_exit,
    conditions_forecast,
    conditions_reach,
    conditions_recorded,
    conditions_seasonal,
    conditions_series,
    conditions_staying,
    conditions_tree,
)
from thresholds.conditions import KINDS, AnyCondition

MODULES = (
    conditions,
    conditions_calendar,
    conditions_charts,
    conditions_complaints,
    conditions_composite,
    conditions_counts,
    conditions_crosssection,
    conditions_exit,
    conditions_forecast,
    conditions_reach,
    conditions_recorded,
    conditions_seasonal,
    conditions_series,
    conditions_staying,
    conditions_tree,
)

__all__ = ["KINDS", "MODULES", "AnyCondition"]
