"""Who may ask what: bearer tokens with scopes, or sessions of people, for the API; "from this machine" for the open
page and the metrics."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException

from monitor.auth import ACTIONS, SCOPES, Principal, Scope, bearer_of
from monitor.rights import EVERYWHERE, Action, Areas, Visitor
from monitor.store import tokens
from monitor.web.context import Openness, WebContext
from monitor.web.problem import Problem
from monitor.web.signed import NotOurPage, TooOften, check_change, current, too_often

scheme = HTTPBearer(
    scheme_name="bearer",
    description="由 `monitor tokens create` 生成的访问令牌；每个令牌只有列明的权限范围。",
    auto_error=False,
)

LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def context(request: Request) -> WebContext:
    """The context that the application was made with."""
    found = request.app.state.context
    assert isinstance(found, WebContext)
    return found


Context = Annotated[WebContext, Depends(context)]


def authenticate(ctx: WebContext, authorization: str | None) -> Principal:
    """The caller. Raises Problem 401 and says in `WWW-Authenticate` what is expected (RFC 6750)."""
    if not authorization:
        raise unauthorized("缺少访问令牌：请在 Authorization 请求头中写 Bearer 加令牌", "")
    secret = bearer_of(authorization)
    if secret is None:
        raise unauthorized("Authorization 请求头的格式应为 Bearer 加令牌", "invalid_request")
    found = tokens.verify(ctx.db, secret, ctx.now())
    if found is None:
        raise unauthorized("令牌无效、已过期或已吊销", "invalid_token")
    areas = EVERYWHERE if found.areas is None else Areas.of(found.areas, ctx.city)
    return Principal(found.id, found.name, frozenset(found.scopes), areas)


def unauthorized(detail: str, error: str) -> Problem:
    challenge = 'Bearer realm="price-risk-monitor"' + (f', error="{error}"' if error else "")
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": challenge})


def demand(principal: Principal, scope: Scope) -> Principal:
    """The caller again. Raises Problem 403 naming the scope that is missing."""
    if scope not in principal.scopes:
        challenge = f'Bearer realm="price-risk-monitor", error="insufficient_scope", scope="{scope}"'
        raise Problem(
            "forbidden",
            f"令牌“{principal.name}”没有权限范围 {scope}（{SCOPES[scope]}）",
            headers={"WWW-Authenticate": challenge},
            extra={"missing_scope": str(scope)},
        )
    return principal


def require(scope: Scope, *actions: Action) -> Callable[..., Principal]:
    """A dependency that gives the caller: of a token, or 401, or 403 naming the scope that is missing; of a session
    without the right (one of `actions`, or of those that go with the scope), 404 as for an unknown address."""

    def check(request: Request, ctx: Context, _shown_in_openapi: Annotated[object, Security(scheme)]) -> Principal:
        authorization = request.headers.get("authorization")
        if not authorization and (person := signed_in(request, ctx)) is not None:
            return permitted(request, ctx, person, actions or ACTIONS[scope])
        return demand(authenticate(ctx, authorization), scope)

    return check


def signed_in(request: Request, ctx: WebContext) -> Visitor | None:
    """Somebody whose session is complete."""
    found = current(request, ctx)
    return found if found is not None and found.session.stage == "full" and not found.needs else None


def permitted(request: Request, ctx: WebContext, person: Visitor, actions: Sequence[Action]) -> Principal:
    """The person as a caller. Raises 404 without the right, 403 for a change without the word of the session."""
    if not any(person.may(action) for action in actions):
        raise StarletteHTTPException(404)
    try:
        check_change(request, ctx, person, request.headers.get("x-csrf-token", ""))
    except NotOurPage:
        detail = "修改须在 X-CSRF-Token 请求头中写明本次登录的凭据，并来自本系统的页面"
        raise Problem("forbidden", detail) from None
    except TooOften as error:
        raise too_often(error.wait) from None
    return Principal(-person.account_id, person.name, frozenset(), visitor=person)


def from_this_machine(request: Request) -> bool:
    """Whether a program on this machine asks, directly and by a local name.

    A proxy on this machine also connects from loopback, and a web page may point a foreign name at 127.0.0.1
    (DNS rebinding): headers of proxies and foreign names in `Host` therefore count as "from elsewhere".
    """
    if request.client is None or any(name in request.headers for name in PROXY_HEADERS):
        return False
    try:
        local = ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
    return local and host_name(request.headers.get("host", "")) in LOOPBACK_NAMES


def host_name(header: str) -> str:
    """'localhost:8080' -> 'localhost', '[::1]:8080' -> '::1'; whatever else is there comes back as it is."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


def open_to(request: Request, openness: Openness) -> bool:
    return openness == "all" or (openness == "loopback" and from_this_machine(request))
