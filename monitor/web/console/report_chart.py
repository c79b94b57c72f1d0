"""The chart of a report as SVG, made by the server: no script is needed to see it."""

from __future__ import annotations

from markupsafe import Markup

from monitor.documents.model import Chart

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 260, 46, 28, 10, 20
DASHES = 4
"""lines differ by dashes and by their numbers, not by colour alone"""


def svg_of(chart: Chart) -> Markup:
    """The chart with a number at the end of each line; the legend beside it names them."""
    values = [v for _, line in chart.lines for v in line if v is not None] or [100.0]
    low, high = min(*values, 99.0), max(*values, 101.0)
    span = high - low

    def x(place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * place / max(1, len(chart.days) - 1)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / span

    parts = [
        Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDTH - RIGHT, y(100), y(100))
    ]
    parts += [
        Markup('<text x="{}" y="{}" class="tick end">{:.0f}</text>').format(LEFT - 6, y(value) + 4, value)
        for value in (low, 100.0, high)
    ]
    for place in (0, len(chart.days) // 2, len(chart.days) - 1):
        words = f"{chart.days[place].month}-{chart.days[place].day}"
        parts.append(Markup('<text x="{:.1f}" y="{}" class="tick">{}</text>').format(x(place), HEIGHT - 8, words))
    for n, (_, line) in enumerate(chart.lines):
        known = [(x(place), y(value)) for place, value in enumerate(line) if value is not None]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in known)
        css = f"line s{n % DASHES + 1} d{n // DASHES % DASHES}"
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(css, points))
        a, b = known[-1]
        parts.append(Markup('<text x="{:.1f}" y="{:.1f}" class="tick name">{}</text>').format(a + 3, b + 4, n + 1))
    inner = Markup("").join(parts)
    names = "，".join(f"{n} {name}" for n, (name, _) in enumerate(chart.lines, start=1))
    return Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}：{}">{}</svg>').format(
        WIDTH, HEIGHT, chart.title, names, inner
    )
