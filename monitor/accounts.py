"""Names, passwords, second factors and waits after failures: the arithmetic of accounts, without any I/O.

Passwords follow NIST SP 800-63B: length counts, not the mixture; what is common, or says the name, is refused; any
writing is welcome. Hashes are Argon2id with the parameters that OWASP recommends for small machines.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

NAME_LENGTH = 60
NAME = re.compile(r"[\w.@+-]+(?: [\w.@+-]+)*")
LEAST, MOST = 12, 256
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
HASHING_AT_ONCE = 2
HASHING_WAIT = 10.0

CODES = 10
"""recovery codes that are made at once"""
STEP = 30

FREE_TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 15, 900
FORGET_AFTER = 24 * 3600


class TooBusy(Exception):
    """More people sign in at this moment than this machine can check; try again."""


# --- names ----------------------------------------------------------------------------------------------------------


def name_key(name: str) -> str:
    """The name as it is compared: width, case and composition make no difference."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def name_fault(name: str) -> str:
    """What is wrong with the name of an account, as a word: empty, long, characters; "" where it is fine."""
    if not name.strip():
        return "empty"
    if len(name) > NAME_LENGTH:
        return "long"
    return "" if NAME.fullmatch(name) else "characters"


# --- passwords ------------------------------------------------------------------------------------------------------

COMMON = """
password passw0rd p@ssword p@ssw0rd welcome letmein iloveyou princess dragon monkey football baseball sunshine master
superman batman trustno1 shadow michael jennifer hunter qwerty qwertyuiop asdfgh asdfghjkl zxcvbn zxcvbnm qazwsx
1qaz2wsx 1q2w3e4r 1q2w3e4r5t q1w2e3r4 zaq12wsx qwe123 abc123 abcd1234 a123456 aa123456 123qwe 123456 12345678
123456789 1234567890 987654321 0987654321 111111 000000 888888 666666 123123 112233 147258369 159357 520520 5201314
1314520 woaini admin administrator root guest test user login system default changeme secret monitor price
caonima wojiushiwo zhang123 wang123 qq123456 nihao
我爱你 我爱中国 中国 中华人民共和国 密码 口令 管理员 价格监测 价格风险监测 预警 发展和改革委员会 发改委 财政局 金融办
"""


@cache
def common_words() -> frozenset[str]:
    return frozenset(COMMON.split())


def normal(password: str) -> str:
    """The form that is hashed: the same characters typed on another keyboard or system are the same password."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()


def password_fault(password: str, *names: str) -> str:
    """Why a password is refused, as a word: short, long, name, common, monotonous; "" where it is fine.

    `names` are the names of the account and of the installation. No mixture of characters is asked for.
    """
    text = normal(password)
    if len(text) < LEAST:
        return "short"
    if len(text) > MOST or len(text.encode("utf-8", "replace")) > 4 * MOST:
        return "long"
    plain = simplified(text)
    for name in names:
        known = simplified(normal(name))
        if known and known in plain and len(plain) - len(known) < LEAST - 2:
            return "name"
    if made_of_common(plain):
        return "common"
    if len(set(text)) < 5 or is_run(plain) or repeats(plain):
        return "monotonous"
    return ""


def simplified(text: str) -> str:
    """Lower case without spaces and signs, so that `Pass-Word 2026!` is seen for what it is."""
    return re.sub(r"[\W_]+", "", text.casefold())


def made_of_common(plain: str) -> bool:
    """Whether common words, and digits beside them, are all there is."""
    rest = plain
    for word in sorted(common_words(), key=len, reverse=True):
        rest = rest.replace(word, " ")
    left = re.sub(r"[\d\s]+", "", rest)
    return len(left) < 3


def is_run(plain: str) -> bool:
    """abcdefghijkl, 123456789012: each character is the next, or the one before."""
    steps = [ord(b) - ord(a) for a, b in pairwise(plain)]
    same = max((steps.count(d) for d in (-1, 1)), default=0)
    return bool(steps) and same >= 0.8 * len(steps)


def repeats(plain: str) -> bool:
    """A short piece again and again."""
    return any(len(plain) >= 3 * n and plain == (plain[:n] * len(plain))[: len(plain)] for n in range(1, 5))


@cache
def hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


@cache
def nobody() -> str:
    """A hash that no password fits, so that an unknown name takes as long as a known one."""
    return hasher().hash(secrets.token_urlsafe(32))


_turns = threading.BoundedSemaphore(HASHING_AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """One of the few places at which passwords are checked: each takes 19 MiB and a core. Raises TooBusy."""
    if not _turns.acquire(timeout=HASHING_WAIT):
        raise TooBusy
    try:
        yield
    finally:
        _turns.release()


def hash_password(password: str) -> str:
    """Raises TooBusy."""
    with turn():
        return hasher().hash(normal(password))


def fits(stored: str, password: str) -> bool:
    """Whether a password is the stored one. An empty `stored` takes the same time and never fits. Raises TooBusy."""
    from argon2.exceptions import InvalidHashError, VerificationError

    given = normal(password[: 4 * MOST])
    with turn():
        try:
            hasher().verify(stored or nobody(), given)
        except (VerificationError, InvalidHashError):
            return False
    return bool(stored)


def outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than today's: it is made again at the next sign-in."""
    return hasher().check_needs_rehash(stored)


def random_password() -> str:
    """Five groups of four, without characters that are taken for others: 95 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(5))


# --- second factor --------------------------------------------------------------------------------------------------


def new_totp_secret() -> str:
    """160 random bits in base 32 (RFC 4226)."""
    import pyotp

    return pyotp.random_base32()


def totp_uri(secret: str, account: str, issuer: str) -> str:
    """What the QR code says, for authenticator apps."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def totp_step(secret: str, code: str, now: datetime, last: int) -> int | None:
    """The step that `code` belongs to, None where it is wrong, too old, or not newer than `last`, the newest used.

    One step before and after is let through: telephones' clocks differ (RFC 6238, 5.2).
    """
    import pyotp

    given = re.sub(r"[^0-9]", "", unicodedata.normalize("NFKC", code[:40]))
    if len(given) != 6:
        return None
    here = int(now.timestamp()) // STEP
    generator = pyotp.TOTP(secret)
    found = [step for step in (here - 1, here, here + 1) if secrets.compare_digest(generator.at(step * STEP), given)]
    return next((step for step in found if step > last), None)


def new_recovery_codes() -> list[str]:
    """Ten codes of 80 bits in groups, each good for one sign-in."""
    raw = (base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(CODES))
    return ["-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in raw]


def hash_code(code: str) -> str:
    """Of a recovery code or a cookie: they are random enough for a fast hash."""
    plain = re.sub(r"[^a-z2-7]", "", unicodedata.normalize("NFKC", code[:80]).lower())
    return hashlib.sha256(plain.encode()).hexdigest()


def digest(secret: str) -> str:
    """The SHA-256 under which something random is stored."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


# --- waits after failures -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures counted against one key: an account, an address, or a browser that is known."""

    count: int = 0
    last_at: int = 0
    until: int = 0

    def wait(self, now: int) -> int:
        """Seconds until the next try is looked at."""
        return max(0, self.until - now)


def after_failure(before: Failures, now: int, free: int = FREE_TRIES) -> Failures:
    """One more failure: from the sixth on each doubles the wait, up to 15 minutes; a day of peace forgets."""
    count = 1 if now - before.last_at > FORGET_AFTER else before.count + 1
    wait = 0 if count < free else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(count - free, 20))
    return Failures(count, now, now + wait)


def longest_wait(found: Sequence[Failures], now: int) -> int:
    return max((one.wait(now) for one in found), default=0)
