"""Errors as RFC 9457 problem details, everywhere: one shape, a stable type, a request id to look up in the log.

A problem never holds a stack trace, a path of this machine or what the database said; the log does, under the same
request id.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.types import Scope as ASGIScope

log = logging.getLogger("monitor.web")

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:price-risk-monitor:problem:"

TITLES: dict[str, tuple[int, str]] = {
    # type (the last part of the URN): its status and its title
    "malformed": (400, "请求内容无法解析"),
    "unauthorized": (401, "需要有效的访问令牌"),
    "forbidden": (403, "没有权限"),
    "not-found": (404, "没有找到"),
    "method-not-allowed": (405, "不支持的请求方法"),
    "timeout": (408, "请求内容接收超时"),
    "conflict": (409, "与当前状态冲突"),
    "precondition-failed": (412, "内容已被他人修改"),
    "too-large": (413, "请求内容过大"),
    "unsupported-media-type": (415, "不支持的内容类型"),
    "invalid": (422, "请求内容不符合要求"),
    "rows-rejected": (422, "全部数据行被拒绝"),
    "idempotency-mismatch": (422, "幂等键已用于其他内容"),
    "precondition-required": (428, "缺少版本号"),
    "too-many": (429, "请求过于频繁"),
    "internal": (500, "内部错误"),
    "unavailable": (503, "暂时无法处理"),
    "storage-full": (507, "存储空间已满"),
}
BY_STATUS = {status: kind for kind, (status, _) in reversed(TITLES.items())}


class Problem(HTTPException):
    """An error to answer with. `kind` is a key of TITLES; `detail` says what is wrong and how to mend it."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(TITLES[kind][0], detail, dict(headers or {}))
        self.kind = kind
        self.extra = dict(extra or {})

    def body(self, request_id: str) -> bytes:
        status, title = TITLES[self.kind]
        return msgspec.json.encode(
            {
                "type": TYPE_PREFIX + self.kind,
                "title": title,
                "status": status,
                "detail": self.detail,
                "request_id": request_id,
                **self.extra,
            }
        )

    def response(self, scope: ASGIScope) -> Response:
        return Response(self.body(request_id(scope)), self.status_code, dict(self.headers or {}), MEDIA_TYPE)


def request_id(scope: ASGIScope) -> str:
    """The id of this request, as sent in `X-Request-Id` and as logged."""
    return str(scope.get("state", {}).get("request_id", ""))


def answer_problem(request: Request, error: Exception) -> Response:
    """Exception handler for our own problems."""
    assert isinstance(error, Problem)
    return error.response(request.scope)


def answer_http(request: Request, error: Exception) -> Response:
    """Exception handler for what the framework raises: 404, 405, 400 …"""
    assert isinstance(error, StarletteHTTPException)
    kind = BY_STATUS.get(error.status_code)
    if kind is None:
        title = HTTPStatus(error.status_code).phrase
        body = {"type": "about:blank", "title": title, "status": error.status_code}
        body["request_id"] = request_id(request.scope)
        return Response(msgspec.json.encode(body), error.status_code, error.headers, MEDIA_TYPE)
    details = {
        404: f"没有这个地址：{request.url.path[:200]}。接口说明见 /openapi.json",
        405: f"此地址不支持 {request.method[:20]}，可用的方法见 Allow 响应头",
        400: "请求正文无法解析",
    }
    detail = details.get(error.status_code, str(error.detail))
    return Problem(kind, detail, headers=error.headers).response(request.scope)


WORDS = {
    "missing": "缺少此项",
    "json_invalid": "不是有效的 JSON",
    "extra_forbidden": "没有这一项，请检查拼写",
    "int_parsing": "应为整数",
    "int_type": "应为整数",
    "string_type": "应为文本",
    "string_pattern_mismatch": "写法不对，应如接口说明中的格式",
    "model_attributes_type": "应为 JSON 对象",
    "model_type": "应为 JSON 对象",
}


def answer_invalid(request: Request, error: Exception) -> Response:
    """Exception handler for parameters and bodies that do not fit their schema."""
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors()).response(request.scope)


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """A 422 that names every fault: where it is and what is expected. What was sent is not repeated."""
    faults = [{"in": where(e["loc"]), "reason": str(e["type"]), "detail": expected(e)} for e in errors[:50]]
    first = faults[0]
    return Problem("invalid", f"{first['in']}：{first['detail']}", extra={"errors": faults})


def where(location: Sequence[str | int]) -> str:
    """('query', 'limit') -> 'query.limit'; list positions count from 0 as in JSON pointers."""
    return ".".join(str(part) for part in location)[:200]


def expected(error: Mapping[str, Any]) -> str:
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind in ("enum", "literal_error"):
        return f"只能是：{context.get('expected')}"
    if kind in ("greater_than_equal", "less_than_equal"):
        sign, bound = ("≥", context.get("ge")) if "ge" in context else ("≤", context.get("le"))
        return f"应 {sign} {bound}"
    if kind in ("string_too_long", "string_too_short"):
        length = context.get("max_length") or context.get("min_length")
        return f"文本过长，最多 {length} 个字符" if "max_length" in context else f"文本过短，至少 {length} 个字符"
    return WORDS.get(kind, str(error["msg"]))
