"""What data entry goes by: its options, the limits of explanation, the catalogue and the sources in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    workdays: Workdays = field(default_factory=shipped_workdays)


def tools(
    options: EntryOptions,
    catalogue: Catalogue,
    sources: Sequence[SourceOptions],
    base: Path | None = None,
) -> EntryTools:
    """The tools of a configuration; its files are relative to `base`. Raises FaultsError."""
    days = shipped_workdays()
    if base is not None and options.workdays:
        found, faults = load_workdays([base / name for name in options.workdays])
        if found is None:
            raise FaultsError(faults)
        days = found
    return EntryTools(options, limits(options.explain), catalogue, sources, days)


@cache
def shipped_tools() -> EntryTools:
    """Those of an empty configuration. Raises FaultsError where shipped files were damaged."""
    catalogue, faults = load_catalogue()
    if catalogue is None:
        raise FaultsError(faults)
    return tools(EntryOptions(), catalogue, ())
