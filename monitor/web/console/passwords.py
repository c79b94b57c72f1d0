"""Checking passwords that people type while they are signed in, and what is wrong with new ones, in words."""

from __future__ import annotations

from monitor.accounts import FREE_TRIES, LEAST, MOST, TooBusy, fits, password_fault
from monitor.rights import Visitor
from monitor.store import accounts, sessions
from monitor.web.console.i18n import Text, _
from monitor.web.context import WebContext


def new_password_fault(password: str, again: str, *names: str) -> Text | None:
    """Why a new password is refused, for the person; None where it is fine."""
    match password_fault(password, *names):
        case "":
            return None if password == again else _("两次输入的密码不一样。")
        case "short":
            return _("密码至少要有 %(n)s 个字符。可以用一句话，中文也行。", n=LEAST)
        case "long":
            return _("密码最多 %(n)s 个字符。", n=MOST)
        case "name":
            return _("密码不能由账号或系统的名称组成。")
        case "common":
            return _("这个密码太常见，别人最先会试。请换一句自己的话。")
        case _other:
            return _("密码里重复或连续的字符太多，请换一句自己的话。")


def own_password_fault(ctx: WebContext, who: Visitor, password: str) -> Text | None:
    """Why the visitor's own password, typed once more, does not count; None where it is right, or there is none."""
    with ctx.db.connect() as connection:
        stored = accounts.password_of(connection, who.account_id)
    if not stored:
        return None
    key = f"confirm:{who.account_id}"
    if wait := sessions.claim_attempt(ctx.db, {key: FREE_TRIES}, ctx.now()):
        return _("尝试次数过多，请在 %(n)s 秒后再试。", n=wait)
    try:
        if not fits(stored, password):
            return _("当前密码不对。")
    except TooBusy:
        return _("现在登录的人太多，请稍后再试。")
    with ctx.db.begin() as connection:
        sessions.attempt_succeeded(connection, [key], [])
    return None
