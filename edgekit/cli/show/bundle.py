"""A bundle checked on arrival."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import check_lines, grid, line, path, sentence, verdict
from edgekit.core.documents import BundleSignature, VerifyDocument, VerifyEntry

__all__ = ["show_verify"]


def show_verify(document: VerifyDocument, console: Console) -> None:
    """Print what a bundle's arrival check found."""
    rows: list[list[str | Text]] = [
        [entry.target, entry.variant, entry.compute, verdict(entry.verdict), _names(entry)]
        for entry in document.entries
    ]
    if rows:
        headers = ["target", "variant", "compute", "verdict", "checks repeated"]
        console.print(grid(headers, rows, left=(0, 1, 2, 3, 4), whole=(2, 3)))
    for entry in document.entries:
        name = f"{entry.variant} on {entry.target} in {entry.compute}"
        for text in check_lines(name, entry.checks, "FAIL"):
            sentence(console, text, indent=2)
    for one in document.damaged:
        sentence(console, f"FAIL file: {one}", "red", indent=2)
    for one in document.skipped:
        sentence(console, f"skipped: {one}", "yellow", indent=2)
    for one in _words(document):
        sentence(console, one, "yellow", indent=2)
    # The instruction set has a sentence of its own.
    others = [text for text in document.differences if not text.startswith("instruction_set:")]
    if others:
        keys = ", ".join(others)
        words = f"This machine differs from the certificate's in: {keys}"
        sentence(console, words, "yellow", indent=2)
    if document.signature is not None:
        _show_signature(document.signature, console)
    line(console)
    counted = f"{document.files} files"
    line(
        console,
        Text.assemble(verdict(document.verdict), "  ", path(document.bundle), f"  ({counted})"),
    )


def _show_signature(signature: BundleSignature, console: Console) -> None:
    """Print whether a bundle is signed; green is for what was checked."""
    style = "yellow" if signature.state == "not-checked" else ""
    if signature.key is not None:
        style = "green" if signature.state == "valid" else "red"
    sentence(console, f"signature: {signature.reason}", style, indent=2)


def _words(document: VerifyDocument) -> list[str]:
    sets = document.instruction_set
    return [*document.notes, *([sets.reason] if sets is not None and not sets.same else [])]


def _names(entry: VerifyEntry) -> str:
    """The checks of the eight; that the engine opened goes without saying."""
    return ", ".join(name for name in entry.checks if name != "opens").replace("_", " ")
