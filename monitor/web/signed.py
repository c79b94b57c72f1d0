"""Who is signed in: from the session's cookie to the visitor with all rights, and whether a change is really meant.

A change needs the word `csrf` of the session, in the form or in `X-CSRF-Token`, and must come from our own pages as
far as the browser says so (`Sec-Fetch-Site`, `Origin`).
"""

from __future__ import annotations

import hmac
import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from monitor.rights import Action, Areas, Session, Visitor, grants_of, point_actions
from monitor.store import accounts, roles, sessions
from monitor.store.audit import Views
from monitor.store.errors import StoreError
from monitor.web.context import WebContext, WebSettings
from monitor.web.limits import Limits
from monitor.web.problem import Problem, request_id

SAFE = ("GET", "HEAD", "OPTIONS")
MOST_RIGHTS = 2_000
DEVICE_SECONDS = int(sessions.DEVICE_KEPT.total_seconds())


class NotOurPage(Exception):
    """A change that our own pages did not ask for, or whose page is from a session that is over."""


class TooOften(Exception):
    """Asked too often; `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__()
        self.wait = max(1, math.ceil(wait))


@dataclass(frozen=True, slots=True)
class Rights:
    """What the roles of an account come to."""

    roles: frozenset[str]
    grants: Mapping[Action, Areas]
    points: frozenset[str]
    for_points: frozenset[Action]
    second_factor: bool


class Pending:
    """Secrets of second factors that are being set up, by session; of more than a few hundred the oldest go."""

    def __init__(self, most: int = 500) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._secrets: OrderedDict[str, str] = OrderedDict()

    def put(self, session: str, secret: str) -> None:
        with self._lock:
            self._secrets[session] = secret
            self._secrets.move_to_end(session)
            while len(self._secrets) > self._most:
                self._secrets.popitem(last=False)

    def get(self, session: str) -> str:
        with self._lock:
            return self._secrets.get(session, "")

    def forget(self, session: str) -> None:
        with self._lock:
            self._secrets.pop(session, None)


class SignedIn:
    """What one application remembers of those who are signed in. `rights` are kept by account and its stamp, which
    grows with every change of them, so nothing here is ever out of date."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.views = Views()
        self.pending = Pending()
        self._lock = threading.Lock()
        self._rights: OrderedDict[tuple[int, int], Rights] = OrderedDict()

    def rights(self, ctx: WebContext, account_id: int, stamp: int) -> Rights:
        key = (account_id, stamp)
        with self._lock:
            if (known := self._rights.get(key)) is not None:
                self._rights.move_to_end(key)
                return known
        found = rights_of(ctx, account_id)
        with self._lock:
            self._rights[key] = found
            while len(self._rights) > MOST_RIGHTS:
                self._rights.popitem(last=False)
        return found


def rights_of(ctx: WebContext, account_id: int) -> Rights:
    """Read the rights of an account."""
    with ctx.db.connect() as connection:
        one = accounts.get(connection, account_id)
        defined = roles.read(connection)
    held = one.held(ctx.city)
    return Rights(
        roles=frozenset(one.roles),
        grants=grants_of(defined, held),
        points=one.points,
        for_points=point_actions(defined, held),
        second_factor=any(defined[role].second_factor for role in one.roles if role in defined),
    )


def state(request: Request) -> SignedIn:
    found = request.app.state.signed
    assert isinstance(found, SignedIn)
    return found


# --- cookies --------------------------------------------------------------------------------------------------------


def secure(settings: WebSettings) -> bool:
    """Whether people reach this daemon by https, as [web] public_url says."""
    return settings.public_url.startswith("https://")


def cookie_name(settings: WebSettings, name: str = "session") -> str:
    """`__Host-session` binds the cookie to this very host and to https; without https no browser would take it."""
    return f"__Host-{name}" if secure(settings) else name


def set_cookie(
    response: Response, settings: WebSettings, value: str, *, name: str = "session", seconds: int | None = None
) -> None:
    """A cookie that scripts cannot read and that other sites' forms do not bring along."""
    response.set_cookie(
        cookie_name(settings, name),
        value,
        max_age=seconds,
        path="/",
        secure=secure(settings),
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response, settings: WebSettings, name: str = "session") -> None:
    response.delete_cookie(
        cookie_name(settings, name), path="/", secure=secure(settings), httponly=True, samesite="lax"
    )


def cookie(request: Request, settings: WebSettings, name: str = "session") -> str:
    return request.cookies.get(cookie_name(settings, name), "")


# --- the visitor ----------------------------------------------------------------------------------------------------


def current(request: Request, ctx: WebContext) -> Visitor | None:
    """Who asks, None for somebody who is not signed in. Looked up once per request. Raises StoreError."""
    known = getattr(request.state, "visitor", False)
    if known is not False:
        assert known is None or isinstance(known, Visitor)
        return known
    visitor = look_up(request, ctx)
    request.state.visitor = visitor
    return visitor


def look_up(request: Request, ctx: WebContext) -> Visitor | None:
    now = ctx.now()
    found = sessions.find(ctx.db, cookie(request, ctx.settings), now, ctx.settings.session_idle)
    if found is None:
        return None
    if not getattr(request.state, "by_itself", False):
        with suppress(StoreError):  # reading goes on where nothing can be written
            sessions.touch(ctx.db, found, now)
    rights = state(request).rights(ctx, found.account_id, found.stamp)
    # who came by the provider need not know the password that somebody gave the account
    needs = "password" if found.must_change and not found.way.startswith("oidc") else ""
    if not needs and rights.second_factor and not (found.has_totp or found.way == "oidc+"):
        needs = "second_factor"
    session = Session(
        found.id, found.csrf, found.stage, found.flash, shown_address(request), request_id(request.scope)
    )
    return Visitor(
        account_id=found.account_id,
        name=found.name,
        shown=found.shown,
        roles=rights.roles,
        grants=rights.grants,
        points=rights.points,
        for_points=rights.for_points,
        session=session,
        language=found.language,
        needs=needs,
    )


def shown_address(request: Request) -> str:
    return request.client.host if request.client else ""


def counted_address(request: Request) -> str:
    """The address as failures are counted: of IPv6 the network, in which everybody has very many addresses."""
    host = shown_address(request)
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False).network_address) + "/64"
    return str(address)


# --- changes --------------------------------------------------------------------------------------------------------


def check_change(request: Request, ctx: WebContext, visitor: Visitor, given: str) -> None:
    """Let a change pass that this session's own pages ask for. Raises NotOurPage, TooOften; GET passes."""
    if request.method in SAFE:
        return
    check_origin(request, ctx.settings)
    if not hmac.compare_digest(given.encode("utf-8", "replace"), visitor.session.csrf.encode()):
        raise NotOurPage
    if wait := state(request).limits.unsafe.take(visitor.session.id):
        raise TooOften(wait)


def check_origin(request: Request, settings: WebSettings) -> None:
    """Refuse what a browser says comes from another site. Programs that say nothing pass. Raises NotOurPage."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise NotOurPage
    origin = request.headers.get("origin")
    if site is None and origin is not None and urlsplit(origin).netloc.lower() not in own_hosts(request, settings):
        raise NotOurPage


def own_hosts(request: Request, settings: WebSettings) -> set[str]:
    return {request.headers.get("host", "").lower(), urlsplit(settings.public_url).netloc.lower()} - {""}


def too_often(wait: int) -> Problem:
    return Problem("too-many", f"请求过于频繁，请在 {wait} 秒后再试", headers={"Retry-After": str(wait)})
