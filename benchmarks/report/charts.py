"""The two charts of a report: accuracy against latency, and the latencies' distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.report.pareto import front
from edgekit.benchmarks.report.svg import INK, MARKERS, MUTED, PAPER, SERIES, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "NARROW",
    "WIDE",
    "Dot",
    "Strip",
    "distribution_chart",
    "right_edge",
    "tradeoff_chart",
]

# Widths that the charts are drawn for, pixels: a phone's, and everything else's.
NARROW, WIDE = 330, 760
# Ranges wider than this are drawn on a logarithmic scale.
_LOG_FROM = 6.0
# Where a label may stand around its point, pixels; the first free place is taken.
_PLACES = [
    (radius * x, radius * y)
    for radius in (17, 26, 38, 52, 68)
    for x, y in (
        (0.7, 0.7),
        (0.7, -0.8),
        (-0.7, 0.7),
        (-0.7, -0.8),
        (1, 0),
        (-1, 0),
        (0, 1),
        (0, -1),
    )
]
_ROW = 46
_BINS = 90


@dataclass(frozen=True)
class Dot:
    """One entry in the chart of accuracy against latency.

    Attributes:
        number: What stands beside it.
        x: Median latency, ms.
        x_low: Its interval.
        x_high: Its interval.
        y: Accuracy, 0 to 1.
        y_low: Its interval.
        y_high: Its interval.
        series: Which colour, from 0.
        shape: Which shape, from 0.
        holds: False for what failed: hollow, and never on the front.
        chosen: Whether it is recommended: larger.
    """

    number: str
    x: float
    x_low: float
    x_high: float
    y: float
    y_low: float
    y_high: float
    series: int
    shape: int
    holds: bool = True
    chosen: bool = False


@dataclass(frozen=True)
class Strip:
    """One entry in the chart of distributions.

    Attributes:
        label: Which entry.
        samples: Latencies, ms.
        p50: Their median.
        series: Which colour, from 0.
    """

    label: str
    samples: npt.NDArray[np.float64]
    p50: float
    series: int


def tradeoff_chart(dots: Sequence[Dot], *, accuracy: str, width: int, name: str, title: str) -> str:
    """Draw accuracy against latency with both intervals and the Pareto front.

    Args:
        dots: At least one.
        accuracy: What the vertical axis shows.
        width: NARROW or WIDE.
        name: Unique on the page.
        title: For a screen reader.
    """

    def draw(axes: Axes) -> None:
        low, high = min(dot.x_low for dot in dots), max(dot.x_high for dot in dots)
        _latency_axis(axes, low, high, "latency at the median, ms (less is better)")
        bottom, top = min(dot.y_low for dot in dots), max(dot.y_high for dot in dots)
        room = max(0.08 * (top - bottom), 0.004)
        axes.set_ylim(max(bottom - room, -0.02), min(top + room, 1.02))
        axes.set_ylabel(f"{accuracy} (more is better)")
        holding = [dot for dot in dots if dot.holds]
        best = [holding[at] for at in front([(dot.x, dot.y) for dot in holding])]
        if best:
            right = axes.get_xlim()[1]
            axes.step(
                [dot.x for dot in best] + [right],
                [dot.y for dot in best] + [best[-1].y],
                where="post",
                color=INK,
                linewidth=1.4,
                linestyle=(0, (5, 3)),
                zorder=1.5,
            )
        for dot in dots:
            _draw_dot(axes, dot)
        _label(axes, dots)

    return to_svg(draw, width=width, height=round(300 + 0.16 * width), name=name, title=title)


def right_edge(strips: Sequence[Strip]) -> float:
    """Return the latency, ms, up to which the distributions are drawn.

    The largest 95th percentile, and no more than five times the largest median: a few stray samples
    would press all others against the left edge.
    """
    slow = max(float(np.percentile(strip.samples, 95)) for strip in strips)
    return min(slow, 5 * max(strip.p50 for strip in strips))


def distribution_chart(strips: Sequence[Strip], *, width: int, name: str, title: str) -> str:
    """Draw the density of each entry's latencies, one row an entry, the median marked.

    Args:
        strips: At least one.
        width: NARROW or WIDE.
        name: Unique on the page.
        title: For a screen reader.
    """
    last = len(strips) - 1

    def draw(axes: Axes) -> None:
        low = min(float(np.percentile(strip.samples, 0.5)) for strip in strips)
        _latency_axis(axes, low, right_edge(strips), "latency, ms")
        axes.set_xlim(right=right_edge(strips))
        left, right = axes.get_xlim()
        log = axes.get_xscale() == "log"
        edges = np.geomspace(left, right, _BINS) if log else np.linspace(left, right, _BINS)
        middle = np.sqrt(edges[1:] * edges[:-1]) if log else (edges[1:] + edges[:-1]) / 2
        for row, strip in enumerate(strips):
            floor = float(last - row)
            counts = np.histogram(strip.samples, edges)[0].astype(np.float64)
            height = 0.56 * counts / max(1.0, counts.max())
            tint = SERIES[strip.series % len(SERIES)]
            axes.fill_between(
                middle, floor, floor + height, step="mid", color=tint, alpha=0.35, linewidth=0
            )
            axes.step(middle, floor + height, where="mid", color=tint, linewidth=1.3)
            axes.plot([strip.p50] * 2, [floor, floor + 0.64], color=INK, linewidth=1.6)
            axes.text(
                0.0,
                floor + 0.72,
                strip.label,
                transform=axes.get_yaxis_transform(),
                fontsize=11,
                verticalalignment="center",
                color=INK,
            )
        axes.set_ylim(-0.06, last + 0.98)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)

    return to_svg(draw, width=width, height=60 + _ROW * len(strips), name=name, title=title)


def _latency_axis(axes: Axes, low: float, high: float, label: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low = max(low, 1e-6)
    if high / low > _LOG_FROM:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.25, high * 1.25)
        several = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(subs=several))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        label = f"{label}; logarithmic"
    else:
        room = 0.08 * (high - low) or 0.1 * high
        axes.set_xlim(max(0.0, low - room), high + room)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_xlabel(label)


def _draw_dot(axes: Axes, dot: Dot) -> None:
    tint = SERIES[dot.series % len(SERIES)]
    axes.errorbar(
        [dot.x],
        [dot.y],
        xerr=[[max(0.0, dot.x - dot.x_low)], [max(0.0, dot.x_high - dot.x)]],
        yerr=[[max(0.0, dot.y - dot.y_low)], [max(0.0, dot.y_high - dot.y)]],
        fmt="none",
        ecolor=tint,
        elinewidth=1.2,
        alpha=0.75,
        zorder=2,
    )
    axes.plot(
        [dot.x],
        [dot.y],
        linestyle="none",
        marker=MARKERS[dot.shape % len(MARKERS)],
        markersize=13 if dot.chosen else 9,
        markerfacecolor=tint if dot.holds else PAPER,
        markeredgecolor=INK if dot.chosen else tint,
        markeredgewidth=1.8,
        zorder=4 if dot.chosen else 3,
    )


def _label(axes: Axes, dots: Sequence[Dot]) -> None:
    """Write each number beside its point where nothing else stands."""
    figure: Any = axes.figure
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    placed = axes.transData.transform([(dot.x, dot.y) for dot in dots])
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in placed]
    # Those to ship choose first.
    order = sorted(range(len(dots)), key=lambda at: (not dots[at].chosen, at))
    for at in order:
        x, y = placed[at]
        half = 4.2 * len(dots[at].number), 6.5
        spots = [(x + dx, y + dy) for dx, dy in _PLACES]
        boxes = [(a - half[0], b - half[1], a + half[0], b + half[1]) for a, b in spots]
        free = [
            index
            for index, box in enumerate(boxes)
            if _inside(box, frame) and not any(_meet(box, other) for other in taken)
        ]
        if not free:
            continue
        chosen = free[0]
        taken.append(boxes[chosen])
        far = math.dist(spots[chosen], (x, y)) > 20
        line: dict[str, Any] = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.8}
        axes.annotate(
            dots[at].number,
            (dots[at].x, dots[at].y),
            xytext=(spots[chosen][0] - x, spots[chosen][1] - y),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=12,
            fontweight="bold" if dots[at].chosen else "normal",
            color=INK,
            arrowprops=line if far else None,
            zorder=5,
        )


def _inside(box: tuple[float, float, float, float], frame: Any) -> bool:
    return bool(
        box[0] >= frame.x0 and box[1] >= frame.y0 and box[2] <= frame.x1 and box[3] <= frame.y1
    )


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
