"""Pieces of the OpenAPI description that routes share."""

from __future__ import annotations

from typing import Any

from monitor.web.problem import MEDIA_TYPE, TITLES

Responses = dict[int | str, dict[str, Any]]

HEADERS = {"X-Request-Id": {"description": "请求编号，可在日志中查找", "schema": {"type": "string"}}}
ALWAYS = ("timeout", "too-large", "internal", "unavailable", "storage-full")
SECURED = ("unauthorized", "forbidden")


def problems(*kinds: str, secured: bool = True, schema: str = "Problem") -> Responses:
    """The problem responses of a route: `kinds` beside those that every (secured) route can give."""
    answers: Responses = {}
    for kind in (*kinds, *(SECURED if secured else ()), *ALWAYS):
        status, title = TITLES[kind]
        answer = answers.setdefault(
            status,
            {
                "description": "",
                "headers": HEADERS,
                "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
            },
        )
        known = answer["description"]
        answer["description"] = f"{known}；{title}" if known else title
    return answers
