"""Reading config.toml: the configuration, or every fault of the file at once.

The models are in monitor/config_model.py. What types cannot express (names that must be unique, schedules, secrets,
paths) is checked in monitor/config_checks.py, plans and rule packs in monitor/check.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from alerts.channels.factory import AnyChannel
from collectors.base import SourceOptions
from collectors.push import PushOptions
from monitor.config_checks import Draft, faults_of
from monitor.config_model import Config, Source
from thresholds.settings import Fault, Settings, read_toml, validate

__all__ = ["Config", "load_config"]


def load_config(path: Path, shown: str | None = None) -> tuple[Config | None, list[Fault]]:
    """Read a configuration file. Gives None and all its faults, or the configuration and no fault.

    `shown` names the file in faults (default: its name without folders). Plans and rule packs are not looked at:
    see monitor/check.py. Nothing is raised.
    """
    config, faults, _ = read_config(path, shown)
    return config, faults


def read_config(path: Path, shown: str | None = None) -> tuple[Config | None, list[Fault], Draft | None]:
    """The same, and what is valid of a faulty file; None where it could not be read at all."""
    path = path.absolute()
    shown = shown or path.name
    tables, faults = read_toml(path, shown)
    if faults:
        return None, faults, None
    config, faults, draft = read_tables(tables, shown, path.parent)
    return config and config.read_from(path), faults, draft


def read_tables(tables: Mapping[str, Any], shown: str, base: Path) -> tuple[Config | None, list[Fault], Draft]:
    """The same for what stands in a file; relative paths are relative to `base`."""
    config, faults = validate(Config, tables, shown)
    draft = draft_of(tables, shown, base)
    faults = sorted({*faults, *faults_of(draft)})
    return None if faults else config, faults, draft


def draft_of(tables: Mapping[str, Any], shown: str, base: Path) -> Draft:
    """The parts of a file that are valid by themselves."""
    models: dict[str, Settings] = {}
    for name, field in Config.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Settings):
            part = valid(TypeAdapter(model), tables.get(name, {}))
            if part is not None:
                models[name] = part
    return Draft(
        shown,
        base,
        tables,
        models,
        tuple((n, valid(TypeAdapter(Source), e) or common_part(e)) for n, e in entries(tables.get("source"))),
        tuple((n, c) for n, e in entries(tables.get("channel")) if (c := valid(TypeAdapter(AnyChannel), e))),
    )


def valid(adapter: TypeAdapter[Any], value: object) -> Any:
    """The model, or None: the faults are reported elsewhere."""
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None


def entries(given: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The tables of a list, each with its place counted from 1."""
    if isinstance(given, list):
        yield from ((n, entry) for n, entry in enumerate(given, 1) if isinstance(entry, Mapping))


def common_part(entry: Mapping[str, Any]) -> SourceOptions:
    """What is valid of a faulty source among the keys that every source has: its schedule is checked all the same."""
    model = PushOptions if entry.get("kind") == "push" else SourceOptions
    kept = {"name": "?"} | {key: value for key, value in entry.items() if key in model.model_fields}
    try:
        return model.model_validate(kept)
    except ValidationError as error:
        wrong = {part["loc"][0] for part in error.errors() if part["loc"]}
        return model.model_validate({key: value for key, value in kept.items() if key not in wrong} | {"name": "?"})
