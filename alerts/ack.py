"""Acknowledge tokens: what stands at the end of the link in a message, and what is stored of it.

A token is 24 random bytes (192 bits), so that its plain SHA-256 is enough to store: it cannot be guessed back.
Whoever holds the token can acknowledge what the message told of, under the name of the person it was written to,
and nothing else. See docs/alerts.md on where a token is at rest, and for how long.
"""

from __future__ import annotations

import hashlib
import secrets


def new_token() -> str:
    """A fresh token of 32 characters that are safe in a URL."""
    return secrets.token_urlsafe(24)


def hash_of(token: str) -> str:
    """What is stored of a token, and what a token that comes back is looked up by."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
