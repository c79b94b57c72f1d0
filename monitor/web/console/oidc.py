"""/signin/oidc: signing in with the account of the office. Which account that is here, [web.oidc] says; none is made
for people who have none, unless `create_with_role` says so."""

from __future__ import annotations

import logging
import secrets

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from monitor.accounts import name_fault, name_key
from monitor.oidc import Identity, Journey, OidcError, Provider
from monitor.store import accounts, oidc_requests, sessions
from monitor.store.accounts import Account
from monitor.store.roles import EVERY_AREA, AccountError
from monitor.web.console.i18n import Text, _
from monitor.web.console.language import local_path
from monitor.web.console.signin import Refusal, enter, note, origin_of, quoted, signin_page
from monitor.web.console.visit import Hidden, go
from monitor.web.context import OidcSettings, WebContext
from monitor.web.problem import request_id
from monitor.web.security import Context
from monitor.web.signed import TooOften, clear_cookie, cookie, counted_address, set_cookie, state

log = logging.getLogger("monitor.web")
router = APIRouter(include_in_schema=False)
UNAVAILABLE = _("单位统一认证现在不能用，请稍后再试，或用密码登录。")
NOT_DONE = _("单位统一认证没有完成，请重新登录。")
NO_ACCOUNT = _("您在本系统没有可用的账号，请找系统管理员。")


def provider_of(request: Request, ctx: WebContext) -> tuple[OidcSettings, Provider]:
    """Raises Hidden where no provider is configured."""
    settings = ctx.settings.oidc
    if settings is None:
        raise Hidden
    if not hasattr(request.app.state, "oidc"):
        request.app.state.oidc = Provider(settings, ctx.base)
    found = request.app.state.oidc
    assert isinstance(found, Provider)
    return settings, found


def callback_address(request: Request, ctx: WebContext) -> str:
    """The address the provider sends the browser back to; it must be registered there."""
    base = ctx.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return base + "/signin/oidc/callback"


@router.get("/signin/oidc")
def begin(request: Request, ctx: Context, next: str = "/") -> Response:
    _settings, provider = provider_of(request, ctx)
    if wait := state(request).limits.sign_in.take(counted_address(request)):
        raise TooOften(wait)
    journey, browser = Journey.new(), secrets.token_urlsafe(32)
    try:
        address = provider.address(journey, callback_address(request, ctx), ctx.now())
    except OidcError as error:
        return failed(request, ctx, error.reason, UNAVAILABLE)
    underway = oidc_requests.Underway(journey.nonce, journey.verifier, local_path(next[:2000]))
    oidc_requests.begin(ctx.db, journey.state, browser, underway, ctx.now())
    answer = RedirectResponse(address, 303)
    set_cookie(answer, ctx.settings, browser, name="oidc", seconds=600)
    return answer


@router.get("/signin/oidc/callback")
def come_back(request: Request, ctx: Context, code: str = "", error: str = "") -> Response:
    settings, provider = provider_of(request, ctx)
    given = request.query_params.get("state", "")[:200]
    underway = oidc_requests.take(ctx.db, given, cookie(request, ctx.settings, "oidc")[:200], ctx.now())
    if underway is None:
        return failed(request, ctx, "came back without having been sent, or too late", NOT_DONE)
    if error or not code:
        return failed(request, ctx, f"the provider said {error[:60]!r}", NOT_DONE)
    try:
        who = provider.identity(
            code[:4000], underway.nonce, underway.verifier, callback_address(request, ctx), ctx.now()
        )
    except OidcError as problem:
        return failed(request, ctx, problem.reason, UNAVAILABLE)
    try:
        with ctx.db.begin() as connection:
            one = account_of(request, ctx, connection, settings, who)
            answer = signed_in(request, ctx, connection, settings, one, underway.next)
    except AccountError as problem:
        note(request, ctx, ctx.db, "anonymous", "signin.oidc_refused", "account:?", {"name": who.name[:100]})
        return failed(request, ctx, f"no account: {problem}", NO_ACCOUNT)
    clear_cookie(answer, ctx.settings, "oidc")
    return answer


def failed(request: Request, ctx: WebContext, reason: str, text: Text) -> Response:
    log.warning("request %s: signing in by the provider failed: %s", request_id(request.scope), reason)
    return signin_page(request, ctx, "/", refusal=Refusal(text))


def account_of(
    request: Request, ctx: WebContext, connection: Connection, settings: OidcSettings, who: Identity
) -> Account:
    """The account of an identity. Raises AccountError where there is none that may sign in so.

    The first sign-in binds the account to the provider's subject: a name that is given to somebody else there later
    does not open it.
    """
    one = accounts.find_linked(connection, who.name)
    if one is None and settings.accounts == "same_name":
        same = accounts.find_by_key(connection, name_key(who.name))
        one = same if same is not None and not same.oidc_name else None
    if one is None:
        if not settings.create_with_role or name_fault(who.name):
            raise AccountError("unknown", "there is no account for this name")
        return make(request, ctx, connection, settings, who)
    if not one.active:
        raise AccountError("unknown", "the account is switched off")
    if one.oidc_subject and one.oidc_subject != who.subject:
        raise AccountError("unknown", "the account belongs to another subject of the provider")
    if not one.oidc_subject:
        accounts.bind_subject(connection, one.id, who.subject)
    return one


def make(request: Request, ctx: WebContext, connection: Connection, settings: OidcSettings, who: Identity) -> Account:
    """An account for somebody who has none, as the configuration says."""
    held = {settings.create_with_role: {EVERY_AREA}}
    made = accounts.insert_account(
        connection, who.name, ctx.now(), shown=who.shown[:100], password="", must_change=False, roles=held, points=(),
        oidc_name=who.name,
    )  # fmt: skip
    accounts.bind_subject(connection, made, who.subject)
    detail = {"roles": sorted(held)}
    note(request, ctx, connection, "oidc", "account.made", f"account:{who.name}", detail)
    return accounts.get(connection, made)


def signed_in(
    request: Request, ctx: WebContext, connection: Connection, settings: OidcSettings, one: Account, next: str
) -> Response:
    """A session; where the account has a second factor that the provider does not see to, its code comes first."""
    if one.has_totp and not settings.second_factor:
        origin = origin_of(request, "oidc")
        started = sessions.start(connection, one.id, ctx.now(), ctx.settings.session_length, origin, stage="code")
        answer = go(request, "/signin/code?next=" + quoted(next))
        set_cookie(answer, ctx.settings, started.secret)
        return answer
    return enter(request, ctx, connection, one.id, "oidc+" if settings.second_factor else "oidc", next)
