"""The charts of measurements: latency over time, sweeps, ratios, stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.report.svg import GRID, INK, MARKERS, MUTED, PAPER, SERIES, to_svg
from edgekit.benchmarks.report.thinning import apart, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Line", "RatioBar", "Series", "ratio_chart", "stage_chart", "sweep_chart", "time_chart"]

# The picture of time ends at so many times the median; what lies above is counted.
_ABOVE = 3.0


@dataclass(frozen=True)
class Series:
    """The raw samples of one entry.

    Attributes:
        samples_ns: (n,) in order of time, n >= 1.
        blocks: (b,) samples of each block.
        starts_ns: (b,) when each block began; empty where not known.
    """

    samples_ns: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.int64]
    starts_ns: npt.NDArray[np.int64]

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """When each sample began, (n,) seconds from the first; gaps between blocks kept."""
        ends = np.cumsum(self.samples_ns.astype(np.float64))
        begun = ends - self.samples_ns
        if not self.starts_ns.size:
            return np.asarray(begun / 1e9)
        firsts = np.concatenate([[0], np.cumsum(self.blocks)[:-1]]).astype(np.int64)
        kept = firsts < begun.size
        shift = self.starts_ns[kept] - begun[firsts[kept]]
        return np.asarray((begun + np.repeat(shift, self.blocks[kept])) / 1e9)

    @property
    def above(self) -> int:
        """Samples beyond the upper edge of the picture of time."""
        return int(np.count_nonzero(self.samples_ns > _ABOVE * np.median(self.samples_ns)))


@dataclass(frozen=True)
class Line:
    """One curve of a sweep.

    Attributes:
        label: What all its points share.
        points: (latency ms, inputs a second, what stands beside it) of each.
    """

    label: str
    points: Sequence[tuple[float, float, str]]


@dataclass(frozen=True)
class RatioBar:
    """One ratio with its interval; None where there is none."""

    label: str
    ratio: float
    low: float | None
    high: float | None


def time_chart(
    series: Series,
    unstable: Sequence[tuple[int, int]],
    *,
    width: int,
    name: str,
    title: str,
    unit: str = "latency, ms",
) -> str:
    """Draw samples over time: the range and the median of each column, unstable stretches shaded.

    Args:
        series: Of one entry.
        unstable: Ranges [first, last) of samples.
        width: Pixels.
        name: Unique on the page.
        title: For a screen reader.
        unit: What the vertical axis shows.
    """

    def draw(axes: Axes) -> None:
        seconds, values = series.seconds, series.samples_ns / 1e6
        columns = apart(thinned(seconds, values, max(60, width // 2)))
        median = float(np.median(values))
        top = _ABOVE * median
        for first, last in unstable:
            end = seconds[min(last, seconds.size - 1)]
            axes.axvspan(seconds[first], end, color=SERIES[1], alpha=0.18, linewidth=0)
        # One area for all columns: a line for each would make the page ten times as large.
        axes.fill_between(
            columns.x,
            np.minimum(columns.low, top),
            np.minimum(columns.high, top),
            color=SERIES[0],
            alpha=0.35,
            linewidth=0.8,
        )
        axes.plot(columns.x, np.minimum(columns.middle, top), color=SERIES[0], linewidth=1.6)
        axes.axhline(median, color=INK, linewidth=1, linestyle=(0, (5, 3)))
        beyond = columns.high > top
        if beyond.any():
            axes.plot(
                columns.x[beyond],
                np.full(int(beyond.sum()), top),
                linestyle="none",
                marker="^",
                markersize=5,
                color=SERIES[1],
                clip_on=False,
            )
        axes.set_ylim(max(0.0, 0.9 * float(values.min())), max(top, 1e-9))
        if float(values.max()) < top:
            low, high = float(values.min()), float(values.max())
            room = 0.15 * (high - low) or 0.1 * high
            axes.set_ylim(max(0.0, low - room), high + room)
        axes.set_xlabel("seconds")
        axes.set_ylabel(unit)

    return to_svg(draw, width=width, height=190, name=name, title=title)


def sweep_chart(lines: Sequence[Line], *, width: int, name: str, title: str) -> str:
    """Draw throughput against latency, one curve for each of the other conditions."""

    def draw(axes: Axes) -> None:
        for number, line in enumerate(lines):
            tint = SERIES[number % len(SERIES)]
            x, y = [point[0] for point in line.points], [point[1] for point in line.points]
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(
                x, y, color=tint, linewidth=1.4, marker=marker, markersize=8, label=line.label,
                markerfacecolor=PAPER, markeredgewidth=1.8,
            )  # fmt: skip
            for latency, rate, label in line.points:
                axes.annotate(
                    label, (latency, rate), xytext=(6, 7), textcoords="offset points", fontsize=11,
                    color=INK,
                )  # fmt: skip
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.margins(0.12)
        axes.set_xlabel("median latency, ms (less is better)")
        axes.set_ylabel("inputs a second (more is better)")
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=11, loc="best")

    return to_svg(draw, width=width, height=320, name=name, title=title)


def ratio_chart(
    bars: Sequence[RatioBar], margin: float, *, width: int, name: str, title: str
) -> str:
    """Draw ratios with their intervals, 1 and the margin around it marked."""

    def draw(axes: Axes) -> None:
        axes.axvspan(1 / (1 + margin), 1 + margin, color=GRID, alpha=0.7, linewidth=0)
        axes.axvline(1, color=INK, linewidth=1.2)
        ends = [1 - 2 * margin, 1 + 2 * margin]
        for row, bar in enumerate(reversed(bars)):
            low = bar.ratio if bar.low is None else bar.low
            high = bar.ratio if bar.high is None else bar.high
            ends += [low, high]
            axes.plot([low, high], [row, row], color=SERIES[0], linewidth=3)
            axes.plot([bar.ratio], [row], marker="D", markersize=9, color=SERIES[0])
            axes.annotate(
                bar.label, (0.0, row), xycoords=("axes fraction", "data"), xytext=(4, 12),
                textcoords="offset points", fontsize=11, color=INK,
            )  # fmt: skip
        room = 0.08 * (max(ends) - min(ends))
        axes.set_xlim(min(ends) - room, max(ends) + room)
        axes.set_ylim(-0.6, len(bars) - 0.2)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("time: new / base (below 1: faster)")

    return to_svg(draw, width=width, height=70 + 62 * len(bars), name=name, title=title)


def stage_chart(
    rows: Sequence[tuple[str, Sequence[tuple[str, float]]]], *, width: int, name: str, title: str
) -> str:
    """Draw the medians of the steps of each entry as one bar of parts.

    Args:
        rows: Label of an entry, and (step, ms) of each step in order.
        width: Pixels.
        name: Unique on the page.
        title: For a screen reader.
    """

    def draw(axes: Axes) -> None:
        steps = list(dict.fromkeys(step for _, parts in rows for step, _ in parts))
        hatches = ("", "//", "..", "xx", "--", "oo")
        for row, (label, parts) in enumerate(reversed(rows)):
            left = 0.0
            for step, milliseconds in parts:
                at = steps.index(step)
                axes.barh(
                    row, milliseconds, left=left, height=0.42, color=SERIES[at % len(SERIES)],
                    edgecolor=PAPER, hatch=hatches[at % len(hatches)],
                    label=step if row == len(rows) - 1 else None,
                )  # fmt: skip
                left += milliseconds
            axes.annotate(
                label, (0.0, row), xycoords=("axes fraction", "data"), xytext=(2, 15),
                textcoords="offset points", fontsize=11, color=INK,
            )  # fmt: skip
        axes.set_ylim(-0.5, len(rows) - 0.1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("median of each step, ms")
        axes.tick_params(colors=MUTED)
        axes.legend(frameon=False, fontsize=11, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))

    return to_svg(draw, width=width, height=100 + 62 * len(rows), name=name, title=title)
