"""Compilation of the scanning kernels: numba, cached on disk, without the GIL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from threading import local
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np

from thresholds.model import IntArray

P = ParamSpec("P")
R = TypeVar("R")

WORKERS = 2
SMALL = 200_000
"""Below this many observations threads cost more than they bring."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile at first call and keep the machine code beside the module (or in NUMBA_CACHE_DIR): 1 to 4 s once,
    milliseconds later. Where it can be kept nowhere, every process compiles for itself."""
    try:
        made = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # neither the module's folder nor the user's cache can be written
        made = numba.njit(function, nogil=True)
    return cast("Callable[P, R]", made)


alone = local()


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it `over_series` takes no further threads: the caller has as many running as there are processors."""
    alone.here = True
    try:
        yield
    finally:
        alone.here = False


def over_series(start: IntArray, work: Callable[[int, int], None]) -> None:
    """Call `work(first, last)` for ranges of series that together cover all, in parallel where it pays.

    `work` writes into arrays given beforehand; ranges do not overlap, so threads need no lock.
    """
    n_series = len(start) - 1
    if n_series == 0:
        return
    if start[-1] < SMALL or n_series < WORKERS or getattr(alone, "here", False):
        work(0, n_series)
        return
    cuts = np.searchsorted(start, np.linspace(0, start[-1], WORKERS + 1)[1:-1])
    edges = [0, *cuts.tolist(), n_series]
    with ThreadPoolExecutor(WORKERS - 1) as pool:  # a thread costs more to start than some of this work: one is here
        others = [pool.submit(work, *ends) for ends in pairwise(edges[1:])]
        work(edges[0], edges[1])
        for other in others:
            other.result()
