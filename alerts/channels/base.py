"""What every channel is: one way to a phone or a dashboard, one class with `send`, one error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import Field, field_validator

from thresholds.settings import Duration, Settings


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
    io, tls, protocol, rejected (the far end answered "no" in the body of its answer), bug.

    The fault of a message or an address is permanent; that of the channel (credentials, certificate, network) is
    not, because somebody mends it and then the message can still go.
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


class ChannelOptions(Settings):
    """What the configuration says of every channel; each kind adds its own keys and its `kind`.

    `name` is what contacts and metrics call it. `timeout` bounds one whole attempt, from connecting to the answer.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")
    timeout: Duration = timedelta(seconds=15)

    @field_validator("timeout")
    @classmethod
    def bounded(cls, value: timedelta) -> timedelta:
        if not timedelta(seconds=0.1) <= value <= timedelta(seconds=60):
            raise ValueError(f"a time-out of {value.total_seconds():g} s is out of range|Write 100ms to 60s")
        return value
