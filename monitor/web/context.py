"""What the web part is given by the daemon: the database, its settings, the clock and a few callbacks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from collectors.base import StoredCounts
from monitor.store.database import Database
from thresholds.settings import Duration, Settings

SHANGHAI = ZoneInfo("Asia/Shanghai")
Openness = Literal["loopback", "all", "off"]


class WebSettings(Settings):
    """The `[web]` table of the configuration.

    open_page     who may read the page without an account: programs on this machine, everybody, or nobody
    open_metrics  who may read /metrics without a token; with `metrics:read` a token opens it from anywhere
    public_url    the address under which people reach this daemon; links in messages begin with it
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$")
    open_page: Openness = "loopback"
    open_metrics: Openness = "loopback"
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    max_rows: int = Field(default=10_000, ge=1, le=100_000)
    body_timeout: Duration = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well for the daemon to do its work.

    name    stable word: database, migrations, scheduler, source:<name>, channel:<name>
    ok      false makes the daemon "not ready" when `needed`, and only shows otherwise
    detail  what is wrong and since when, in the installation's language; may name hosts, so it is not shown to all
    """

    name: str
    ok: bool
    detail: str = ""
    needed: bool = True


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What /readyz and the page show."""

    checks: Sequence[Check]

    @property
    def ready(self) -> bool:
        return all(check.ok for check in self.checks if check.needed)


@dataclass(frozen=True, slots=True)
class ConfiguredSource:
    """A source of the configuration, so that one that never ran is shown as well."""

    name: str
    kind: str
    title: str = ""
    demo: bool = False


def no_sources() -> Sequence[ConfiguredSource]:
    return ()


def all_classes() -> None:
    """For callers that have no catalogue: any class may be named."""


def ignore(*_: object) -> None:
    """For callers that count nothing."""


@dataclass(frozen=True, slots=True)
class WebContext:
    """Everything that request handlers may use; handlers run in several threads.

    clock            aware UTC now; called once per request
    render_metrics   the Prometheus exposition and its content type
    health           asked anew by /readyz and the page; must answer within a second
    on_observations  called after rows were stored: wakes the evaluation; must not block or raise
    on_stored        called after a push was stored: source, counts, rejects by reason; for the metrics
    classes          the classes of the catalogue in force, which records may name
    on_store_error   called with the reason of a StoreError that made a request fail; for the metrics
    """

    db: Database
    settings: WebSettings
    clock: Callable[[], datetime]
    render_metrics: Callable[[], tuple[bytes, str]]
    health: Callable[[], HealthReport]
    on_observations: Callable[[], None]
    on_stored: Callable[[str, StoredCounts, Mapping[str, int]], None] = ignore
    on_store_error: Callable[[str], None] = ignore
    sources: Callable[[], Sequence[ConfiguredSource]] = no_sources
    classes: Callable[[], Collection[str] | None] = all_classes
    installation: str = "价格风险监测"
    zone: ZoneInfo = SHANGHAI
    language: str = "zh_CN"

    def now(self) -> datetime:
        now = self.clock()
        assert now.tzinfo is not None
        return now.astimezone(UTC)
