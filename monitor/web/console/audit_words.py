"""The audit in plain words: what was done, by whom, to what, with which particulars. Codes stand beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monitor.store.audit import Act
from monitor.web.console.colleagues import Colleagues
from monitor.web.console.i18n import Text, _, word
from monitor.web.console.queue_filters import Filters, chips
from monitor.web.flag_words import VERDICTS

GROUPS: tuple[tuple[Text, Mapping[Act, Text]], ...] = (
    (_("查看"), {"view": _("已查看"), "download": _("下载")}),
    (
        _("复核"),
        {
            "flag.review": _("复核提示"),
            "flag.undo": _("撤销复核结论"),
            "flag.assign": _("分派提示"),
            "flag.note": _("追加备注"),
            "point.ask": _("要求监测点核实"),
            "question.answer": _("监测点答复"),
            "observation.correct": _("更正数值"),
        },
    ),
    (
        _("报送与登记"),
        {
            "entry.report": _("填报价格"),
            "entry.upload": _("上传价格表"),
            "entry.commit": _("提交表格"),
            "entry.discard": _("删除上传的表格"),
            "entry.complaints": _("登记投诉举报件数"),
            "patrol.add": _("登记巡查"),
            "patrol.withdraw": _("撤回巡查记录"),
            "record.decide": _("登记决定或现象"),
            "record.end": _("登记解除决定或现象"),
            "duty.add": _("新增报送任务"),
            "duty.change": _("修改报送任务"),
            "duty.end": _("终止报送任务"),
        },
    ),
    (
        _("报告"),
        {
            "make": _("生成一份报告"),
            "edit": _("修改报告"),
            "redraw": _("按最新数据重新生成报告"),
            "sign": _("签发一份报告"),
            "reopen": _("撤回报告的签发"),
        },
    ),
    (
        _("登录"),
        {
            "signin": _("登录成功"),
            "signin.refused": _("登录失败"),
            "signin.code_refused": _("验证码不对"),
            "signin.oidc_refused": _("统一认证登录被拒"),
            "signout": _("退出登录"),
            "password.changed": _("修改本人密码"),
            "second_factor.set": _("启用第二步验证"),
            "second_factor.removed": _("停用第二步验证"),
            "recovery_codes.made": _("生成恢复码"),
            "sessions.ended": _("结束本人的登录"),
        },
    ),
    (
        _("账号与权限"),
        {
            "account.made": _("新建账号"),
            "account.roles": _("修改账号的角色"),
            "account.facts": _("修改账号资料"),
            "account.on": _("启用账号"),
            "account.off": _("停用账号"),
            "account.unlocked": _("解除登录限制"),
            "account.password_reset": _("重置密码"),
            "account.second_factor_reset": _("清除第二步验证"),
            "account.sessions_ended": _("结束账号的登录"),
            "role.changed": _("修改角色的权限"),
            "token.made": _("发放访问令牌"),
            "token.revoked": _("吊销访问令牌"),
        },
    ),
)
ACTIONS: Mapping[str, Text] = {code: shown for _group, acts in GROUPS for code, shown in acts.items()}

OBJECTS: Mapping[str, Text] = {
    "queue": _("复核队列"),
    "flag": _("提示"),
    "series": _("数值序列"),
    "item": _("品种页面"),
    "items": _("品种一览"),
    "wall": _("总览"),
    "point": _("监测点"),
    "upload": _("上传的表格"),
    "reports-due": _("报送情况"),
    "duties": _("全部报送任务"),
    "duty": _("一项报送任务"),
    "records": _("登记"),
    "record": _("决定或现象"),
    "complaints": _("投诉举报件数"),
    "patrols": _("全部巡查记录"),
    "patrol": _("巡查记录"),
    "report": _("报告文件"),
    "account": _("人员账号"),
    "role": _("权限角色"),
    "token": _("接口令牌"),
    "health": _("运行状况"),
    "audit": _("审计记录"),
}
"""what stands before the colon of an object, or is all of it"""

PARTICULARS: Mapping[str, Text] = {
    "verdict": _("结论"),
    "note": _("备注"),
    "to": _("分派给"),
    "filters": _("筛选"),
    "point": _("监测点"),
    "points": _("监测点"),
    "text": _("内容"),
    "series": _("数值序列"),
    "at": _("时间"),
    "value": _("数值"),
    "question": _("核实编号"),
    "day": _("日期"),
    "days": _("有效天数"),
    "batch": _("批次"),
    "rows": _("行数"),
    "rejected": _("未接收行数"),
    "name": _("名称"),
    "bytes": _("字节"),
    "state": _("状态"),
    "kind": _("类别"),
    "area": _("地区"),
    "areas": _("地区"),
    "record": _("登记编号"),
    "measure": _("措施"),
    "issuer": _("发布机关"),
    "document": _("文号"),
    "end": _("解除日期"),
    "way": _("登录方式"),
    "known_browser": _("已知的浏览器"),
    "roles": _("角色"),
    "shown": _("显示名"),
    "oidc_name": _("统一认证名"),
    "scopes": _("权限范围"),
    "before": _("原来"),
    "after": _("改为"),
    "revision": _("版本"),
    "actor": _("人员"),
    "action": _("动作"),
    "object": _("对象"),
    "since": _("起"),
    "until": _("止"),
}
WAYS = {
    "password": _("密码"),
    "code": _("验证码"),
    "recovery": _("恢复码"),
    "oidc": _("统一认证"),
    "oidc+": _("统一认证（含第二步验证）"),
}
PROGRAMS = {
    "system": _("系统"),
    "monitor": _("系统"),
    "anonymous": _("未登录"),
    "oidc": _("统一认证"),
    "cli": _("命令行"),
}


def action_words(code: str) -> str:
    """What was done; "" for a code that is not known any more."""
    return str(ACTIONS.get(code, ""))


def actor_words(actor: str, everybody: Colleagues) -> str:
    """Who: 监测员甲 (of user:jia), 命令行 root, 访问令牌 门户, 系统."""
    if actor in everybody.names:
        return everybody.names[actor]
    kind, colon, which = actor.partition(":")
    if kind == "token":
        return f"{OBJECTS['token']} {which}"
    if kind in PROGRAMS:
        return f"{PROGRAMS[kind]} {which}" if colon else str(PROGRAMS[kind])
    return which or actor


def object_words(object: str) -> tuple[str, str]:
    """What it was done to: the kind in words, "" where it is not known, and which one."""
    kind, _colon, which = object.partition(":")
    if kind not in OBJECTS:
        return "", object
    return str(OBJECTS[kind]), "" if which == "*" else which


def particulars(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The particulars with their names in words."""
    return [(str(PARTICULARS.get(key, key)), value_words(key, value)) for key, value in detail.items() if value != ""]


def value_words(key: str, value: Any) -> str:
    if key == "verdict":
        return word(VERDICTS.get(str(value), str(value)))
    if key == "way":
        return str(WAYS.get(str(value), value))
    if key == "filters":
        asked = chips(Filters.of_query(str(value)), {})
        return str(_("，")).join(f"{label} {shown}" for label, shown, _rest in asked) or str(_("无"))
    if isinstance(value, bool):
        return str(_("是") if value else _("否"))
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return str(_("、")).join(value) or "—"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
