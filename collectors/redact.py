"""Secrets of one source: read when a fetch begins, used in requests, and kept out of every message."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote, quote_plus

from collectors.base import CollectError
from thresholds.settings import Secret

HIDDEN = "***"


class Secrets:
    """The secrets of one fetch. Each value read is remembered, so that `redact` can hide it."""

    def __init__(self, base: Path) -> None:
        """`base`: folder that relative secret files are relative to."""
        self._base = base
        self._hidden: set[str] = set()

    def read(self, secret: Secret, key: str) -> str:
        """The value of `secret`; `key` names the setting. Raises CollectError('secret')."""
        try:
            value = secret.read(self._base)
        except ValueError as error:
            raise CollectError(
                "secret", f"{key}: {error}; set it and the next turn uses it", permanent=True
            ) from None
        self.hide(value)
        return value

    def hide(self, value: str) -> None:
        """Never show `value`, in any form in which it may appear in a URL or a header."""
        if value:
            coded = base64.b64encode(value.encode()).decode()
            self._hidden |= {value, quote(value), quote(value, safe=""), quote_plus(value), coded}

    def redact(self, text: str) -> str:
        """`text` with every secret replaced by ***."""
        for value in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text
