"""`edgekit data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completing, options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import DataDocument

__all__ = ["command"]


@click.command(
    "data",
    epilog=examples(
        "edgekit data shapes -o shapes",
        "edgekit data shapes -n 500 --seed 7 -o others",
        "edgekit data digits -o digits",
    ),
)
@click.argument("name", shell_complete=completing.builtins)
@options.output(required=True, metavar="DIR", help="The folder to write.")
@click.option(
    "-n",
    "--count",
    metavar="N",
    type=click.IntRange(min=1),
    help="Images that score; default: 300 scenes, or all 500 digits.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Another seed, other scenes; default: 0.")
@options.force
@reporting
def command(
    *, name: str, output: Path, count: int | None, seed: int | None, force: bool, **_options: Any
) -> DataDocument:
    """Write the built-in data set NAME ("shapes" or "digits") into a folder."""
    from edgekit import api

    return api.data(name, output, count=count, seed=seed, force=force)
