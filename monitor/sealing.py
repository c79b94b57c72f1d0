"""Secrets of second factors as they stand in the database: sealed with a key that is not in the database.

AES-256-GCM (NIST SP 800-38D), bound to the account, under a key of 32 random bytes: `[web] second_factor_keys`, the
newest first, or a key file that is made where none is configured. Whoever has a dump of the database alone has no
second factor. The library is imported when something is sealed or opened, not at start.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from thresholds.settings import Secret

MARK = "sealed1"
LENGTH = 32
NONCE = 12
HOW = "make one with: openssl rand -base64 32"
FILE = "second-factor.key"


class SealError(Exception):
    """A secret cannot be opened or sealed. `reason` is a stable word: missing (the key is not there), damaged (key or
    secret); the message says what to do, for the log and the command line."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def is_sealed(stored: str) -> bool:
    """Secrets from before there were keys stand there as they are (base 32, without a colon)."""
    return stored.startswith(MARK + ":")


def key_of(text: str) -> bytes:
    """The key in a file or variable. Raises ValueError where it is none."""
    try:
        found = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != LENGTH:
        raise ValueError(f"it holds no key: 32 bytes in base 64; {HOW}")
    return found


def name_of(key: bytes) -> str:
    """Which key it is, in a word that tells nothing of it."""
    return hashlib.sha256(b"second factor key\0" + key).hexdigest()[:12]


@dataclass(frozen=True)
class Keyring:
    """The keys that are there, the newest first: it seals, all of them open. Never print it."""

    keys: tuple[bytes, ...]
    where: str
    """where the newest one comes from, for messages"""

    def __repr__(self) -> str:
        return f"Keyring({len(self.keys)} keys, {self.where})"

    @property
    def newest(self) -> str:
        return name_of(self.keys[0])

    def seal(self, secret: str, account_id: int) -> str:
        """What is stored for the secret of an account."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE)
        made = AESGCM(self.keys[0]).encrypt(nonce, secret.encode(), bound_to(account_id))
        return f"{MARK}:{self.newest}:{base64.b64encode(nonce + made).decode()}"

    def open(self, stored: str, account_id: int) -> str:
        """The secret of an account. Raises SealError."""
        if not is_sealed(stored):
            return stored
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        _, name, text = (stored + "::").split(":", 2)
        key = next((key for key in self.keys if name_of(key) == name), None)
        if key is None:
            raise SealError(
                "missing",
                f"a second factor was sealed with the key {name}, which is not in {self.where}. Put that key"
                " back (it is not in backups of the database), or take the second factor of the account away with"
                " `monitor users reset-totp NAME` and let its owner set up a new one",
            )
        try:
            sealed = base64.b64decode(text.rstrip(":"), validate=True)
            return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], bound_to(account_id)).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealError(
                "damaged",
                f"the second factor of account {account_id} was changed in the database, or belongs to another one."
                " Take it away with `monitor users reset-totp NAME`",
            ) from error

    def is_current(self, stored: str) -> bool:
        """Whether it is sealed with the newest key."""
        return stored.startswith(f"{MARK}:{self.newest}:")


def bound_to(account_id: int) -> bytes:
    return f"account:{account_id}".encode()


def keyring(configured: Sequence[Secret], base: Path, file: Path, *, create: bool) -> Keyring:
    """The keys of a configuration; without any, the one in `file`, made where `create` allows. Raises SealError."""
    if configured:
        found = []
        for one in configured:
            named = f"environment variable {one.env}" if one.env else f"file {one.file}"
            try:
                found.append(key_of(one.read(base)))
            except ValueError as error:
                raise SealError("missing", f"[web] second_factor_keys, {named}: {error}") from error
        return Keyring(tuple(found), "[web] second_factor_keys")
    if not file.exists() and create:
        make(file)
    try:
        return Keyring((key_of(file.read_text("utf-8")),), str(file))
    except FileNotFoundError:
        raise SealError(
            "missing",
            f"the key file {file} is not there, and second factors were sealed with it. Put it back from its backup,"
            " or name the key in [web] second_factor_keys; where it is lost for good, `monitor users reset-totp NAME`"
            " takes the second factor of each account away, and a new key is made",
        ) from None
    except OSError as error:
        raise SealError(
            "missing", f"the key file {file} cannot be read ({error.strerror}): check who owns it"
        ) from error
    except ValueError as error:
        raise SealError("damaged", f"the key file {file} is damaged: {error}. Put it back from its backup") from error


def make(file: Path) -> None:
    """A new key, for its owner alone, whole or not at all; the one of whoever was first stays. Raises SealError."""
    part = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(base64.b64encode(secrets.token_bytes(LENGTH)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(part, file)
        part.unlink()
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise SealError(
            "missing",
            f"the key file {file} cannot be made ({error.strerror}): let the daemon write into its folder, or name a"
            f" key in [web] second_factor_keys ({HOW})",
        ) from error
