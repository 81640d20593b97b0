"""Documents as tables and sentences on stdout; they fit 80 columns, and less."""

from __future__ import annotations

from rich.console import Console

from edgekit.cli.show.bench import show_bench
from edgekit.cli.show.bundle import show_verify
from edgekit.cli.show.cache import show_cache
from edgekit.cli.show.compare import show_compare
from edgekit.cli.show.demo import show_demo
from edgekit.cli.show.deploy import show_deploy
from edgekit.cli.show.diff import show_diff
from edgekit.cli.show.inspect import show_inspect
from edgekit.cli.show.machine import show_data, show_doctor
from edgekit.cli.show.model import (
    show_compile,
    show_eval,
    show_export,
    show_quantize,
)
from edgekit.cli.show.pack import show_pack
from edgekit.cli.show.parity import show_debug_parity
from edgekit.cli.show.plan import show_plan
from edgekit.cli.show.predict import show_predict
from edgekit.cli.show.report import show_report
from edgekit.cli.show.results import show_environment, show_exported, show_results
from edgekit.cli.terminal import console_on_stdout
from edgekit.core.documents import (
    BenchDocument,
    CacheDocument,
    CompareDocument,
    CompileDocument,
    DataDocument,
    DebugParityDocument,
    DemoDocument,
    DeployDocument,
    DiffDocument,
    DoctorDocument,
    EnvironmentDocument,
    EvalDocument,
    ExportDocument,
    ExportedDocument,
    InspectDocument,
    PackDocument,
    PlanDocument,
    PredictDocument,
    QuantizeDocument,
    ReportDocument,
    ResultsDocument,
    VerifyDocument,
)

__all__ = ["show"]


def show(document: object, console: Console | None = None) -> None:
    """Print a document for people.

    Args:
        document: One of edgekit.core.documents.
        console: Where to; None means stdout.
    """
    console = console or console_on_stdout()
    match document:
        case BenchDocument():
            show_bench(document, console)
        case CacheDocument():
            show_cache(document, console)
        case CompareDocument():
            show_compare(document, console)
        case CompileDocument():
            show_compile(document, console)
        case DataDocument():
            show_data(document, console)
        case DebugParityDocument():
            show_debug_parity(document, console)
        case DemoDocument():
            show_demo(document, console)
        case DeployDocument():
            show_deploy(document, console)
        case DiffDocument():
            show_diff(document, console)
        case DoctorDocument():
            show_doctor(document, console)
        case EnvironmentDocument():
            show_environment(document, console)
        case EvalDocument():
            show_eval(document, console)
        case ExportDocument():
            show_export(document, console)
        case ExportedDocument():
            show_exported(document, console)
        case InspectDocument():
            show_inspect(document, console)
        case PlanDocument():
            show_plan(document, console)
        case PredictDocument():
            show_predict(document, console)
        case PackDocument():
            show_pack(document, console)
        case QuantizeDocument():
            show_quantize(document, console)
        case ReportDocument():
            show_report(document, console)
        case ResultsDocument():
            show_results(document, console)
        case VerifyDocument():
            show_verify(document, console)
        case _:
            raise TypeError(f"no printer for {type(document).__name__}")
