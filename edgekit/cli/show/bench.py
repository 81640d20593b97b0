"""The table of a benchmark."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import (
    INVALID,
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

_HEADERS = (
    "\nvariant",
    "com-\npute",
    "ran\nas",
    "\nn",
    "p50 ms\n(95 % interval)",
    "p90\nms",
    "p99\nms",
    "\nper s",
    "load\nms",
    "first\nms",
    "RSS\npeak",
)


def show_bench(document: BenchDocument, console: Console) -> None:
    """Print a benchmark, one table a target."""
    for target in dict.fromkeys(entry.target for entry in document.entries):
        entries = [entry for entry in document.entries if entry.target == target]
        conditions = dict.fromkeys(f"{entry.scenario}, {entry.boundary}" for entry in entries)
        line(console, Text.assemble((target, "bold"), (f"  {'; '.join(conditions)}", "dim")))
        console.print(grid(_HEADERS, [_row(entry) for entry in entries], left=(0, 1, 2)))
        for entry in entries:
            for text in _words(entry):
                sentence(console, text, indent=2)
        line(console)
    for samples in dict.fromkeys(entry.samples for entry in document.entries if entry.samples):
        line(console, Text.assemble(("samples  ", "bold"), path(samples)))


def _row(entry: BenchEntry) -> list[str | Text]:
    throughput = entry.throughput_per_s
    p50 = interval(entry.p50_ms, entry.p50_low_ms, entry.p50_high_ms)
    return [
        entry.variant,
        entry.compute,
        entry.executed_precision,
        str(entry.n),
        p50 if entry.valid else Text(f"{p50} {INVALID}", "yellow"),
        milliseconds(entry.p90_ms),
        milliseconds(entry.p99_ms),
        milliseconds(throughput),
        milliseconds(entry.load_ms),
        milliseconds(entry.first_ms),
        size(entry.rss_peak_bytes),
    ]


def _words(entry: BenchEntry) -> list[Text]:
    name = f"{entry.variant} in {entry.compute}"
    lines = []
    if not entry.valid:
        reasons = " ".join(entry.reasons) or "no reason given."
        lines.append(Text(f"INVALID ({INVALID}) {name}: {reasons}", "yellow"))
    if entry.missing:
        refused = ", ".join(f"{key} needs {count} more" for key, count in entry.missing.items())
        lines.append(Text(f"{name}: too few samples: {refused}.", "dim"))
    if not entry.steady:
        lines.append(Text(f"{name}: warm-up ended before the latency was steady.", "yellow"))
    return lines
