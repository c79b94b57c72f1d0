"""What data entry goes by: its options, the limits of explanation, the catalogue and the sources in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from collectors.base import SourceOptions
from monitor.entry.options import EntryOptions
from thresholds.catalogue import Catalogue, load_catalogue
from thresholds.explain import Limits, limits
from thresholds.settings import FaultsError


@dataclass(frozen=True)
class EntryTools:
    """Made anew when the configuration changes."""

    options: EntryOptions
    limits: Limits
    catalogue: Catalogue
    sources: Sequence[SourceOptions] = ()


def tools(options: EntryOptions, catalogue: Catalogue, sources: Sequence[SourceOptions]) -> EntryTools:
    """The tools of a configuration."""
    return EntryTools(options, limits(options.explain), catalogue, sources)


@cache
def shipped_tools() -> EntryTools:
    """Those of an empty configuration. Raises FaultsError where shipped files were damaged."""
    catalogue, faults = load_catalogue()
    if catalogue is None:
        raise FaultsError(faults)
    return tools(EntryOptions(), catalogue, ())
