"""What becomes of a message after an attempt, and the loop that lease, send and settle make."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.base import Message, SendError, Sent
from alerts.outbox import (
    FINAL,
    Decision,
    Expired,
    Leased,
    Outcome,
    Policy,
    State,
    Tidied,
    delay,
    deliver,
    message_of,
    next_state,
)
from tests.alerts.make import NOW

POLICY = Policy()
LATER = NOW + timedelta(hours=12)


def decide(error: SendError | None, attempt: int = 1, *, cut: float = 0.0, expires: datetime = LATER) -> Decision:
    return next_state(attempt, error, NOW, POLICY, lambda: cut, expires_at=expires)


def test_every_state_says_what_the_outside_world_has_done() -> None:
    assert {s.value for s in State} == {
        "pending",
        "leased",
        "sent",
        "acknowledged",
        "failed",
        "expired",
        "cancelled",
    }
    assert set(State) - FINAL == {State.PENDING, State.LEASED}


def test_accepted_is_sent_with_the_name_the_far_end_gave_it() -> None:
    decision = next_state(
        1, None, NOW, POLICY, lambda: 0.0, expires_at=LATER, sent=Sent(provider_id="42", detail="ok")
    )
    assert decision == Decision(State.SENT, NOW, "accepted", "ok", provider_id="42")


def test_a_permanent_error_is_given_up_at_once_with_its_reason() -> None:
    decision = decide(SendError("address", "no such address", permanent=True))
    assert (decision.state, decision.reason, decision.detail) == (State.FAILED, "address", "no such address")


def test_a_temporary_error_waits_longer_each_time_up_to_the_cap() -> None:
    waits = [(decide(SendError("timeout", "t"), n).not_before - NOW).total_seconds() for n in range(1, 9)]
    assert waits == [15, 30, 60, 120, 240, 480, 600, 600]


def test_retries_go_on_for_hours_and_not_for_seconds() -> None:
    now, attempts = NOW, 0
    while (
        decision := next_state(attempts + 1, SendError("refused", ""), now, POLICY, lambda: 0.0, expires_at=LATER)
    ).state == State.PENDING:
        now, attempts = decision.not_before, attempts + 1
    assert decision.state == State.EXPIRED
    assert LATER - now <= POLICY.max_delay
    assert 70 < attempts < 90


def test_nothing_is_planned_for_after_its_expiry() -> None:
    assert decide(SendError("timeout", ""), expires=NOW + timedelta(seconds=15)).state == State.EXPIRED
    assert decide(SendError("timeout", ""), expires=NOW + timedelta(seconds=16)).state == State.PENDING


def test_the_far_ends_own_wait_is_honoured_within_bounds() -> None:
    def wait(seconds: float) -> float:
        error = SendError("rate_limited", "", retry_after=seconds)
        return (decide(error, cut=0.99).not_before - NOW).total_seconds()

    assert wait(120) == 120
    assert wait(86_400) == 3600
    assert wait(float("inf")) == 3600
    assert wait(0) < 15
    assert wait(1) >= 7.5


def test_an_attempt_of_unknown_outcome_is_remembered() -> None:
    assert decide(SendError("timeout", "", uncertain=True)).uncertain
    assert not decide(SendError("refused", "")).uncertain


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_back_off_stays_within_its_bounds_at_any_attempt(attempt: int, cut: float) -> None:
    wait = delay(attempt, POLICY, lambda: cut)
    full = min(POLICY.max_delay, POLICY.first_delay * 2 ** min(attempt - 1, 30))
    assert full / 2 <= wait <= full
    assert delay(attempt + 1, POLICY, lambda: cut) >= wait


@given(
    st.builds(
        SendError,
        st.just("x"),
        st.just("x"),
        permanent=st.booleans(),
        uncertain=st.booleans(),
        retry_after=st.none() | st.floats(allow_nan=False),
    ),
    st.integers(1, 300),
    st.integers(-10, 10**6),
    st.floats(0, 1, exclude_max=True),
)
def test_whatever_happened_the_decision_is_final_or_due_before_the_expiry(
    error: SendError, attempt: int, left: int, cut: float
) -> None:
    expires = NOW + timedelta(seconds=left)
    decision = next_state(attempt, error, NOW, POLICY, lambda: cut, expires_at=expires)
    if decision.state == State.PENDING:
        assert NOW + POLICY.first_delay / 2 <= decision.not_before < expires
        assert decision.not_before - NOW <= POLICY.longest_wait
    else:
        assert decision.state == (State.FAILED if error.permanent else State.EXPIRED)


def leased(**changes: object) -> Leased:
    values: dict[str, object] = {
        "id": 1,
        "key": "k1",
        "channel": "hook",
        "address": "100",
        "person": "值班员甲",
        "flag_id": "f1",
        "subject": "主题",
        "body": "正文",
        "payload": {"ack_link": "https://price.example/a/t", "way": 1},
        "created_at": NOW,
        "expires_at": LATER,
        "attempt": 1,
        "uncertain": 0,
        "owner": "me",
        "until": NOW + POLICY.lease,
    }
    return Leased(**{**values, **changes})  # type: ignore[arg-type]


def test_a_first_message_is_sent_as_it_is() -> None:
    message = message_of(leased())
    assert (message.subject, message.body, message.repeat) == ("主题", "正文", False)
    assert message.link == "https://price.example/a/t"


def test_a_known_failure_before_makes_no_repeat() -> None:
    assert not message_of(leased(attempt=7)).repeat


def test_g2_a_repeat_says_so_to_the_reader_and_to_programs() -> None:
    message = message_of(leased(uncertain=1, attempt=2, subject="长" * 60))
    assert message.repeat
    assert message.key == "k1"
    assert message.subject.startswith("【重复】长")
    assert len(message.subject) == 60
    assert message.body.startswith("【重复】此前已发出一次，是否送达未知。\n正文")


def test_g2_the_second_way_to_the_same_person_says_that_it_is_a_repeat() -> None:
    message = message_of(leased(payload={"way": 2, "link": "https://price.example/flags/f1"}))
    assert message.repeat
    assert message.body.startswith("【重复】此前已通过其他方式通知")
    assert message.link == "https://price.example/flags/f1"


class Rows:
    """A store that gives out the same messages in order, and keeps what it is told."""

    def __init__(self, *rows: Leased) -> None:
        self.rows = list(rows)
        self.settled: list[tuple[str, Decision]] = []
        self.tidied: list[str] = []
        self.expired: tuple[Expired, ...] = ()

    def tidy(self, channel: str, now: datetime, policy: Policy) -> Tidied:
        self.tidied.append(channel)
        return Tidied(expired=self.expired)

    def lease(self, channel: str, owner: str, now: datetime, policy: Policy) -> Leased | None:
        return self.rows.pop(0) if self.rows else None

    def settle(self, leased: Leased, decision: Decision, now: datetime) -> bool:
        self.settled.append((leased.key, decision))
        return True


class Line:
    """A channel that answers from a list; what is not an error is taken."""

    name = "hook"

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.messages: list[Message] = []

    def send(self, message: Message, now: datetime) -> Sent:
        self.messages.append(message)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return Sent()


def run(rows: Rows, line: Line, *, limit: int = 100, stop: Callable[[], bool] = lambda: False) -> list[Outcome]:
    return deliver(rows, line, lambda: NOW, POLICY, owner="me", random=lambda: 0.0, limit=limit, stop=stop)


def test_one_message_that_fails_keeps_no_other_waiting() -> None:
    rows = Rows(leased(key="a"), leased(key="b"), leased(key="c"))
    outcomes = run(
        rows, Line(SendError("timeout", "", uncertain=True), None, SendError("address", "", permanent=True))
    )
    assert [(o.key, o.state, o.reason) for o in outcomes] == [
        ("a", State.PENDING, "timeout"),
        ("b", State.SENT, "accepted"),
        ("c", State.FAILED, "address"),
    ]
    assert [key for key, _ in rows.settled] == ["a", "b", "c"]
    assert rows.tidied == ["hook"]


def test_a_channel_that_breaks_keeps_no_other_message_waiting(caplog: pytest.LogCaptureFixture) -> None:
    rows = Rows(leased(key="a"), leased(key="b"))
    outcomes = run(rows, Line(ZeroDivisionError("oops")))
    assert [(o.state, o.reason) for o in outcomes] == [(State.PENDING, "bug"), (State.SENT, "accepted")]
    assert rows.settled[0][1].uncertain
    assert "will be sent again, marked as a repeat" in caplog.text


def test_the_limit_and_a_stop_end_the_round_between_two_messages() -> None:
    rows = Rows(*(leased(key=str(n)) for n in range(10)))
    assert len(run(rows, Line(), limit=3)) == 3
    answers = iter([False, False, True])
    assert len(run(rows, Line(), stop=lambda: next(answers))) == 2
    assert len(rows.rows) == 5


def test_failures_are_logged_with_their_consequence_and_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    run(Rows(leased(address="13800000000")), Line(SendError("refused", "no connection")))
    assert "no connection (refused); it will be tried again" in caplog.text
    assert "13800000000" not in caplog.text


def test_wait_and_duration_are_measured_by_the_given_clock() -> None:
    times = iter([NOW, NOW + timedelta(seconds=5), NOW + timedelta(seconds=7), NOW + timedelta(seconds=9)])
    (outcome,) = deliver(Rows(leased()), Line(), lambda: next(times), POLICY, owner="me", random=lambda: 0.0)
    assert (outcome.waited, outcome.took) == (timedelta(seconds=5), timedelta(seconds=2))


def test_nothing_is_given_up_silently(caplog: pytest.LogCaptureFixture) -> None:
    rows = Rows(leased())
    rows.expired = (Expired("hook", "old", "值班员甲", NOW - timedelta(hours=12), 3, 1, "refused"),)
    first, second = run(rows, Line())
    assert (first.key, first.state, first.reason, first.attempt) == ("old", State.EXPIRED, "refused", 3)
    assert first.waited == timedelta(hours=12)
    assert second.state == State.SENT
    assert "the person does not get it by this way" in caplog.text
