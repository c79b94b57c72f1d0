"""Who calls the API: bearer tokens, or people who are signed in, and what they may do.

A token is shown once when it is made (`monitor tokens create`) and kept only as a hash, so that looking it up is
a comparison of hashes by the database's index: how long that takes says nothing about any stored token. A person
calls with the cookie of a session and may do by the API what he or she may do in the console.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from monitor.rights import EVERYWHERE, Action, Areas, Reach, Visitor


class Scope(StrEnum):
    """What a token may do. A token holds any number of these; nothing follows from another."""

    OBSERVATIONS_WRITE = "observations:write"
    OBSERVATIONS_READ = "observations:read"
    FLAGS_READ = "flags:read"
    FLAGS_REVIEW = "flags:review"
    ALERTS_ACK = "alerts:ack"
    RECORDS_WRITE = "records:write"
    REPORTS_READ = "reports:read"
    REPORTS_WRITE = "reports:write"
    METRICS_READ = "metrics:read"


SCOPES: dict[Scope, str] = {
    Scope.OBSERVATIONS_WRITE: "上报观测值",
    Scope.OBSERVATIONS_READ: "读取观测值和序列",
    Scope.FLAGS_READ: "读取异常提示",
    Scope.FLAGS_REVIEW: "确认和复核异常提示",
    Scope.ALERTS_ACK: "确认收到通知",
    Scope.RECORDS_WRITE: "登记和解除决定、登记观察到的现象",
    Scope.REPORTS_READ: "读取报告",
    Scope.REPORTS_WRITE: "生成日报和周报的草稿",
    Scope.METRICS_READ: "读取运行指标和就绪详情",
}
"""Every scope and what it allows, in the words shown to people."""


ACTIONS: dict[Scope, tuple[Action, ...]] = {
    Scope.OBSERVATIONS_WRITE: (Action.OBSERVATIONS_REPORT,),
    Scope.OBSERVATIONS_READ: (Action.OBSERVATIONS_VIEW,),
    Scope.FLAGS_READ: (Action.FLAGS_VIEW,),
    Scope.FLAGS_REVIEW: (Action.FLAGS_REVIEW,),
    Scope.ALERTS_ACK: (Action.FLAGS_REVIEW,),
    Scope.RECORDS_WRITE: (Action.RECORDS_DECIDE, Action.RECORDS_OBSERVE),
    Scope.REPORTS_READ: (Action.REPORTS_VIEW,),
    Scope.REPORTS_WRITE: (Action.REPORTS_EDIT,),
    Scope.METRICS_READ: (Action.HEALTH_VIEW,),
}
"""What a person must be allowed to do for what a token needs a scope for; one of them."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, once known: a token with its areas, or a person (`visitor`)."""

    token_id: int
    name: str
    scopes: frozenset[str]
    areas: Areas = EVERYWHERE
    visitor: Visitor | None = None

    @property
    def actor(self) -> str:
        """How logs, reviews and acknowledgements name the caller."""
        return f"token:{self.name}" if self.visitor is None else self.visitor.actor

    @property
    def source(self) -> str:
        """How batches of observations name the caller."""
        return f"push:{self.name}" if self.visitor is None else self.visitor.actor

    def reach(self, action: Action) -> Reach:
        """What the caller may touch by `action`."""
        return Reach(self.areas) if self.visitor is None else self.visitor.reach(action)


BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]{1,512})", re.IGNORECASE)


def bearer_of(authorization: str | None) -> str | None:
    """The token in an `Authorization` header (RFC 6750), or None where there is none in that form."""
    match = BEARER.fullmatch(authorization.strip()) if authorization else None
    return match[1] if match else None
