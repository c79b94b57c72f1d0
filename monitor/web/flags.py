"""/flags: what the machine flagged, why, and what people say of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from monitor.auth import Principal, Scope
from monitor.flag_facts import flag_facts, flag_fields
from monitor.rights import Action
from monitor.store import flags as store
from monitor.store.demo import demo_places
from monitor.web import schemas
from monitor.web.context import WebContext
from monitor.web.describe import HEADERS, problems
from monitor.web.paging import LIMIT, Cursor, From, Limit, To, decode_cursor, encode_cursor, since, until
from monitor.web.problem import Problem
from monitor.web.schemas import FlagKind, FlagState, Name
from monitor.web.security import Context, require

router = APIRouter(prefix="/api/v1", tags=["flags"])

Reader = Annotated[Principal, Depends(require(Scope.FLAGS_READ))]
Reviewer = Annotated[Principal, Depends(require(Scope.FLAGS_REVIEW))]
NameFilter = Annotated[Name | None, Query()]
FlagId = Annotated[Name, Path(description="异常提示的编号")]
ETAG = {"ETag": {"description": "版本号，复核时写在 If-Match 里", "schema": {"type": "string"}}}
WITH_ETAG: dict[int | str, dict[str, Any]] = {200: {"headers": HEADERS | ETAG}}
REVIEW_PROBLEMS = problems(
    "malformed", "not-found", "conflict", "precondition-failed", "invalid", "precondition-required"
)
STRONG_TAG = re.compile(r'"([0-9]{1,9})"')


def page_answer(found: list[store.FlagRecord], limit: int, ctx: WebContext) -> schemas.FlagPage:
    rows, more = found[:limit], len(found) > limit
    demo = demo_places(ctx.db, {row.flag.item for row in rows})
    last = rows[-1].flag if more else None
    position = (int(last.first_flagged.timestamp()), last.peak_grade.rank, last.id) if last else None
    return schemas.FlagPage(
        flags=[schemas.FlagOut(**flag_fields(row, ctx.zone, demo)) for row in rows],
        next_cursor=encode_cursor(position) if position else None,
    )


@router.get(
    "/flags",
    summary="查询异常提示",
    description="最新的在前，同一时间等级高的在前。",
    responses=problems("invalid"),
)
def list_flags(
    ctx: Context,
    principal: Reader,
    state: Annotated[list[FlagState], Query(max_length=4, description="可写多个")] = [],  # noqa: B006
    kind: Annotated[list[FlagKind], Query(max_length=3, description="可写多个")] = [],  # noqa: B006
    item: NameFilter = None,
    area: NameFilter = None,
    direction: Annotated[schemas.Direction | None, Query()] = None,
    grade: Annotated[Name | None, Query(description="等级的名称")] = None,
    min_rank: Annotated[int | None, Query(ge=0, le=9, description="等级不低于")] = None,
    rule: NameFilter = None,
    from_: From = None,
    to: To = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> schemas.FlagPage:
    wanted = store.FlagFilter(
        states=state,
        kinds=kind,
        item=item,
        area=area,
        direction=direction,
        grade=grade,
        min_rank=min_rank,
        rule=rule,
        since=since(from_, ctx.zone),
        until=until(to, ctx.zone),
        reach=principal.reach(Action.FLAGS_VIEW),
    )
    after = decode_cursor(cursor, tuple[int, int, str])
    return page_answer(store.list_flags(ctx.db, wanted, limit + 1, after), limit, ctx)


@router.get("/flags/{id}", summary="一条异常提示的全部", responses=problems("not-found", "invalid") | WITH_ETAG)
def get_flag(ctx: Context, principal: Reader, id: FlagId, response: Response) -> schemas.FlagDetail:
    record = reachable(ctx, principal, Action.FLAGS_VIEW, id)
    return detail(record, ctx, response)


@router.post(
    "/flags/{id}/review",
    summary="复核",
    description="须说明复核时所见的版本：If-Match（不符时 412）或正文的 revision（不符时 409）。",
    responses=REVIEW_PROBLEMS | WITH_ETAG,
)
def review(
    ctx: Context,
    principal: Reviewer,
    id: FlagId,
    body: schemas.ReviewIn,
    response: Response,
    if_match: Annotated[str | None, Header(max_length=100, description='GET 得到的 ETag，例如 "1"')] = None,
) -> schemas.FlagDetail:
    expected = expected_revision(if_match, body.revision)
    reachable(ctx, principal, Action.FLAGS_REVIEW, id)
    try:
        record = store.review(ctx.db, id, body.verdict, body.note, principal.actor, ctx.now(), expected)
    except store.FlagNotFound:
        raise unknown(id) from None
    except store.RevisionChanged as changed:
        raise overtaken(changed.current, by_header=if_match is not None) from None
    ctx.on_observations()  # a judgement changes what counts: the evaluation has work
    return detail(record, ctx, response)


@router.post(
    "/flags/{id}/ack",
    summary="确认知悉",
    description="最先的一次算数；之后的只记入日志。",
    responses=problems("not-found", "invalid") | WITH_ETAG,
)
def acknowledge(ctx: Context, principal: Reviewer, id: FlagId, response: Response) -> schemas.FlagDetail:
    reachable(ctx, principal, Action.FLAGS_REVIEW, id)
    try:
        record = store.acknowledge(ctx.db, id, principal.actor, ctx.now())
    except store.FlagNotFound:
        raise unknown(id) from None
    return detail(record, ctx, response)


def reachable(ctx: WebContext, principal: Principal, action: Action, id: str) -> store.FlagRecord:
    """The flag. Raises 404 where there is none, and just so where it is not for this caller."""
    record = store.get_flag(ctx.db, id)
    if record is None or not principal.reach(action).covers(record.flag.area, record.flag.point):
        raise unknown(id)
    return record


def unknown(id: str) -> Problem:
    return Problem("not-found", f"没有编号为“{id[:100]}”的异常提示")


def expected_revision(if_match: str | None, revision: int | None) -> int:
    """The revision that the reviewer saw. Raises Problem 428 (none given), 412 (never ours), 422 (two different)."""
    if if_match is None:
        if revision is None:
            raise Problem("precondition-required", "请在 If-Match 请求头或正文的 revision 里写明复核时所见的版本号")
        return revision
    match = STRONG_TAG.fullmatch(if_match.strip())
    if match is None:
        raise Problem("precondition-failed", 'If-Match 应为 GET 得到的 ETag，例如 "1"')
    if revision is not None and revision != int(match[1]):
        raise Problem("invalid", "If-Match 与正文的 revision 不一致")
    return int(match[1])


def overtaken(current: store.FlagRecord, *, by_header: bool) -> Problem:
    detail = f"{current.reviewer} 已先行复核（现为版本 {current.revision}），请重新读取后再定"
    extra = {"revision": current.revision, "verdict": current.verdict, "reviewer": current.reviewer}
    return Problem("precondition-failed" if by_header else "conflict", detail, extra=extra)


def detail(record: store.FlagRecord, ctx: WebContext, response: Response) -> schemas.FlagDetail:
    """Everything about a flag, and its revision as the entity tag."""
    response.headers["ETag"] = f'"{record.revision}"'
    return schemas.FlagDetail.model_validate(flag_facts(ctx.db, record, ctx.zone))


assert set(get_args(FlagState)) == set(store.FlagState)  # the words of the API are those of the store
