"""From options to channels: the one place that knows all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from alerts.channels.base import Channel
from alerts.channels.file import File, FileOptions
from alerts.channels.smtp import Smtp, SmtpOptions
from alerts.channels.webhook import Webhook, WebhookOptions

AnyChannel = Annotated[WebhookOptions | SmtpOptions | FileOptions, Field(discriminator="kind")]
"""Type of one entry of the list [[channel]]; `kind` decides."""


def build_channel(options: WebhookOptions | SmtpOptions | FileOptions, base: Path) -> Channel:
    """The channel for its options; `base` is the folder that relative paths and secret files are relative to.

    Nothing is opened or connected to here: a channel that does not work shows when it is used, and stops no other.
    """
    if isinstance(options, WebhookOptions):
        return Webhook(options, base)
    if isinstance(options, SmtpOptions):
        return Smtp(options, base)
    return File(options, base)
