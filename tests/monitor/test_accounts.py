"""Passwords, second factors and waits: the arithmetic of accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import argon2
import pyotp
import pytest

from monitor import accounts
from monitor.accounts import Failures, after_failure, password_fault

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "长江后浪推前浪一代新人",  # 11 characters and a twelfth
        "春眠不觉晓处处闻啼鸟夜来",
        "tr0ub4dor&3 with more",
        "jiance-Zhao likes melons",
        "x7Kp2mQz9vLw",
    ],
)
def test_any_long_password_of_ones_own_is_taken_whatever_its_characters(password: str) -> None:
    expected = "short" if len(password) < 12 else ""
    assert password_fault(password, "jiance", "价格风险监测") == expected


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "short"),
        ("12345678901", "short"),
        ("x" * 257, "long"),
        ("Password2026!", "common"),
        ("qwertyuiop123456", "common"),
        ("我爱中国2026我爱中国", "common"),
        ("admin-2026-admin", "common"),
        ("jiance-1234567", "name"),
        ("价格风险监测 2026年", "name"),
        ("abcdefghijklmnop", "monotonous"),
        ("aaaaaaaaaaaaaaaa", "monotonous"),
        ("xyzwxyzwxyzwxyzw", "monotonous"),
        ("ababababababababab", "monotonous"),
    ],
)
def test_what_everybody_tries_first_is_refused_with_its_reason(password: str, why: str) -> None:
    assert password_fault(password, "jiance", "价格风险监测") == why


def test_hashes_are_argon2id_with_the_recommended_parameters_and_never_alike() -> None:
    one, two = (accounts.hash_password("长江后浪推前浪 1867") for _ in range(2))
    assert one != two
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert accounts.fits(one, "长江后浪推前浪 1867")
    assert accounts.fits(one, "长江后浪推前浪 １８６７"), "full-width digits are the same password"
    assert not accounts.fits(one, "长江后浪推前浪 1868")
    assert not accounts.fits("", "")
    assert not accounts.fits("$argon2id$nonsense", "x")


def test_a_hash_with_other_parameters_is_outdated_and_still_fits() -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("长江后浪推前浪 1867")
    assert accounts.fits(old, "长江后浪推前浪 1867")
    assert accounts.outdated(old)
    assert not accounts.outdated(accounts.hash_password("x" * 12))


def test_an_unknown_account_costs_the_same_work_as_a_known_one() -> None:
    def parameters(stored: str) -> argon2.Parameters:
        return argon2.extract_parameters(stored)

    assert parameters(accounts.nobody()) == parameters(accounts.hash_password("x" * 12))


def test_made_up_passwords_are_long_random_and_pass_the_rules() -> None:
    made = {accounts.random_password() for _ in range(50)}
    assert len(made) == 50
    assert {password_fault(one, "admin") for one in made} == {""}
    assert {len(one) for one in made} == {24}


def test_a_code_is_taken_one_step_around_now_and_only_newer_than_the_last() -> None:
    secret = accounts.new_totp_secret()
    assert len(secret) == 32
    here = int(NOW.timestamp()) // 30

    def code(step: int) -> str:
        return pyotp.TOTP(secret).at(step * 30)

    for step in (here - 1, here, here + 1):
        assert accounts.totp_step(secret, code(step), NOW, 0) == step
    assert accounts.totp_step(secret, code(here - 2), NOW, 0) is None
    assert accounts.totp_step(secret, code(here + 2), NOW, 0) is None
    assert accounts.totp_step(secret, code(here), NOW, here) is None
    assert accounts.totp_step(secret, f" {code(here)[:3]} {code(here)[3:]} ", NOW, 0) == here
    for wrong in ("", "12345", "1234567", "abcdef", "٠١٢٣٤٥", "\0"):
        assert accounts.totp_step(secret, wrong, NOW, 0) is None


def test_the_codes_are_those_of_rfc_6238() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", appendix B, the last six digits
    for at, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert accounts.totp_step(secret, code, datetime.fromtimestamp(at, UTC), 0) == at // 30


def test_recovery_codes_are_read_however_they_are_written() -> None:
    codes = accounts.new_recovery_codes()
    assert len(set(codes)) == 10
    assert accounts.hash_code(codes[0]) == accounts.hash_code(f" {codes[0].upper().replace('-', ' ')} ")
    assert accounts.hash_code(codes[0]) != accounts.hash_code(codes[1])


def test_waits_double_after_some_free_tries_up_to_a_quarter_of_an_hour() -> None:
    failures, at, waits = Failures(), 1_000_000, []
    for _ in range(14):
        failures = after_failure(failures, at)
        waits.append(failures.wait(at))
        at = max(at + 1, failures.until)
    assert waits == [0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 900, 900, 900, 900]


def test_a_day_of_peace_forgets() -> None:
    failures = Failures(40, 1_000_000, 1_000_900)
    assert after_failure(failures, 1_000_000 + 86_400).count == 41
    assert after_failure(failures, 1_000_000 + 86_401).count == 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("值班员甲", ""),
        ("li.hua@gov-1", ""),
        ("li hua", ""),
        ("", "empty"),
        (" ", "empty"),
        ("a/b", "characters"),
        ("a\nb", "characters"),
        ("<b>", "characters"),
        ("x" * 61, "long"),
    ],
)
def test_names_are_of_letters_and_digits(name: str, fault: str) -> None:
    assert accounts.name_fault(name) == fault


def test_names_are_compared_without_case_width_and_spaces() -> None:
    assert accounts.name_key(" ＡＤＭＩＮ ") == accounts.name_key("admin")


def test_clocks_that_differ_by_half_a_minute_do_not_matter() -> None:
    secret = accounts.new_totp_secret()
    code = pyotp.TOTP(secret).at(NOW)
    for seconds in (-29, 0, 29):
        assert accounts.totp_step(secret, code, NOW + timedelta(seconds=seconds), 0) is not None
