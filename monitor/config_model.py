"""The installation's configuration as settings models. Each table's model lives with the code that uses it; this file
puts them together. docs/configuration.md describes every key.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr

from alerts.channels.factory import AnyChannel
from alerts.notify import NotifyOptions
from alerts.outbox import Policy as RetryPolicy
from collectors.demo import DemoOptions
from collectors.folder import FolderOptions
from collectors.http_json import HttpOptions
from collectors.prometheus import PrometheusOptions
from collectors.push import PushOptions
from collectors.sql import SqlOptions
from monitor.areas import AreaOptions
from monitor.documents.options import ReportOptions
from monitor.entry.options import EntryOptions
from monitor.snapshot import MetricsOptions
from monitor.web.context import WebSettings
from thresholds.settings import Duration, Secret, Settings

Source = Annotated[
    FolderOptions | HttpOptions | SqlOptions | PrometheusOptions | DemoOptions | PushOptions,
    Field(discriminator="kind"),
]


class Installation(Settings):
    """Who runs this, where, and in which language."""

    name: str = "价格风险监测"
    """shown at the head of every page and message"""
    city: str = "全市"
    """the area of flags that concern the whole city"""
    timezone: str = "Asia/Shanghai"
    """zone in which times are shown and days are counted; each source has its own for its times and schedule"""
    language: Literal["zh_CN", "en"] = "zh_CN"
    """language of pages and messages"""


class DatabaseOptions(Settings):
    """Where everything is kept."""

    url: str = "sqlite:///data/monitor.db"
    """SQLAlchemy URL: sqlite:///FILE (relative to the configuration file) or postgresql+psycopg://USER@HOST/NAME"""
    password: Secret | None = None
    """password for PostgreSQL, which is never written into the URL"""


class Detection(Settings):
    """Which plans and rules are in force, and on how much history they work."""

    plans: tuple[str, ...] = ("price-daqing", "finance-luohe")
    """ids of the plans in force, one per domain"""
    plan_folders: tuple[str, ...] = ()
    """further folders with plans and rule packs, relative to the configuration file"""
    catalogues: tuple[str, ...] = ()
    """further catalogue files, relative to the configuration file; what they say wins over the shipped one"""
    enable: tuple[str, ...] = ()
    """ids of rule packs, or of single rules, that are switched on although they ship switched off"""
    disable: tuple[str, ...] = ()
    """ids of rule packs, or of single rules, that are switched off although they ship switched on"""
    history: Duration = timedelta(days=5 * 365)
    """how much history is held in memory for evaluation"""
    every: Duration = timedelta(seconds=30)
    """longest wait between two looks for new observations; a push is looked at at once"""


class Alerts(NotifyOptions):
    """Who is told of what, and how a message is retried."""

    retry: RetryPolicy = RetryPolicy()
    """how a message that could not be sent is tried again"""


class Logging(Settings):
    """The daemon's log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """least important messages that are written"""
    format: Literal["text", "json"] = "text"
    """text for people, json for log collectors: one object per line"""


class Config(Settings):
    """The whole file. Lists are named as in the file: [[source]], [[channel]], [[area]]."""

    installation: Installation = Installation()
    database: DatabaseOptions = DatabaseOptions()
    web: WebSettings = WebSettings()
    detection: Detection = Detection()
    alerts: Alerts = Alerts()
    channel: tuple[AnyChannel, ...] = ()
    source: tuple[Source, ...] = ()
    metrics: MetricsOptions = MetricsOptions()
    entry: EntryOptions = EntryOptions()
    reports: ReportOptions = ReportOptions()
    area: tuple[AreaOptions, ...] = ()
    logging: Logging = Logging()
    _path: Path = PrivateAttr(default=Path("config.toml"))

    def read_from(self, path: Path) -> Config:
        """The same configuration, knowing its file."""
        config = self.model_copy()
        config._path = path.absolute()
        return config

    @property
    def path(self) -> Path:
        """The file this was read from, absolute."""
        return self._path

    @property
    def base(self) -> Path:
        """The folder that relative paths are relative to."""
        return self._path.parent

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.installation.timezone)

    @property
    def plan_folders(self) -> tuple[Path, ...]:
        return tuple(self.base / folder for folder in self.detection.plan_folders)

    @property
    def catalogues(self) -> tuple[Path, ...]:
        return tuple(self.base / file for file in self.detection.catalogues)

    def database_url(self) -> str:
        """The URL with its password. Raises ValueError where the secret cannot be read any more."""
        from sqlalchemy.engine import make_url

        url = make_url(self.database.url)
        if self.database.password is not None:
            url = url.set(password=self.database.password.read(self.base))
        return url.render_as_string(hide_password=False)
