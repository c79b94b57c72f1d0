"""What data entry goes by: its options, the limits of explanation, the catalogue and the sources in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from collectors.base import SourceOptions
from monitor.entry.options import EntryOptions
from thresholds.catalogue import Catalogue, load_catalogue
from thresholds.explain import Limits, limits
from thresholds.settings import FaultsError
from thresholds.workdays import Workdays, load_workdays, shipped_workdays


@dataclass(frozen=True)
class EntryTools:
    """Made anew when the configuration changes."""

    options: EntryOptions
    limits: Limits
    catalogue: Catalogue
    sources: Sequence[SourceOptions] = ()
    own_workdays: Workdays | None = None
    """with the installation's files; None: the shipped ones, which are read when they are needed"""

    @property
    def workdays(self) -> Workdays:
        return self.own_workdays or shipped_workdays()


def tools(
    options: EntryOptions,
    catalogue: Catalogue,
    sources: Sequence[SourceOptions],
    base: Path | None = None,
) -> EntryTools:
    """The tools of a configuration; its files are relative to `base`. Raises FaultsError."""
    days = None
    if base is not None and options.workdays:
        days, faults = load_workdays([base / name for name in options.workdays])
        if days is None:
            raise FaultsError(faults)
    return EntryTools(options, limits(options.explain), catalogue, sources, days)


@cache
def shipped_tools() -> EntryTools:
    """Those of an empty configuration. Raises FaultsError where shipped files were damaged."""
    catalogue, faults = load_catalogue()
    if catalogue is None:
        raise FaultsError(faults)
    return tools(EntryOptions(), catalogue, ())
