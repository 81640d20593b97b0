"""What a deployment would do."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import duration, facts, grid, line, sentence, size
from edgekit.core.documents import PlanDocument, PlannedStage

__all__ = ["show_plan"]


def show_plan(document: PlanDocument, console: Console) -> None:
    """Print the stages in order, and what those that are not cached would take."""
    headers = ("stage", "for", "cached", "time", "size")
    rows = [_row(stage) for stage in document.stages]
    console.print(grid(headers, rows, left=(0, 1, 2), whole=(0, 2)))
    line(console)
    bases = Counter(one.basis.partition(", 20")[0] for one in document.stages if not one.cached)
    for basis, count in bases.items():
        sentence(console, f"{count} estimated: {basis.rstrip('.')}.", "dim", indent=2)
    for note in document.notes:
        sentence(console, note, "yellow", indent=2)
    made = f"{duration(document.seconds)}, {size(document.size_bytes)} more in the cache"
    entries = f"{document.bundle}, {len(document.entries)} entries"
    facts(console, [("bundle", entries), ("to be made", f"about {made}")])


def _row(stage: PlannedStage) -> list[str | Text]:
    state = "yes" if stage.cached else "no"
    return [
        stage.stage,
        stage.subject,
        state,
        duration(stage.seconds),
        size(stage.size_bytes or None),
    ]
