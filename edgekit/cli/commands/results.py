"""`edgekit results list|show|environment|export|import|prune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.group import Group
from edgekit.cli.reporting import reporting
from edgekit.cli.types import Number

if TYPE_CHECKING:
    from edgekit.core.documents import (
        BenchDocument,
        EnvironmentDocument,
        ExportedDocument,
        ResultsDocument,
    )

__all__ = ["command"]

_MODEL = click.option("--model", metavar="TEXT", help="Only results whose model's name holds this.")


@click.group(
    "results",
    cls=Group,
    epilog=examples(
        "edgekit results list",
        "edgekit results show last",
    ),
)
def command() -> None:
    """List, show, export, import and prune what was measured.

    Every `bench` is kept in EDGEKIT_RESULTS, or in the user's data folder. RESULT is a number of
    the list, `last`, `last~1` for the one before, or the folder or file that `bench -o` wrote.
    """


@command.command("list", epilog=examples("edgekit results list", "edgekit results list --json"))
@_MODEL
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@reporting
def list_(*, progress: Any, **rest: Any) -> ResultsDocument:  # noqa: ARG001
    """List the stored results, newest first."""
    from edgekit import api

    return api.results_list(**rest)


@command.command(
    "show", epilog=examples("edgekit results show last", "edgekit results show 12 --json")
)
@click.argument("result")
@reporting
def show(**rest: Any) -> BenchDocument:
    """Show a RESULT as `bench` printed it."""
    from edgekit import api

    return api.results_show(**rest)


@command.command(
    "environment",
    epilog=examples("edgekit results environment last", "edgekit results environment 12 last"),
)
@click.argument("result")
@click.argument("other", required=False)
@reporting
def environment(*, progress: Any, **rest: Any) -> EnvironmentDocument:  # noqa: ARG001
    """Show the machine behind a RESULT, and how the OTHER's differs."""
    from edgekit import api

    return api.results_environment(**rest)


@command.command(
    "export",
    epilog=examples(
        "edgekit results export last --format markdown",
        "edgekit results export 11 12 -o results.csv",
    ),
)
@click.argument("results", nargs=-1, required=True)
@click.option(
    "--format",
    type=click.Choice(["csv", "markdown", "google-benchmark", "json"]),
    default="csv",
    show_default=True,
    help="Form of the text.",
)
@options.output(metavar="FILE", help="File to write; without it, the text goes to stdout.")
@options.force
@reporting
def export(*, progress: Any, **rest: Any) -> ExportedDocument:  # noqa: ARG001
    """Write RESULTS as CSV, Markdown, or the JSON of Google Benchmark."""
    from edgekit import api

    return api.results_export(**rest)


@command.command(
    "import",
    epilog=examples(
        "edgekit results import times.json --model resnet --target tensorrt:cuda:0",
        "edgekit results import reports/benchmark_report.json",
    ),
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    type=click.Choice(["edgekit", "trtexec", "benchmark_app"]),
    help="Form of the files; default: by their content.",
)
@click.option("--model", metavar="NAME", help="The model, where the file does not say it.")
@options.target(help="Where it ran, where the file does not say it.")
@reporting
def import_(**rest: Any) -> ResultsDocument:
    """Store results of `bench -o`, trtexec --exportTimes and benchmark_app -json_stats.

    The folder `samples` of a store brings back what a damaged store lost.
    """
    from edgekit import api

    return api.results_import(**rest)


@command.command(
    "prune",
    epilog=examples(
        "edgekit results prune --older-than 90 --dry-run",
        "edgekit results prune --keep 100",
    ),
)
@click.option(
    "--older-than", metavar="DAYS", type=Number(min=0), help="Remove what was measured before."
)
@click.option("--keep", type=click.IntRange(min=0), help="Remove all but the newest so many.")
@click.option("--invalid", is_flag=True, help="Remove what has no valid entry.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@reporting
def prune(*, progress: Any, **rest: Any) -> ResultsDocument:  # noqa: ARG001
    """Remove stored results with their raw samples."""
    from edgekit import api

    return api.results_prune(**rest)
