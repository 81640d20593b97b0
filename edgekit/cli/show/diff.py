"""Two graphs, variants or bundles side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.layout import Grid
from edgekit.cli.show.text import facts, grid, line, path, sentence
from edgekit.core.documents import Change, DiffDocument, EntryDiff, GraphDiff, WeightChange

__all__ = ["show_diff"]

_CARD = "edgekit.card"
# A value that is longer, a list of a thousand labels, is shown from where it differs.
_LONGEST = 120
# Of what is equal before that.
_BEFORE = 20


def show_diff(document: DiffDocument, console: Console) -> None:
    """Print what differs, and nothing of what does not."""
    facts(console, [("before", path(document.before)), ("after", path(document.after))])
    if document.equal:
        line(console, "Nothing differs.")
        return
    for title, changed in (
        ("bundle", document.bundle),
        ("card", document.card),
        ("recipe", document.recipe),
        ("only in one", document.variants),
        ("engine", document.engines),
    ):
        _show_changes(title, changed, console)
    for entry in document.entries:
        _show_entry(entry, console)
    for graph in document.graphs:
        if not graph.equal:
            _show_graph(graph, document.top, console)


def _show_entry(entry: EntryDiff, console: Console) -> None:
    title = f"{entry.variant} on {entry.target} in {entry.compute}"
    line(console)
    line(console, title, "bold")
    rows = [[name, *_both(change)] for name, change in entry.figures.items()]
    console.print(grid(["figure", "before", "after"], rows, left=(0,)))


def _show_graph(graph: GraphDiff, top: int, console: Console) -> None:
    line(console)
    line(console, Text.assemble((graph.role, "bold"), f"  {graph.before} > {graph.after}"))
    for title, changed in (
        ("fact", graph.facts),
        ("input", graph.inputs),
        ("output", graph.outputs),
        ("axis", graph.axes),
        ("metadata", _folded(graph.metadata)),
        ("operator", graph.operators),
    ):
        _show_changes(title, changed, console)
    nodes = [
        f"{node.name} ({node.op}): {', '.join(node.changed)}"
        + (f", now {node.renamed}" if node.renamed else "")
        for node in graph.nodes_changed
    ]
    for title, lines in (
        ("nodes removed", graph.nodes_removed),
        ("nodes added", graph.nodes_added),
        ("nodes changed", nodes),
        ("weights removed", graph.weights_removed),
        ("weights added", graph.weights_added),
        ("weights changed", [_weight(weight) for weight in graph.weights_changed]),
    ):
        _show_list(title, lines, top, console)
    for title, count in (
        ("nodes", graph.nodes_renamed),
        ("weights", graph.weights_renamed),
    ):
        if count:
            line(console)
            line(console, f"{count} {title} were only renamed")


def _folded(metadata: Mapping[str, Change]) -> dict[str, Change]:
    """Take a card inside as one line; its keys stand in the document."""
    inside = [key for key in metadata if key.startswith(f"{_CARD}.")]
    kept = {key: change for key, change in metadata.items() if key not in inside}
    if inside:
        sides = [
            sum(getattr(metadata[key], side) is not None for key in inside)
            for side in ("before", "after")
        ]
        kept[_CARD] = Change(before=f"{sides[0]} keys", after=f"{sides[1]} keys")
    return kept


def _weight(weight: WeightChange) -> str:
    if weight.before != weight.after:
        return f"{weight.name}: {weight.before} > {weight.after}"
    worst = "" if weight.max_abs is None else f", by {weight.max_abs:.3g} at most"
    return f"{weight.name} {weight.before}: {weight.elements:,} elements differ{worst}"


def _show_changes(title: str, changed: Mapping[str, Change], console: Console) -> None:
    if not changed:
        return
    rows = [[name, *_both(change)] for name, change in changed.items()]
    line(console)
    console.print(_table(title, rows))


def _table(title: str, rows: Sequence[Sequence[str]]) -> Grid:
    return grid([title, "before", "after"], rows, left=(0, 1, 2))


def _show_list(title: str, lines: Sequence[str], top: int, console: Console) -> None:
    if not lines:
        return
    line(console)
    line(console, Text.assemble((title, "bold"), f"  {len(lines)}"))
    for text in lines[:top]:
        sentence(console, f"  {text}", indent=4)
    if len(lines) > top:
        line(console, f"  and {len(lines) - top} more; see --nodes {len(lines)}", "dim")


def _both(change: Change) -> tuple[str, str]:
    before, after = _value(change.before), _value(change.after)
    if len(before) <= _LONGEST and len(after) <= _LONGEST:
        return before, after
    different = (number for number, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
    start = max(0, next(different, min(len(before), len(after))) - _BEFORE)
    return _part(before, start), _part(after, start)


def _part(text: str, start: int) -> str:
    """The part of a long value that begins a little before the first difference."""
    end = start + _LONGEST
    part = text[start:end]
    return f"{'…' if start else ''}{part}{'…' if end < len(text) else ''}"


def _value(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        if len(value) == 2 and isinstance(value[1], list | tuple):
            return f"{value[0]} {_value(value[1])}"
        return f"[{', '.join(map(str, value))}]"
    return str(value)
