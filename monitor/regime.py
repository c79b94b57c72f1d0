"""What an evaluation depends on beside data and policy: settings of the installation, and the program itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import thresholds
from collectors.base import Expectation, SourceOptions


@dataclass(frozen=True, slots=True)
class Regime:
    """Settings that flags depend on: the name of the city, the zone of days, and when data is expected."""

    city: str
    zone: ZoneInfo
    sources: tuple[SourceOptions, ...]


def regime_text(city: str, zone: str, sources: Sequence[SourceOptions]) -> str:
    """The settings as text that is the same for the same settings."""
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
    return json.dumps({"city": city, "zone": zone, "sources": watched}, ensure_ascii=False, separators=(",", ":"))


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
    return Regime(stored["city"], ZoneInfo(stored["zone"]), sources)


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
