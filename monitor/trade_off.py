"""The picture of a rule's history: what it finds against the load that it makes, beside the rule of one line.

matplotlib is imported when a picture is drawn and at no other time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

FAMILIES = (
    *("Noto Sans CJK SC", "Source Han Sans SC", "Source Han Sans CN", "Microsoft YaHei", "PingFang SC", "SimHei"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans SC", "Noto Serif CJK SC", "SimSun", "Noto Sans CJK JP"),
    *("Noto Serif CJK JP", "Droid Sans Fallback"),
)
"""Fonts that have Chinese characters, the first one that is installed is taken"""
WIDTH, HEIGHT = 46, 18
"""Pixels that a value takes beside its dot"""
PERCENT_COLOUR, RULE_COLOUR = "#8a8a8a", "#b5121b"


@dataclass(frozen=True)
class Words:
    """The texts of the picture."""

    load: str
    recall: str
    flags: str
    rule: str
    percent: str
    own: str


CHINESE = Words(
    load="负荷（每100个序列每周的提示数）",
    recall="查全率（列出的事件中被发现的比例）",
    flags="每100个序列每周的提示数",
    rule="规则",
    percent="较上期变动超过 p%",
    own="现行值",
)
ENGLISH = Words(
    load="load (flags per 100 series-weeks)",
    recall="recall (share of the listed events that were found)",
    flags="flags per 100 series-weeks",
    rule="rule",
    percent="change to the previous report > p %",
    own="own value",
)


@dataclass(frozen=True)
class Dot:
    """One threshold that was tried. `recall` is None where there is no list of events."""

    label: str
    load: float
    recall: float | None
    own: bool = False


@dataclass(frozen=True)
class Pen:
    """The language of the picture and the font that can write it; None is the one of matplotlib, for ASCII only."""

    words: Words
    font: FontProperties | None

    def text(self, text: str) -> str:
        """What can be written, without dollar signs being taken for formulas."""
        possible = text if self.font else text.encode("ascii", "replace").decode()
        return possible.replace("$", r"\$")

    def style(self, size: int) -> dict[str, Any]:
        """How a text of this size is drawn."""
        if self.font is None:
            return {"fontsize": size}
        font = self.font.copy()
        font.set_size(size)
        return {"fontproperties": font}


def chinese_font(text: str) -> FontProperties | None:
    """An installed font that has every character of `text`; None: Chinese would be boxes."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

    installed = {entry.name for entry in fontManager.ttflist}
    for family in FAMILIES:
        if family in installed:
            font = FontProperties(family=family)
            face = get_font(findfont(font))
            if all(face.get_char_index(ord(c)) for c in text if c > " "):
                return font
    return None


def draw(path: Path, title: str, key: str, rule: Sequence[Dot], percent: Sequence[Dot]) -> None:
    """Write the picture as a PNG. `title` may be Chinese: where no font has it, `key` stands alone."""
    picture(title, key, rule, percent).savefig(path, format="png", metadata={"Software": None})


def picture(title: str, key: str, rule: Sequence[Dot], percent: Sequence[Dot]) -> Figure:
    """What `draw` writes."""
    from matplotlib.figure import Figure

    labels = "".join(dot.label for dot in (*rule, *percent))
    font = chinese_font(title + key + labels + "".join(vars(CHINESE).values()))
    pen = Pen(CHINESE if font else ENGLISH, font)
    figure = Figure(figsize=(8, 5.2), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(pen.text(f"{title}\n{key}" if font else key), **pen.style(11))
    if any(dot.recall is not None for dot in rule):
        curves(figure, axes, pen, rule, percent)
        below, beside = pen.words.load, pen.words.recall
    else:
        loads(axes, pen, rule)
        below, beside = pen.text(key), pen.words.flags
    axes.set_xlabel(below, **pen.style(10))
    axes.set_ylabel(beside, **pen.style(10))
    axes.grid(alpha=0.3)
    axes.legend(loc="best", prop=font, framealpha=0.8)
    return figure


def curves(figure: Figure, axes: Axes, pen: Pen, rule: Sequence[Dot], percent: Sequence[Dot]) -> None:
    """Recall against load, each threshold a dot with its value."""
    scale(axes, [d.load for d in (*rule, *percent)])
    axes.set_ylim(-0.05, 1.08)
    both = ((percent, pen.words.percent, PERCENT_COLOUR), (rule, pen.words.rule, RULE_COLOUR))
    for dots, name, colour in both:
        places = [(d.load, d.recall or 0.0) for d in dots]
        axes.plot(*zip(*places, strict=True), "o-", ms=4, lw=1.4, color=colour, label=name)
    for dot in rule:
        if dot.own:
            ring(axes, pen, dot.load, dot.recall or 0.0)
    figure.draw_without_rendering()  # so that distances between dots are known
    write_values(axes, pen, rule, RULE_COLOUR, (-3, 5), "right")
    write_values(axes, pen, percent, PERCENT_COLOUR, (3, -11), "left")


def scale(axes: Axes, loads: Sequence[float]) -> None:
    """A logarithmic axis, linear up to the least load that is not zero where some load is."""
    least, most = min((x for x in loads if x > 0), default=0.01), max(*loads, 0.02)
    if min(loads) > 0:
        axes.set_xscale("log")
        axes.set_xlim(least / 1.3, most * 1.3)
    else:
        axes.set_xscale("symlog", linthresh=least)
        axes.set_xlim(-0.1 * least, most * 1.3)
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    ticks = [m * 10.0**k for k in decades for m in (1, 2, 5) if least / 1.3 <= m * 10.0**k <= most * 1.3]
    if len(ticks) < 2:  # all loads are about the same
        ticks = sorted({least, most})
    axes.set_xticks(ticks if min(loads) > 0 else [0, *ticks])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.4g}")


def write_values(axes: Axes, pen: Pen, dots: Sequence[Dot], colour: str, off: tuple[int, int], side: str) -> None:
    """The values beside their dots, as far as they do not cover each other; the rule's own one always."""
    written: list[tuple[float, float]] = []
    for dot in sorted(dots, key=lambda d: not d.own):
        place = dot.load, dot.recall or 0.0
        x, y = axes.transData.transform(place)
        if any(abs(x - x2) < WIDTH and abs(y - y2) < HEIGHT for x2, y2 in written):
            continue
        written.append((x, y))
        axes.annotate(
            pen.text(dot.label), place, xytext=off, textcoords="offset points", ha=side, color=colour, **pen.style(7)
        )


def loads(axes: Axes, pen: Pen, rule: Sequence[Dot]) -> None:
    """The load of each threshold, where there are no events."""
    places = list(range(len(rule)))
    axes.plot(places, [d.load for d in rule], "o-", ms=4, lw=1.4, color=RULE_COLOUR, label=pen.words.rule)
    axes.set_xticks(places, [pen.text(d.label) for d in rule], rotation=45, **pen.style(8))
    axes.set_ylim(bottom=0)
    for place, dot in zip(places, rule, strict=True):
        if dot.own:
            ring(axes, pen, place, dot.load)


def ring(axes: Axes, pen: Pen, x: float, y: float) -> None:
    """Round the dot of the value that the rule has."""
    axes.plot([x], [y], "o", ms=11, mfc="none", mec=RULE_COLOUR, mew=1.4, ls="none", label=pen.words.own)
