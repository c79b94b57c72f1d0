"""/signin, /signin/code, /signout: by password and second factor. For the provider of the office see oidc.py.

An unknown name, a wrong password and an account that is off give the same answer after the same work. Failures are
counted for the account and for the address, and make both wait longer and longer. A browser in which the account has
signed in before, and this machine itself, are counted apart: nobody else can lock these out.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import Connection
from starlette.responses import HTMLResponse, Response

from monitor.accounts import FREE_TRIES, TooBusy, digest, fits, hash_password, name_key, outdated, totp_step
from monitor.rights import Visitor
from monitor.sealing import SealError
from monitor.store import accounts, audit, second_factors, sessions
from monitor.store.text import storable
from monitor.web.console import render
from monitor.web.console.i18n import Text, _
from monitor.web.console.language import local_path
from monitor.web.console.visit import SignInFirst, go, visitor
from monitor.web.context import WebContext
from monitor.web.problem import request_id
from monitor.web.security import Context, from_this_machine
from monitor.web.signed import (
    DEVICE_SECONDS,
    NotOurPage,
    TooOften,
    check_origin,
    clear_cookie,
    cookie,
    counted_address,
    current,
    set_cookie,
    shown_address,
    state,
)

log = logging.getLogger("monitor.web")
router = APIRouter(include_in_schema=False)

ADDRESS_TRIES = 30
"""an office behind one address makes more mistakes than one person"""
Text_ = Annotated[str, Form()]
WRONG = _("名称或密码不对，或账号已停用。")
UNCHECKED = _("现在不能核对手机上的验证码：服务器缺少密钥。请用一个恢复码登录，并通知技术值班人员。")


class Refusal(Exception):
    """Signing in did not work; `text` is for the person, `wait` in seconds where trying again is no use yet."""

    def __init__(self, text: Text, wait: int = 0) -> None:
        super().__init__()
        self.text, self.wait = text, wait


# --- the form for somebody without a session: its word is bound to a cookie of its own ---


def anonymous_csrf(request: Request, ctx: WebContext) -> tuple[str, str]:
    """(value of the cookie, word of the form)."""
    value = cookie(request, ctx.settings, "signin")
    if not 20 <= len(value) <= 100:
        value = secrets.token_urlsafe(24)
    return value, digest("form:" + value)


def check_anonymous_form(request: Request, ctx: WebContext, given: str) -> None:
    """Raises NotOurPage: a page elsewhere must not sign people in to an account of its choice. Raises TooOften."""
    check_origin(request, ctx.settings)
    value = cookie(request, ctx.settings, "signin")
    if not value or not hmac.compare_digest(digest("form:" + value).encode(), given.encode("utf-8", "replace")):
        raise NotOurPage
    if wait := state(request).limits.sign_in.take(counted_address(request)):
        raise TooOften(wait)


def form_page(
    request: Request, ctx: WebContext, template: str, title: Text, status: int = 200, **values: Any
) -> HTMLResponse:
    value, word = anonymous_csrf(request, ctx)
    frame = {"csrf_token": word, "here": "/signin"} | values
    answer = render.page(request, template, title=title, status=status, **frame)
    set_cookie(answer, ctx.settings, value, name="signin")
    return answer


# --- /signin ---


@router.get("/signin")
def show(request: Request, ctx: Context, next: str = "/") -> Response:
    who = current(request, ctx)
    if who is not None and who.session.stage == "full":
        return go(request, next)
    return signin_page(request, ctx, next)


def signin_page(
    request: Request, ctx: WebContext, next: str, name: str = "", refusal: Refusal | None = None
) -> HTMLResponse:
    status = 200 if refusal is None else 429 if refusal.wait else 401
    answer = form_page(
        request,
        ctx,
        "console/signin.html",
        _("登录"),
        status,
        next=local_path(next[:2000]),
        name=name,
        fault=refusal.text if refusal else "",
        provider=ctx.settings.oidc.title if ctx.settings.oidc else "",
    )
    if refusal and refusal.wait:
        answer.headers["Retry-After"] = str(refusal.wait)
    return answer


@router.post("/signin")
def sign_in(
    request: Request, ctx: Context, name: Text_ = "", password: Text_ = "", csrf: Text_ = "", next: Text_ = "/"
) -> Response:
    check_anonymous_form(request, ctx, csrf)
    name = storable(name[:200])
    try:
        account_id, has_totp, keys = check_password(request, ctx, name, password)
    except Refusal as refusal:
        return signin_page(request, ctx, next, name, refusal)
    with ctx.db.begin() as connection:
        sessions.attempt_succeeded(
            connection, [k for k in keys if not is_address(k)], [k for k in keys if is_address(k)]
        )
        if not has_totp:
            return enter(request, ctx, connection, account_id, "password", next)
        started = sessions.start(
            connection,
            account_id,
            ctx.now(),
            ctx.settings.session_length,
            origin_of(request, "password"),
            stage="code",
        )
    answer = go(request, "/signin/code?next=" + quoted(next))
    set_cookie(answer, ctx.settings, started.secret)
    return answer


def check_password(request: Request, ctx: WebContext, name: str, password: str) -> tuple[int, bool, list[str]]:
    """(account, whether a second factor follows, keys the try was counted against). Raises Refusal."""
    now = ctx.now()
    account_id, stored, totp, _step = accounts.credentials(ctx.db, name)
    known = sessions.device_of(ctx.db, cookie(request, ctx.settings, "device"), account_id, now)
    keys = counted(request, name, known)
    if wait := sessions.claim_attempt(ctx.db, keys, now):
        raise waiting(wait)
    try:
        good = fits(stored, password)
    except TooBusy:
        raise Refusal(_("现在登录的人太多，请稍后再试。"), 5) from None
    if not good:
        log.warning("request %s: a sign-in was refused", request_id(request.scope))
        said = f"account:{name}" if account_id else "account:?"  # what is no name may be a password
        note(request, ctx, ctx.db, "anonymous", "signin.refused", said, {"known_browser": bool(known)})
        raise Refusal(WRONG)
    if outdated(stored):
        better = hash_password(password)
        with ctx.db.begin() as connection:
            accounts.set_password(connection, account_id, better, now, must_change=False, quiet=True)
    return account_id, bool(totp), list(keys)


def counted(request: Request, name: str, known: str) -> dict[str, int]:
    """Against what a try is counted, each with its number of free tries."""
    account = digest(name_key(name))[:32]
    if known:
        return {f"device:{known}": FREE_TRIES}
    if from_this_machine(request):
        return {f"local:{account}": FREE_TRIES}
    return {f"account:{account}": FREE_TRIES, f"address:{counted_address(request)}": ADDRESS_TRIES}


def is_address(key: str) -> bool:
    return key.startswith("address:")


def waiting(wait: int) -> Refusal:
    return Refusal(_("尝试次数过多，请在 %(n)s 秒后再试。", n=wait), wait)


def enter(
    request: Request,
    ctx: WebContext,
    connection: Connection,
    account_id: int,
    way: str,
    next: str,
    *,
    session: str = "",
) -> Response:
    """Sign somebody in: a new session, or a new id for the one that waited for its code; and know the browser."""
    now, length = ctx.now(), ctx.settings.session_length
    origin = origin_of(request, way)
    if session:
        started = sessions.renew(connection, session, now, stage="full", way=way, length=length)
        if started is None:
            raise SignInFirst
    else:
        started = sessions.start(connection, account_id, now, length, origin)
    device = sessions.know_device(connection, account_id, now, cookie(request, ctx.settings, "device"))
    accounts.signed_in(connection, account_id, now)
    one = accounts.get(connection, account_id)
    note(request, ctx, connection, f"user:{one.name}", "signin", f"account:{one.name}", {"way": way})
    answer = go(request, next)
    set_cookie(answer, ctx.settings, started.secret)
    set_cookie(answer, ctx.settings, device, name="device", seconds=DEVICE_SECONDS)
    clear_cookie(answer, ctx.settings, "signin")
    return answer


def origin_of(request: Request, way: str) -> sessions.Origin:
    return sessions.Origin(shown_address(request), request.headers.get("user-agent", ""), way)


def note(
    request: Request, ctx: WebContext, target: Any, who: str, action: audit.Act, object: str, detail: dict[str, Any]
) -> None:
    """A line of the audit about somebody who has no session yet."""
    origin = audit.Where(shown_address(request), request_id(request.scope))
    audit.note(target, who, action, object, detail, ctx.now(), where=origin)


def quoted(next: str) -> str:
    from urllib.parse import quote

    return quote(local_path(next[:2000]), safe="/")


# --- the second factor ---


def half_signed(request: Request, ctx: Context) -> Visitor:
    """A dependency: somebody whose password was right and whose code is still to come."""
    who = current(request, ctx)
    if who is None or who.session.stage != "code":
        raise SignInFirst
    return who


Half = Annotated[Visitor, Depends(half_signed)]


@router.get("/signin/code")
def show_code(request: Request, ctx: Context, half: Half, next: str = "/") -> Response:
    return code_page(request, half, next)


def code_page(request: Request, half: Visitor, next: str, refusal: Refusal | None = None) -> HTMLResponse:
    return render.page(
        request,
        "console/code.html",
        title=_("第二步验证"),
        status=200 if refusal is None else 429 if refusal.wait else 401,
        csrf_token=half.session.csrf,
        here="/signin/code",
        next=local_path(next[:2000]),
        fault=refusal.text if refusal else "",
    )


@router.post("/signin/code")
def check_code(
    request: Request, ctx: Context, half: Half, code: Text_ = "", csrf: Text_ = "", next: Text_ = "/"
) -> Response:
    check_origin(request, ctx.settings)
    if not hmac.compare_digest(csrf.encode("utf-8", "replace"), half.session.csrf.encode()):
        raise NotOurPage
    key = f"code:{half.account_id}"
    if wait := sessions.claim_attempt(ctx.db, {key: FREE_TRIES}, ctx.now()):
        return code_page(request, half, next, waiting(wait))
    with ctx.db.begin() as connection:
        way, closed = use_code(connection, ctx, half, code)
        if way:
            sessions.attempt_succeeded(connection, [key], [])
            return enter(request, ctx, connection, half.account_id, way, next, session=half.session.id)
    note(request, ctx, ctx.db, "anonymous", "signin.code_refused", f"account:{half.name}", {})
    if closed:
        log.error("request %s: a code cannot be checked, recovery codes can: %s", request_id(request.scope), closed)
        return code_page(request, half, next, Refusal(UNCHECKED))
    return code_page(request, half, next, Refusal(_("验证码不对，或已经用过。请等下一个验证码，或用一个恢复码。")))


def use_code(connection: Connection, ctx: WebContext, half: Visitor, code: str) -> tuple[str, str]:
    """("code" or "recovery" where it is right, it is used up then; why codes of the app cannot be checked, or "")."""
    closed = ""
    try:
        secret, last = second_factors.secret_of(ctx.db, connection, ctx.keys, half.account_id)
    except SealError as error:
        secret, last, closed = "", 0, str(error)
    step = totp_step(secret, code, ctx.now(), last) if secret else None
    if step is not None and accounts.use_step(connection, half.account_id, step):
        return "code", ""
    return "recovery" if accounts.use_recovery_code(connection, half.account_id, code) else "", closed


# --- the way out ---


@router.post("/signout")
def sign_out(request: Request, ctx: Context, who: Annotated[Visitor, Depends(visitor(unfinished=True))]) -> Response:
    with ctx.db.begin() as connection:
        sessions.end(connection, who.session.id)
        audit.note(connection, who, "signout", f"account:{who.name}", {}, ctx.now())
    answer = go(request, "/signin")
    clear_cookie(answer, ctx.settings)
    return answer
