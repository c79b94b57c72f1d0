"""Loading modules late and quickly."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from types import ModuleType


def loaded(name: str) -> ModuleType:
    """A module, without looking for garbage meanwhile: what modules hold stays, and looking through it again and
    again is a third of the time that they take to load."""
    if name in sys.modules:
        return import_module(name)
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
