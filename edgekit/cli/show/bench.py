"""The table of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import (
    INVALID,
    NOTHING,
    grid,
    interval,
    line,
    milliseconds,
    path,
    sentence,
    size,
)
from edgekit.core.documents import BenchDocument, BenchEntry

__all__ = ["show_bench"]

# Header of an axis that not every entry has at its usual value, and the field that holds it.
_AXES = {
    "batch": "batch",
    "threads": "thr.",
    "streams": "str.",
    "concurrency": "in\nflight",
    "rate": "due\nper s",
}
_USUAL = {"batch": 1, "concurrency": 1}
# Percentiles that the table shows.
_SHOWN = ("p50", "p90", "p99")


def show_bench(document: BenchDocument, console: Console) -> None:
    """Print a benchmark, one table a target, scenario and boundary."""
    groups: dict[tuple[str, str, str], list[BenchEntry]] = {}
    for entry in document.entries:
        groups.setdefault((entry.target, entry.scenario, entry.boundary), []).append(entry)
    for (target, scenario, boundary), entries in groups.items():
        conditions = f"  {scenario}, {boundary}"
        line(console, Text.assemble((target, "bold"), (conditions, "dim")))
        axes = [
            axis
            for axis in _AXES
            if any(getattr(entry, axis) not in (None, _USUAL.get(axis)) for entry in entries)
        ]
        offline = all(entry.p50_ms is None for entry in entries) and scenario == "offline"
        headers = ["\nvariant", "com-\npute", *(_AXES[axis] for axis in axes), "ran\nas", "\nn"]
        headers += ["per s\n(95 % interval)"] if offline else [
            "p50 ms\n(95 % interval)", "p90\nms", "p99\nms", "\nper s"
        ]  # fmt: skip
        headers += ["load\nms", "first\nms", "RSS\npeak"]
        rows = [_row(entry, axes, offline=offline) for entry in entries]
        console.print(grid(headers, rows, left=(0, 1, 2 + len(axes))))
        for entry in entries:
            for text in _words(entry):
                sentence(console, text, indent=2)
        line(console)
    if document.run is not None:
        line(console, Text.assemble(("result   ", "bold"), str(document.run)))
    for samples in dict.fromkeys(entry.samples for entry in document.entries if entry.samples):
        line(console, Text.assemble(("samples  ", "bold"), path(samples)))


def _row(entry: BenchEntry, axes: Sequence[str], *, offline: bool) -> list[str | Text]:
    throughput = entry.throughput_per_s
    rate = interval(throughput, entry.throughput_low_per_s, entry.throughput_high_per_s)
    p50 = interval(entry.p50_ms, entry.p50_low_ms, entry.p50_high_ms)
    first = rate if offline else p50
    figures: list[str | Text] = [first if entry.valid else Text(f"{first} {INVALID}", "yellow")]
    if not offline:
        figures += [milliseconds(entry.p90_ms), milliseconds(entry.p99_ms)]
        figures += [milliseconds(throughput)]
    return [
        entry.variant,
        entry.compute,
        *(_number(getattr(entry, axis)) for axis in axes),
        entry.executed_precision,
        str(entry.n),
        *figures,
        milliseconds(entry.load_ms),
        milliseconds(entry.first_ms),
        size(entry.rss_peak_bytes),
    ]


def _number(value: int | None) -> str:
    return NOTHING if value is None else str(value)


def _name(entry: BenchEntry) -> str:
    words = [f"{entry.variant} in {entry.compute}" if entry.variant else f"in {entry.compute}"]
    words += [
        f"{axis} {value}"
        for axis in _AXES
        if (value := getattr(entry, axis)) not in (None, _USUAL.get(axis))
    ]
    return ", ".join(words)


def _words(entry: BenchEntry) -> list[Text]:
    name = _name(entry)
    lines = []
    if entry.dropped is not None:
        left = "no frame was left out"
        if entry.dropped:
            due = entry.dropped + entry.n
            left = f"{entry.dropped} of {due} frames were left out for a newer one"
            left += f" ({entry.dropped / due:.0%})"
        lines.append(Text(f"{name}: {left}."))
    if entry.stages:
        stages = ", ".join(
            f"{stage} {milliseconds(figure.p50_ms)} ms" for stage, figure in entry.stages.items()
        )
        lines.append(Text(f"{name}: {stages} (medians)."))
    if not entry.valid:
        reasons = " ".join(entry.reasons) or "no reason given."
        lines.append(Text(f"INVALID ({INVALID}) {name}: {reasons}", "yellow"))
    # p99.9 is in the document; here it would be missing nearly always.
    missing = {key: count for key, count in entry.missing.items() if key in _SHOWN}
    if missing:
        refused = ", ".join(f"{key} needs {count} more" for key, count in missing.items())
        lines.append(Text(f"{name}: too few samples: {refused}.", "dim"))
    if entry.outliers is not None and entry.outliers.advice:
        lines.append(Text(f"{name}: {entry.outliers.advice}", "dim"))
    if entry.n and not entry.steady and not entry.reasons:
        lines.append(Text(f"{name}: warm-up ended before the latency was steady.", "yellow"))
    return lines
