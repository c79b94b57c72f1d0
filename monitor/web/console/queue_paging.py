"""Turning the pages of the review queue, onwards and back, by the rows at their edges: what is judged or comes in
meanwhile moves no row to another page unseen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement

from monitor.store.database import Database
from monitor.store.review_queue import Head, Wanted, count_above, list_heads
from monitor.web.console.queue_filters import read_position, written_position

PAGE = 100
Address = Callable[[str], str]
"""gives the address of the queue with a further part of its query"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the queue: its rows, and the addresses of itself, the one before and the next one; "" where there is
    none. `above` is how many flags stand above its first row."""

    heads: Sequence[Head]
    here: str
    previous: str = ""
    next: str = ""
    above: int = 0


def turn(
    db: Database, wanted: Wanted, within: ColumnElement[bool], address: Address, after: str, before: str
) -> Page:
    """The page that goes on behind the position `after`, or that ends before the position `before`; the first one
    where neither is a position. Short of a whole page before `before`, it is the first one as well, and whole."""
    behind, below = read_position(after), read_position(before)
    if below is not None and behind is None:
        found = list_heads(db, wanted, within, PAGE + 1, before=below)
        if len(found) > PAGE:
            heads = found[1:]
            return Page(
                heads,
                address(f"before={before}"),
                previous=address(f"before={written_position(heads[0].position)}"),
                next=address(f"after={written_position(heads[-1].position)}"),
                above=count_above(db, wanted, within, heads[0].position),
            )
    found = list_heads(db, wanted, within, PAGE + 1, behind)
    heads = found[:PAGE]
    further = address(f"after={written_position(heads[-1].position)}") if len(found) > PAGE else ""
    if behind is None:
        return Page(heads, address(""), next=further)
    above = count_above(db, wanted, within, heads[0].position) if heads else 0
    previous = address(f"before={written_position(heads[0].position)}") if above else "" if heads else address("")
    return Page(heads, address(f"after={after}"), previous, further, above)
