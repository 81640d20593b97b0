"""A page about measurements: what was measured, how, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgekit.benchmarks.report import words
from edgekit.benchmarks.report.charts import NARROW, WIDE, Strip, distribution_chart
from edgekit.benchmarks.report.measured_charts import (
    Line,
    RatioBar,
    Series,
    ratio_chart,
    stage_chart,
    sweep_chart,
    time_chart,
)
from edgekit.benchmarks.report.tables import environment_lines
from edgekit.benchmarks.report.template import fill, load_libraries
from edgekit.benchmarks.report.views import Chart
from edgekit.core.documents import BenchDocument, BenchEntry, ComparedEntry, CompareDocument

__all__ = ["BenchSubject", "Compared", "render_measured"]

_AXES = ("batch", "threads", "streams", "concurrency", "rate")
_STRIPS = 16
_UNITS = {"offline": "a chunk of inferences, ms", "paced": "age of a frame, ms"}


@dataclass(frozen=True)
class BenchSubject:
    """A result of `edgekit bench`.

    Attributes:
        name: What the page calls it.
        document: Everything but the raw samples.
        series: Place of an entry to its raw samples.
        damage: What could not be read, each a sentence.
    """

    name: str
    document: BenchDocument
    series: Mapping[int, Series] = field(default_factory=dict)
    damage: Sequence[str] = ()


@dataclass(frozen=True)
class Compared:
    """A result of `edgekit compare` or `bench --against`.

    Attributes:
        name: What the page calls it.
        document: The comparison.
        series: Label of a side to its raw samples.
    """

    name: str
    document: CompareDocument
    series: Mapping[str, Series] = field(default_factory=dict)


def render_measured(subjects: Sequence[BenchSubject | Compared]) -> str:
    """Return the page about one or several measurements or comparisons.

    Args:
        subjects: At least one.

    Returns:
        HTML in UTF-8 that makes no request.

    Raises:
        MissingLibrary: A library of the extra "report" is not installed.
    """
    load_libraries()
    views = [
        _measured_view(one, place) if isinstance(one, BenchSubject) else _compared_view(one, place)
        for place, one in enumerate(subjects)
    ]
    return fill(
        "measured.html.j2",
        title=", ".join(one.name for one in subjects),
        views=views,
    )


def _measured_view(subject: BenchSubject, place: int) -> dict[str, object]:
    document = subject.document
    entries = list(document.entries)
    return {
        "kind": "bench",
        "name": subject.name,
        "about": f"{document.model}{', ' + document.created if document.created else ''}",
        "damage": list(subject.damage),
        "rows": [_row(number, entry) for number, entry in enumerate(entries, 1)],
        "failed": [
            (_label(number, entry), " ".join(entry.reasons))
            for number, entry in enumerate(entries, 1)
            if not entry.valid
        ],
        "outliers": [
            (_label(number, entry), entry.outliers.advice)
            for number, entry in enumerate(entries, 1)
            if entry.outliers is not None and entry.outliers.advice
        ],
        "sweep": _sweep(document, place),
        "times": [
            _over_time(number, entry, subject.series[number - 1], f"time-{place}-{number}")
            for number, entry in enumerate(entries, 1)
            if number - 1 in subject.series
        ],
        "distribution": _distribution(
            [
                (_label(number, entry), subject.series[number - 1])
                for number, entry in enumerate(entries, 1)
                if number - 1 in subject.series and entry.p50_ms is not None
            ],
            f"distribution-{place}",
        ),
        "stages": _stages(entries, place),
        "environment": environment_lines(document.environment),
    }


def _compared_view(subject: Compared, place: int) -> dict[str, object]:
    document = subject.document
    ratios = [(one, ratio) for one in document.entries for ratio in _ratios(one)]
    bars = [
        RatioBar(f"{one.new}, {ratio.name}", ratio.value, ratio.low, ratio.high)
        for one, ratio in ratios
    ]
    title = f"{len(bars)} ratios with their intervals; the table holds the figures."
    return {
        "kind": "compare",
        "name": subject.name,
        "about": f"{document.new} against {document.base}",
        "margin": f"{100 * document.margin:g} %",
        "verdict": document.verdict,
        "headline": _headline(document),
        "differences": list(document.differences),
        "missing": list(document.missing),
        "ratios": _chart(
            lambda width: ratio_chart(
                bars, document.margin, width=width, name=f"ratio-{place}-{width}", title=title
            )
        )
        if bars
        else None,
        "rows": [
            {
                "new": one.new,
                "base": one.base,
                "verdict": one.verdict,
                "figure": ratio.name,
                "proves": ratio.verdict or "–",
                "ratio": f"{ratio.value:.3f}",
                "interval": _ratio_ends(ratio.low, ratio.high),
                "base_figure": words.milliseconds(ratio.base, ""),
                "new_figure": words.milliseconds(ratio.new, ""),
                "n": f"{one.new_n} + {one.base_n}",
                "blocks": str(one.blocks) if one.paired else "not in turns",
            }
            for one, ratio in ratios
        ],
        "reasons": [
            {"new": one.new, "reasons": list(one.reasons)}
            for one in document.entries
            if one.reasons
        ],
        "distribution": _distribution(list(subject.series.items()), f"distribution-{place}"),
        "times": [
            _over_time_of(label, series, (), f"time-{place}-{number}")
            for number, (label, series) in enumerate(subject.series.items(), 1)
        ],
    }


@dataclass(frozen=True)
class _Ratio:
    """One ratio of a pair, and the two figures that it is made of."""

    name: str
    verdict: str | None
    value: float
    low: float | None
    high: float | None
    new: float | None
    base: float | None


def _ratios(entry: ComparedEntry) -> list[_Ratio]:
    """The ratios that an entry has, by the figure that they are made of."""
    one, offline = entry, entry.scenario == "offline"
    figures = (
        (one.new_throughput_per_s, one.base_throughput_per_s)
        if offline
        else (one.new_p50_ms, one.base_p50_ms)
    )
    name = "inputs/s" if offline else "p50, ms"
    found = []
    if one.ratio is not None:
        ends = (one.ratio, one.ratio_low, one.ratio_high)
        found.append(_Ratio(name, one.typical_verdict, *ends, *figures))
    if one.mean_ratio is not None:
        ends = (one.mean_ratio, one.mean_ratio_low, one.mean_ratio_high)
        figures = (one.new_mean_ms, one.base_mean_ms)
        found.append(_Ratio("mean, ms", one.mean_verdict, *ends, *figures))
    return found


def _headline(document: CompareDocument) -> str:
    decides = [one for one in document.entries if one.ratio == document.ratio]
    ratios = _ratios(decides[0]) if decides else []
    if not ratios:
        return "No ratio could be measured."
    said = " and ".join(_longer(one) for one in ratios)
    return {
        "FASTER": f"The new one is faster: it takes {said}.",
        "SLOWER": f"The new one is slower: it takes {said}.",
        "SAME": f"Both take the same time within {100 * document.margin:g} %: the new one takes "
        f"{said}.",
        "UNCLEAR": f"Nothing is proven: the new one takes {said}.",
        "INVALID": f"The measurement is INVALID and proves nothing: the new one takes {said}.",
    }[document.verdict]


def _longer(ratio: _Ratio) -> str:
    share = 100 * (ratio.value - 1)
    way = "more" if share > 0 else "less"
    ends = _ratio_ends(ratio.low, ratio.high)
    between = f", interval of the ratio {ends}" if ends != "–" else ""
    name = ratio.name.partition(",")[0]
    return f"{abs(share):.1f} % {way} time than the base (by the {name}{between})"


def _row(number: int, entry: BenchEntry) -> dict[str, object]:
    missing = ", ".join(
        f"{name.replace('p999', 'p99.9')}: {count}" for name, count in entry.missing.items()
    )
    return {
        "number": str(number),
        "label": f"{entry.variant or 'not opened'} in {entry.compute or '?'} on {entry.target}",
        "conditions": _conditions(entry),
        "boundary": entry.boundary,
        "valid": entry.valid,
        "n": words.count(entry.n) + _left_out(entry),
        "effective": "–" if entry.effective_n is None else words.count(round(entry.effective_n)),
        "p50": words.milliseconds(entry.p50_ms, ""),
        "interval": _ends(entry.p50_low_ms, entry.p50_high_ms),
        "p90": words.milliseconds(entry.p90_ms, ""),
        "p99": words.milliseconds(entry.p99_ms, ""),
        "p999": words.milliseconds(entry.p999_ms, ""),
        "missing": missing or "–",
        "rate": words.milliseconds(entry.throughput_per_s, ""),
        "rate_interval": _ends(entry.throughput_low_per_s, entry.throughput_high_per_s),
        "compile": words.milliseconds(entry.compile_ms, ""),
        "load": words.milliseconds(entry.load_ms, ""),
        "first": words.milliseconds(entry.first_ms, ""),
        "warmup": words.milliseconds(entry.warmup_ms, ""),
        "memory": "–" if entry.rss_peak_bytes is None else f"{entry.rss_peak_bytes / 1e6:.0f} MB",
        "stopped": entry.stopped_by or "–",
        "tool": entry.tool,
    }


def _left_out(entry: BenchEntry) -> str:
    return f"; {words.count(entry.dropped)} left out" if entry.dropped else ""


def _conditions(entry: BenchEntry) -> str:
    found = [entry.scenario]
    usual = {"batch": 1, "concurrency": 1}
    found += [
        f"{axis} {value}"
        for axis in _AXES
        if (value := getattr(entry, axis)) not in (None, usual.get(axis))
    ]
    return ", ".join(found)


def _label(number: int, entry: BenchEntry) -> str:
    words_ = f"{number}  {entry.variant} in {entry.compute} on {entry.target}"
    conditions = _conditions(entry).removeprefix("single-stream").removeprefix(", ")
    boundary = "" if entry.boundary == "latency.host" else entry.boundary
    more = ", ".join(part for part in (conditions, boundary) if part)
    return f"{words_} ({more})" if more else words_


def _over_time(number: int, entry: BenchEntry, series: Series, name: str) -> dict[str, object]:
    return _over_time_of(
        _label(number, entry), series, entry.unstable, name,
        unit=_UNITS.get(entry.scenario, "latency, ms"),
    )  # fmt: skip


def _over_time_of(
    label: str,
    series: Series,
    unstable: Sequence[tuple[int, int]],
    name: str,
    unit: str = "latency, ms",
) -> dict[str, object]:
    # A document may come from anyone.
    n = series.samples_ns.size
    inside = [(first, last) for first, last in unstable if 0 <= first < last <= n]
    seconds = series.seconds
    stretches = [
        f"from {seconds[first]:.2f} s for {last - first} samples, median "
        f"{np.median(series.samples_ns[first:last]) / 1e6:.4g} ms"
        for first, last in inside
    ]
    title = f"{unit.capitalize()} over time, {n} samples, {len(inside)} unstable stretches."
    drawn = _chart(
        lambda width: time_chart(
            series, inside, width=width, name=f"{name}-{width}", title=title, unit=unit
        )
    )
    return {
        "label": label,
        "chart": drawn,
        "n": words.count(n),
        "median": words.milliseconds(float(np.median(series.samples_ns)) / 1e6, ""),
        "largest": words.milliseconds(float(series.samples_ns.max()) / 1e6, ""),
        "above": words.count(series.above),
        "stretches": stretches,
    }


def _distribution(sides: Sequence[tuple[str, Series]], name: str) -> Chart | None:
    strips = [
        Strip(
            label=words.short(words.clean(label), 60),
            samples=series.samples_ns / 1e6,
            p50=float(np.median(series.samples_ns)) / 1e6,
            series=number,
        )
        for number, (label, series) in enumerate(sides[:_STRIPS])
        if int(series.samples_ns.min()) > 0
    ]
    if not strips:
        return None
    title = f"Density of the latencies of {len(strips)} entries."
    return _chart(
        lambda width: distribution_chart(strips, width=width, name=f"{name}-{width}", title=title)
    )


def _sweep(document: BenchDocument, place: int) -> Chart | None:
    if not document.sweep:
        return None
    axes = list(document.sweep)
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for entry in document.entries:
        if entry.p50_ms is None or entry.throughput_per_s is None:
            continue
        # The first axis makes the curve, the others and the rest of the conditions name it.
        others = [f"{axis} {getattr(entry, axis)}" for axis in axes[1:]]
        label = ", ".join([f"{entry.variant} in {entry.compute} on {entry.target}", *others])
        point = (entry.p50_ms, entry.throughput_per_s, f"{axes[0]} {getattr(entry, axes[0])}")
        lines.setdefault(words.short(words.clean(label), 60), []).append(point)
    if not lines:
        return None
    curves = [Line(label, points) for label, points in lines.items()]
    title = f"Inputs a second against median latency over {' and '.join(axes)}."
    return _chart(
        lambda width: sweep_chart(curves, width=width, name=f"sweep-{place}-{width}", title=title)
    )


def _stages(entries: Sequence[BenchEntry], place: int) -> dict[str, object] | None:
    rows = [
        (
            words.short(words.clean(_label(number, entry)), 60),
            [(step, figure.p50_ms or 0.0) for step, figure in entry.stages.items()],
        )
        for number, entry in enumerate(entries, 1)
        if entry.stages
    ]
    if not rows:
        return None
    title = "Medians of the steps from image to result; the table holds the figures."
    chart = _chart(
        lambda width: stage_chart(rows, width=width, name=f"stages-{place}-{width}", title=title)
    )
    table = [
        (label, step, words.milliseconds(milliseconds, "")) for label, parts in rows
        for step, milliseconds in parts
    ]  # fmt: skip
    return {"chart": chart, "rows": table}


def _chart(draw: Callable[[int], str]) -> Chart:
    from markupsafe import Markup

    # What the charts draw is escaped by matplotlib.
    return Chart(Markup(draw(NARROW)), Markup(draw(WIDE)))  # noqa: S704


def _ends(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "–"
    return f"{words.milliseconds(low, '')}–{words.milliseconds(high, '')}"


def _ratio_ends(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.3f}–{high:.3f}"
