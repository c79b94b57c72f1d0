"""Who is told of which change, by which way, in how many messages."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.ack import hash_of
from alerts.notify import DefaultTarget, Draft, NotifyOptions, Reason, Target, What, fold
from alerts.roster import Duty, Roster
from tests.alerts.make import FLAG, GRADE_I, NOW, PHONE, URL, Change, duty, many, opened, told_of
from thresholds.model import Direction, Exit, Kind
from thresholds.settings import validate

DEFAULT = NotifyOptions(default_targets=(DefaultTarget(channel="mail", address="duty@price.example", name="值班室"),))


def test_the_person_on_duty_is_told_once_by_the_first_contact() -> None:
    made = told_of([opened()])
    (one,) = made.notifications
    assert (one.person, one.channel, one.address) == ("值班员甲", "hook", "100")
    assert (one.flag_id, one.change, one.changes, one.rank) == ("f1", "opened", (("f1", "opened"),), 1)
    assert (one.created_at, one.not_before, one.expires_at) == (NOW, NOW, NOW + timedelta(hours=12))
    assert made.reasons == {}


def test_the_next_contact_waits_for_an_acknowledgement_first() -> None:
    first, second = told_of([opened()], duty(("hook", "100"), ("mail", "a@price.example"))).notifications
    assert first.not_before == NOW
    assert second.not_before == NOW + timedelta(minutes=10)
    assert (first.payload["way"], second.payload["way"]) == (1, 2)
    assert first.key != second.key


def test_several_people_on_duty_are_all_told() -> None:
    roster = _two_people()
    assert {n.person for n in told_of([opened()], roster).notifications} == {"值班员甲", "值班员乙"}


def _two_people() -> Roster:
    roster = duty(("hook", "100"), monitoring=("值班员甲", "值班员乙"))
    contacts = [replace(c, address=f"10{c.person_id}") for c in roster.contacts]
    return Roster(roster.people, contacts, roster.shifts)


def test_a_phone_that_two_people_share_rings_once() -> None:
    roster = duty(("hook", "100"), monitoring=("值班员甲", "值班员乙"))
    assert len(told_of([opened()], roster).notifications) == 1


def test_silence_goes_to_the_technician_as_well_and_a_move_does_not() -> None:
    roster = _technician()
    silence = opened(kind=Kind.SILENCE, direction=Direction.NONE)
    assert {n.person for n in told_of([silence], roster).notifications} == {"值班员甲", "技术员甲"}
    assert {n.person for n in told_of([opened()], roster).notifications} == {"值班员甲"}


def _technician() -> Roster:
    roster = duty(("hook", "100"), technical=("技术员甲",))
    contacts = [replace(c, address=f"10{c.person_id}") for c in roster.contacts]
    return Roster(roster.people, contacts, roster.shifts)


def test_the_key_is_the_same_for_the_same_thing_and_different_for_any_other() -> None:
    base = told_of([opened()]).notifications[0].key
    assert told_of([opened()], now=NOW + timedelta(minutes=1)).notifications[0].key == base
    others = [
        told_of([opened("f2")]),
        told_of([Change("raised", FLAG)]),
        told_of([Change("raised", replace(FLAG, peak_grade=GRADE_I))]),
        told_of([opened()], duty(("mail", "100"))),
        told_of([opened()], duty(("hook", "101"))),
        told_of([opened()], duty(("hook", "100"), monitoring=("值班员乙",))),
    ]
    keys = {made.notifications[0].key for made in others}
    assert len(keys | {base}) == 7
    assert all(key.isascii() and key.isalnum() and len(key) <= 64 for key in keys)


def test_nobody_on_duty_falls_back_to_the_default_targets_and_says_so() -> None:
    made = told_of([opened()], Roster(), options=DEFAULT)
    assert [(n.person, n.address) for n in made.notifications] == [("值班室", "duty@price.example")]
    assert made.reasons == {Reason.NO_ONE_ON_DUTY: 1}


def test_a_person_without_a_usable_contact_falls_back_and_says_so() -> None:
    made = told_of([opened()], duty(("gone", "100")), options=DEFAULT)
    assert [n.person for n in made.notifications] == ["值班室"]
    assert made.reasons == {Reason.NO_CONTACT: 1}


def test_nobody_at_all_is_counted_under_a_name_of_its_own() -> None:
    made = told_of([opened()], Roster())
    assert made.notifications == ()
    assert made.reasons == {Reason.NO_ONE_ON_DUTY: 1, Reason.NO_TARGET: 1}


def test_history_does_not_ring_phones_and_is_counted() -> None:
    old = opened("old", first_flagged=NOW - timedelta(days=3))
    made = told_of([old, opened("new")])
    assert [n.flag_id for n in made.notifications] == ["new"]
    assert made.reasons == {Reason.TOO_OLD: 1}


def test_a_flag_first_flagged_exactly_max_age_ago_is_told() -> None:
    assert told_of([opened(first_flagged=NOW - timedelta(days=2))]).notifications


def test_a_flag_that_is_long_open_and_raised_today_is_told() -> None:
    raised = Change("raised", replace(FLAG, first_flagged=NOW - timedelta(days=9), peak_grade=GRADE_I))
    (one,) = told_of([raised]).notifications
    assert one.changes == (("f1", "raised-3"),)


def test_a_raise_in_imported_history_is_not_told() -> None:
    long_ago = NOW - timedelta(days=9)
    raised = Change("raised", replace(FLAG, first_flagged=long_ago, last_hit=long_ago))
    assert told_of([raised]).reasons == {Reason.TOO_OLD: 1}


def test_a_proposal_to_end_is_too_old_by_its_own_time() -> None:
    """Of a flag of weeks ago a proposal of today is told, one of weeks ago (imported history) is not."""
    told = {"f1": (Target("hook", "100", "值班员甲"),)}
    old = replace(FLAG, first_flagged=NOW - timedelta(days=30), last_hit=NOW - timedelta(days=20))
    fresh, stale = (Change("exit", replace(old, exit=Exit("r", "1", at, "稳定"))) for at in (NOW, old.last_hit))
    assert "建议终止" in told_of([fresh], told=told).notifications[0].subject
    assert told_of([stale], told=told).reasons == {Reason.TOO_OLD: 1}


@pytest.mark.parametrize("what", ["ended", "withdrawn", "exit"])
def test_the_all_clear_goes_to_whom_the_alarm_went_and_to_nobody_else(what: str) -> None:
    told = {"f1": (Target("mail", "a@price.example", "值班员乙"),)}
    change = Change(what, replace(FLAG, end=NOW, end_reason="cleared"))
    (one,) = told_of([change], told=told).notifications
    assert (one.person, one.address, one.ack_hash) == ("值班员乙", "a@price.example", "")
    assert told_of([change]).reasons == {Reason.NEVER_TOLD: 1}


def test_a_withdrawal_is_told_however_old_the_flag_is() -> None:
    told = {"f1": (Target("hook", "100", "值班员甲"),)}
    change = Change("withdrawn", replace(FLAG, first_flagged=NOW - timedelta(days=30)))
    assert "撤回" in told_of([change], told=told).notifications[0].subject


def test_what_the_options_do_not_ask_for_is_not_told() -> None:
    made = told_of([opened()], options=NotifyOptions(tell={Kind.DATA: (What.OPENED,)}))
    assert made.reasons == {Reason.NOT_ASKED_FOR: 1}


def test_a_storm_becomes_one_digest_for_each_person_with_the_highest_grade_first() -> None:
    changes = [*many(9), opened("top", peak_grade=GRADE_I, item="食盐")]
    made = told_of(changes, _two_people())
    assert [n.change for n in made.notifications] == ["digest", "digest"]
    digest = made.notifications[0]
    assert digest.flag_id is None
    assert {flag for flag, _ in digest.changes} == {f"f{i}" for i in range(1, 10)} | {"top"}
    assert digest.rank == 3
    assert "10 项" in digest.subject
    assert "食盐" in digest.subject
    assert "一级" in digest.subject
    assert digest.body.index("食盐") < digest.body.index("大米")
    assert made.reasons == {Reason.FOLDED: 20}


def test_at_the_limit_nothing_is_folded() -> None:
    assert len(told_of(many(5)).notifications) == 5
    assert len(told_of(many(6)).notifications) == 1


def test_a_digest_of_ten_thousand_flags_stays_readable_and_knows_them_all() -> None:
    (digest,) = told_of(many(10_000)).notifications
    assert len(digest.changes) == 10_000
    assert len(digest.body) < 3_500
    assert len(json.dumps(digest.payload)) < 150_000
    assert digest.payload["count"] == 10_000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50)), max_size=40, unique=True), st.integers(1, 10))
def test_folding_loses_no_change_and_gives_nobody_more_than_the_limit(
    pairs: list[tuple[str, int]], limit: int
) -> None:
    drafts = [Draft(Target("hook", who), (opened(f"f{n}"),)) for who, n in pairs]
    folded = fold(drafts, limit)
    assert sorted((d.target.address, c.flag.id) for d in folded for c in d.changes) == sorted(
        (who, f"f{n}") for who, n in pairs
    )
    for who in "abc":
        assert sum(d.target.address == who for d in folded) <= limit


def test_only_the_hash_of_the_acknowledge_token_is_a_column() -> None:
    numbers = count(1)
    (one,) = told_of([opened()], token=lambda: f"token{next(numbers)}").notifications
    assert one.ack_hash == hash_of("token1")
    assert f"{URL}/a/token1" in one.body
    assert one.payload["ack_link"] == f"{URL}/a/token1"
    assert "token1" not in one.key + one.subject + one.ack_hash


def test_every_message_has_its_own_token() -> None:
    made = told_of(many(3), duty(("hook", "1"), ("mail", "2")))
    assert len({n.ack_hash for n in made.notifications}) == 6


def test_demonstration_data_is_marked_in_subject_and_body() -> None:
    (one,) = told_of([opened()], is_demo=lambda flag: flag.id == "f1").notifications
    assert one.subject.startswith("【演示】")
    assert one.body.startswith("【演示】")
    assert one.payload["demonstration"] is True
    (real,) = told_of([opened()]).notifications
    assert "演示" not in real.subject + real.body


def test_a_digest_with_one_demonstration_flag_is_marked() -> None:
    (one,) = told_of(many(8), is_demo=lambda flag: flag.id == "f8").notifications
    assert one.subject.startswith("【演示】")


def test_the_payload_is_plain_json() -> None:
    strange = opened(value=float("nan"), expected=float("inf"), threshold=float("nan"))
    for change in (strange, opened()):
        (one,) = told_of([change]).notifications
        assert json.loads(json.dumps(one.payload, allow_nan=False)) == one.payload


def test_wrong_options_are_reported_with_key_and_remedy() -> None:
    tables = {"storm_limit": 0, "templates": {"opened.subject": "{{ f.nonsense }}"}, "max_age": "soon"}
    options, faults = validate(NotifyOptions, tables, "config.toml")
    assert options is None
    assert [f.key for f in faults] == ["max_age", "storm_limit", "templates"]
    assert all(f.remedy for f in faults)


def test_a_default_target_on_an_unknown_channel_is_a_fault_and_is_passed_over() -> None:
    (fault,) = DEFAULT.faults(["hook"], "config.toml")
    assert fault.key == "alerts.default_targets[1].channel"
    assert told_of([opened()], Roster(), options=DEFAULT, channels=["hook"]).reasons[Reason.NO_TARGET] == 1


def test_duties_of_the_options_decide_who_is_told() -> None:
    options = NotifyOptions(duties={Kind.MOVE: (Duty.TECHNICAL,)})
    made = told_of([opened()], _technician(), options=options)
    assert [n.person for n in made.notifications] == ["技术员甲"]


def test_a_flag_that_opens_and_is_raised_at_once_makes_one_message_at_the_higher_grade() -> None:
    top = replace(FLAG, peak_grade=GRADE_I)
    (one,) = told_of([Change("opened", top), Change("raised", top)]).notifications
    assert (one.change, one.rank) == ("opened", 3)


def test_a_flag_that_is_over_when_it_is_first_known_says_so() -> None:
    (one,) = told_of([opened(end=NOW, end_reason="cleared")]).notifications
    assert "结束：2026-03-02 09:30" in one.body.splitlines()


def test_one_change_reported_twice_makes_one_message() -> None:
    assert len(told_of([opened(), opened()], PHONE).notifications) == 1
