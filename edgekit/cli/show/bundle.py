"""A bundle checked on arrival."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import check_lines, grid, line, verdict
from edgekit.core.documents import VerifyDocument, VerifyEntry

__all__ = ["show_verify"]


def show_verify(document: VerifyDocument, console: Console) -> None:
    """Print what a bundle's arrival check found."""
    rows: list[list[str | Text]] = [
        [entry.target, entry.variant, entry.compute, verdict(entry.verdict), _names(entry)]
        for entry in document.entries
    ]
    if rows:
        headers = ["target", "variant", "compute", "verdict", "checks repeated"]
        console.print(grid(headers, rows, left=(0, 1, 2, 3, 4)))
    for entry in document.entries:
        name = f"{entry.variant} on {entry.target} in {entry.compute}"
        for text in check_lines(name, entry.checks, "FAIL"):
            console.print(text)
    for sentence in document.damaged:
        console.print(Text(f"FAIL file: {sentence}", "red"))
    for sentence in document.skipped:
        console.print(Text(f"skipped: {sentence}", "yellow"))
    if document.differences:
        keys = ", ".join(document.differences)
        console.print(Text(f"This machine differs from the certificate's in: {keys}", "yellow"))
    line(console)
    counted = f"{document.files} files"
    console.print(
        Text.assemble(verdict(document.verdict), f"  {document.bundle}  ({counted})"),
        soft_wrap=True,
    )


def _names(entry: VerifyEntry) -> str:
    return ", ".join(entry.checks).replace("_", " ")
