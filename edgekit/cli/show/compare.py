"""The verdict on one result against another."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import (
    NOTHING,
    duration,
    facts,
    grid,
    line,
    milliseconds,
    path,
    sentence,
)
from edgekit.core.documents import ComparedEntry, CompareDocument

__all__ = ["show_compare"]

_HEADERS = ("verdict", "ratio", "interval", "base p50 ms", "new p50 ms", "n", "rounds")


def show_compare(document: CompareDocument, console: Console) -> None:
    """Print the verdict, a table of the entries, and what weakens them."""
    facts(
        console,
        [
            ("base", path(document.base)),
            ("new", path(document.new)),
            ("verdict", Text(document.verdict, "bold")),
        ],
    )
    for entry in document.entries:
        line(console)
        _show_entry(entry, console)
    for text in document.missing:
        sentence(console, text, "dim")
    for text in document.differences:
        sentence(console, f"differs: {text}")
    if document.samples is not None:
        line(console, Text.assemble(("samples  ", "bold"), path(document.samples)))


def _show_entry(entry: ComparedEntry, console: Console) -> None:
    title = Text.assemble((entry.new, "bold"), f"  {entry.scenario}, {entry.boundary}")
    sentence(console, title, indent=2)
    if entry.base != entry.new:
        sentence(console, f"against {entry.base}", indent=2)
    console.print(grid(_HEADERS, [_row(entry)], left=(0,)))
    if entry.paired and entry.stopped_by:
        why = {"interval": "the interval was narrow enough", "time": "the time was up"}
        sentence(
            console,
            f"Measured in turns for {duration(entry.seconds)} until {why[entry.stopped_by]}; "
            f"{entry.confidence:.3g} confidence.",
            "dim",
            indent=2,
        )
    for reason in entry.reasons:
        sentence(console, reason, "dim", indent=2)


def _row(entry: ComparedEntry) -> list[str | Text]:
    throughput = entry.base_throughput_per_s is not None and entry.base_p50_ms is None
    base = entry.base_throughput_per_s if throughput else entry.base_p50_ms
    new = entry.new_throughput_per_s if throughput else entry.new_p50_ms
    unit = "/s" if throughput else ""
    return [
        entry.verdict,
        _ratio(entry.ratio),
        f"{_ratio(entry.ratio_low)}–{_ratio(entry.ratio_high)}",
        milliseconds(base) + unit,
        milliseconds(new) + unit,
        f"{entry.base_n}+{entry.new_n}",
        str(entry.blocks) if entry.paired else NOTHING,
    ]


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"
