"""What the types of the configuration cannot express: checks over all of its parts, each giving faults.

Every check works on what is valid by itself, so that a wrong port does not hide a missing secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel

from alerts.channels.factory import AnyChannel
from alerts.channels.file import FileOptions
from collectors.base import SourceOptions
from collectors.demo import DemoOptions
from collectors.folder import FolderOptions
from collectors.push import PushOptions
from monitor.config_model import Alerts, DatabaseOptions, Detection, Installation
from monitor.oidc import is_safe
from monitor.rights import shipped_roles
from monitor.sealing import HOW, key_of
from monitor.web.context import WebSettings
from thresholds.settings import Fault, Secret, Settings

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOST = re.compile(r"[A-Za-z0-9._:-]+")
LEAST_HISTORY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be read of a file that may hold faults, for the checks that come after types.

    sources, channels   the valid entries, each with its place in the file counted from 1; of a faulty source what
                        every source has
    tables              the file as it is: also what is not valid
    """

    shown: str
    base: Path
    tables: Mapping[str, Any]
    models: Mapping[str, Settings]
    sources: tuple[tuple[int, SourceOptions], ...]
    channels: tuple[tuple[int, AnyChannel], ...]

    def fault(self, key: str, problem: str, remedy: str) -> Fault:
        return Fault(self.shown, key, problem, remedy)

    def names(self, kind: str) -> list[tuple[int, str]]:
        """Place and name of every entry of a list, valid or not."""
        entries = self.tables.get(kind, [])
        if not isinstance(entries, list):
            return []
        return [
            (n, e["name"]) for n, e in enumerate(entries, 1) if isinstance(e, dict) and isinstance(e.get("name"), str)
        ]


def faults_of(draft: Draft) -> list[Fault]:
    """All faults that the checks below find."""
    return [fault for check in CHECKS for fault in check(draft)]


def names(draft: Draft) -> Iterator[Fault]:
    """Sources and channels have names, each its own: state, metrics and contacts are kept by name."""
    for kind in ("source", "channel"):
        seen: dict[str, int] = {}
        for n, name in draft.names(kind):
            key = f"{kind}[{n}].name"
            if not name.strip() or not name.isprintable():
                yield draft.fault(key, "the name is empty or cannot be shown", "Write a short name on one line")
            elif name in seen:
                yield draft.fault(
                    key,
                    f"the name {name!r} is already used by {kind}[{seen[name]}]",
                    f"Give each {kind} its own name",
                )
            seen.setdefault(name, n)


def characters(draft: Draft) -> Iterator[Fault]:
    """No text holds a character that no file name, address or message can hold."""
    for key, text in texts_in(draft.tables):
        if "\0" in text:
            yield draft.fault(key, "the text holds a NUL character", "Remove it")


def texts_in(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text with its key path."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts_in(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for i, inner in enumerate(value, 1):
            yield from texts_in(inner, f"{key}[{i}]")


def zones(draft: Draft) -> Iterator[Fault]:
    """Time zones are known."""
    asked = [(f"source[{n}].timezone", source.timezone) for n, source in draft.sources]
    installation = draft.models.get("installation")
    if isinstance(installation, Installation):
        asked.append(("installation.timezone", installation.timezone))
    for key, zone in asked:
        if not is_zone(zone):
            yield draft.fault(key, f"the time zone {zone!r} is not known", 'Write one such as "Asia/Shanghai"')


def schedules(draft: Draft) -> Iterator[Fault]:
    """A source that is asked has exactly one of `every` and `cron`; a pushed one has none."""
    for n, source in draft.sources:
        key = f"source[{n}]"
        given = [name for name in ("every", "cron") if getattr(source, name)]
        if isinstance(source, PushOptions):
            for name in given:
                yield draft.fault(f"{key}.{name}", "a push source is never asked", "Remove the key")
        elif source.every is not None and source.every < SECOND:
            yield draft.fault(f"{key}.every", "the interval is shorter than a second", "Write at least 1s")
        elif len(given) != 1:
            problem = "both every and cron are given" if given else "neither every nor cron is given"
            yield draft.fault(key, problem, 'Write one of them, such as every = "15m" or cron = "0 8 * * *"')
        elif source.cron and is_zone(source.timezone) and (wrong := cron_problem(source.cron, source.timezone)):
            yield draft.fault(f"{key}.cron", *wrong)


def cron_problem(cron: str, zone: str) -> tuple[str, str] | None:
    """What is wrong with a five-field cron expression, and how to mend it; None where nothing is.

    Weekdays must be names: cron counts them from Sunday, the scheduler (APScheduler 3) from Monday, and a source
    would silently be asked on another day than was meant.
    """
    from apscheduler.triggers.cron import CronTrigger

    fields = cron.split()
    if len(fields) != 5:
        return (
            f"{cron!r} has {len(fields)} fields instead of five",
            'Write minute, hour, day, month and weekday, such as "30 8 * * mon-fri"',
        )
    if re.search(r"(?<!/)\b\d", fields[4]):
        return (
            f"the weekday {fields[4]!r} is a number, which programs count from different days",
            'Write names: "mon-fri", "sat,sun"',
        )
    try:
        trigger = CronTrigger.from_crontab(cron, timezone=zone)
    except ValueError as error:
        return f"{cron!r} is not a schedule ({error})", 'Write one such as "30 8 * * mon-fri"'
    if trigger.get_next_fire_time(None, datetime(2026, 1, 1, tzinfo=UTC)) is None:
        return f"{cron!r} never comes", "Correct day and month"
    return None


def durations(draft: Draft) -> Iterator[Fault]:
    """Cadences and intervals are longer than nothing."""
    for n, source in draft.sources:
        asked = [(f"source[{n}].cadence", source.cadence)]
        asked += [(f"source[{n}].expect[{i}].cadence", one.cadence) for i, one in enumerate(source.expect, 1)]
        for key, given in asked:
            if given is not None and given < SECOND:
                yield draft.fault(key, "the duration is shorter than a second", 'Write one such as "1d"')
    detection = draft.models.get("detection")
    if isinstance(detection, Detection):
        if detection.every < SECOND:
            yield draft.fault("detection.every", "the interval is shorter than a second", "Write at least 1s")
        if detection.history < LEAST_HISTORY:
            yield draft.fault("detection.history", "less than 30 days say nothing", 'Write at least "30d"')


def expectations(draft: Draft) -> Iterator[Fault]:
    """Each expectation says for which series it holds."""
    for n, source in draft.sources:
        for i, one in enumerate(source.expect, 1):
            if not (one.item or one.item_class or one.point):
                yield draft.fault(
                    f"source[{n}].expect[{i}]",
                    "it does not say for which series",
                    "Add item, item_class or point, or write cadence into the source itself",
                )


def secrets(draft: Draft) -> Iterator[Fault]:
    """Every secret can be read now: a missing one must not show itself at night."""
    for key, secret in all_secrets(draft):
        if problem := secret.problem(draft.base):
            remedy = "Set it where the daemon is started" if secret.env else "Create it, readable by the daemon only"
            yield draft.fault(key, problem, remedy)


def second_factor_keys(draft: Draft) -> Iterator[Fault]:
    """Keys of second factors are keys: with another one nobody could sign in."""
    web = draft.models.get("web")
    for n, one in enumerate(web.second_factor_keys if isinstance(web, WebSettings) else (), 1):
        if one.problem(draft.base) is None:  # else it is reported with the other secrets
            try:
                key_of(one.read(draft.base))
            except ValueError as error:
                yield draft.fault(f"web.second_factor_keys[{n}]", str(error).partition(";")[0], HOW.capitalize())


def all_secrets(draft: Draft) -> Iterator[tuple[str, Secret]]:
    """Every secret with its key path, in all tables."""
    for name, model in draft.models.items():
        yield from secrets_in(model, name)
    for kind, entries in (("source", draft.sources), ("channel", draft.channels)):
        for n, entry in entries:
            yield from secrets_in(entry, f"{kind}[{n}]")


def secrets_in(value: object, key: str) -> Iterator[tuple[str, Secret]]:
    if isinstance(value, Secret):
        yield key, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name), f"{key}.{name}")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from secrets_in(inner, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value, 1):
            yield from secrets_in(inner, f"{key}[{i}]")


def default_targets(draft: Draft) -> Iterator[Fault]:
    """Default targets name channels that are configured."""
    alerts = draft.models.get("alerts")
    if isinstance(alerts, Alerts):
        yield from alerts.faults([name for _, name in draft.names("channel")], draft.shown)


def leases(draft: Draft) -> Iterator[Fault]:
    """No channel may take longer than a message is leased for: two senders would send it."""
    alerts = draft.models.get("alerts")
    for n, channel in draft.channels:
        timeout = getattr(channel, "timeout", None)
        if isinstance(alerts, Alerts) and isinstance(timeout, timedelta) and timeout >= alerts.retry.lease:
            yield draft.fault(
                f"channel[{n}].timeout",
                "the time-out is not shorter than alerts.retry.lease, so a message could be sent twice at once",
                "Shorten it, or lengthen alerts.retry.lease",
            )


def database(draft: Draft) -> Iterator[Fault]:
    """The URL names a database that we support, on disk, without a password in plain text."""
    from monitor.store.database import parse_url
    from monitor.store.errors import StoreError

    options = draft.models.get("database")
    if not isinstance(options, DatabaseOptions):
        return
    key = "database.url"
    try:
        url = parse_url(options.url)
    except (StoreError, ValueError) as error:  # ValueError: a port that is no number
        said = str(error) if isinstance(error, StoreError) else f"The URL cannot be read ({error}). Correct it"
        problem, _, remedy = said.partition(". ")
        yield draft.fault(key, problem[:1].lower() + problem[1:], remedy)
        return
    if url.password:
        yield draft.fault(
            key,
            "the URL holds a password in plain text",
            'Take it out, write password = { env = "NAME" } beside url, and change it: it may have been read',
        )
    if url.get_backend_name() == "sqlite":
        yield from sqlite_file(draft, url.database or "", options)


def sqlite_file(draft: Draft, name: str, options: DatabaseOptions) -> Iterator[Fault]:
    if problem := creatable_problem((draft.base / name).parent):
        yield draft.fault("database.url", problem, "Create the folder, or give the daemon the right to do so")
    if options.password is not None:
        yield draft.fault("database.password", "SQLite has no password", "Remove the key")


def listens(draft: Draft) -> Iterator[Fault]:
    """The address to listen on is an address."""
    web = draft.models.get("web")
    if isinstance(web, WebSettings) and not HOST.fullmatch(web.host):
        yield draft.fault(
            "web.host", f"{web.host!r} is not an address", 'Write "127.0.0.1" for this machine, "0.0.0.0" for all'
        )


def sign_in(draft: Draft) -> Iterator[Fault]:
    """Sessions last; the provider of the office can be used as it is configured."""
    web = draft.models.get("web")
    if not isinstance(web, WebSettings):
        return
    for key, given in (("session_idle", web.session_idle), ("session_length", web.session_length)):
        if given < MINUTE:
            yield draft.fault(f"web.{key}", "nobody can work within less than a minute", 'Write one such as "2h"')
    oidc = web.oidc
    if oidc is None:
        return
    if not web.public_url:
        yield draft.fault(
            "web.public_url", "the provider in web.oidc must know where to send people back to", "Add public_url"
        )
    if not is_safe(oidc.issuer):
        yield draft.fault("web.oidc.issuer", "the provider is not reached by https", "Write its https address")
    role = oidc.create_with_role
    if role and (role not in shipped_roles() or role == "admin"):
        known = ", ".join(name for name in shipped_roles() if name != "admin")
        yield draft.fault(
            "web.oidc.create_with_role", f"{role!r} cannot be given to everybody", f"Use one of {known}"
        )
    if oidc.ca_file and not os.path.isfile(draft.base / oidc.ca_file):
        yield draft.fault("web.oidc.ca_file", f"there is no file {oidc.ca_file}", "Put it there, or correct the path")


def paths(draft: Draft) -> Iterator[Fault]:
    """Files that are read exist; folders that are written to exist or can be made."""
    detection = draft.models.get("detection")
    if isinstance(detection, Detection):
        for n, file in enumerate(detection.catalogues, 1):
            if not os.path.isfile(draft.base / file):
                yield draft.fault(f"detection.catalogues[{n}]", f"there is no file {file}", "Correct the path")
        for n, folder in enumerate(detection.plan_folders, 1):
            if not os.path.isdir(draft.base / folder):
                yield draft.fault(f"detection.plan_folders[{n}]", f"there is no folder {folder}", "Correct the path")
    written = [(f"source[{n}].path", s.path, False) for n, s in draft.sources if isinstance(s, FolderOptions)]
    written += [(f"channel[{n}].path", c.path, True) for n, c in draft.channels if isinstance(c, FileOptions)]
    for key, path, is_file in written:
        target = draft.base / path
        if os.path.exists(target) and os.path.isdir(target) is is_file:
            found = "a folder" if is_file else "not a folder"
            yield draft.fault(key, f"{path} is {found}", f"Name a {'file' if is_file else 'folder'}")
        elif problem := creatable_problem(target.parent if is_file else target):
            yield draft.fault(key, problem, "Create the folder, or give the daemon the right to do so")
    authorities = [(f"source[{n}].ca_file", getattr(s, "ca_file", "")) for n, s in draft.sources]
    authorities += [(f"channel[{n}].ca", getattr(c, "ca", "")) for n, c in draft.channels]
    for key, file in authorities:
        if file and not os.path.isfile(draft.base / file):
            yield draft.fault(key, f"there is no file {file}", "Put the PEM file there, or correct the path")


def creatable_problem(folder: Path) -> str | None:
    """Why nothing can be written into `folder`, which need not exist yet; None where it can."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        return f"the folder cannot be made ({getattr(error, 'strerror', error)})"
    existing = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    if not existing.is_dir():
        return f"{existing.name} is a file, not a folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"the folder {existing} is not writable"
    return None


def shared(draft: Draft) -> Iterator[Fault]:
    """Two sources do not fight over one inbox, nor bring the same simulated series."""
    seen: dict[object, int] = {}
    for n, source in draft.sources:
        what = exclusive(source, draft.base)
        if what is None:
            continue
        if what in seen:
            key = f"source[{n}].{'kind' if isinstance(source, DemoOptions) else 'path'}"
            problem = f"source[{seen[what]}] reads the same {'city' if isinstance(source, DemoOptions) else 'folder'}"
            yield draft.fault(key, problem, "Keep one of them")
        seen.setdefault(what, n)


def exclusive(source: SourceOptions, base: Path) -> object:
    """What only one source may have, None where there is no such thing."""
    if isinstance(source, FolderOptions):
        return Path(os.path.normpath(base / source.path))
    return DemoOptions if isinstance(source, DemoOptions) else None


@lru_cache(maxsize=64)
def is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


CHECKS: tuple[Callable[[Draft], Iterator[Fault]], ...] = (
    characters,
    names,
    zones,
    schedules,
    durations,
    expectations,
    secrets,
    second_factor_keys,
    default_targets,
    leases,
    database,
    listens,
    sign_in,
    paths,
    shared,
)
