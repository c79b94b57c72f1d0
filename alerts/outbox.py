"""The outbox: what state a message is in, when it is tried again, and the loop lease -> send -> settle.

At least once, and never twice without saying so: before a message goes out, its row is leased in the database. When
the sender dies, the lease runs out, nobody knows whether the message arrived, and it goes out again as a repeat.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from alerts.channels.base import Channel, Message, SendError, Sent
from thresholds.settings import Duration, Settings

log = logging.getLogger(__name__)

SUBJECT_LENGTH = 60
REPEAT = "【重复】"


class State(StrEnum):
    """What the outside world has done with a message. A duty officer asks exactly this at night."""

    PENDING = "pending"
    """Nothing is on its way now. It waits for its first attempt or for the next one. Where `uncertain` is above 0,
    an earlier attempt may have arrived all the same."""
    LEASED = "leased"
    """A sender is handing it over at this moment, or died while doing so: nobody knows whether it has arrived."""
    SENT = "sent"
    """The channel's far end (webhook receiver, mail server, file) has taken it. Whether the person has it, and has
    read it, is not known."""
    ACKNOWLEDGED = "acknowledged"
    """The person followed the link of this message and said so: it arrived and was read."""
    FAILED = "failed"
    """Given up: the far end refused it for good (unknown address, rejected request). The person does not have it
    by this way, unless `uncertain` is above 0."""
    EXPIRED = "expired"
    """Its time ran out before the far end took it: an alert this old would mislead. The person does not have it by
    this way, unless `uncertain` is above 0."""
    CANCELLED = "cancelled"
    """Not sent (again), because it was no longer needed: the flag was acknowledged, reviewed or withdrawn before
    it left. Where `uncertain` is above 0, an earlier attempt may have arrived."""


FINAL = frozenset({State.SENT, State.ACKNOWLEDGED, State.FAILED, State.EXPIRED, State.CANCELLED})


class Policy(Settings):
    """How a message is retried. The horizon is the message's own `expires_at`: hours, not a number of attempts."""

    first_delay: Duration = timedelta(seconds=15)
    """after the first failed attempt; doubled after each further one"""
    max_delay: Duration = timedelta(minutes=10)
    """no wait is longer, so that a channel that works again is used again soon"""
    max_retry_after: Duration = timedelta(hours=1)
    """a far end that asks for a longer wait than this is asked again after this"""
    lease: Duration = timedelta(minutes=5)
    """how long a sender may take for one message; must be longer than the time-out of every channel"""

    @property
    def longest_wait(self) -> timedelta:
        """A stored wait that is longer than this was not set by us: the clock has been set back since."""
        return max(self.max_delay, self.max_retry_after)


@dataclass(frozen=True, slots=True)
class Leased:
    """One message that this sender, and no other, may send until `until`. `attempt` counts from 1.

    `second_way`: the person was told by another way before and has not acknowledged.
    """

    id: int
    key: str
    channel: str
    address: str
    person: str
    flag_id: str | None
    subject: str
    body: str
    payload: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
    attempt: int
    uncertain: int
    owner: str
    until: datetime

    @property
    def second_way(self) -> bool:
        return int(self.payload.get("way", 1)) > 1

    @property
    def repeat(self) -> bool:
        return self.uncertain > 0 or self.second_way


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a message after an attempt. `reason` is `accepted` or the stable word of the error."""

    state: State
    not_before: datetime
    reason: str
    detail: str = ""
    uncertain: bool = False
    provider_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt as it went: for the log and the metrics. `waited` is from queueing to this attempt's start.

    `recorded` is false where the lease was lost meanwhile: then another sender decides over the message.
    """

    channel: str
    key: str
    person: str
    state: State
    reason: str
    attempt: int
    repeat: bool
    waited: timedelta
    took: timedelta
    recorded: bool


@dataclass(frozen=True, slots=True)
class Expired:
    """A message whose time ran out between two attempts, or before the first one."""

    channel: str
    key: str
    person: str
    created_at: datetime
    attempts: int
    uncertain: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tidied:
    """What tidying changed: leases taken back, messages cancelled, messages that expired."""

    taken_back: int = 0
    cancelled: int = 0
    expired: tuple[Expired, ...] = ()


class Store(Protocol):
    """What delivering needs of the database: each call is one transaction."""

    def tidy(self, channel: str, now: datetime, policy: Policy) -> Tidied:
        """Take back leases that ran out, cancel what is no longer needed, expire what is too old."""
        ...

    def lease(self, channel: str, owner: str, now: datetime, policy: Policy) -> Leased | None:
        """The next message that is due on a channel, leased to `owner`; None when nothing is due."""
        ...

    def settle(self, leased: Leased, decision: Decision, now: datetime) -> bool:
        """Write down what became of it. False when the lease was lost and another sender has it."""
        ...


Random = Callable[[], float]
"""gives a float in [0, 1)"""


def delay(attempt: int, policy: Policy, random: Random) -> timedelta:
    """How long to wait after failed attempt number `attempt`: doubled each time, capped, then cut by up to a half.

    The cut is random, so that messages which failed together do not come back together.
    """
    full = policy.max_delay
    if attempt <= 30:  # 2**30 times any delay is beyond every cap
        full = min(policy.max_delay, policy.first_delay * 2 ** (attempt - 1))
    return full * (1 - random() / 2)


def next_state(
    attempt: int,
    error: SendError | None,
    now: datetime,
    policy: Policy,
    random: Random,
    *,
    expires_at: datetime,
    sent: Sent | None = None,
) -> Decision:
    """What becomes of a message after attempt number `attempt` ended at `now`. Pure.

    No error: sent. Permanent: failed. Else it is pending until the back-off, or the far end's own Retry-After, is
    over; where that is not before `expires_at`, it is expired at once and with the reason that kept it from going.
    """
    if error is None:
        done = sent or Sent()
        return Decision(State.SENT, now, "accepted", done.detail, provider_id=done.provider_id)
    if error.permanent:
        return Decision(State.FAILED, now, error.reason, str(error), error.uncertain)
    wait = delay(attempt, policy, random)
    if error.retry_after is not None and error.retry_after > 0:
        wait = max(wait, min(timedelta(seconds=min(error.retry_after, 1e9)), policy.max_retry_after))
    state = State.PENDING if now + wait < expires_at else State.EXPIRED
    return Decision(state, now + wait, error.reason, str(error), error.uncertain)


def message_of(leased: Leased) -> Message:
    """The message as it goes out: the subject and the text of a repeat begin with 【重复】 and say why."""
    message = Message(
        key=leased.key,
        address=leased.address,
        subject=leased.subject,
        body=leased.body,
        payload=leased.payload,
        created_at=leased.created_at,
        attempt=leased.attempt,
        repeat=leased.repeat,
        link=str(leased.payload.get("ack_link") or leased.payload.get("link") or ""),
    )
    if not leased.repeat:
        return message
    why = "此前已发出一次，是否送达未知。" if leased.uncertain else "此前已通过其他方式通知，尚未确认。"
    return replace(
        message,
        subject=shorten(REPEAT + leased.subject, SUBJECT_LENGTH),
        body=f"{REPEAT}{why}\n{leased.body}",
    )


def shorten(text: str, length: int) -> str:
    """At most `length` characters, the last one an ellipsis where something was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def deliver(
    store: Store,
    channel: Channel,
    clock: Callable[[], datetime],
    policy: Policy,
    *,
    owner: str,
    random: Random,
    limit: int = 100,
    stop: Callable[[], bool] = lambda: False,
) -> list[Outcome]:
    """Send what is due on one channel, one message at a time, at most `limit`; `stop` is asked before each one.

    Gives one outcome per attempt, and before them one per message that expired without a further one (`took` 0).
    Runs once per channel and round, each channel in its own thread: one that hangs keeps none of the others waiting.
    A dead sender leaves at most one message per channel in doubt, because only one is leased at a time.
    """
    at = clock()
    outcomes = [given_up(one, at) for one in store.tidy(channel.name, at, policy).expired]
    for _ in range(limit):
        if stop():
            break
        start = clock()
        leased = store.lease(channel.name, owner, start, policy)
        if leased is None:
            break
        sent, error = attempt(channel, leased, start)
        end = clock()
        decision = next_state(leased.attempt, error, end, policy, random, expires_at=leased.expires_at, sent=sent)
        recorded = store.settle(leased, decision, end)
        outcomes.append(
            Outcome(
                channel=channel.name,
                key=leased.key,
                person=leased.person,
                state=decision.state,
                reason=decision.reason,
                attempt=leased.attempt,
                repeat=leased.repeat,
                waited=start - leased.created_at,
                took=end - start,
                recorded=recorded,
            )
        )
        report(outcomes[-1], decision)
    return outcomes


def given_up(one: Expired, now: datetime) -> Outcome:
    """The end of a message without a further attempt, logged like one: nothing is given up silently."""
    outcome = Outcome(
        channel=one.channel,
        key=one.key,
        person=one.person,
        state=State.EXPIRED,
        reason=one.reason,
        attempt=one.attempts,
        repeat=one.uncertain > 0,
        waited=now - one.created_at,
        took=timedelta(),
        recorded=True,
    )
    report(outcome, Decision(State.EXPIRED, now, one.reason, "not sent in time"))
    return outcome


def attempt(channel: Channel, leased: Leased, now: datetime) -> tuple[Sent | None, SendError | None]:
    """One attempt. A channel that breaks in a way it should not keeps no other message waiting: it counts as an
    attempt of unknown outcome, reason `bug`, and is logged with its trace."""
    try:
        return channel.send(message_of(leased), now), None
    except SendError as error:
        return None, error
    except Exception as error:
        log.exception(
            "channel %s broke on message %s; it will be sent again, marked as a repeat", channel.name, leased.key
        )
        return None, SendError("bug", f"{type(error).__name__}: {error}", uncertain=True)


CONSEQUENCE = {
    State.PENDING: "it will be tried again",
    State.FAILED: "given up: the person does not get it by this way",
    State.EXPIRED: "given up because its time ran out: the person does not get it by this way",
}


def report(outcome: Outcome, decision: Decision) -> None:
    """One log line for an attempt that failed, with its consequence; addresses and texts stay out of the log."""
    if outcome.state == State.SENT:
        return
    level = logging.WARNING if outcome.state == State.PENDING else logging.ERROR
    log.log(
        level,
        "message %s on channel %s, attempt %d: %s (%s); %s",
        outcome.key,
        outcome.channel,
        outcome.attempt,
        decision.detail,
        outcome.reason,
        CONSEQUENCE[outcome.state],
    )
