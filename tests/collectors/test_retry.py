"""Trying again: how often, how long between, and what the server asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from collectors.base import CollectError
from collectors.retry import MAX_RETRY_AFTER, Backoff, RetryableError, parse_retry_after, retrying

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)


class Flaky:
    """Fails with the given errors in turn, then gives 'done'; keeps the waits in between."""

    def __init__(self, *errors: CollectError) -> None:
        self.errors, self.waits, self.calls = list(errors), list[float](), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def run(self, random: Callable[[], float] = lambda: 1.0, remaining: float = 1e9, tries: int = 4) -> str:
        return retrying(
            self,
            backoff=Backoff(tries=tries, first=0.5, longest=30),
            random=random,
            sleep=self.waits.append,
            remaining=lambda: remaining,
        )


def again(wait: float | None = None) -> RetryableError:
    return RetryableError("http_status", "503", retry_after=wait)


def test_waits_double_up_to_the_limit_and_are_scaled_by_the_random_number() -> None:
    flaky = Flaky(*[again() for _ in range(9)])
    assert flaky.run(tries=10) == "done"
    assert flaky.waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    half = Flaky(again(), again())
    half.run(random=lambda: 0.5)
    assert half.waits == [0.25, 0.5]


def test_the_last_error_comes_out_after_all_tries() -> None:
    flaky = Flaky(again(), again(), CollectError("never reached", ""))
    with pytest.raises(RetryableError, match="503"):
        flaky.run(tries=2)
    assert flaky.calls == 2


def test_an_error_that_is_not_for_retrying_comes_out_at_once() -> None:
    flaky = Flaky(CollectError("auth", "no", permanent=True))
    with pytest.raises(CollectError, match="no"):
        flaky.run()
    assert (flaky.calls, flaky.waits) == (1, [])


def test_the_server_is_given_the_time_it_asks_for() -> None:
    flaky = Flaky(again(20), again(0))
    assert flaky.run() == "done"
    assert flaky.waits == [20, 1]


def test_a_server_that_asks_for_long_is_left_to_the_next_turn() -> None:
    flaky = Flaky(again(3600))
    with pytest.raises(RetryableError) as caught:
        flaky.run()
    assert caught.value.retry_after == 3600
    assert flaky.waits == []


def test_no_wait_goes_beyond_the_deadline() -> None:
    flaky = Flaky(again(10))
    with pytest.raises(RetryableError):
        flaky.run(remaining=9)
    assert flaky.waits == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("-5", 0),
        ("Tue, 10 Mar 2026 02:02:00 GMT", 120),
        ("Tue, 10 Mar 2026 01:00:00 GMT", 0),
        ("Tue, 10 Mar 2026 10:02:00 +0800", 120),
        ("Fri, 10 Mar 2056 02:00:00 GMT", MAX_RETRY_AFTER),
        ("1e300", MAX_RETRY_AFTER),
        ("inf", MAX_RETRY_AFTER),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_capped(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


def test_full_jitter_may_wait_not_at_all() -> None:
    assert Backoff().wait(5, lambda: 0.0) == 0
    assert timedelta(seconds=Backoff().wait(500, lambda: 1.0)) == timedelta(seconds=30)
