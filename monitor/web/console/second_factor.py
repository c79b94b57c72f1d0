"""/profile/second-factor: a code of an authenticator app at every sign-in (TOTP, RFC 6238), and recovery codes.

A secret that is being set up is only in memory until its first code was typed: who starts anew sees another one.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from monitor.accounts import FREE_TRIES, new_recovery_codes, new_totp_secret, totp_step, totp_uri
from monitor.rights import Visitor
from monitor.sealing import SealError
from monitor.store import accounts, audit, second_factors, sessions
from monitor.web.console import render
from monitor.web.console.i18n import Text, _
from monitor.web.console.passwords import own_password_fault
from monitor.web.console.profile import renew_into, renewed
from monitor.web.console.visit import go, visitor
from monitor.web.context import WebContext
from monitor.web.problem import request_id
from monitor.web.security import Context
from monitor.web.signed import state

log = logging.getLogger("monitor.web")
router = APIRouter(include_in_schema=False)
Unfinished = Annotated[Visitor, Depends(visitor(unfinished=True))]
Field = Annotated[str, Form()]
PATH = "/profile/second-factor"


@router.get(PATH)
def show(request: Request, ctx: Context, who: Unfinished) -> Response:
    return overview(request, ctx, who)


def overview(request: Request, ctx: WebContext, who: Visitor, fault: Text | None = None) -> HTMLResponse:
    one = accounts.by_id(ctx.db, who.account_id)
    return render.page(
        request,
        "console/second_factor.html",
        visitor=who,
        title=_("第二步验证"),
        status=422 if fault else 200,
        account=one,
        must=who.needs == "second_factor",
        codes_left=accounts.recovery_codes_left(ctx.db, who.account_id),
        fault=fault,
    )


@router.post(PATH)
def begin(request: Request, ctx: Context, who: Unfinished, password: Field = "") -> Response:
    """Show a new secret, once. Not where there is one already: that is taken away first."""
    if accounts.by_id(ctx.db, who.account_id).has_totp:
        return go(request, PATH)
    if fault := own_password_fault(ctx, who, password):
        return overview(request, ctx, who, fault)
    secret = new_totp_secret()
    state(request).pending.put(who.session.id, secret)
    return setup_page(request, ctx, who, secret)


def setup_page(
    request: Request, ctx: WebContext, who: Visitor, secret: str, fault: Text | None = None
) -> HTMLResponse:
    return render.page(
        request,
        "console/second_factor_setup.html",
        visitor=who,
        title=_("设置第二步验证"),
        status=422 if fault else 200,
        qr=qr_code(totp_uri(secret, who.name, ctx.installation)),
        secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
        fault=fault,
    )


def qr_code(text: str) -> Markup:
    """A QR code as an SVG element, without any inline style."""
    import segno

    made = segno.make(text, error="m")
    drawn = made.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None)
    return Markup(drawn)  # noqa: S704  made by segno of modules only; the text is not in it


@router.post(PATH + "/confirm")
def confirm(request: Request, ctx: Context, who: Unfinished, code: Field = "") -> Response:
    """The first code: from now on one is asked for. Shows the recovery codes, once."""
    secret = state(request).pending.get(who.session.id)
    if not secret:
        return go(request, PATH)
    key = f"confirm:{who.account_id}"
    if wait := sessions.claim_attempt(ctx.db, {key: FREE_TRIES}, ctx.now()):
        return setup_page(request, ctx, who, secret, _("尝试次数过多，请在 %(n)s 秒后再试。", n=wait))
    step = totp_step(secret, code, ctx.now(), 0)
    if step is None:
        return setup_page(
            request, ctx, who, secret, _("验证码不对。请检查手机的时间，输入应用上现在显示的 6 位数字。")
        )
    codes = new_recovery_codes()
    try:
        answer, started = begun(ctx, who, secret, step, key, codes)
    except SealError as error:
        log.error("request %s: no second factor can be set up: %s", request_id(request.scope), error)
        text = _("现在不能设置第二步验证：服务器缺少密钥，请联系技术值班人员。")
        return setup_page(request, ctx, who, secret, text)
    state(request).pending.forget(who.session.id)
    return with_cookies(codes_page(request, who, codes, started.csrf), answer)


def begun(
    ctx: WebContext, who: Visitor, secret: str, step: int, key: str, codes: list[str]
) -> tuple[Response, sessions.Started]:
    """Store the second factor; the session goes on as another one. Raises SealError."""
    with ctx.db.begin() as connection:
        second_factors.keep(ctx.db, connection, ctx.keys, who.account_id, secret, step, codes)
        sessions.attempt_succeeded(connection, [key], [])
        audit.note(connection, who, "second_factor.set", f"account:{who.name}", {}, ctx.now())
        answer = Response()
        return answer, renew_into(answer, ctx, connection, who)


@router.post(PATH + "/codes")
def new_codes(request: Request, ctx: Context, who: Unfinished, password: Field = "") -> Response:
    """New recovery codes in the place of the old ones; shown once."""
    if not accounts.by_id(ctx.db, who.account_id).has_totp:
        return go(request, PATH)
    if fault := own_password_fault(ctx, who, password):
        return overview(request, ctx, who, fault)
    codes = new_recovery_codes()
    with ctx.db.begin() as connection:
        accounts.set_recovery_codes(connection, who.account_id, codes)
        audit.note(connection, who, "recovery_codes.made", f"account:{who.name}", {}, ctx.now())
    return codes_page(request, who, codes, who.session.csrf)


@router.post(PATH + "/remove")
def remove(request: Request, ctx: Context, who: Unfinished, password: Field = "") -> Response:
    if fault := own_password_fault(ctx, who, password):
        return overview(request, ctx, who, fault)
    with ctx.db.begin() as connection:
        accounts.reset_totp(connection, who.account_id)
        audit.note(connection, who, "second_factor.removed", f"account:{who.name}", {}, ctx.now())
        return renewed(request, ctx, connection, who, PATH, _("已取消第二步验证。"))


def codes_page(request: Request, who: Visitor, codes: list[str], csrf: str) -> HTMLResponse:
    return render.page(
        request, "console/recovery_codes.html", visitor=who, title=_("恢复码"), codes=codes, csrf_token=csrf
    )


def with_cookies(page: HTMLResponse, other: Response) -> HTMLResponse:
    """The page, with the cookies of another answer."""
    for value in other.headers.getlist("set-cookie"):
        page.headers.append("set-cookie", value)
    return page
