"""What every channel is tested with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from alerts.channels.base import Message

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


def message(**changes: Any) -> Message:
    values: dict[str, Any] = {
        "key": "k1",
        "address": "100",
        "subject": "【三级】大米上涨12.0%",
        "body": "第一行\n.以点开头的一行\n查看：https://price.example/flags/f1",
        "payload": {"what": "opened", "count": 1, "flags": [{"item": "大米"}]},
        "created_at": NOW,
        "attempt": 1,
        "repeat": False,
        "link": "https://price.example/a/t",
    }
    return Message(**{**values, **changes})
