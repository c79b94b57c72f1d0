"""Results that are kept as long as there is room: those used longest ago go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import fields, is_dataclass

import numpy as np


class Kept(OrderedDict[Hashable, object]):
    """Results of kernels by their key, in order of last use. Nothing goes before `trim` is called."""

    def __getitem__(self, key: Hashable) -> object:
        found = super().__getitem__(key)
        self.move_to_end(key)
        return found

    def trim(self, room: int) -> int:
        """Let go what was used longest ago, until what is left takes at most `room` bytes; how many it takes.

        What is asked for again is computed again, with the same outcome.
        """
        taken = {key: size_of(value) for key, value in self.items()}
        total = sum(taken.values())
        for key, size in taken.items():
            if total <= room:
                break
            if size:
                del self[key]
                total -= size
        return total


def size_of(value: object) -> int:
    """Bytes of the arrays in a result: one array, a tuple of them or a dataclass."""
    if isinstance(value, np.ndarray):
        return 0 if 0 in value.strides else value.nbytes  # one value for all rows takes no room
    if isinstance(value, tuple):
        return sum(size_of(part) for part in value)
    if is_dataclass(value):
        return sum(size_of(getattr(value, f.name)) for f in fields(value))
    return 0
