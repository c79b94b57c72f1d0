"""Results that are kept as long as there is room: those used longest ago go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    """Bytes of the arrays in a result: one array, a tuple of them or a dataclass. The same array counts once."""
    return sum({id(column): column.nbytes for column in columns_of(value)}.values())


def columns_of(value: object) -> Iterator[NDArray[Any]]:
    if isinstance(value, np.ndarray):
        if 0 not in value.strides:  # one value for all rows takes no room
            yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from columns_of(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from columns_of(getattr(value, field.name))
