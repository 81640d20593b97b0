"""The cache as a table, and what was removed from it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import facts, grid, line, path, sentence, size
from edgekit.core.documents import CacheDocument, CacheEntry

__all__ = ["show_cache"]


def show_cache(document: CacheDocument, console: Console) -> None:
    """Print the stages by last use, the removed ones, and the sizes by kind."""
    entries = sorted(document.entries, key=lambda entry: entry.used, reverse=True)
    if entries:
        headers = ("stage", "made for", "size", "used (UTC)", "key")
        rows = [_row(entry) for entry in entries]
        console.print(grid(headers, rows, left=(0, 1, 3, 4), whole=(0, 3, 4)))
        line(console)
    for entry in document.removed:
        what = f"{entry.stage} of {entry.subject or entry.key[:12]}"
        sentence(console, f"removed {what}: {entry.reason}", indent=2)
    kinds = ", ".join(f"{size(count)} {stage}" for stage, count in document.by_stage.items())
    total = f"{size(document.size_bytes)} of at most {size(document.limit_bytes)}"
    facts(console, [("cache", path(document.folder)), ("size", total)])
    if kinds:
        facts(console, [("of it", kinds)])


def _row(entry: CacheEntry) -> list[str | Text]:
    used = entry.used[:16].replace("T", " ")
    return [entry.stage, entry.subject, size(entry.size_bytes), used, entry.key[:12]]
