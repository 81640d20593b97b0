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

_HEADERS = ("", "verdict", "ratio", "interval", "base", "new")


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
    console.print(grid(_HEADERS, _rows(entry), left=(0, 1), whole=(0, 1)))
    taken = f"{entry.base_n} samples of the base, {entry.new_n} of the new one"
    if entry.paired:
        taken += f", in {entry.blocks} rounds"
    sentence(console, f"{entry.verdict}: {taken}.", indent=2)
    if entry.paired and entry.stopped_by:
        why = {"interval": "both intervals were narrow enough", "time": "the time was up"}
        sentence(
            console,
            f"Measured in turns for {duration(entry.seconds)} until {why[entry.stopped_by]}; "
            f"{entry.confidence:.3g} confidence.",
            "dim",
            indent=2,
        )
    for reason in entry.reasons:
        sentence(console, reason, "dim", indent=2)


def _rows(entry: ComparedEntry) -> list[list[str | Text]]:
    """The ratios, each with the verdict that it gives and the two figures that it is made of."""
    if entry.base_p50_ms is None and entry.base_throughput_per_s is not None:
        figures = (entry.base_throughput_per_s, entry.new_throughput_per_s)
        rate = [f"{milliseconds(figure)}/s" for figure in figures]
        return [_row("throughput", entry.typical_verdict, entry, "ratio", rate)]
    medians = [f"{milliseconds(figure)} ms" for figure in (entry.base_p50_ms, entry.new_p50_ms)]
    rows = [_row("p50", entry.typical_verdict, entry, "ratio", medians)]
    if entry.mean_ratio is not None:
        means = [f"{milliseconds(figure)} ms" for figure in (entry.base_mean_ms, entry.new_mean_ms)]
        rows.append(_row("mean", entry.mean_verdict, entry, "mean_ratio", means))
    return rows


def _row(
    name: str, verdict: str | None, entry: ComparedEntry, ratio: str, figures: list[str]
) -> list[str | Text]:
    low, high = (getattr(entry, f"{ratio}_{end}") for end in ("low", "high"))
    ends = NOTHING if low is None or high is None else f"{low:.3f}–{high:.3f}"
    return [name, verdict or NOTHING, _ratio(getattr(entry, ratio)), ends, *figures]


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"
