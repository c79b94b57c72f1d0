"""What an evaluation depends on beside data and policy: settings of the installation, and the program itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import thresholds
from collectors.base import Expectation, SourceOptions
from thresholds.records import Record


@dataclass(frozen=True, slots=True)
class Regime:
    """What flags depend on: the name of the city, the zone of days, when data is expected, what people recorded."""

    city: str
    zone: ZoneInfo
    sources: tuple[SourceOptions, ...]
    records: tuple[Record, ...] = ()


def regime_text(city: str, zone: str, sources: Sequence[SourceOptions], records: Sequence[Record] = ()) -> str:
    """The regime as text that is the same for the same regime."""
    watched = [
        {
            "name": s.name,
            **how_often(s),
            "expect": [
                {"item": e.item, "item_class": e.item_class, "point": e.point, **how_often(e)} for e in s.expect
            ],
        }
        for s in sources
        if s.cadence is not None or s.expect
    ]
    recorded = [asdict(record) for record in records]
    regime = {"city": city, "zone": zone, "sources": watched, "records": recorded}
    return json.dumps(regime, ensure_ascii=False, separators=(",", ":"))


def how_often(one: SourceOptions | Expectation) -> dict[str, float | None]:
    return {
        "cadence": None if one.cadence is None else one.cadence.total_seconds(),
        "grace": None if one.grace is None else one.grace.total_seconds(),
    }


def regime_of(text: str) -> Regime:
    """The inverse of `regime_text`."""
    stored = json.loads(text)
    sources = tuple(
        SourceOptions(
            name=s["name"],
            **durations(s),
            expect=tuple(
                Expectation(item=e["item"], item_class=e["item_class"], point=e["point"], **durations(e))
                for e in s["expect"]
            ),
        )
        for s in stored["sources"]
    )
    records = tuple(record_of(one) for one in stored.get("records", ()))
    return Regime(stored["city"], ZoneInfo(stored["zone"]), sources, records)


def record_of(stored: dict[str, Any]) -> Record:
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
    return Record(**fields)


def durations(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: None if stored[name] is None else timedelta(seconds=stored[name]) for name in ("cadence", "grace")}


@cache
def program_version() -> str:
    """Version of the program, a hash over its detection code, and the libraries that compute.

    Two evaluations of the same data under the same policy are only sure to agree where this is the same.
    """
    code = hashlib.sha256()
    folder = Path(thresholds.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        code.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    return f"{version('price-risk-monitor')}+{code.hexdigest()[:12]}, {libraries}"
