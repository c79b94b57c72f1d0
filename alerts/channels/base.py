"""What every channel is: one way to a phone or a dashboard, one class with `send`, one error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one address. `key` is the same at every attempt: receivers may use it to drop repeats.

    `attempt` counts from 1. `repeat` is true when an earlier attempt may already have arrived: the text then says
    so to the reader (G2), and the key says so to programs. `link` opens the flag and acknowledges it.
    """

    key: str
    address: str
    subject: str
    body: str
    payload: Mapping[str, Any]
    created_at: datetime
    attempt: int
    repeat: bool
    link: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The channel's far end took the message. `provider_id` names it there, where there is such a name."""

    provider_id: str = ""
    detail: str = ""


class SendError(Exception):
    """A send failed. `permanent`: trying again will not help. `uncertain`: the message may have arrived all the same.

    `reason` is a short stable word for the metric label: timeout, refused, http_status, auth, rate_limited, address,
    io, tls, protocol.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        permanent: bool = False,
        uncertain: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.permanent = permanent
        self.uncertain = uncertain
        self.retry_after = retry_after  # seconds


class Channel(Protocol):
    """One configured channel. `send` blocks, bounded by the channel's own time-out."""

    name: str

    def send(self, message: Message, now: datetime) -> Sent:
        """Hand over one message. Raises SendError; returning means that the far end has accepted it."""
        ...
