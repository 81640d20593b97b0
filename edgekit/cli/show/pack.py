"""A packed folder."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import STYLES, facts, grid, line, path, sentence, size, verdict
from edgekit.core.documents import PackDocument

__all__ = ["show_pack"]


def show_pack(document: PackDocument, console: Console) -> None:
    """Print what a packed folder holds and how it is run."""
    entry = f"{document.variant} on {document.target} in {document.compute}"
    rows: list[list[str | Text]] = [
        [name, size(file.size_bytes)] for name, file in document.files.items()
    ]
    console.print(grid(["file", "size"], rows))
    line(console)
    lines: list[tuple[str, str | Text]] = [
        ("entry", entry),
        ("certificate", verdict(document.verdict)),
    ]
    if document.requirements:
        lines.append(("needs", f"Python {document.python} or later"))
        lines += [("", pin.replace("==", " ")) for pin in document.requirements.values()]
    lines.append(("engine for", document.instruction_set))
    lines.append(("size", size(document.size_bytes)))
    facts(console, lines)
    for note in document.notes:
        sentence(console, note, STYLES["UNVERIFIED"], indent=2)
    line(console)
    line(console, Text.assemble("folder  ", path(document.folder)))
