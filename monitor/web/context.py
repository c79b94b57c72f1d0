"""What the web part is given by the daemon: the database, its settings, the clock and a few callbacks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from collectors.base import StoredCounts
from monitor.areas import AreaOptions
from monitor.entry.tools import EntryTools, shipped_tools
from monitor.store.answers import Answers
from monitor.store.database import Database
from monitor.store.histories import Histories
from thresholds.settings import Duration, Secret, Settings

if TYPE_CHECKING:
    from monitor.reporting import Maker
    from monitor.store.second_factors import Keys
    from thresholds.plan import Policy

SHANGHAI = ZoneInfo("Asia/Shanghai")
Openness = Literal["loopback", "all", "off"]


class OidcSettings(Settings):
    """The `[web.oidc]` table: signing in with the accounts of the office (OpenID Connect).

    issuer         address of the provider, exactly as it calls itself
    client_id      how the provider calls this program
    client_secret  what the provider gave for it
    title          how the sign-in page calls the provider
    scopes         what is asked of the provider; always with `openid`
    name_claim     the claim that names the account
    accounts       linked: accounts on which an administrator entered the name that the provider uses; same_name: also
                   those whose own name it is
    create_with_role  the role, everywhere, of accounts that are made for people who have none; empty: none are made
    second_factor  the provider asks for a second factor itself, so it is not asked for again
    ca_file        certificate authority of the provider (PEM), where the system does not know it
    """

    issuer: str = Field(pattern=r"^https?://[^\s?#]+$")
    client_id: str = Field(min_length=1)
    client_secret: Secret
    title: str = "单位统一认证"
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    accounts: Literal["linked", "same_name"] = "linked"
    create_with_role: str = ""
    second_factor: bool = False
    ca_file: str = ""
    timeout: Duration = timedelta(seconds=10)


class WebSettings(Settings):
    """The `[web]` table of the configuration.

    open_page     who may read the page without an account: programs on this machine, everybody, or nobody
    open_metrics  who may read /metrics without a token; with `metrics:read` a token opens it from anywhere
    public_url    the address under which people reach this daemon; links in messages begin with it; with https:// the
                  cookies of sessions are for https only
    session_idle  a session ends when nothing was asked for so long
    session_length  a session ends so long after signing in, whatever is asked
    second_factor_keys  keys with which secrets of second factors are sealed in the database, 32 bytes each in base
                        64, the newest first; without any a key file is made beside the database
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$")
    open_page: Openness = "loopback"
    open_metrics: Openness = "loopback"
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    max_rows: int = Field(default=10_000, ge=1, le=100_000)
    body_timeout: Duration = timedelta(seconds=60)
    session_idle: Duration = timedelta(hours=2)
    session_length: Duration = timedelta(hours=12)
    second_factor_keys: tuple[Secret, ...] = ()
    oidc: OidcSettings | None = None


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


def no_areas() -> Sequence[AreaOptions]:
    return ()


def no_sources() -> Sequence[ConfiguredSource]:
    return ()


def all_classes() -> None:
    """For callers that have no catalogue: any class may be named."""


def no_policy() -> Policy | None:
    """For callers that have no rules: then the shipped catalogue says which class an item is of."""
    return None


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
    policy           the rules and the catalogue in force
    entry            what data entry goes by: duties, limits of explanation, catalogue
    areas            the areas that the configuration draws
    report_maker     makes reports by what is now in force; None where there is no daemon behind
    base             the folder that paths of the configuration are relative to
    city             the area of what concerns the whole city
    histories, answers  what pages read of the data, kept while they are the same
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
    policy: Callable[[], Policy | None] = no_policy
    entry: Callable[[], EntryTools] = shipped_tools
    report_maker: Callable[[], Maker] | None = None
    areas: Callable[[], Sequence[AreaOptions]] = no_areas
    installation: str = "价格风险监测"
    city: str = "全市"
    base: Path = Path()
    zone: ZoneInfo = SHANGHAI
    language: str = "zh_CN"
    histories: Histories = field(default_factory=Histories)
    answers: Answers = field(default_factory=Answers)

    @property
    def keys(self) -> Keys:
        """With which second factors are sealed."""
        from monitor.store.second_factors import Keys

        return Keys(self.settings.second_factor_keys, self.base)

    def now(self) -> datetime:
        now = self.clock()
        assert now.tzinfo is not None
        return now.astimezone(UTC)
