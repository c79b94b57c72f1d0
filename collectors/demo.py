"""The demonstration city as a source: its history at the first fetch, then each morning's quotes.

Everything it brings is simulated, and every series says so in its source (演示数据).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from collectors.base import CollectError, Collector, Cursor, Fetched, SourceOptions
from collectors.demo_items import ITEMS, MARK

PART = timedelta(days=60)
"""History is handed over in parts of this length: about 43,000 rows in one transaction."""


class DemoOptions(SourceOptions):
    """The demonstration city: simulated prices. The name, which is the source of each series, says so: 演示数据.

    Give `every` (or `cron`): points report between 8 and 10 in the morning.
    """

    kind: Literal["demo"]
    seed: int = Field(default=20260101, ge=0, lt=2**63)
    """another seed is another city"""
    points: int = Field(default=12, ge=1, le=500)
    """monitoring points"""
    items: int = Field(default=len(ITEMS), ge=1, le=len(ITEMS))
    """items, from the head of the list"""
    days: int = Field(default=500, ge=0, le=4000)
    """days of history before `start`"""
    start: date | None = Field(default=None, ge=date(2000, 1, 1), le=date(2100, 1, 1))
    """day to which the planted price crises are tied; without it the day of the first fetch"""

    @model_validator(mode="after")
    def marked_and_not_mapped(self) -> Self:
        if MARK not in self.name:
            raise ValueError(f"the name does not say that the data is simulated|Write {MARK} into it")
        for key in ("columns", "defaults"):
            if getattr(self, key):
                raise ValueError(f"a demonstration source has no {key} to map|Remove {key}")
        return self


class DemoCollector(Collector):
    """Simulated observations. Cursor: `seed`, `start` (ISO date), `until` (epoch second of the newest report)."""

    def __init__(self, options: DemoOptions) -> None:
        self.options = options
        self.name = options.name
        self.zone = ZoneInfo(options.timezone)

    def fetch(self, cursor: Cursor, now: datetime) -> Iterator[Fetched]:
        """Yield what was reported since the cursor, oldest first. Raises CollectError if the city is another one."""
        from collectors.demo_city import City  # only who has such a source pays for the city at the start

        start = self.start(cursor, now)
        city = City(self.options.seed, start, self.options.points, self.options.items, self.zone)
        done = self.begin(start) if not cursor else datetime.fromtimestamp(int(cursor["until"]), UTC)
        while done < now:
            until = min(done + PART, now)
            batch = city.observations(done, until, self.name)
            done = until
            if len(batch):
                yield Fetched(
                    name=f"{MARK} {until.astimezone(self.zone):%Y-%m-%d %H:%M}",
                    batch=batch,
                    cursor={
                        "seed": self.options.seed,
                        "start": start.isoformat(),
                        "until": int(until.timestamp()),
                    },
                )

    def begin(self, start: date) -> datetime:
        """The moment from which history is told."""
        first = start - timedelta(days=self.options.days)
        return datetime(first.year, first.month, first.day, tzinfo=self.zone)

    def start(self, cursor: Cursor, now: datetime) -> date:
        """The anchor: as configured, as at the first fetch, or today."""
        if not cursor:
            return self.options.start or now.astimezone(self.zone).date()
        kept = date.fromisoformat(str(cursor["start"]))
        if cursor["seed"] != self.options.seed or self.options.start not in (None, kept):
            raise CollectError(
                "changed",
                f"source {self.name}: this database holds the demonstration city with seed = {cursor['seed']} and"
                f" start = {kept}, the configuration now asks for another one. Set them back, or use a new database.",
                permanent=True,
            )
        return kept
