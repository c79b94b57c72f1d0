"""Finding the column names of a sheet: by mapping, by our own names, by the names that Chinese forms use.

Titles above the header are passed over, and names may stand in two rows (merged header cells).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from collectors.sheet_model import FIELDS, KEY_FIELDS, POINT_PREFIX, Header, SheetError
from collectors.sheet_values import CellError, clean_name, clip, parse_value

HEADER_ROWS = 40
"""How many rows from the top are searched for the column names."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "date": (
        "日期",
        "采价日期",
        "监测日期",
        "采集日期",
        "报价日期",
        "填报日期",
        "数据日期",
        "调查日期",
        "监测时间",
        "采价时间",
    ),
    "item": ("品种", "商品名称", "项目名称", "品名", "品种名称", "商品品种", "监测品种", "监测项目", "指标名称"),
    "point": ("监测点", "监测点名称", "采价点", "采价点名称", "价格监测点", "监测单位"),
    "value": (
        "价格",
        "本期价格",
        "均价",
        "本期均价",
        "平均价",
        "平均价格",
        "本日价格",
        "当日价格",
        "今日价格",
        "数值",
    ),
    "unit": ("单位", "计量单位", "价格单位"),
    "spec": ("规格", "规格等级", "规格型号"),
    "area": ("地区", "区县", "县区", "行政区", "行政区划", "所属地区", "县市区"),
    "channel": ("类型", "渠道", "价格类型", "流通环节", "销售渠道", "市场类型"),
    "source": ("来源", "数据来源", "信息来源"),
    "note": ("备注", "说明"),
}
"""Column names of the forms in use, taken where the sheet does not have our own name."""

WEAK: dict[str, tuple[str, ...]] = {
    "date": ("时间", "time", "datetime", "timestamp"),
    "item": ("名称", "商品", "项目", "指标"),
    "point": ("市场", "市场名称", "网点"),
    "value": ("本期", "报价", "单价", "本日", "今日", "price"),
    "spec": ("等级",),
    "area": ("区域",),
    "channel": ("环节",),
}
"""Names that count only where none of the clearer ones is there."""

IGNORABLE = re.compile(r"[\s、/·*:_|,]+")
TRAILING_BRACKET = re.compile(r"^(?P<name>.+?)\((?P<inside>[^()]*)\)$")


def bare(name: str) -> str:
    """A column name for comparing: NFKC, lower case, without spaces and marks."""
    return IGNORABLE.sub("", unicodedata.normalize("NFKC", name[:200]).lower())


HEADS = frozenset(bare(n) for names in (FIELDS, *SYNONYMS.values(), *WEAK.values()) for n in names)
"""All names that are column names and nothing else."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where our fields stand in a row of `width` cells.

    index     field -> column (0-based); `points` the (name, column) pairs of a wide table, empty for a plain one
    defaults  what is taken where a column or its cell is empty
    needed    a row must reach this far (cells), else its series, date or value cannot be told
    """

    names: tuple[str, ...]
    index: Mapping[str, int]
    points: tuple[tuple[str, int], ...]
    defaults: Mapping[str, str]
    needed: int = field(init=False)

    def __post_init__(self) -> None:
        counted = [c for f, c in self.index.items() if f in ("date", "value", *KEY_FIELDS[:5])]
        object.__setattr__(self, "needed", max([*counted, *(c for _, c in self.points)], default=0) + 1)

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def quotes(self) -> tuple[tuple[str | None, int], ...]:
        """(point name or None, value column) for every quote of a row."""
        return self.points or ((None, self.index["value"]),)

    def header(self, row: int) -> Header:
        used = {f: self.names[c] for f, c in self.index.items()}
        used |= {f"{POINT_PREFIX}{p}": self.names[c] for p, c in self.points}
        taken = {*self.index.values(), *(c for _, c in self.points)}
        ignored = tuple(name for i, name in enumerate(self.names) if name and i not in taken)
        return Header(row=row, columns=used, names=self.names, ignored=ignored)


class Matcher:
    """Finds our fields among column names, by a source's `columns` and `defaults`."""

    def __init__(self, columns: Mapping[str, str], defaults: Mapping[str, str], ignore: Collection[str] = ()) -> None:
        """`ignore` names columns that are not taken for any field unless `columns` names them.

        Raises SheetError('mapping') where the mapping itself cannot be right.
        """
        if problems := mapping_problems(columns, defaults):
            raise SheetError("mapping", "列映射有误：" + "; ".join(p.replace("|", ". ") for p in problems))
        self.columns = dict(columns)
        self.defaults = {f: v for f, v in defaults.items() if v}
        self.wide = any(f.startswith(POINT_PREFIX) for f in columns)
        self.ignored = {bare(name) for name in ignore} - {bare(name) for name in columns.values()}

    def with_date(self, date: str) -> Matcher:
        """The same for a sheet that names its date in its title."""
        made = Matcher(self.columns, {**self.defaults, "date": date})
        made.ignored = self.ignored
        return made

    def match(self, candidates: Sequence[Sequence[str]]) -> tuple[Layout | None, list[str]]:
        """Candidates are, per column, the names it may go by, the one to show first.

        Gives the layout, or None and the fields that are missing (a message in place of a field where it is
        ambiguous).
        """
        named = [[n for name in names if (n := bare(name)) not in self.ignored] for names in candidates]
        index: dict[str, int] = {}
        points: list[tuple[str, int]] = []
        missing: list[str] = []
        for wanted in (*FIELDS, *(f for f in self.columns if f.startswith(POINT_PREFIX))):
            found = self._find(wanted, named, candidates)
            if isinstance(found, str):
                missing.append(found)
            elif found is None:
                if self._required(wanted):
                    missing.append(wanted)
            elif wanted.startswith(POINT_PREFIX):
                points.append((wanted.removeprefix(POINT_PREFIX), found))
            else:
                index[wanted] = found
        if missing:
            return None, missing
        names = tuple(next((n for n in names if n), "") for names in candidates)
        defaults = dict(self.defaults)
        if "unit" not in index and "unit" not in defaults and not points:
            defaults |= next((u for name in candidates[index["value"]] if (u := unit_in_name(name))), {})
        return Layout(names, index, tuple(points), defaults), []

    def _required(self, wanted: str) -> bool:
        if wanted in self.defaults:
            return False
        if wanted in self.columns:  # what is mapped must be there: another column is never taken in its place
            return True
        return wanted in ("date", "item") or (wanted == "value" and not self.wide)

    def _find(self, wanted: str, named: list[list[str]], candidates: Sequence[Sequence[str]]) -> int | str | None:
        """The column of a field, None where it has none, or a message where several could be meant."""
        if wanted in self.columns:
            groups: tuple[tuple[str, ...], ...] = ((self.columns[wanted],),)
        elif self.wide and wanted in ("value", "point"):
            return None
        else:
            groups = ((wanted,), SYNONYMS[wanted], WEAK.get(wanted, ()))
        for group in groups:
            names = {bare(name) for name in group}
            hits = [i for i, column in enumerate(named) if names & set(column)]
            hits = hits or [i for i, column in enumerate(named) if names & {without_bracket(n) for n in column}]
            hits = [i for i in hits if not self._is_mapped_elsewhere(wanted, named[i])]
            if len(hits) > 1:
                shown = "、".join(f"第 {i + 1} 列“{clip(candidates[i][0])}”" for i in hits)
                return f"{wanted}（{shown}都可能是，请用列映射指定一列）"
            if hits:
                return hits[0]
        return None

    def _is_mapped_elsewhere(self, wanted: str, column: list[str]) -> bool:
        return any(f != wanted and wanted not in self.columns and bare(c) in column for f, c in self.columns.items())


def without_bracket(name: str) -> str:
    """价格(元/公斤) -> 价格"""
    found = TRAILING_BRACKET.match(name)
    return found["name"] if found else name


def unit_in_name(name: str) -> dict[str, str]:
    """The unit that a value column carries in its name, as a default: 价格（元/公斤）."""
    found = TRAILING_BRACKET.match(unicodedata.normalize("NFKC", name).strip())
    try:
        unit = clean_name(found["inside"].removeprefix("单位:")) if found else ""
    except CellError:
        unit = ""
    return {"unit": unit} if unit else {}


def mapping_problems(columns: Mapping[str, str], defaults: Mapping[str, str]) -> list[str]:
    """What is wrong with a source's `columns` and `defaults`, whatever sheet comes, each as `problem|remedy`."""
    known = f"Use some of {', '.join(FIELDS)}"
    problems = [
        f"columns: {f!r} is no column of an observation sheet|{known}, or {POINT_PREFIX}NAME for a wide table"
        for f in columns
        if f not in FIELDS and not f.startswith(POINT_PREFIX)
    ]
    problems += [
        f"columns: {f!r} names no monitoring point|Write {POINT_PREFIX}NAME"
        for f in columns
        if f.strip() == POINT_PREFIX
    ]
    problems += [
        f"columns: {f} has no column name|Write the name as it stands in the sheet's header"
        for f, name in columns.items()
        if not bare(name)
    ]
    problems += [f"defaults: {f!r} is no column of an observation sheet|{known}" for f in defaults if f not in FIELDS]
    if "value" in defaults:
        problems.append("defaults: a value cannot have a default|Remove it; rows without a value are rejected")
    if any(f.startswith(POINT_PREFIX) for f in columns) and {"value", "point"} & columns.keys():
        problems.append(f"columns: {POINT_PREFIX}NAME does not go with value or point|Keep one way")
    seen: dict[str, str] = {}
    for f, name in columns.items():
        if bare(name) and (other := seen.setdefault(bare(name), f)) != f:
            problems.append(f"columns: {other} and {f} name the same column {name!r}|Correct one of them")
    return problems


def find_header(rows: Sequence[Sequence[str]], matcher: Matcher) -> tuple[int, Layout] | None:
    """(index of the last header row, layout) in the first rows of a sheet, or None.

    Forms that give one date for the whole sheet in their title (监测日期：2020年9月1日) need no date column.
    """
    found = find_names(rows, matcher)
    if found is None and "date" not in matcher.columns and (date := title_date(rows)):
        found = find_names(rows, matcher.with_date(date))
    return found


TITLE_DATE = re.compile(
    r"(?:监测|采价|采集|调查|报价|数据)(?:日期|时间)\s*:?\s*([0-9]{4}\s*[-/.年]\s*[0-9]{1,2}\s*[-/.月]\s*[0-9]{1,2})(?![0-9])"
)


def title_date(rows: Sequence[Sequence[str]]) -> str:
    """The date that a title names as that of the prices, empty where there is none or more than one.

    填报日期 and the like, the day on which the form was filled in, are not meant.
    """
    text = "\n".join(unicodedata.normalize("NFKC", " ".join(cell[:200] for cell in row)) for row in rows)
    found = {re.sub(r"\s", "", date) for date in TITLE_DATE.findall(text)}
    return found.pop() if len(found) == 1 else ""


def find_names(rows: Sequence[Sequence[str]], matcher: Matcher) -> tuple[int, Layout] | None:
    alone = [matcher.match([[name] for name in row])[0] for row in rows]
    for i, row in enumerate(rows):
        below, layout = rows[i + 1] if i + 1 < len(rows) else (), alone[i]
        if layout is not None and not is_second_row(layout, row, below):
            return i, layout
        if below and (alone[i + 1] is None or has_sub_columns(row, below)):
            both, _ = matcher.match(combine(row, below))
            if both is not None and (layout is not None or not looks_like_data(both, below)):
                return i + 1, both
        if layout is not None and not has_sub_columns(row, below):
            return i, layout
    return None


def is_second_row(layout: Layout, upper: Sequence[str], row: Sequence[str]) -> bool:
    """Whether the row under the header belongs to it: names beside each other under one name (名称, 规格 under 品种),
    or other words where the values stand and nothing else. Anything else is a row to be told of."""
    cells = [*row, *[""] * (layout.width - len(row))]
    firsts = [bare(cells[layout.index[f]]) for f in ("date", "item") if f in layout.index]
    if any(first and first not in HEADS for first in firsts):
        return False
    quotes = {c for _, c in layout.quotes}
    if any(cells[c].strip() and is_value(cells[c]) for c in quotes):
        return False
    named = [c for c, cell in enumerate(cells) if bare(cell) and bare(cell) != bare("".join(upper[c : c + 1]))]
    return has_sub_columns(upper, row) or (bool(named) and quotes.issuperset(named) and not any(firsts))


def has_sub_columns(upper: Sequence[str], lower: Sequence[str]) -> bool:
    """Whether names of the lower row stand beside each other under one of the upper row (a merged cell), which has
    column names of its own: it is no title."""
    if not any(bare(name) in HEADS for name in upper):
        return False
    above = [name.strip() for name in upper]  # a cell beyond them is one too many, not a name
    return any(
        lower[i].strip() and lower[i - 1].strip() and above[i] in ("", above[i - 1]) and any(above[:i])
        for i in range(1, min(len(lower), len(above)))
    )


def name_rows(rows: Sequence[Sequence[str]]) -> Iterator[tuple[int, list[list[str]]]]:
    """(index of the last row, the names each column may go by) of what could be column names: rows alone, and two
    that belong together (words under merged cells)."""
    for i, row in enumerate(rows):
        if not any(cell.strip() for cell in row):
            continue
        below = rows[i + 1] if i + 1 < len(rows) else ()
        if has_sub_columns(row, below) and not any(cell.strip() and is_value(cell) for cell in below):
            yield i + 1, combine(row, below)
        else:
            yield i, [[name] for name in row]


def looks_like_data(layout: Layout, row: Sequence[str]) -> bool:
    cells = [*row, *[""] * (layout.width - len(row))]
    return any(cells[c].strip() and is_value(cells[c]) for _, c in layout.quotes)


def is_value(text: str) -> bool:
    try:
        parse_value(text, "%")
    except CellError as error:
        return bool(text.strip()) and error.reason in ("no_value", "range")
    return True


def combine(upper: Sequence[str], lower: Sequence[str]) -> list[list[str]]:
    """The names that each column may go by where the header stands in two rows.

    A column with a lower name goes by it alone or together with the upper one (价格 over 本期: 本期价格), and is
    shown as both (价格 本期), so that two with the same lower name can be told apart; a merged upper cell has its
    text in the first column only, so it is carried to the right over lower names. A title over all is no name.
    """
    width = max(len(upper), len(lower))
    columns: list[list[str]] = []
    carried = ""
    title = sum(bool(cell.strip()) for cell in upper) < 2
    for i in range(width):
        top = upper[i].strip() if i < len(upper) else ""
        bottom = lower[i].strip() if i < len(lower) else ""
        carried = top or (carried if bottom else "")
        shown = bottom if title or carried in ("", bottom) else f"{carried} {bottom}"
        columns.append([shown, bottom, f"{bottom}{carried}", f"{carried}{bottom}"] if bottom else [top])
    return columns


def header_error(rows: Sequence[Sequence[str]], matcher: Matcher) -> SheetError:
    """Why no header was found: the columns there are, which are missing, and how to map them."""
    best: tuple[int, Sequence[str], list[str]] | None = None
    for _, candidates in name_rows(rows):
        _, missing = matcher.match(candidates)
        if best is None or len(missing) < best[0]:
            best = (len(missing), [names[0] for names in candidates], missing)
    if best is None:
        return SheetError("empty", "表中没有任何内容；请核对文件")
    found = "、".join(f"“{clip(c, 20)}”" for c in best[1][:40] if c.strip())
    lacking = "、".join(
        f"{f}（{matcher.columns.get(f) or SYNONYMS[f][0]}）"
        if f in SYNONYMS
        else f.replace(POINT_PREFIX, "监测点列 ")
        for f in best[2]
    )
    return SheetError(
        "header",
        f"前 {HEADER_ROWS} 行中没有找到完整的表头。最接近的一行有这些列：{found}；缺少：{lacking}。"
        "请在首行写上列名 date,item,point,value（或 日期、品种、监测点、价格），"
        '或在该来源的配置中用 columns 指定，例如 columns = { value = "本期均价" }',
    )
