"""Which collector serves which kind of source."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from collectors.base import CollectError, Collector
from collectors.demo import DemoCollector, DemoOptions
from collectors.folder import FolderCollector, FolderOptions
from collectors.http_json import HttpCollector, HttpOptions
from collectors.prometheus import PrometheusCollector, PrometheusOptions
from collectors.sql import SqlCollector, SqlOptions
from monitor.config_model import Source


def collector_of(options: Source, base: Path, stopping: Event) -> Collector:
    """The collector for one source's options; relative paths are relative to `base`.

    Waits between tries end early, with a CollectError, when `stopping` is set.
    """

    def wait(seconds: float) -> None:
        if stopping.wait(seconds):
            raise CollectError("stopping", "the daemon is stopping; the source is asked again after its next start")

    if isinstance(options, FolderOptions):
        return FolderCollector(options, base=base)
    if isinstance(options, HttpOptions):
        return HttpCollector(options, base=base, sleep=wait)
    if isinstance(options, SqlOptions):
        return SqlCollector(options, base=base)
    if isinstance(options, PrometheusOptions):
        return PrometheusCollector(options, base=base, sleep=wait)
    if isinstance(options, DemoOptions):
        return DemoCollector(options)
    raise ValueError(f"a source of kind {options.kind!r} is not asked")
