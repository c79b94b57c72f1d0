"""Asking a source of the HTTP kind in tests: the rows that the local server gives, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.base import CollectError, Fetched
from collectors.http_json import HttpCollector, HttpOptions

ROWS = [
    {"date": "2026-03-08", "item": "大米", "value": 5.2},
    {"date": "2026-03-09", "item": "大米", "value": "无"},
    {"date": "2026-03-09", "item": "猪肉", "value": 20.5},
]
TEXT = json.dumps(ROWS, ensure_ascii=False)
CSV = "日期,品名,价格,备注\n2026-03-08,大米,5.2,\n2026-03-09,大米,无,\n2026-03-09,猪肉,20.5,早市\n"
CSV_COLUMNS = {"date": "日期", "item": "品名", "value": "价格", "note": "备注"}


class Asking:
    """Fetches with given options, keeping the waits between tries."""

    def __init__(self, now: datetime, base: Path) -> None:
        self.now, self.base, self.waits = now, base, list[float]()

    def all(self, url: str, cursor: Mapping[str, Any] | None = None, **options: Any) -> list[Fetched]:
        given = {"name": "市场", "kind": "http", "url": url, **options}
        collector = HttpCollector(
            HttpOptions.model_validate(given), base=self.base, sleep=self.waits.append, random=lambda: 1.0
        )
        return list(collector.fetch(cursor or {}, self.now))

    def __call__(self, url: str, cursor: Mapping[str, Any] | None = None, **options: Any) -> Fetched:
        (only,) = self.all(url, cursor, **options)
        return only

    def fails(self, url: str, cursor: Mapping[str, Any] | None = None, **options: Any) -> CollectError:
        with pytest.raises(CollectError) as caught:
            self.all(url, cursor, **options)
        return caught.value


def values(fetched: Fetched) -> list[tuple[str, float]]:
    batch = fetched.batch
    return [(batch.keys[code].item, value) for code, value in zip(batch.series, batch.value, strict=True)]


GOOD = [("大米", 5.2), ("猪肉", 20.5)]
