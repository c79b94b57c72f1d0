"""Single cells of an observation sheet: names, dates and values as people write them.

Every function here is pure. A cell that cannot be read raises `CellError` with a stable reason and, for the person
who filled in the sheet, what is wrong and how to mend it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone, tzinfo

MAX_NAME = 500  # characters of an item, point, unit, … name
MAX_NOTE = 2000  # characters of a note; longer ones are cut, ending in …
MIN_YEAR, MAX_YEAR = 1900, 2100

PLACEHOLDERS = frozenset(
    (
        "",
        *("无", "暂无", "没有", "缺", "缺货", "缺报", "未报", "未采", "未采价", "停售", "无货", "无价", "无报价"),
        *("/", "//", "\\", "-", "--", "---", "----", "–", "——", "—", "―", "_", ".", "...", "…", "……", "*", "·"),
        *("n/a", "na", "null", "none", "nil"),
    )
)
"""What stands in a cell to say that there is nothing (NFKC, lower case, without spaces)."""

FORMULA_START = tuple("=+-@")


class CellError(Exception):
    """One cell that cannot be read: `reason` is a stable code, the message says what and how to mend it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def clip(text: str, size: int = 40) -> str:
    """`text` for a message: on one line, shortened."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * size]).split())
    return flat if len(flat) <= size else flat[: size - 1] + "…"


def check_text(text: str) -> None:
    if "\ufffd" in text:
        raise CellError("encoding", f"“{clip(text)}”中有无法识别的字符；请将文件另存为 UTF-8 编码后重新报送")


def fold(text: str) -> str:
    """NFKC form without control and invisible characters, runs of any white space as one space, trimmed."""
    text = unicodedata.normalize("NFKC", text)
    if not text.isprintable():
        text = "".join(
            " " if (kind := unicodedata.category(c)) == "Cc" else "" if kind in HIDDEN else c for c in text
        )
    return " ".join(text.split())


HIDDEN = ("Cf", "Cs")  # zero-width and direction marks, half surrogates


def is_placeholder(folded: str) -> bool:
    return folded.replace(" ", "").lower() in PLACEHOLDERS


def clean_name(text: str) -> str:
    """An item, point, unit or spec name as it is compared and stored; empty for placeholders such as / and 无."""
    check_text(text)
    if len(text) > 4 * MAX_NAME:
        raise CellError("too_long", f"“{clip(text)}”超过 {MAX_NAME} 个字符；请改短名称，说明写入备注列")
    name = fold(text)
    if name[:1] == "'" and name.lstrip("' ").startswith(FORMULA_START):
        name = name.lstrip("' ")  # our own reject report puts the apostrophe there, for spreadsheet programs
    if len(name) > MAX_NAME:
        raise CellError("too_long", f"“{clip(name)}”超过 {MAX_NAME} 个字符；请改短名称，说明写入备注列")
    return "" if is_placeholder(name) else name


def clean_note(text: str) -> str:
    """A note on one line, without control characters, at most MAX_NOTE characters; empty for placeholders."""
    kept = "".join(
        c if c.isprintable() else " " for c in text[: 2 * MAX_NOTE] if unicodedata.category(c) not in HIDDEN
    )
    note = " ".join(kept.split())
    if len(note) > MAX_NOTE:
        note = note[: MAX_NOTE - 1] + "…"
    return "" if is_placeholder(fold(note)) else note


# --- dates ---------------------------------------------------------------------------------------------------------

WEEKDAY = r"(?:\s*\(?(?:星期|周|礼拜)[一二三四五六日天]\)?)?"
CLOCK = (
    r"(?:(?:\s*T\s*|\s+|(?<=日))(?P<h>[0-9]{1,2})(?:[:时点](?P<mi>[0-9]{1,2})(?:[:分](?P<s>[0-9]{1,2})(?:[.,][0-9]+)?秒?"
    r"|分)?|[时点]整?)\s*(?P<zone>Z|z|UTC|[+-][0-9]{2}:?(?:[0-9]{2})?)?)?"
)
DATE = re.compile(
    r"(?P<y>[0-9]{4})(?:\s*(?P<sep>[-/.])\s*(?P<m>[0-9]{1,2})\s*(?P=sep)\s*(?P<d>[0-9]{1,2})"
    r"|\s*年\s*(?P<m2>[0-9]{1,2})\s*月\s*(?P<d2>[0-9]{1,2})\s*[日号]?"
    r"|(?P<m3>[0-9]{2})(?P<d3>[0-9]{2}))" + WEEKDAY + CLOCK + WEEKDAY
)
SERIAL = re.compile(r"[0-9]{5}(?:\.[0-9]+)?")
SERIAL_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001  a spreadsheet's own day 0; the zone is added below
SERIAL_MAX = 73415  # 2100-12-31
REMEDY_DATE = "请写成 2024-05-01、2024/5/1、2024年5月1日 或 20240501，时刻写在其后，如 2024-05-01 08:30"


def parse_date(text: str, zone: tzinfo) -> int:
    """Epoch seconds of a date or date-time; without an offset it is local time in `zone`, a bare date its midnight.

    Raises CellError: no_date, date, date_range, encoding.
    """
    check_text(text)
    if len(text) > 100:
        raise CellError("date", f"日期“{clip(text)}”过长，无法识别；{REMEDY_DATE}")
    folded = fold(text).lstrip("'")
    if is_placeholder(folded):
        raise CellError("no_date", f"没有日期；{REMEDY_DATE}")
    if SERIAL.fullmatch(folded):
        moment = serial_date(folded)
    elif (found := DATE.fullmatch(folded)) is not None:
        moment = calendar_date(found, folded)
    else:
        raise CellError("date", f"日期“{clip(folded)}”无法识别；{REMEDY_DATE}")
    if not MIN_YEAR <= moment.year <= MAX_YEAR:
        raise CellError("date_range", f"日期“{clip(folded)}”不在 {MIN_YEAR} 至 {MAX_YEAR} 年之间；请核对年份")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return math.floor(moment.timestamp())


def serial_date(text: str) -> datetime:
    """A spreadsheet's day number (45413 = 2024-05-01), its fraction rounded to the second."""
    number = float(text)
    if number >= SERIAL_MAX + 1:
        raise CellError("date_range", f"日期序号“{text}”不在 {MIN_YEAR} 至 {MAX_YEAR} 年之间；{REMEDY_DATE}")
    return SERIAL_ZERO + timedelta(seconds=round(number * 86400))


def calendar_date(found: re.Match[str], text: str) -> datetime:
    part = found.groupdict()
    month, day = part["m"] or part["m2"] or part["m3"], part["d"] or part["d2"] or part["d3"]
    try:
        moment = datetime(  # noqa: DTZ001  the zone is put on below or by the caller
            int(part["y"]), int(month), int(day), int(part["h"] or 0), int(part["mi"] or 0), int(part["s"] or 0)
        )
        return moment.replace(tzinfo=offset(part["zone"])) if part["zone"] else moment
    except ValueError as error:
        raise CellError("date", f"日期“{clip(text)}”不存在；请核对年月日和时刻") from error


def offset(text: str) -> timezone:
    """'Z', 'UTC', '+08:00', '+0800', '+08' as a zone. Raises ValueError for impossible ones."""
    if text.upper() in ("Z", "UTC"):
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 14 or minutes > 59:
        raise ValueError("no such offset")
    away = timedelta(hours=hours, minutes=minutes)
    return timezone(-away if text[0] == "-" else away)


# --- values --------------------------------------------------------------------------------------------------------

NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?"
MONEY = r"(?:¥|RMB|CNY|人民币)"
VALUE = re.compile(
    rf"(?P<sign>[+-]?)\s*{MONEY}?\s*(?P<sign2>[+-]?)\s*(?P<number>{NUMBER})(?P<tail>.*)", re.DOTALL | re.IGNORECASE
)
RANGE = re.compile(
    rf"{MONEY}?\s*(?:{NUMBER})\s*(?:元|块)?\s*(?:[-~–—―〜]+|至|到)\s*{MONEY}?\s*(?:{NUMBER})(?![0-9.,]*[-/.])",
    re.IGNORECASE,
)
BARE_MONEY = re.compile(r"\s*(?:元|圆|块|块钱|元整|RMB|CNY)(?=$|[\s(;\[【])", re.IGNORECASE)
UNIT_LIKE = re.compile(
    r"(?:元|圆|块|角|分|万|亿|千|百|十|美元|港元|usd|hkd|eur|/|%|‰|k?g\b|克|公斤|斤|两|吨|t\b|m?l\b|升|个|盒|桶|袋|件|只|点|度)",
    re.IGNORECASE,
)
UNIT_INSIDE = re.compile(r"(?:元|圆|万|亿|美元|港元|usd|/|%|‰)|.*元/", re.IGNORECASE)
BRACKETS = {"(": ")", "[": "]", "【": "】"}
PERCENT_UNITS = frozenset(["%", "percent", "pct", "百分比", "百分之"])
DASHES = str.maketrans({"−": "-", "﹣": "-"})


def plain_number(text: str) -> float | None:
    """What `float` makes of the cell, or None where it cannot; the fast readers take exactly these (if finite)."""
    if "_" in text:  # Python's own digit grouping, which no sheet means
        return None
    try:
        return float(text)
    except ValueError:
        return None


def parse_value(text: str, unit: str) -> tuple[float, str]:
    """The number of a value cell in a row with that `unit` (cleaned), and a note that stood behind the number.

    Negative values and zero are numbers like any other: the data gate judges them. Raises CellError: no_value, range,
    not_a_number, not_finite, percent, unit, cell_error, encoding.
    """
    number = plain_number(text)
    if number is not None:
        return finite(number, text), ""
    check_text(text)
    if len(text) > MAX_NOTE:
        raise CellError("not_a_number", f"“{clip(text)}”不是数字；价格列只填一个数，说明写入备注列")
    folded = fold(text).translate(DASHES)
    if folded[:1] == "'":
        folded = folded[1:].strip()
    if is_placeholder(folded):
        shown = f"（“{clip(text)}”）" if folded else ""
        raise CellError("no_value", f"没有报价{shown}；如有价格请补填，确无报价则无需处理")
    if folded.startswith("#"):
        raise CellError("cell_error", f"单元格是公式错误 {clip(folded)}；请改正公式，或直接填数")
    if RANGE.match(folded):
        raise CellError("range", f"“{clip(folded)}”是一个区间；价格列只填一个数（如代表价或均价），区间写入备注列")
    found = VALUE.fullmatch(folded)
    if found is None or (found["sign"] and found["sign2"]):
        raise CellError("not_a_number", f"“{clip(folded)}”不是数字；价格列只填一个数，说明写入备注列")
    number = finite(float(found["sign"] + found["sign2"] + found["number"].replace(",", "")), folded)
    return number, read_tail(found["tail"], folded, unit)


def finite(number: float, text: str) -> float:
    if not math.isfinite(number):
        raise CellError("not_finite", f"“{clip(text)}”不是有限的数；请填实际数值")
    return number


def squash(text: str) -> str:
    return text.replace(" ", "").lower()


def read_tail(tail: str, whole: str, unit: str) -> str:
    """What stands behind the number: nothing, the currency, the row's own unit, or a note, which is returned.

    Anything that could change the meaning of the number (another unit, 万, a second number) raises CellError.
    """
    own = squash(unit)
    if not tail.strip() or (own and squash(tail) in (own, own.removeprefix("元"))):
        return ""
    if squash(tail) == "%":
        if own in PERCENT_UNITS:
            return ""
        raise CellError("percent", f"“{clip(whole)}”带百分号，而单位列不是 %；请将单位列填为 %，或去掉百分号")
    rest = BARE_MONEY.sub("", tail, count=1)
    if not rest.strip():
        return ""
    inner = bracketed(rest.strip())
    if inner is not None:
        if UNIT_INSIDE.match(inner) and squash(inner) != own:
            raise unit_error(whole, unit)
        return clean_note(inner)
    if UNIT_LIKE.match(rest.strip()):
        raise unit_error(whole, unit)
    if not rest[:1].isspace() and rest[:1] != ";":
        raise CellError("not_a_number", f"“{clip(whole)}”不是数字；价格列只填一个数，说明写入备注列")
    if any(c.isdigit() for c in rest):
        raise CellError("not_a_number", f"“{clip(whole)}”中不止一个数；价格列只填一个数，说明写入备注列")
    return clean_note(rest.strip(" ;"))


def bracketed(text: str) -> str | None:
    """The inside of `text` where it is one bracket from beginning to end."""
    close = BRACKETS.get(text[:1])
    if close is None or not text.endswith(close) or close in text[1:-1]:
        return None
    return text[1:-1].strip()


def unit_error(whole: str, unit: str) -> CellError:
    shown = f"单位列“{clip(unit)}”" if unit else "（空的）单位列"
    return CellError("unit", f"“{clip(whole)}”中的单位与{shown}不一致；价格列只填数字，单位写入单位列")
