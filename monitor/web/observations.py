"""/observations and /series: pushing rows, reading what is stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from monitor.auth import Principal, Scope
from monitor.rights import Action
from monitor.store import observations as store
from monitor.web import schemas
from monitor.web.describe import HEADERS, problems
from monitor.web.paging import LIMIT, Cursor, From, Limit, To, decode_cursor, encode_cursor, since, until
from monitor.web.problem import MEDIA_TYPE, request_id
from monitor.web.push import Push, PushState
from monitor.web.push_body import XLSX, media_type_of
from monitor.web.schemas import Name
from monitor.web.security import Context, require

router = APIRouter(prefix="/api/v1", tags=["observations"])

Reader = Annotated[Principal, Depends(require(Scope.OBSERVATIONS_READ))]
Writer = Annotated[Principal, Depends(require(Scope.OBSERVATIONS_WRITE))]
NameFilter = Annotated[Name | None, Query()]
SeriesId = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="序列编号")]

EXAMPLE = {
    "date": "2026-03-02",
    "item": "大白菜",
    "unit": "元/500克",
    "point": "城东市场",
    "area": "城东区",
    "value": 1.25,
}
REF = "#/components/schemas/"
PUSH_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": f"{REF}ObservationsIn"},
                    {"type": "array", "items": {"$ref": f"{REF}ObservationIn"}},
                ]
            },
            "example": {"observations": [EXAMPLE]},
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "每行一个 JSON 对象"},
            "example": '{"date":"2026-03-02","item":"大白菜","point":"城东市场","value":1.25}\n',
        },
        "text/csv": {
            "schema": {"type": "string", "description": "带表头的观测值报表"},
            "example": "date,item,point,value\n2026-03-02,大白菜,城东市场,1.25\n",
        },
        XLSX: {"schema": {"type": "string", "format": "binary", "description": "观测值报表的工作簿"}},
    },
}
REPLAYED = {"Idempotency-Replayed": {"description": "true：这是先前同一请求的回答", "schema": {"type": "string"}}}


def answered(description: str, schema: str = "PushAnswer", media_type: str = "application/json") -> dict[str, Any]:
    content = {media_type: {"schema": {"$ref": REF + schema}}}
    return {"description": description, "headers": HEADERS | REPLAYED, "content": content}


PUSH_ANSWERS = problems("malformed", "conflict", "unsupported-media-type") | {
    200: answered("全部收下（含重复）"),
    207: answered("部分行被拒绝"),
    422: {
        "description": "全部行被拒绝；或幂等键已用于其他内容；或请求头不符合要求",
        "headers": HEADERS | REPLAYED,
        "content": {MEDIA_TYPE: {"schema": {"anyOf": [{"$ref": f"{REF}PushProblem"}, {"$ref": f"{REF}Problem"}]}}},
    },
}


async def pushed_body(request: Request, _principal: Writer) -> bytes:
    """The body, read only after the caller was found to be allowed to push."""
    media_type_of(request.headers.get("content-type"), request.headers.get("content-encoding"))
    return await request.body()


@router.post(
    "/observations",
    summary="上报一批观测值",
    description="逐行回答；回答之前已永久保存。用同一个 Idempotency-Key 重发同一内容，得到同一个回答。",
    response_class=Response,
    responses=PUSH_ANSWERS,
    openapi_extra={"requestBody": PUSH_BODY},
)
async def push_observations(
    request: Request,
    ctx: Context,
    principal: Writer,
    body: Annotated[bytes, Depends(pushed_body)],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern="^[!-~]+$",
            description="调用者自定的、每批不同的键；48 小时内重发同一内容得到同一个回答",
        ),
    ] = None,
) -> Response:
    coding = request.headers.get("content-encoding")
    media_type = media_type_of(request.headers.get("content-type"), coding)
    state: PushState = request.app.state.pushes
    push = Push(ctx, state, principal, request_id(request.scope))
    return await to_thread.run_sync(push.answer, media_type, coding, body, idempotency_key, limiter=state.limiter)


@router.get("/observations", summary="查询观测值", responses=problems("invalid"))
def list_observations(
    ctx: Context,
    principal: Reader,
    item: NameFilter = None,
    point: NameFilter = None,
    area: NameFilter = None,
    unit: NameFilter = None,
    series: SeriesId = None,
    from_: From = None,
    to: To = None,
    revisions: Annotated[Literal["newest", "all"], Query(description="all：包括已被更正的值")] = "newest",
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> schemas.ObservationPage:
    found = store.list_observations(
        ctx.db,
        series_id=series,
        item=item,
        point=point,
        area=area,
        unit=unit,
        since=since(from_, ctx.zone),
        until=until(to, ctx.zone),
        every_revision=revisions == "all",
        limit=limit + 1,
        after=decode_cursor(cursor, tuple[int, int, int]),
        reach=principal.reach(Action.OBSERVATIONS_VIEW),
    )
    rows, more = found[:limit], len(found) > limit
    last = rows[-1] if more else None
    return schemas.ObservationPage(
        observations=[observation_out(row, ctx) for row in rows],
        next_cursor=encode_cursor((last.series.id, int(last.at.timestamp()), last.revision)) if last else None,
    )


def observation_out(row: store.ObservationRecord, ctx: Context) -> schemas.ObservationOut:
    key = row.series.key
    return schemas.ObservationOut(
        series=row.series.id,
        item=key.item,
        spec=key.spec,
        unit=key.unit,
        channel=key.channel,
        point=key.point,
        area=row.series.area,
        source=row.source,
        date=row.at.astimezone(ctx.zone),
        value=row.value,
        revision=row.revision,
        batch=row.batch_id,
        received_at=row.received_at.astimezone(ctx.zone),
        note=row.note,
        marks=[mark.name.lower() for mark in row.mark if mark.name],
    )


@router.get("/series", summary="查询序列", responses=problems("invalid"))
def list_series(
    ctx: Context,
    principal: Reader,
    item: NameFilter = None,
    point: NameFilter = None,
    area: NameFilter = None,
    unit: NameFilter = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> schemas.SeriesPage:
    after = decode_cursor(cursor, tuple[int])
    found = store.list_series(
        ctx.db,
        item=item,
        point=point,
        area=area,
        unit=unit,
        limit=limit + 1,
        after=after[0] if after else None,
        reach=principal.reach(Action.OBSERVATIONS_VIEW),
    )
    rows, more = found[:limit], len(found) > limit
    return schemas.SeriesPage(
        series=[
            schemas.SeriesOut(
                id=row.id,
                item=row.key.item,
                spec=row.key.spec,
                unit=row.key.unit,
                channel=row.key.channel,
                point=row.key.point,
                area=row.area,
                source=row.source,
                first_seen_at=row.first_seen_at.astimezone(ctx.zone),
            )
            for row in rows
        ],
        next_cursor=encode_cursor((rows[-1].id,)) if more else None,
    )
