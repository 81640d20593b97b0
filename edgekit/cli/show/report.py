"""A report page."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import STYLES, facts, line, sentence, size, verdict
from edgekit.core.documents import ReportChoice, ReportDocument

__all__ = ["show_report"]


def show_report(document: ReportDocument, console: Console) -> None:
    """Print what a page says, and where it is."""
    lines: list[tuple[str, str | Text]] = [
        (one.bundle, _choice(one)) for one in document.recommended
    ]
    lines += [("pictures", str(document.pictures)), ("size", size(document.size_bytes))]
    facts(console, lines)
    for one in document.damaged:
        sentence(console, f"damaged: {one}", STYLES["FAIL"])
    for note in document.notes:
        sentence(console, note, "dim")
    line(console)
    line(console, f"page    {document.output}")


def _choice(one: ReportChoice) -> Text:
    if one.variant is None or one.verdict is None:
        return Text(one.reason)
    text = f"ship {one.variant} in {one.compute} on {one.target} "
    if not one.settled:
        text += "provisionally "
    return Text.assemble(text, verdict(one.verdict))
