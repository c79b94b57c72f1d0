"""What the API takes and gives, as described in /openapi.json.

Times are ISO 8601 with the offset of the installation's zone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

EXAMPLE_TIME = "2026-03-02T00:00:00+08:00"


def printable(text: str) -> str:
    """Refuse control characters: they are never meant, and a database may not be able to keep them."""
    if any(ord(c) < 32 and c not in "\t\n\r" for c in text):
        raise ValueError("不能含有控制字符")
    return text


Name = Annotated[str, Field(max_length=500), AfterValidator(printable)]
LongText = Annotated[str, Field(max_length=2000), AfterValidator(printable)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


# --- problems -------------------------------------------------------------------------------------------------------


class FieldFault(Model):
    in_: str = Field(alias="in", description="哪一项，例如 query.limit、body.verdict")
    reason: str
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem details。"""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "urn:price-risk-monitor:problem:invalid",
                "title": "请求内容不符合要求",
                "status": 422,
                "detail": "query.limit：应 ≤ 1000",
                "request_id": "5f0c1b6f2d3e4a59",
                "errors": [{"in": "query.limit", "reason": "less_than_equal", "detail": "应 ≤ 1000"}],
            }
        },
    )

    type: str = Field(description="稳定的错误种类")
    title: str
    status: int
    detail: str = ""
    request_id: str = Field(description="与 X-Request-Id 响应头和日志中的编号相同")
    errors: list[FieldFault] = Field(default=[], description="逐项列出的错误（仅 422）")
    missing_scope: str = Field(default="", description="缺少的权限范围（仅 403）")


# --- observations ---------------------------------------------------------------------------------------------------


class ObservationIn(Model):
    """一条观测值。一个序列由 item、spec、unit、channel、point 共同确定。"""

    date: str = Field(description="ISO 日期或日期时间；没有时区时按本系统时区", examples=["2026-03-02"])
    item: str = Field(description="品种", examples=["大白菜"])
    point: str = Field(description="监测点", examples=["城东市场"])
    value: float | str = Field(
        description="数值；也接受报表里的写法：千分位、全角数字、元；区间不接受", examples=[1.25]
    )
    unit: str = Field(default="", examples=["元/500克"])
    area: str = Field(default="", description="区县", examples=["城东区"])
    spec: str = Field(default="", description="规格等级")
    channel: str = Field(default="", description="环节：批发、零售、网络 …")
    source: str = Field(default="", description="数据来源的名称")
    note: str = Field(default="")


class ObservationsIn(Model):
    observations: list[ObservationIn]


class RowAnswer(Model):
    index: int = Field(description="该行在请求中的位置，从 0 起")
    outcome: Literal["accepted", "duplicate", "revised", "rejected"] = Field(
        description="accepted 新值；revised 更正（旧值保留）；duplicate 已有同样的值；rejected 未收下"
    )
    line: int = Field(default=0, description="CSV 和 JSON lines：该行在正文中的行号，从 1 起")
    reason: str = Field(default="", description="拒绝原因的稳定代码")
    detail: str = Field(default="", description="错在哪里、怎样改")


class PushAnswer(Model):
    """每一行的处理结果，收到回答时已经永久保存。"""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "batch": 17,
                "accepted": 1,
                "duplicate": 0,
                "revised": 0,
                "rejected": 1,
                "rows": [
                    {"index": 0, "outcome": "accepted"},
                    {"index": 1, "outcome": "rejected", "reason": "no_value", "detail": "数值为空"},
                ],
            }
        },
    )

    batch: int = Field(description="本批的编号")
    accepted: int
    duplicate: int
    revised: int
    rejected: int
    rows: list[RowAnswer]


class PushProblem(Problem):
    """没有一行被收下：错误说明加上每一行的结果。"""

    batch: int
    accepted: int
    duplicate: int
    revised: int
    rejected: int
    rows: list[RowAnswer]


class ObservationOut(Model):
    series: int
    item: str
    spec: str
    unit: str
    channel: str
    point: str
    area: str
    source: str = Field(description="带来这个值的来源")
    date: datetime = Field(examples=[EXAMPLE_TIME])
    value: float
    revision: int = Field(description="从 1 起；最大的是现行值")
    batch: int
    received_at: datetime
    note: str
    marks: list[Literal["conflict", "data_error", "expected"]] = Field(
        description="conflict 同一批里有矛盾的值；data_error、expected 复核人员的判断"
    )


class ObservationPage(Model):
    observations: list[ObservationOut]
    next_cursor: str | None = Field(description="下一页的 cursor；没有下一页时为 null")


class SeriesOut(Model):
    id: int
    item: str
    spec: str
    unit: str
    channel: str
    point: str
    area: str
    source: str
    first_seen_at: datetime = Field(examples=[EXAMPLE_TIME])


class SeriesPage(Model):
    series: list[SeriesOut]
    next_cursor: str | None


# --- flags ----------------------------------------------------------------------------------------------------------

FlagState = Literal["open", "acknowledged", "reviewed", "over"]
FlagKind = Literal["move", "data", "silence"]
Direction = Literal["up", "down", ""]
Verdict = Literal["real_move", "data_error", "expected", "to_check"]


Number = float | Literal["inf", "-inf"] | None
"""A measured number; null where there is none. JSON has no infinity, so it is a word."""


class GradeOut(Model):
    rank: int = Field(description="从 1 起，越大越严重；0 表示没有等级")
    label: str
    colour: str


class ExitOut(Model):
    """终止响应的建议：是否终止由人决定。"""

    rule: str
    rule_version: str
    at: datetime = Field(description="自这一观测值起")
    reason: str


class FlagOut(Model):
    """一条异常提示：机器对一个品种、一个方向、一个区域的看法。"""

    id: str
    kind: FlagKind = Field(description="move 异常波动；data 疑似数据错误；silence 应报未报")
    state: FlagState
    grade: GradeOut
    item: str
    point: str
    points: list[str]
    area: str
    direction: Direction
    start: datetime = Field(examples=[EXAMPLE_TIME])
    first_flagged: datetime
    last_hit: datetime
    end: datetime | None
    end_reason: str
    exit: ExitOut | None = Field(description="终止响应的建议；其后又有异常即撤回")
    value: Number
    expected: Number
    threshold: Number
    peak: Number
    reason: str
    plan: str
    plan_version: str
    rule: str
    rule_version: str
    verdict: Verdict | Literal[""]
    acknowledged_at: datetime | None
    acknowledged_by: str
    revision: int = Field(description="复核时写在 If-Match 里，或写在正文的 revision 里")
    demo: bool = Field(description="演示数据")


class FlagPage(Model):
    flags: list[FlagOut]
    next_cursor: str | None


class ContributionOut(Model):
    """一个监测点在其中的部分。"""

    point: str
    area: str
    value: Number
    expected: Number
    change: Number = Field(description="比率，0.1 即 +10 %")
    carried: bool = Field(default=False, description="当日没有报送，均价中沿用其上次报价")


class EarlierOut(Model):
    """往年同日。"""

    years: int
    calendar: Literal["gregorian", "lunar"] = Field(description="gregorian 公历，lunar 农历")
    at: datetime
    value: Number
    change: Number = Field(description="由彼时至今的比率，0.1 即 +10 %")


class FindingOut(Model):
    """一条规则测得的证据。"""

    rule: str
    rule_version: str
    at: datetime
    direction: Direction
    value: Number
    expected: Number = Field(description="参照值（基线）")
    scale: Number = Field(description="常态波幅")
    score: Number
    threshold: Number
    unit: str = Field(description="score 与 threshold 的单位")
    window: str
    n_used: int = Field(description="参照值用了多少个观测值")
    reason: str
    contributions: list[ContributionOut]
    earlier: list[EarlierOut] = Field(description="近三年同日（公历、农历）；只随第一条证据给出")


class EvaluationOut(Model):
    """一次判定所依据的：据此可用 monitor explain --reproduce 原样重算。"""

    id: int
    at: datetime
    policy_version: str = Field(description="预案、规则包和目录的版本", examples=["3f2a91c07be4"])
    data_revision: str = Field(description="所见的最后一批数据和最后一次复核标记", examples=["17.3"])
    history_from: datetime = Field(description="此前的观测值没有参与判定")
    program: str


class SourceOut(Model):
    """规则的出处。"""

    title: str
    place: str
    year: str
    mark: str = Field(description="S 据原文；S2 据报道或转述；M-… 凭记忆；P 本项目建议")
    clause: str
    reference: str
    borrowed: bool = Field(description="外地的规则，在此仅供参考")


class RuleOut(Model):
    """判定时政策里的一条规则。"""

    rule: str
    title: str
    advice: str
    pack: str
    pack_title: str
    pack_version: str
    effect: str
    source: SourceOut


class LogEntry(Model):
    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]
    evaluation: EvaluationOut | None = Field(description="机器所做的：由哪次判定；人所做的为 null")


class FlagDetail(FlagOut):
    reviewer: str
    reviewed_at: datetime | None
    note: str
    raised_at: datetime
    reasoning: list[str] = Field(description="推理过程，一步一句")
    findings: list[FindingOut] = Field(description="证据")
    contributions: list[ContributionOut] = Field(description="各监测点，推动最大的在前")
    rules: list[RuleOut] = Field(description="所依据的规则及其出处，本提示的规则在前")
    evaluation: EvaluationOut | None = Field(description="现在这些内容由哪次判定得出；早于此项记录的为 null")
    log: list[LogEntry]


class ReviewIn(Model):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"verdict": "real_move", "note": "产地降雪，到货减少", "revision": 1}},
    )

    verdict: Verdict = Field(
        description="real_move 真实波动；data_error 数据错误；expected 属预期（节假日、政策）；to_check 待核实"
    )
    note: LongText = ""
    revision: int | None = Field(default=None, ge=1, le=2**31 - 1, description="复核时所见的版本号；也可用 If-Match")


class AlertOut(Model):
    id: int
    flags: list[str] = Field(description="这条通知涉及的异常提示")
    superseded: list[str] = Field(description="其中此后又升级的：须另行确认较新的通知")
    acknowledged_at: datetime
    acknowledged_by: str
    first: bool = Field(description="false：先前已确认过，这次没有改变什么")


# --- operations -----------------------------------------------------------------------------------------------------


class Health(Model):
    status: Literal["alive"]


class CheckOut(Model):
    name: str
    ok: bool
    needed: bool
    detail: str = Field(description="只给本机或持有 metrics:read 令牌的调用者")


class Readiness(Model):
    status: Literal["ready", "not ready"]
    checks: list[CheckOut]
