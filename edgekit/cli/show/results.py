"""Stored results as tables and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import NOTHING, facts, grid, line, path, sentence
from edgekit.core.documents import (
    EnvironmentDocument,
    ExportedDocument,
    ResultRun,
    ResultsDocument,
)

__all__ = ["show_environment", "show_exported", "show_results"]

_HEADERS = ("\nno.", "\nwhen (UTC)", "\nmodel", "\ntargets", "en-\ntries", "\nvalid", "\nmachine")


def show_results(document: ResultsDocument, console: Console) -> None:
    """Print what the store holds, what came and what went."""
    for head, runs in (("imported", document.imported), ("removed", document.removed)):
        if runs:
            line(console, head, "bold")
            _table(runs, console)
    if document.runs:
        _table(document.runs, console)
    elif not (document.imported or document.removed):
        line(console, "No result is stored.")
    for damage in document.damage:
        sentence(console, damage, "yellow")
    facts(console, [("folder", path(document.folder))])


def show_environment(document: EnvironmentDocument, console: Console) -> None:
    """Print a machine, or how two differ."""
    if not document.other:
        found = {**document.environment.identity, **document.environment.observed}
        facts(console, [(name, _words(value)) for name, value in found.items()])
        return
    if not document.differences:
        line(console, "The machines are equal in all that makes figures comparable.")
    for difference in document.differences:
        sentence(console, difference, indent=2)
    if document.observed:
        line(console, "Observed, which only warns:", "dim")
    for difference in document.observed:
        sentence(console, difference, "dim", indent=2)


def show_exported(document: ExportedDocument, console: Console) -> None:
    """Print the text itself, or where it went."""
    if document.output is not None:
        facts(console, [("file", path(document.output))])
        return
    console.out(document.text, end="", highlight=False)


def _table(runs: Sequence[ResultRun], console: Console) -> None:
    rows: list[list[str | Text]] = [
        [
            str(run.run),
            run.created[:16].replace("T", " "),
            run.model,
            ", ".join(run.targets),
            str(run.entries),
            str(run.valid),
            run.machine or (run.tool if run.tool != "edgekit" else NOTHING),
        ]
        for run in runs
    ]
    console.print(grid(_HEADERS, rows, left=(1, 2, 3, 6)))


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items()) or NOTHING
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or NOTHING
    return NOTHING if value is None else str(value)
