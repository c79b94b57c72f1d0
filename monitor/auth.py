"""Who calls the API: bearer tokens and what they may do.

A token is shown once when it is made (`monitor tokens create`) and kept only as a hash, so that looking it up is
a comparison of hashes by the database's index: how long that takes says nothing about any stored token. People with
accounts come with the console; until then the caller is the token and the log names it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a token may do. A token holds any number of these; nothing follows from another."""

    OBSERVATIONS_WRITE = "observations:write"
    OBSERVATIONS_READ = "observations:read"
    FLAGS_READ = "flags:read"
    FLAGS_REVIEW = "flags:review"
    ALERTS_ACK = "alerts:ack"
    RECORDS_WRITE = "records:write"
    METRICS_READ = "metrics:read"


SCOPES: dict[Scope, str] = {
    Scope.OBSERVATIONS_WRITE: "上报观测值",
    Scope.OBSERVATIONS_READ: "读取观测值和序列",
    Scope.FLAGS_READ: "读取异常提示",
    Scope.FLAGS_REVIEW: "确认和复核异常提示",
    Scope.ALERTS_ACK: "确认收到通知",
    Scope.RECORDS_WRITE: "登记和解除决定、登记观察到的现象",
    Scope.METRICS_READ: "读取运行指标和就绪详情",
}
"""Every scope and what it allows, in the words shown to people."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, once known."""

    token_id: int
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """How logs, reviews and acknowledgements name the caller."""
        return f"token:{self.name}"

    @property
    def source(self) -> str:
        """How batches of observations name the caller."""
        return f"push:{self.name}"


BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]{1,512})", re.IGNORECASE)


def bearer_of(authorization: str | None) -> str | None:
    """The token in an `Authorization` header (RFC 6750), or None where there is none in that form."""
    match = BEARER.fullmatch(authorization.strip()) if authorization else None
    return match[1] if match else None
