"""What a deployment would do."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import facts, grid, line, size
from edgekit.core.documents import PlanDocument, PlannedStage

__all__ = ["duration", "show_plan"]


def show_plan(document: PlanDocument, console: Console) -> None:
    """Print the stages in order, and what those that are not cached would take."""
    headers = ("stage", "for", "cached", "time", "size")
    rows = [_row(stage) for stage in document.stages]
    console.print(grid(headers, rows, left=(0, 1, 2)))
    line(console)
    bases = Counter(one.basis.partition(", 20")[0] for one in document.stages if not one.cached)
    for basis, count in bases.items():
        line(console, Text(f"{count} estimated: {basis.rstrip('.')}.", "dim"))
    for note in document.notes:
        line(console, Text(note, "yellow"))
    made = f"{duration(document.seconds)}, {size(document.size_bytes)} more in the cache"
    entries = f"{document.bundle}, {len(document.entries)} entries"
    facts(console, [("bundle", entries), ("to be made", f"about {made}")])


def duration(seconds: float) -> str:
    """Format a time with the digits that an estimate deserves."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _row(stage: PlannedStage) -> list[str | Text]:
    state = Text("yes", "green") if stage.cached else Text("no")
    return [
        stage.stage,
        stage.subject,
        state,
        duration(stage.seconds),
        size(stage.size_bytes or None),
    ]
