"""The routes of the application with the rights that they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from monitor.rights import Action


@dataclass(frozen=True)
class Asked:
    """A page or form of the console. `actions`: one of these is needed; none: any account will do."""

    method: str
    path: str
    actions: frozenset[Action]


def console_routes(app: FastAPI) -> Iterator[Asked]:
    """Every route whose handler depends on a visitor."""
    for route in flat(app.routes):
        found = asked_of(route.dependant)
        if found is not None:
            for method in sorted(route.methods):
                yield Asked(method, route.path, found)


def flat(routes: Any) -> Iterator[Any]:
    """Routes within routers as well."""
    for route in routes:
        if hasattr(route, "dependant"):
            yield route
        elif hasattr(route, "original_router"):
            yield from flat(route.original_router.routes)


def asked_of(dependant: Any) -> frozenset[Action] | None:
    """The actions that a `visitor(…)` dependency was made with, None where there is none."""
    for one in dependant.dependencies:
        call = one.call
        if getattr(call, "__qualname__", "").startswith("visitor.<locals>"):
            cells = dict(zip(call.__code__.co_freevars, (c.cell_contents for c in call.__closure__), strict=True))
            return frozenset(cells["actions"])
        inner = asked_of(one)
        if inner is not None:
            return inner
    return None
