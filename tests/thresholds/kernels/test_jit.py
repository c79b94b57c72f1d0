"""Compiling kernels."""

from __future__ import annotations

from collections.abc import Callable

from thresholds.kernels.jit import compiled


def test_a_kernel_whose_machine_code_can_be_kept_nowhere_works_all_the_same() -> None:
    """As where a service can write neither to the program's folder nor to its own home."""
    names: dict[str, Callable[[int], int]] = {}
    exec("def twice(n):\n    return 2 * n", names)  # of no file: there is no folder to keep it in
    assert compiled(names["twice"])(21) == 42
