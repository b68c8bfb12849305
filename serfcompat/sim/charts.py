"""Charts as SVG text, drawn with nothing but numbers: lines, histograms, and strips of shares over time.

Colours are CSS variables of the page around them, so that they follow its light or dark theme.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 12, 40
"Room around the plot for ticks and labels."

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """One line of a chart, or one colour of bars."""

    name: str
    points: Sequence[Point]
    colour: str
    "A CSS variable's name without dashes, e.g. `series-1`."
    dashed: bool = False


def line_chart(series: Sequence[Series], x_label: str, y_label: str, *, percent: bool = False) -> str:
    """Lines over a common axis. With `percent`, y is a share and its axis ends at 100 %."""
    points = [point for one in series for point in one.points]
    frame = _Frame(
        max((x for x, _ in points), default=1.0), 1.0 if percent else max((y for _, y in points), default=1.0)
    )
    body = frame.axes(x_label, y_label, percent=percent)
    for one in series:
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in one.points)
        dashes = ' stroke-dasharray="6 4"' if one.dashed else ""
        body += (
            f'<polyline points="{path}" fill="none" stroke="var(--{one.colour})" stroke-width="2" '
            f'stroke-linejoin="round"{dashes}><title>{html.escape(one.name)}</title></polyline>'
        )
    return _legend(series) + _svg(body, f"{y_label} over {x_label}")


def histogram(series: Sequence[tuple[str, Sequence[float], str]], x_label: str, y_label: str) -> str:
    """Counts per bin of one or more sets of values: (name, values, colour) each, side by side in a bin."""
    values = [value for _, some, _ in series for value in some]
    most = max(values, default=1.0)
    step = nice_step(most, 12)
    bins = max(1, math.ceil(most / step + 1e-9))
    counts = [[sum(step * i <= v < step * (i + 1) for v in some) for i in range(bins)] for _, some, _ in series]
    frame = _Frame(bins * step, max((max(row) for row in counts), default=1) or 1)
    body = frame.axes(x_label, y_label)
    width = (frame.x(step) - frame.x(0) - 4) / len(series)
    for index, ((name, _, colour), row) in enumerate(zip(series, counts, strict=True)):
        for i, count in enumerate(row):
            if count:
                left, top = frame.x(step * i) + 2 + index * width, frame.y(count)
                body += (
                    f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(width - 1, 1):.1f}" '
                    f'height="{frame.y(0) - top:.1f}" rx="2" fill="var(--{colour})">'
                    f"<title>{html.escape(name)}: {count} from {step * i:g} to {step * (i + 1):g}</title></rect>"
                )
    return _legend([Series(name, [], colour) for name, _, colour in series]) + _svg(body, f"{y_label} by {x_label}")


@dataclass(frozen=True)
class Strip:
    """One row: at each time, how the whole is split between the kinds; the shares add up to at most 1."""

    name: str
    times: Sequence[float]
    shares: Sequence[Sequence[float]]
    "For each kind, one value per time."


def strips(rows: Sequence[Strip], kinds: Sequence[tuple[str, str]], x_label: str) -> str:
    """Rows of stacked areas over a common time axis; `kinds` are (name, colour), bottom first."""
    height, gap = 22, 6
    end = max((row.times[-1] for row in rows if row.times), default=1.0)
    total = _TOP + len(rows) * (height + gap) + _BOTTOM
    frame = _Frame(end, 1.0, height=total)
    body = frame.x_axis(x_label)
    for number, row in enumerate(rows):
        bottom = _TOP + number * (height + gap) + height
        body += f'<text x="{_LEFT - 8}" y="{bottom - 7}" text-anchor="end">{html.escape(row.name)}</text>'
        below = [0.0] * len(row.times)
        for (kind, colour), shares in zip(kinds, row.shares, strict=True):
            above = [a + b for a, b in zip(below, shares, strict=True)]
            forth = [f"{frame.x(t):.1f},{bottom - s * height:.1f}" for t, s in zip(row.times, above, strict=True)]
            back = [f"{frame.x(t):.1f},{bottom - s * height:.1f}" for t, s in zip(row.times, below, strict=True)]
            body += (
                f'<polygon points="{" ".join(forth + back[::-1])}" fill="var(--{colour})">'
                f"<title>{html.escape(row.name)}: {html.escape(kind)}</title></polygon>"
            )
            below = above
    legend = _legend([Series(name, [], colour) for name, colour in kinds])
    return legend + _svg(body, "views over time", height=total)


def nice_step(most: float, ticks: int) -> float:
    """A step of 1, 2 or 5 times a power of ten that divides 0..most into at most so many."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most / ticks))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * ticks >= most * (1 - 1e-9))


class _Frame:
    """Scales values to pixels and draws the axes."""

    def __init__(self, x_most: float, y_most: float, *, height: int = HEIGHT) -> None:
        self.x_step, self.y_step = nice_step(x_most, 8), nice_step(y_most, 5)
        self.x_most = max(x_most, self.x_step)
        self.y_most = math.ceil(y_most / self.y_step - 1e-9) * self.y_step or self.y_step
        self.height = height

    def x(self, value: float) -> float:
        return _LEFT + value / self.x_most * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.height - _BOTTOM - value / self.y_most * (self.height - _TOP - _BOTTOM)

    def axes(self, x_label: str, y_label: str, *, percent: bool = False) -> str:
        body = ""
        for i in range(round(self.y_most / self.y_step) + 1):
            value = i * self.y_step
            text = f"{value:.0%}" if percent else f"{value:g}"
            body += (
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{self.y(value):.1f}" '
                f'y2="{self.y(value):.1f}"/><text x="{_LEFT - 8}" y="{self.y(value) + 4:.1f}" '
                f'text-anchor="end">{text}</text>'
            )
        middle = (self.height - _BOTTOM + _TOP) / 2
        body += (
            f'<text transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle">'
            f"{html.escape(y_label)}</text>"
        )
        return body + self.x_axis(x_label)

    def x_axis(self, label: str) -> str:
        bottom = self.height - _BOTTOM
        body = f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{bottom}" y2="{bottom}"/>'
        for i in range(math.floor(self.x_most / self.x_step + 1e-9) + 1):
            value = i * self.x_step
            body += f'<text x="{self.x(value):.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        return body + f'<text x="{middle}" y="{self.height - 6}" text-anchor="middle">{html.escape(label)}</text>'


def _legend(series: Sequence[Series]) -> str:
    if len(series) < 2:
        return ""
    items = "".join(
        f'<span><i class="{"dashed" if one.dashed else "solid"}" style="background:var(--{one.colour})"></i>'
        f"{html.escape(one.name)}</span>"
        for one in series
    )
    return f'<p class="legend">{items}</p>'


def _svg(body: str, title: str, *, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">'
        f"<title>{html.escape(title)}</title>{body}</svg>"
    )
