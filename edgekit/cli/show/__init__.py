"""Documents as tables and sentences on stdout, 80 columns wide."""

from __future__ import annotations

from rich.console import Console

from edgekit.cli.show.bench import show_bench
from edgekit.cli.show.bundle import show_verify
from edgekit.cli.show.deploy import show_deploy
from edgekit.cli.show.machine import show_data, show_doctor
from edgekit.cli.show.model import (
    show_compile,
    show_eval,
    show_export,
    show_inspect,
    show_quantize,
)
from edgekit.core.documents import (
    BenchDocument,
    CompileDocument,
    DataDocument,
    DeployDocument,
    DoctorDocument,
    EvalDocument,
    ExportDocument,
    InspectDocument,
    QuantizeDocument,
    VerifyDocument,
)

__all__ = ["show"]


def show(document: object, console: Console | None = None) -> None:
    """Print a document for people.

    Args:
        document: One of edgekit.core.documents.
        console: Where to; None means stdout.
    """
    console = console or Console(highlight=False)
    match document:
        case BenchDocument():
            show_bench(document, console)
        case CompileDocument():
            show_compile(document, console)
        case DataDocument():
            show_data(document, console)
        case DeployDocument():
            show_deploy(document, console)
        case DoctorDocument():
            show_doctor(document, console)
        case EvalDocument():
            show_eval(document, console)
        case ExportDocument():
            show_export(document, console)
        case InspectDocument():
            show_inspect(document, console)
        case QuantizeDocument():
            show_quantize(document, console)
        case VerifyDocument():
            show_verify(document, console)
        case _:
            raise TypeError(f"no printer for {type(document).__name__}")
