"""What the machine offers, and the built-in data."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from edgekit.cli.show.layout import padded
from edgekit.cli.show.nvidia import show_jetson, show_nvidia
from edgekit.cli.show.text import facts, line, path, sentence
from edgekit.core.documents import DataDocument, DoctorDocument

__all__ = ["show_data", "show_doctor"]


# Of a process that opens files of PyTorch's.
_NO_ISOLATION = "none: no Landlock and no seccomp here, so what a .pt2 may hold is checked, no more"


def show_doctor(document: DoctorDocument, console: Console) -> None:
    """Print what works here, what does not, why, and the fix."""
    width = max((cell_len(target.target) for target in document.targets), default=0)
    indent = 6 + width
    for target in document.targets:
        head = f"{padded(target.target, width)}  "
        if target.usable:
            offers = f"{target.version}  {', '.join(target.precisions)}".strip()
            computes = f"  computes in {', '.join(target.computes)}" if target.computes else ""
            text = Text.assemble(("ok  ", "green"), head, offers, computes)
            sentence(console, text, indent=indent)
        else:
            text = Text.assemble(("no  ", "yellow"), head, target.reason)
            sentence(console, text, indent=indent)
            if target.fix:
                text = Text.assemble(" " * indent, ("fix: ", "bold"), target.fix)
                # A command is copied and so never broken.
                if target.fix.endswith("."):
                    sentence(console, text, indent=indent + 5)
                else:
                    line(console, text)
    for problem in document.problems:
        sentence(console, Text.assemble(("problem  ", "red"), problem), indent=9)
    line(console)
    shown = {
        str(key): value
        for key, value in document.environment.identity.items()
        if isinstance(value, str | int | float)
    }
    shown["isolation"] = document.isolation or _NO_ISOLATION
    facts(console, [(key, str(value)) for key, value in shown.items()])
    if document.nvidia is not None:
        show_nvidia(document.nvidia, console)
    if document.jetson is not None:
        show_jetson(document.jetson, console)


def show_data(document: DataDocument, console: Console) -> None:
    """Print where a built-in data set was written."""
    roles = ", ".join(f"{count} {role}" for role, count in document.roles.items())
    counted = f"{document.images} images ({roles}) of {document.name} in "
    line(console, Text.assemble(counted, path(document.folder)))
