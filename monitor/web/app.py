"""The HTTP side of the daemon: `create_web` puts the parts together. docs/api.md describes what callers see."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from monitor.modules import loaded
from monitor.store.errors import StoreError
from monitor.web import alerts, duties_api, flags, observations, operations, problem, records, reports_api, schemas
from monitor.web.console import visit
from monitor.web.console.i18n import Languages
from monitor.web.context import WebContext
from monitor.web.guard import Guard
from monitor.web.loading import Loading, Waiting
from monitor.web.push import PushState
from monitor.web.signed import SignedIn, secure

log = logging.getLogger("monitor.web")

DESCRIPTION = """\
价格与金融风险监测预警系统的接口。

- 除 `/healthz`、`/readyz` 和本说明外，一切读写都需要访问令牌（`Authorization: Bearer …`），令牌只有列明的权限范围。
- 时间为带时区的 ISO 8601；没有时区的输入按本系统时区（默认 Asia/Shanghai）理解。
- 错误一律为 RFC 9457 problem details（`application/problem+json`）；`request_id` 可在日志中查找。
"""

TAGS = [
    {"name": "observations", "description": "观测值与序列"},
    {"name": "flags", "description": "异常提示：查询、确认、复核"},
    {"name": "alerts", "description": "通知的确认"},
    {"name": "records", "description": "决定和观察到的现象"},
    {"name": "duties", "description": "报送任务"},
    {"name": "reports", "description": "日报、周报和异常波动报告"},
    {"name": "operations", "description": "运行状态与指标"},
]


def create_web(ctx: WebContext) -> FastAPI:
    """The whole application for one daemon. It starts nothing and holds nothing but `ctx`."""
    app = create_api(ctx)
    load_pages(app)
    return app


def load_pages(app: FastAPI) -> None:
    """Import the pages and add them to what `create_api` gave: once, from whatever thread. Raises what importing
    raises, and who waits for a page is told that there is none."""
    pages: Loading = app.state.pages
    pages.load(lambda: loaded("monitor.web.console.pages").add_pages(app))


def create_api(ctx: WebContext) -> FastAPI:
    """The application without its pages: requests for them wait for `load_pages`."""
    app = FastAPI(
        title="价格与金融风险监测预警系统",
        version=version("price-risk-monitor"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,  # the usual pages load scripts from elsewhere, which closed networks do not have
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = ctx
    app.state.pages = Loading()
    app.state.pushes = PushState()
    app.state.signed = SignedIn()
    app.add_middleware(Waiting, pages=app.state.pages)
    app.add_middleware(Languages, default=ctx.language)
    app.add_middleware(
        Guard,
        max_body_bytes=ctx.settings.max_body_bytes,
        body_timeout=ctx.settings.body_timeout.total_seconds(),
        https=secure(ctx.settings),
    )
    app.add_exception_handler(problem.Problem, problem.answer_problem)
    app.add_exception_handler(RequestValidationError, problem.answer_invalid)
    app.add_exception_handler(StoreError, answer_store_error)
    visit.install(app)
    for part in (observations, flags, alerts, records, duties_api, reports_api, operations):
        app.router.routes.extend(part.router.routes)  # include_router would make each of them a second time
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]
    return app


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the schemas that handlers use without naming them to the framework."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        models = (schemas.Problem, schemas.PushProblem, schemas.PushAnswer, schemas.ObservationsIn)
        _, extra = models_json_schema(
            [(model, "serialization" if "In" not in model.__name__ else "validation") for model in models],
            ref_template="#/components/schemas/{model}",
        )
        document.setdefault("components", {}).setdefault("schemas", {}).update(extra["$defs"])
        app.openapi_schema = document
    return app.openapi_schema


STORE_ANSWERS = {
    "full": ("storage-full", "服务器磁盘已满，本次内容没有保存。请稍后重发，并通知技术值班人员"),
    "locked": ("unavailable", "数据库忙，本次内容没有保存，请稍后重发"),
    "unreachable": ("unavailable", "数据库暂时无法连接，本次内容没有保存，请稍后重发"),
}


def answer_store_error(request: Request, error: Exception) -> Response:
    """What callers are told when the database fails: what it means for them. The log has the rest."""
    assert isinstance(error, StoreError)
    ctx: WebContext = request.app.state.context
    ctx.on_store_error(error.reason)
    log.error("request %s failed, nothing of it was stored: %s", problem.request_id(request.scope), error)
    kind, detail = STORE_ANSWERS.get(
        error.reason, ("unavailable", "数据库出现故障，本次内容没有保存。请稍后重发，并通知技术值班人员")
    )
    headers = {"Retry-After": "5"} if error.temporary else {}
    answer = problem.Problem(kind, detail, headers=headers, extra={"reason": error.reason})
    return answer.response(request.scope)
