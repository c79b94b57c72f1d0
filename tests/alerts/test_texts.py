"""The words of a message, and what happens when a template fails."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import texts
from alerts.notify import NotifyOptions, Reason, Target
from tests.alerts.make import FLAG, GRADE_I, NOW, URL, ZONE, Change, many, opened, told_of
from thresholds.model import Direction, Exit, Flag, Grade, Kind


def message(change: Change, **options: Any) -> tuple[str, str]:
    told = {"f1": (Target("hook", "100", "值班员甲"),)}
    made = told_of([change], told=told, options=NotifyOptions(**options))
    return made.notifications[0].subject, made.notifications[0].body


def test_the_text_says_what_where_how_much_since_when_why_and_how_to_answer() -> None:
    subject, body = message(opened())
    assert subject == f"【三级】大米上涨12.0%异常波动｜甲区 甲市场｜{texts.short_code('f1')}"
    for part in (
        "异常波动（新增）：大米上涨12.0%",
        "地区：甲区 甲市场",
        "数值：现值 5.6，参照 5，界限 5.5",
        "等级：三级",
        "起始：2026-03-01 16:00",
        "原因：一周上涨 12.0%，超过 10%",
        f"编号：{texts.short_code('f1')}",
        f"查看：{URL}/flags/f1",
        f"确认收到：{URL}/a/",
    ):
        assert any(line.startswith(part) for line in body.splitlines())


def test_a_date_without_time_of_day_is_shown_as_a_date() -> None:
    _, body = message(opened(start=NOW - timedelta(hours=9, minutes=30)))
    assert "起始：2026-03-02\n" in body


def test_no_percentage_where_it_would_mislead() -> None:
    for change in (
        opened(expected=-3.0),  # a negative oil price
        opened(expected=0.0),
        opened(expected=float("nan")),
        opened(kind=Kind.DATA),
        opened(findings=(replace(FLAG.findings[0], unit=""),)),  # a level: expected is its bound
    ):
        subject, body = message(change)
        assert not re.search(r"上涨\d", subject + body.splitlines()[0])


def test_the_words_for_end_raise_and_withdrawal() -> None:
    raised, _ = message(Change("raised", replace(FLAG, peak_grade=GRADE_I)))
    assert raised.startswith("【一级】升级：")
    ended, body = message(Change("ended", replace(FLAG, end=NOW, end_reason="cleared")))
    assert "结束：" in ended
    assert "结束：2026-03-02 09:30" in body.splitlines()
    assert "已结束" in body
    assert "/a/" not in body
    withdrawn, body = message(Change("withdrawn", FLAG))
    assert "撤回：" in withdrawn
    assert "数据已更正" in body


def test_a_proposal_to_end_says_why_and_so_does_the_end_that_brings_it() -> None:
    proposed = replace(FLAG, exit=Exit("exit/stable", "1", NOW, "大米已连续15天未再出现异常波动。"))
    subject, body = message(Change("exit", proposed))
    assert "建议终止：" in subject
    assert "建议：大米已连续15天未再出现异常波动。" in body.splitlines()
    assert "/a/" not in body
    over = replace(proposed, end=NOW, end_reason="cleared")
    assert "建议：大米已连续15天未再出现异常波动。" in message(Change("ended", over))[1].splitlines()
    assert "建议" not in message(Change("ended", replace(over, exit=None)))[1]


def test_several_points_are_counted_and_no_place_is_said_in_words() -> None:
    assert "甲区 3 个监测点" in message(opened(point="", points=("a", "b", "c")))[0]
    assert "全部地区" in message(opened(point="", area=""))[0]


def test_a_long_subject_is_cut_to_sixty_characters() -> None:
    subject, body = message(opened(item="很长的名称" * 30))
    assert len(subject) == 60
    assert subject.endswith("…")
    assert f"{URL}/flags/f1" in body


@pytest.mark.parametrize(
    "template",
    [
        "{{ f.nonsense }}",
        "{{ 1 / 0 }}",
        "{{ f.item.format(1, }}",
        "  \n ",
        "{{ f.__class__.__mro__ }}",
        "{% for x %}",
    ],
)
def test_a_template_that_fails_at_run_time_gives_plain_text_with_everything_needed(template: str) -> None:
    options = NotifyOptions.model_construct(**{**dict(NotifyOptions()), "templates": {"opened.body": template}})
    made = told_of([opened()], options=options)
    (one,) = made.notifications
    assert made.reasons == {Reason.TEMPLATE_ERROR: 1}
    for part in ("大米", "上涨", "甲区 甲市场", "三级", "一周上涨", texts.short_code("f1"), f"{URL}/flags/f1", "/a/"):
        assert part in one.body
    assert "大米" in one.subject


def test_a_failing_template_of_a_digest_gives_plain_text_too() -> None:
    options = NotifyOptions.model_construct(**{**dict(NotifyOptions()), "templates": {"digest.subject": "{{ x }}"}})
    (one,) = told_of(many(8), options=options).notifications
    assert "8 项" in one.subject
    assert f"{URL}/flags" in one.body


def test_templates_are_tried_before_they_go_live() -> None:
    assert texts.problems({}) == []
    assert texts.problems({"opened.subject": "{{ f.item }}"}) == []
    assert "not a template" in texts.problems({"opend.subject": "x"})[0]
    assert "nonsense" in texts.problems({"opened.body": "{{ f.nonsense }}"})[0]
    assert "empty" in texts.problems({"digest.body": " "})[0]
    assert texts.problems({"ended.body": "{{ (1).__class__.__bases__ }}"})


def test_the_shipped_templates_work_for_every_sort_of_message() -> None:
    assert texts.problems(texts.TEMPLATES) == []


def test_a_template_of_the_installation_that_leaves_the_links_out_gets_them_back() -> None:
    _, body = message(opened(), templates={"opened.body": "只说{{ f.item }}"})
    assert body.startswith("只说大米\n")
    assert f"查看：{URL}/flags/f1" in body
    assert f"确认收到：{URL}/a/" in body


def test_a_body_that_is_too_long_keeps_its_links() -> None:
    _, body = message(opened(), templates={"opened.body": "{{ f.item * 5000 }}{{ ack_link }}"})
    assert len(body) < 3_300
    assert "/a/" in body.splitlines()[-1]


def test_short_codes_have_no_letters_that_are_taken_for_others() -> None:
    codes = {texts.short_code(f"flag{n}") for n in range(2_000)}
    assert len(codes) > 1_995
    assert set("".join(codes)) <= set("23456789ABCDEFGHJKLMNPQRSTUVWXYZ")
    assert {len(code) for code in codes} == {5}


flags = st.builds(
    Flag,
    id=st.text(min_size=1, max_size=20),
    kind=st.sampled_from(Kind),
    plan=st.just("p"),
    plan_version=st.just("1"),
    rule=st.text(max_size=9),
    rule_version=st.just("1"),
    item=st.text(max_size=200),
    point=st.text(max_size=200),
    area=st.text(max_size=200),
    direction=st.sampled_from(Direction),
    start=st.just(NOW),
    first_flagged=st.just(NOW),
    last_hit=st.just(NOW),
    end=st.sampled_from([None, NOW]),
    end_reason=st.just(""),
    peak=st.floats(),
    peak_grade=st.builds(Grade, st.integers(0, 4), st.text(max_size=80)),
    value=st.floats(),
    expected=st.floats(),
    threshold=st.floats(),
    reason=st.text(max_size=900),
    findings=st.just(()),
    points=st.just(()),
)


@given(flags, st.sampled_from(["opened", "raised", "ended", "withdrawn", "digest"]))
def test_whatever_stands_in_a_flag_the_message_is_one_line_and_a_body_with_links(flag: Flag, what: str) -> None:
    facts = texts.facts_of(what, flag, public_url=URL, zone=ZONE, demo=False)
    context = texts.Context(what, (facts,) * (2 if what == "digest" else 1), f"{URL}/a/x", f"{URL}/flags")
    for overrides in ({}, {f"{what}.body": "{{ broken }}"}):
        text = texts.render(context, overrides)
        assert 0 < len(text.subject) <= 60
        assert text.subject.isprintable()
        assert f"{URL}/a/x" in text.body
        assert f"{URL}/flags" in text.body
        assert text.failed is bool(overrides)
        text.body.encode("utf-8")
    assert all(getattr(facts, f.name).isprintable() for f in fields(facts) if f.name != "flag")
