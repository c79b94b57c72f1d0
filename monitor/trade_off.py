"""The picture of a rule's history: what it finds against the load that it makes, beside the rule of one line.

matplotlib is imported when a picture is drawn and at no other time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
    from matplotlib.figure import Figure

    font = chinese_font(title + key + "".join(vars(CHINESE).values()))
    words = CHINESE if font else ENGLISH
    figure = Figure(figsize=(8, 5.2), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    plain = key.encode("ascii", "replace").decode()
    heading = f"{title}\n{key}" if font else plain
    axes.set_title(heading.replace("$", r"\$"), fontproperties=font, fontsize=11)
    if any(dot.recall is not None for dot in rule):
        curves(figure, axes, words, rule, percent)
        labels = words.load, words.recall
    else:
        loads(axes, words, rule)
        labels = plain if not font else key, words.flags
    axes.set_xlabel(labels[0], fontproperties=font)
    axes.set_ylabel(labels[1], fontproperties=font)
    axes.grid(alpha=0.3)
    if (legend := axes.legend(loc="best", prop=font)) is not None:
        legend.get_frame().set_alpha(0.8)
    figure.savefig(path, format="png", metadata={"Software": None})


def curves(figure: Figure, axes: Axes, words: Words, rule: Sequence[Dot], percent: Sequence[Dot]) -> None:
    """Recall against load, each threshold a dot with its value."""
    from matplotlib.ticker import LogLocator

    loads = [d.load for d in (*rule, *percent)]
    if min(loads) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:  # a load may be zero: linear up to the least one that is not
        axes.set_xscale("symlog", linthresh=min((x for x in loads if x > 0), default=0.01))
        axes.set_xlim(left=-0.1 * min((x for x in loads if x > 0), default=0.01))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_ylim(-0.05, 1.08)
    both = ((percent, words.percent, PERCENT_COLOUR), (rule, words.rule, RULE_COLOUR))
    for dots, name, colour in both:
        places = [(d.load, d.recall or 0.0) for d in dots]
        axes.plot(*zip(*places, strict=True), "o-", ms=4, lw=1.4, color=colour, label=name)
    for dot in rule:
        if dot.own:
            ring(axes, words, dot.load, dot.recall or 0.0)
    figure.draw_without_rendering()  # so that distances between dots are known
    write_values(axes, rule, RULE_COLOUR, (-3, 5), "right")
    write_values(axes, percent, PERCENT_COLOUR, (3, -11), "left")


def write_values(axes: Axes, dots: Sequence[Dot], colour: str, off: tuple[int, int], side: str) -> None:
    """The values beside their dots, as far as they do not cover each other; the rule's own one always."""
    written: list[tuple[float, float]] = []
    for dot in sorted(dots, key=lambda d: not d.own):
        place = dot.load, dot.recall or 0.0
        x, y = axes.transData.transform(place)
        if any(abs(x - x2) < WIDTH and abs(y - y2) < HEIGHT for x2, y2 in written):
            continue
        written.append((x, y))
        axes.annotate(dot.label, place, xytext=off, textcoords="offset points", ha=side, fontsize=7, color=colour)


def loads(axes: Axes, words: Words, rule: Sequence[Dot]) -> None:
    """The load of each threshold, where there are no events."""
    places = list(range(len(rule)))
    axes.plot(places, [d.load for d in rule], "o-", ms=4, lw=1.4, color=RULE_COLOUR, label=words.rule)
    axes.set_xticks(places, [d.label for d in rule], rotation=45, fontsize=8)
    axes.set_ylim(bottom=0)
    for place, dot in zip(places, rule, strict=True):
        if dot.own:
            ring(axes, words, place, dot.load)


def ring(axes: Axes, words: Words, x: float, y: float) -> None:
    """Round the dot of the value that the rule has."""
    axes.plot([x], [y], "o", ms=11, mfc="none", mec=RULE_COLOUR, mew=1.4, ls="none", label=words.own)
