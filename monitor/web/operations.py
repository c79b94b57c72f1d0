"""/healthz, /readyz and /metrics: for supervisors, load balancers and Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response, Security
from fastapi.responses import JSONResponse

from monitor.auth import Scope
from monitor.rights import Action
from monitor.store.errors import StoreError
from monitor.web import schemas
from monitor.web.describe import HEADERS, problems
from monitor.web.problem import Problem
from monitor.web.security import Context, authenticate, open_to, require, scheme, signed_in

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="进程是否活着", responses=problems(secured=False))
async def healthz() -> schemas.Health:
    """Needs no thread and no database: it answers while everything else waits."""
    return schemas.Health(status="alive")


@router.get(
    "/readyz",
    summary="是否能正常工作",
    description="数据库可用且已迁移、调度器在运行。失败原因的细节只给本机或持有 metrics:read 令牌的调用者。",
    response_model=schemas.Readiness,
    responses=problems(secured=False)
    | {503: {"model": schemas.Readiness, "description": "不能正常工作", "headers": HEADERS}},
)
def readyz(request: Request, ctx: Context) -> JSONResponse:
    report = ctx.health()
    detailed = open_to(request, "loopback") or may_read_metrics(request, ctx)
    answer = schemas.Readiness(
        status="ready" if report.ready else "not ready",
        checks=[
            schemas.CheckOut(name=c.name, ok=c.ok, needed=c.needed, detail=c.detail if detailed else "")
            for c in report.checks
        ],
    )
    return JSONResponse(answer.model_dump(), 200 if report.ready else 503)


def may_read_metrics(request: Request, ctx: Context) -> bool:
    """Whether a good token was sent. No token, or one that cannot be checked now, gives the short answer."""
    try:
        authorization = request.headers.get("authorization")
        if not authorization and (person := signed_in(request, ctx)) is not None:
            return person.may(Action.HEALTH_VIEW)
        principal = authenticate(ctx, authorization)
    except (Problem, StoreError):
        return False
    return Scope.METRICS_READ in principal.scopes


@router.get(
    "/metrics",
    summary="Prometheus 指标",
    description="默认只对本机开放；从其他地址读取需要 metrics:read 令牌（见配置 [web] open_metrics）。",
    response_class=Response,
    responses=problems()
    | {
        200: {
            "description": "Prometheus 文本格式",
            "headers": HEADERS,
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
def metrics(request: Request, ctx: Context, _in_openapi: Annotated[object, Security(scheme)]) -> Response:
    if not open_to(request, ctx.settings.open_metrics):
        require(Scope.METRICS_READ)(request, ctx, None)
    content, content_type = ctx.render_metrics()
    return Response(content, media_type=content_type)
