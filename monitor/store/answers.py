"""Answers about the data that cost a look at every series, kept while the data are the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from monitor.store.database import Database
from monitor.store.stamps import DataRevision, data_revision

T = TypeVar("T")
MOST = 200


class Answers:
    """The answers that were asked for last, forgotten as soon as anything was stored or judged. Thread-safe.

    What is answered may depend on nothing but the data and the question: whose areas are meant is part of it.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._revision = DataRevision(0, 0)
        self._kept: OrderedDict[Hashable, object] = OrderedDict()

    def get(self, db: Database, question: Hashable, ask: Callable[[], T]) -> T:
        """The answer to `question`, which `ask` gives where it is not known. Nobody may change it. Raises StoreError.

        What came while `ask` was looking may be in the answer; it is under the revision of before and asked anew.
        """
        with db.connect() as connection:
            revision = data_revision(connection)
        with self._lock:
            if self._revision != revision:
                self._revision = revision
                self._kept.clear()
            if question in self._kept:
                self._kept.move_to_end(question)
                return cast(T, self._kept[question])
        found = ask()
        with self._lock:
            if self._revision == revision:
                self._kept[question] = found
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return found
