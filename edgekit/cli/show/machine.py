"""What the machine offers, and the built-in data."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import facts, line
from edgekit.core.documents import DataDocument, DoctorDocument

__all__ = ["show_data", "show_doctor"]


def show_doctor(document: DoctorDocument, console: Console) -> None:
    """Print what works here, what does not, why, and the fix."""
    width = max((len(target.target) for target in document.targets), default=0)
    for target in document.targets:
        head = f"{target.target:<{width}}  "
        if target.usable:
            offers = f"{target.version}  {', '.join(target.precisions)}".strip()
            computes = f"  computes in {', '.join(target.computes)}" if target.computes else ""
            line(console, Text.assemble(("ok  ", "green"), head, offers, computes))
        else:
            line(console, Text.assemble(("no  ", "yellow"), head, target.reason))
            if target.fix:
                line(console, Text.assemble(" " * (6 + width), ("fix: ", "bold"), target.fix))
    for problem in document.problems:
        line(console, Text.assemble(("problem  ", "red"), problem))
    line(console)
    shown = {
        str(key): value
        for key, value in document.environment.identity.items()
        if isinstance(value, str | int | float)
    }
    facts(console, [(key, str(value)) for key, value in shown.items()])


def show_data(document: DataDocument, console: Console) -> None:
    """Print where a built-in data set was written."""
    roles = ", ".join(f"{count} {role}" for role, count in document.roles.items())
    line(console, f"{document.images} images ({roles}) of {document.name} in {document.folder}")
