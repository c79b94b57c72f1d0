"""`monitor check`: configuration, plans, rule packs and catalogues, with every fault at once; and what is unwise."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from collectors.folder import FolderOptions
from collectors.push import PushOptions
from monitor.config import Config, read_config
from monitor.config_checks import Draft, all_secrets
from monitor.config_model import Alerts, Detection
from monitor.entry.options import EntryOptions
from monitor.web.context import WebSettings
from thresholds.plan import Policy
from thresholds.plan_files import load_policy
from thresholds.settings import Fault, read_text
from thresholds.workdays import load_workdays


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found. `faults` prevent the daemon from starting, `warnings` do not.

    `config` and `policy` (plans, rule packs, catalogue) are given where there is no fault at all.
    """

    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    config: Config | None = None
    policy: Policy | None = None


def check(path: Path, shown: str | None = None) -> CheckReport:
    """Check a configuration file and all that it names. Nothing is raised, nothing is changed."""
    config, faults, draft = read_config(path, shown)
    if draft is None:
        return CheckReport(tuple(faults), ())
    policy, policy_faults = policy_of(draft)
    found = sorted(
        {
            *faults,
            *policy_faults,
            *unknown_classes(draft, policy),
            *classes_of_entry(draft, policy),
            *workdays_of_entry(draft),
        }
    )
    warnings = [warning for advice in ADVICE for warning in advice(draft)]
    if found:
        return CheckReport(tuple(found), tuple(warnings))
    return CheckReport((), tuple(warnings), config, policy)


def policy_of(draft: Draft) -> tuple[Policy | None, list[Fault]]:
    """Plans, packs and catalogue as configured; the shipped ones where that table is faulty.

    Folders and catalogues that are not there are reported with the configuration and left out here.
    """
    detection = draft.models.get("detection")
    if not isinstance(detection, Detection):
        detection = Detection()
    return load_policy(
        [folder for name in detection.plan_folders if (folder := draft.base / name).is_dir()],
        catalogues=[file for name in detection.catalogues if (file := draft.base / name).is_file()],
        plans=detection.plans,
        enable=detection.enable,
        disable=detection.disable,
        shown=draft.shown,
    )


def unknown_classes(draft: Draft, policy: Policy | None) -> Iterator[Fault]:
    """Expectations name classes of the catalogue."""
    for n, source in draft.sources:
        for i, one in enumerate(source.expect, 1):
            if policy is not None and one.item_class and one.item_class not in policy.catalogue.classes:
                yield draft.fault(
                    f"source[{n}].expect[{i}].item_class",
                    f"the class {one.item_class!r} is not in the catalogue",
                    "Correct it, or add the class to a catalogue",
                )


def classes_of_entry(draft: Draft, policy: Policy | None) -> Iterator[Fault]:
    """So do duties and limits of explanation."""
    options = draft.models.get("entry")
    if policy is None or not isinstance(options, EntryOptions):
        return
    named = [(f"entry.duty[{n}].item_class", one.item_class) for n, one in enumerate(options.duty, 1)]
    named += [(f"entry.explain.{name}", name) for name in options.explain if name != "other"]
    for key, name in named:
        if name and name not in policy.catalogue.classes:
            yield draft.fault(
                key, f"the class {name!r} is not in the catalogue", "Correct it, or add the class to a catalogue"
            )


def workdays_of_entry(draft: Draft) -> Iterator[Fault]:
    """Files with the arrangement of holidays can be read."""
    options = draft.models.get("entry")
    if not isinstance(options, EntryOptions):
        return
    texts = []
    for n, name in enumerate(options.workdays, 1):
        text, faults = read_text(draft.base / name, name)
        if text is not None:
            texts.append(text)
        yield from (draft.fault(f"entry.workdays[{n}]", f"{name}: {f.problem}", f.remedy) for f in faults)
    yield from load_workdays(texts)[1]


# --- what is allowed but unwise ---


def open_to_the_network(draft: Draft) -> Iterator[Fault]:
    web = draft.models.get("web")
    if not isinstance(web, WebSettings) or is_loopback(web.host):
        return
    for key, what in (("open_metrics", "/metrics"), ("open_page", "the page of flags and sources")):
        if getattr(web, key) == "all":
            yield draft.fault(
                f"web.{key}",
                f"{what} can be read by everybody who reaches {web.host}, without an account",
                'Write "loopback", or let a proxy ask for an account',
            )


def nobody_told(draft: Draft) -> Iterator[Fault]:
    alerts, web = draft.models.get("alerts"), draft.models.get("web")
    if not draft.names("channel"):
        yield draft.fault("channel", "no channel is configured: nobody is told of anything", "Add a [[channel]]")
    elif isinstance(alerts, Alerts) and not alerts.default_targets:
        yield draft.fault(
            "alerts.default_targets", "nobody is told of flags while nobody is on duty", "Name somebody who always is"
        )
    if isinstance(web, WebSettings) and not web.public_url and any(c.kind != "file" for _, c in draft.channels):
        yield draft.fault(
            "web.public_url",
            "it is empty, so links in messages lead to this machine only",
            "Write the address under which phones reach this daemon",
        )


def silent_silence(draft: Draft) -> Iterator[Fault]:
    if not any(source.enabled for _, source in draft.sources):
        yield draft.fault("source", "no source is enabled: nothing is watched", "Add a [[source]]")
    for n, source in draft.sources:
        regular = not isinstance(source, PushOptions | FolderOptions)  # people may bring sheets when they like
        if source.enabled and regular and source.cadence is None and not source.expect:
            yield draft.fault(
                f"source[{n}].cadence",
                f"it is not said how often {source.name!r} has news, so its silence is not noticed",
                'Add cadence = "1d" or how often it is',
            )


def readable_secrets(draft: Draft) -> Iterator[Fault]:
    for key, secret in all_secrets(draft):
        if secret.file and is_open(draft.base / secret.file):
            yield draft.fault(key, f"everybody on this machine can read {secret.file}", f"chmod o= {secret.file}")


def is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False  # reported as a fault


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


ADVICE: tuple[Callable[[Draft], Iterator[Fault]], ...] = (
    open_to_the_network,
    nobody_told,
    silent_silence,
    readable_secrets,
)
