"""The outbox on both databases: queued with the flag, claimed once, settled, cancelled, acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from alerts.ack import hash_of
from alerts.channels.base import SendError
from alerts.notify import NewNotification, NotifyOptions, Target
from alerts.outbox import Decision, Leased, Policy, State, next_state
from alerts.roster import Roster
from monitor.schema import notification
from monitor.schema import notification_flag as link
from monitor.store import flags, outbox
from monitor.store.database import Database
from tests.alerts.make import FLAG, GRADE_I, NOW, PHONE, Change, duty, many, opened, told_of
from thresholds.model import Flag

POLICY = Policy()
BOTH_WAYS = duty(("hook", "100"), ("mail", "a@price.example"))


def after(seconds: float = 0, **more: float) -> datetime:
    return NOW + timedelta(seconds=seconds, **more)


def put(
    db: Database,
    changes: Sequence[Change],
    roster: Roster = PHONE,
    *,
    now: datetime = NOW,
    options: NotifyOptions | None = None,
) -> list[NewNotification]:
    """What an evaluation does: look up who was told, compose, queue."""
    with db.begin() as connection:
        told = outbox.told(connection, [c.flag.id for c in changes])
        made = told_of(changes, roster, told=told, now=now, options=options, token=tokens()).notifications
        outbox.enqueue(connection, made)
    return list(made)


def tokens() -> Any:
    count = iter(range(10_000))
    return lambda: f"token-{next(count)}"


def stored(db: Database, *computed: Flag, now: datetime = NOW) -> list[flags.FlagChange]:
    """Store flags as an evaluation does, with their notifications in the same transaction."""
    items = {"大米"}
    return flags.save_evaluation(
        db,
        computed,
        items=items,
        since=dict.fromkeys(items, 0),
        dirty=(),
        now=now,
        notify=lambda connection, changes: queue(connection, changes, now),
    )


def queue(connection: Any, changes: Sequence[Any], now: datetime, roster: Roster = PHONE) -> None:
    told = outbox.told(connection, [c.flag.id for c in changes])
    outbox.enqueue(connection, told_of(changes, roster, told=told, now=now).notifications)


def lease(db: Database, now: datetime = NOW, channel: str = "hook", owner: str = "me") -> Leased | None:
    return outbox.lease(db, channel, owner, now, POLICY)


def take(db: Database, now: datetime = NOW, channel: str = "hook") -> Leased:
    leased = lease(db, now, channel)
    assert leased is not None
    return leased


def settle(db: Database, leased: Leased, error: SendError | None = None, now: datetime = NOW) -> bool:
    decision = next_state(leased.attempt, error, now, POLICY, lambda: 0.0, expires_at=leased.expires_at)
    return outbox.settle(db, leased, decision, now)


def send(db: Database, now: datetime = NOW, channel: str = "hook") -> Leased:
    leased = take(db, now, channel)
    assert settle(db, leased, now=now)
    return leased


def tidy(db: Database, now: datetime = NOW, channel: str | None = "hook") -> int:
    """How many rows tidying changed."""
    done = outbox.tidy(db, channel, now, POLICY)
    return done.taken_back + done.cancelled + len(done.expired)


def rows(db: Database) -> list[Any]:
    with db.connect() as connection:
        return list(connection.execute(select(notification).order_by(notification.c.id)))


def states(db: Database) -> list[str]:
    return [row.state for row in rows(db)]


LOST = SendError("timeout", "no answer", uncertain=True)
REFUSED = SendError("refused", "no connection")


def test_a_message_goes_from_the_flag_to_sent(db: Database) -> None:
    (new,) = put(db, [opened()])
    leased = take(db)
    assert (leased.key, leased.address, leased.body, leased.attempt) == (new.key, "100", new.body, 1)
    assert (leased.created_at, leased.expires_at) == (NOW, after(hours=12))
    assert leased.payload == new.payload
    assert settle(db, leased)
    (row,) = rows(db)
    assert (row.state, row.attempts, row.uncertain, row.sent_at) == ("sent", 1, 0, int(NOW.timestamp()))
    assert lease(db) is None


def test_flag_and_message_are_stored_both_or_neither(db: Database) -> None:
    def broken(connection: Any, changes: Sequence[Any]) -> None:
        queue(connection, changes, NOW)
        raise RuntimeError("the power fails here")

    with pytest.raises(RuntimeError):
        flags.save_evaluation(db, [FLAG], items={"大米"}, since={"大米": 0}, dirty=(), now=NOW, notify=broken)
    assert rows(db) == []
    assert flags.get_flag(db, "f1") is None
    stored(db, FLAG)
    assert len(rows(db)) == 1
    stored(db, FLAG)
    assert len(rows(db)) == 1


def test_the_same_thing_is_never_queued_twice(db: Database) -> None:
    put(db, [opened()])
    put(db, [opened()], now=after(60))
    assert len(rows(db)) == 1
    send(db)
    put(db, [opened()], now=after(120))
    assert states(db) == ["sent"]


def test_g2_a_flag_that_is_withdrawn_and_then_flagged_again_is_told_again(db: Database) -> None:
    put(db, [opened()])
    send(db)
    put(db, [Change("withdrawn", FLAG)], now=after(60))
    put(db, [opened()], now=after(120))
    put(db, [opened()], now=after(125))
    assert [row.change for row in rows(db)] == ["opened", "withdrawn", "opened"]
    assert rows(db)[2].key == rows(db)[0].key + ".2"
    put(db, [Change("withdrawn", FLAG)], now=after(180))
    put(db, [opened()], now=after(240))
    assert [row.change for row in rows(db)][3:] == ["withdrawn", "opened"]


def test_what_never_reached_anybody_is_queued_again(db: Database) -> None:
    put(db, [opened()])
    settle(db, take(db), SendError("address", "unknown", permanent=True))
    put(db, [opened()], now=after(60))
    assert states(db) == ["failed", "pending"]


def test_only_one_of_many_senders_gets_a_message(db: Database) -> None:
    put(db, many(5))
    won: list[str] = []

    def grab(owner: str) -> None:
        while (leased := lease(db, owner=owner)) is not None:
            won.append(leased.key)

    threads = [threading.Thread(target=grab, args=(f"s{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while (leased := lease(db)) is not None:  # a sender that lost a race stops and looks again a round later
        won.append(leased.key)
    assert len(won) == len(set(won)) == 5


def test_a_failed_attempt_waits_for_its_back_off_and_is_no_repeat(db: Database) -> None:
    put(db, [opened()])
    settle(db, take(db), REFUSED)
    assert lease(db, after(14)) is None
    again = take(db, after(15))
    assert (again.attempt, again.repeat) == (2, False)
    (row,) = rows(db)
    assert (row.last_reason, row.last_error) == ("refused", "no connection")


def test_g2_an_attempt_of_unknown_outcome_makes_a_repeat(db: Database) -> None:
    put(db, [opened()])
    settle(db, take(db), LOST)
    again = take(db, after(15))
    assert again.repeat
    settle(db, again, REFUSED, after(15))
    assert take(db, after(60)).uncertain == 1


def test_a_lease_that_ran_out_is_sent_again_as_a_repeat(db: Database) -> None:
    put(db, [opened()])
    take(db)
    assert tidy(db, after(minutes=5) - timedelta(seconds=1)) == 0
    assert lease(db, after(minutes=4)) is None
    assert tidy(db, after(minutes=5)) == 1
    again = take(db, after(minutes=5))
    assert (again.attempt, again.repeat) == (2, True)
    assert rows(db)[0].last_reason == "lease_ran_out"


def test_after_a_restart_leases_are_taken_back_at_once(db: Database) -> None:
    put(db, many(2))
    take(db)
    assert outbox.recover(db, after(1)) == 1
    assert sorted(take(db, after(1)).repeat for _ in range(2)) == [False, True]


def test_a_sender_that_lost_its_lease_cannot_settle_for_the_new_one(db: Database) -> None:
    put(db, [opened()])
    first = take(db)
    tidy(db, after(minutes=5))
    second = take(db, after(minutes=5))
    assert not settle(db, first, REFUSED, after(minutes=6))
    assert rows(db)[0].state == "leased"
    assert settle(db, second, now=after(minutes=6))


def test_a_late_answer_is_still_used_while_nobody_else_has_the_message(db: Database) -> None:
    put(db, [opened()])
    first = take(db)
    tidy(db, after(minutes=5))
    assert settle(db, first, now=after(minutes=5, seconds=1))
    assert states(db) == ["sent"]


def test_nothing_is_sent_after_its_expiry(db: Database) -> None:
    put(db, [opened()])
    settle(db, take(db), REFUSED)
    assert lease(db, after(hours=12)) is None
    assert tidy(db, after(hours=12)) == 1
    (row,) = rows(db)
    assert (row.state, row.last_reason) == ("expired", "refused")


def test_what_expires_is_handed_out_once_to_be_logged_and_counted(db: Database) -> None:
    (new,) = put(db, [opened()])
    (one,) = outbox.tidy(db, "hook", after(hours=12), POLICY).expired
    assert (one.key, one.person, one.created_at, one.attempts, one.reason) == (new.key, "值班员甲", NOW, 0, "too_old")
    assert outbox.tidy(db, "hook", after(hours=12), POLICY).expired == ()


def test_what_was_acknowledged_in_time_is_cancelled_and_not_given_up(db: Database) -> None:
    stored(db, FLAG)
    flags.acknowledge(db, "f1", "值班员乙", after(5))
    tidy(db, after(hours=13))
    assert states(db) == ["cancelled"]


def test_messages_to_a_channel_that_is_gone_expire_too(db: Database) -> None:
    put(db, [opened()])
    assert tidy(db, after(hours=13), "mail") == 0
    assert tidy(db, after(hours=13), None) == 1
    assert states(db) == ["expired"]


def test_one_channel_does_not_see_the_messages_of_another(db: Database) -> None:
    put(db, [opened()], duty(("mail", "a@price.example")))
    assert lease(db, channel="hook") is None
    assert take(db, channel="mail").address == "a@price.example"


def test_the_highest_grade_goes_first(db: Database) -> None:
    put(db, many(3))
    put(db, [opened("top", peak_grade=GRADE_I)], now=after(60))
    assert take(db, after(60)).flag_id == "top"
    assert take(db, after(60)).flag_id == "f1"


def test_an_all_clear_waits_for_the_alarm_before_it(db: Database) -> None:
    put(db, [opened()])
    settle(db, take(db), REFUSED)
    put(db, [Change("withdrawn", FLAG)], now=after(1))
    assert lease(db, after(1)) is None
    assert send(db, after(15)).body.find("撤回") < 0
    assert "撤回" in send(db, after(15)).subject


def test_an_all_clear_is_not_held_up_by_other_flags_or_addresses(db: Database) -> None:
    put(db, [opened("f2")])
    settle(db, take(db), REFUSED)
    put(db, [opened("f1")], now=after(1))
    send(db, after(1))
    put(db, [Change("ended", replace(FLAG, end=NOW))], now=after(2))
    assert take(db, after(2)).flag_id == "f1"


def test_a_raise_does_not_wait_for_the_alarm_before_it(db: Database) -> None:
    put(db, [opened()])
    settle(db, take(db), REFUSED)
    put(db, [Change("raised", replace(FLAG, peak_grade=GRADE_I))], now=after(1))
    assert "升级" in take(db, after(1)).subject


def test_whom_an_alarm_went_to_is_known_also_through_a_digest(db: Database) -> None:
    put(db, many(9), BOTH_WAYS)
    with db.connect() as connection:
        told = outbox.told(connection, ["f3", "f9", "never"])
    assert set(told) == {"f3", "f9"}
    assert told["f3"] == (Target("hook", "100", "值班员甲"), Target("mail", "a@price.example", "值班员甲"))


def test_whom_it_never_reached_is_not_told_that_it_is_over(db: Database) -> None:
    put(db, [opened()])
    settle(db, take(db), SendError("address", "unknown", permanent=True))
    put(db, [Change("withdrawn", FLAG)], now=after(60))
    assert states(db) == ["failed"]


def test_a_flag_withdrawn_before_its_message_left_is_not_told_at_all(db: Database) -> None:
    stored(db, FLAG)
    stored(db, now=after(60))
    assert [row.change for row in rows(db)] == ["opened", "withdrawn"]
    assert tidy(db, after(60)) == 2
    assert states(db) == ["cancelled", "cancelled"]
    assert [row.last_reason for row in rows(db)] == ["answered", "never_told"]


def test_a_withdrawn_flag_whose_message_may_have_arrived_is_not_repeated_but_withdrawn(db: Database) -> None:
    stored(db, FLAG)
    settle(db, take(db), LOST)
    stored(db, now=after(60))
    tidy(db, after(60))
    assert states(db) == ["cancelled", "pending"]
    assert "撤回" in send(db, after(60)).subject


def test_an_acknowledged_flag_cancels_what_is_pending_about_it(db: Database) -> None:
    stored(db, FLAG)
    settle(db, take(db), LOST)
    flags.acknowledge(db, "f1", "值班员乙", after(5))
    assert tidy(db, after(5)) == 1
    assert states(db) == ["cancelled"]
    assert lease(db, after(hours=1)) is None


def test_cancelling_at_once_does_what_tidying_would(db: Database) -> None:
    stored(db, FLAG)
    with db.begin() as connection:
        assert outbox.cancel_for_flag(connection, "f1") == 0
    flags.acknowledge(db, "f1", "值班员乙", after(5))
    with db.begin() as connection:
        assert outbox.cancel_for_flag(connection, "f2") == 0
        assert outbox.cancel_for_flag(connection, "f1") == 1


def test_a_raise_after_the_acknowledgement_is_sent(db: Database) -> None:
    stored(db, FLAG)
    send(db)
    flags.acknowledge(db, "f1", "值班员乙", after(5))
    stored(db, replace(FLAG, peak_grade=GRADE_I), now=after(60))
    assert tidy(db, after(60)) == 0
    assert "升级" in take(db, after(60)).subject


def test_a_reviewed_flag_cancels_too(db: Database) -> None:
    stored(db, FLAG)
    flags.review(db, "f1", "real_move", "", "监测员甲", after(5), None)
    assert tidy(db, after(6)) == 1


def test_the_second_way_waits_and_is_cancelled_by_the_acknowledgement(db: Database) -> None:
    put(db, [opened()], BOTH_WAYS)
    assert lease(db, after(minutes=9), "mail") is None
    send(db)
    assert outbox.acknowledge_by_token(db, hash_of("token-0"), after(60)) is not None
    assert states(db) == ["acknowledged", "cancelled"]
    assert lease(db, after(minutes=11), "mail") is None


def test_the_second_way_is_used_and_marked_when_nobody_acknowledges(db: Database) -> None:
    put(db, [opened()], BOTH_WAYS)
    send(db)
    assert take(db, after(minutes=10), "mail").repeat


def test_the_second_way_is_not_used_for_what_is_over(db: Database) -> None:
    with db.begin() as connection:
        made = told_of([opened()], BOTH_WAYS).notifications
        outbox.enqueue(connection, made)
    stored(db, FLAG)
    stored(db, replace(FLAG, end=after(60), end_reason="cleared"), now=after(60))
    assert tidy(db, after(minutes=10), "mail") >= 1
    assert rows(db)[1].state == "cancelled"


def test_the_link_acknowledges_message_and_flag_together_and_only_once(db: Database) -> None:
    stored(db, FLAG)
    leased = send(db)
    token = leased.payload["ack_link"].rpartition("/")[2]
    done = outbox.acknowledge_by_token(db, hash_of(token), after(60))
    assert done is not None
    assert (done.first, done.flags, done.superseded, done.by) == (True, ("f1",), (), "值班员甲")
    record = flags.get_flag(db, "f1")
    assert record is not None
    assert (record.state, record.acknowledged_by, record.acknowledged_at) == ("acknowledged", "值班员甲", after(60))
    assert record.revision == 1  # which counts reviews only
    assert [entry.action for entry in flags.flag_log(db, "f1")] == ["opened", "acknowledged"]
    again = outbox.acknowledge_by_token(db, hash_of(token), after(120))
    assert again is not None
    assert (again.first, again.at) == (False, after(60))
    assert len(flags.flag_log(db, "f1")) == 2


def test_an_unknown_token_acknowledges_nothing(db: Database) -> None:
    stored(db, FLAG)
    assert outbox.acknowledge_by_token(db, hash_of("guess"), NOW) is None
    assert outbox.acknowledge_by_token(db, "", NOW) is None
    with db.connect() as connection:
        assert outbox.find_by_token(connection, "") is None
    assert states(db) == ["pending"]


def test_acknowledging_a_digest_acknowledges_all_its_flags(db: Database) -> None:
    all_flags = [replace(FLAG, id=f"f{n}") for n in range(8)]
    stored(db, *all_flags)
    (row,) = rows(db)
    done = outbox.acknowledge(db, row.id, "值班员乙", after(60))
    assert done is not None
    assert len(done.flags) == 8
    assert {flags.get_flag(db, f.id).state for f in all_flags} == {"acknowledged"}  # type: ignore[union-attr]
    assert states(db) == ["acknowledged"]


def test_a_digest_is_cancelled_only_when_all_its_flags_are_answered(db: Database) -> None:
    stored(db, *[replace(FLAG, id=f"f{n}") for n in range(6)])
    for n in range(5):
        flags.acknowledge(db, f"f{n}", "值班员乙", after(5))
    assert tidy(db, after(6)) == 0
    flags.acknowledge(db, "f5", "值班员乙", after(7))
    assert tidy(db, after(8)) == 1


def test_an_old_message_does_not_acknowledge_a_raise_that_was_not_seen(db: Database) -> None:
    stored(db, FLAG)
    token = send(db).payload["ack_link"].rpartition("/")[2]
    stored(db, replace(FLAG, peak_grade=GRADE_I), now=after(60))
    done = outbox.acknowledge_by_token(db, hash_of(token), after(90))
    assert done is not None
    assert done.superseded == ("f1",)
    assert states(db) == ["acknowledged", "pending"]
    raised = send(db, after(90))
    newest = outbox.acknowledge_by_token(db, hash_of(raised.payload["ack_link"].rpartition("/")[2]), after(120))
    assert newest is not None
    assert newest.superseded == ()
    record = flags.get_flag(db, "f1")
    assert record is not None
    assert record.acknowledged_at == after(120)


def test_an_acknowledgement_during_the_attempt_counts_and_nothing_goes_out_again(db: Database) -> None:
    put(db, [opened()])
    leased = take(db)
    assert outbox.acknowledge_by_token(db, hash_of("token-0"), after(1)) is not None
    assert not settle(db, leased, LOST, after(2))
    assert states(db) == ["acknowledged"]
    assert lease(db, after(hours=1)) is None


def test_the_token_is_at_rest_only_while_the_message_may_still_go_out(db: Database) -> None:
    def at_rest() -> bool:
        return any("token-0" in f"{row.body}{row.payload}{row.subject}{row.key}" for row in rows(db))

    put(db, [opened()])
    assert at_rest()
    settle(db, take(db), REFUSED)
    assert at_rest()
    send(db, after(15))
    assert not at_rest()
    assert rows(db)[0].ack_hash == hash_of("token-0")
    assert outbox.acknowledge_by_token(db, hash_of("token-0"), after(60)) is not None


@pytest.mark.parametrize("end", ["expired", "cancelled", "failed", "acknowledged"])
def test_no_final_row_holds_a_token(db: Database, end: str) -> None:
    stored(db, FLAG)
    token = rows(db)[0].payload["ack_link"].rpartition("/")[2]
    if end == "expired":
        tidy(db, after(hours=13))
    elif end == "cancelled":
        flags.acknowledge(db, "f1", "值班员乙", after(5))
        tidy(db, after(6))
    elif end == "failed":
        settle(db, take(db), SendError("address", "unknown", permanent=True))
    else:
        outbox.acknowledge_by_token(db, hash_of(token), after(5))
    (row,) = rows(db)
    assert row.state == end
    assert token not in f"{row.body}{row.payload}"


def test_a_clock_set_back_stalls_no_message(db: Database) -> None:
    put(db, many(3), BOTH_WAYS)
    settle(db, take(db), REFUSED)
    take(db)
    yesterday = NOW - timedelta(days=1)
    assert take(db, yesterday).attempt == 1  # never tried: its turn is now, whenever it was queued
    assert tidy(db, yesterday) == 1  # a lease a day long was none of ours
    assert {take(db, yesterday).attempt for _ in range(2)} == {2}
    assert take(db, yesterday, "mail").attempt == 1


def test_a_clock_set_back_a_little_brings_no_early_flood(db: Database) -> None:
    put(db, many(3), BOTH_WAYS)
    settle(db, take(db), REFUSED)
    earlier = NOW - timedelta(minutes=5)
    assert take(db, earlier).attempt == 1
    assert take(db, earlier).attempt == 1
    assert lease(db, earlier) is None  # the one that waits for its back-off goes on waiting
    assert lease(db, earlier, "mail") is None
    assert tidy(db, earlier) == 0


def test_after_a_clock_was_set_back_each_waiting_message_is_tried_once_and_waits_again(db: Database) -> None:
    put(db, many(4))
    for _ in range(4):
        settle(db, take(db), REFUSED)
    yesterday = NOW - timedelta(days=1)
    for _ in range(4):
        settle(db, take(db, yesterday), REFUSED, yesterday)
    assert lease(db, yesterday) is None
    assert take(db, yesterday + timedelta(seconds=30)).attempt == 3


def test_a_clock_set_forward_and_back_again_loses_no_lease(db: Database) -> None:
    put(db, [opened()])
    take(db, NOW + timedelta(hours=11))
    assert tidy(db, NOW) == 1
    assert take(db, NOW).repeat


def test_counts_and_ages_for_metrics(db: Database) -> None:
    put(db, many(3), BOTH_WAYS)
    send(db)
    settle(db, take(db), REFUSED)
    assert outbox.counts(db) == {("hook", "sent"): 1, ("hook", "pending"): 2, ("mail", "pending"): 3}
    assert outbox.oldest_pending(db, after(90)) == {"hook": 90}
    assert outbox.oldest_pending(db, after(minutes=20)) == {"hook": 1200, "mail": 1200}


def test_the_messages_of_a_flag_can_be_listed_with_what_became_of_them(db: Database) -> None:
    put(db, [opened()], BOTH_WAYS)
    settle(db, take(db), LOST)
    with db.connect() as connection:
        first, second = outbox.for_flag(connection, "f1")
    assert (first.channel, first.state, first.uncertain, first.last_reason) == ("hook", State.PENDING, 1, "timeout")
    assert (second.channel, second.attempts, second.person) == ("mail", 0, "值班员甲")


def test_text_that_no_database_takes_is_queued_all_the_same(db: Database) -> None:
    put(db, [opened(item="大\0米\ud800", reason="坏\0字")])
    assert "米" in take(db).body


def test_a_storm_is_queued_and_acknowledged_in_one_go(db: Database) -> None:
    put(db, many(2_000))
    with db.connect() as connection:
        assert connection.execute(select(func.count()).select_from(link)).scalar_one() == 2_000
    done = outbox.acknowledge_by_token(db, hash_of("token-0"), after(60))
    assert done is not None
    assert len(done.flags) == 2_000


def test_a_decision_of_any_length_can_be_stored(db: Database) -> None:
    put(db, [opened()])
    decision = Decision(State.PENDING, after(15), "refused", detail="x\0" * 10_000)
    assert outbox.settle(db, take(db), decision, NOW)
    with db.begin() as connection:
        connection.execute(update(notification).values(last_error=""))
