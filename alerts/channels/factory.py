"""From options to channels: the one place that knows all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from alerts.channels.base import Channel
from alerts.channels.file import File, FileOptions
from alerts.channels.smtp import Smtp, SmtpOptions
from alerts.channels.webhook import Webhook, WebhookOptions
from thresholds.settings import Fault, Secret

AnyChannel = Annotated[WebhookOptions | SmtpOptions | FileOptions, Field(discriminator="kind")]
"""Type of one entry of the list [[alerts.channels]]; `kind` decides."""


def build_channel(options: WebhookOptions | SmtpOptions | FileOptions, base: Path) -> Channel:
    """The channel for its options; `base` is the folder that relative paths and secret files are relative to.

    Nothing is opened or connected to here: a channel that does not work shows when it is used, and stops no other.
    """
    if isinstance(options, WebhookOptions):
        return Webhook(options, base)
    if isinstance(options, SmtpOptions):
        return Smtp(options, base)
    return File(options, base)


def channel_faults(
    channels: Sequence[WebhookOptions | SmtpOptions | FileOptions],
    base: Path,
    shown: str,
    key: str = "alerts.channels",
) -> list[Fault]:
    """What `check` reports beyond the types: names used twice, secrets and files that cannot be read now."""
    faults: list[Fault] = []
    seen: set[str] = set()
    for n, options in enumerate(channels, 1):
        where = f"{key}[{n}]"
        if options.name in seen:
            faults.append(Fault(shown, f"{where}.name", f"{options.name!r} is used twice", "Give each its own name"))
        seen.add(options.name)
        for name in type(options).model_fields:
            value = getattr(options, name)
            if isinstance(value, Secret) and (problem := value.problem(base)) is not None:
                faults.append(Fault(shown, f"{where}.{name}", problem, "Set it for the daemon's user, or correct it"))
        ca = getattr(options, "ca", "")
        if ca and not (base / ca).is_file():
            faults.append(
                Fault(shown, f"{where}.ca", f"there is no file {ca}", "Put the PEM file there, or correct it")
            )
    return faults
