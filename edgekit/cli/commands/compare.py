"""`edgekit compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting
from edgekit.cli.types import Percent

if TYPE_CHECKING:
    from edgekit.core.documents import CompareDocument

__all__ = ["command"]


@click.command(
    "compare",
    epilog=examples(
        "edgekit compare monday tuesday",
        "edgekit compare old/bench.json new/bench.json --fail-on slower:3% --json",
    ),
)
@click.argument("base")
@click.argument("new")
@click.option(
    "--drift",
    type=Percent(),
    help="How much the machine's own speed may have changed between the two; default: 10%, on a "
    "virtual machine 60%.",
)
@options.fail_on
@options.margin
@options.confidence_of_ratio
@reporting
def command(*, base: str, new: str, **rest: Any) -> CompareDocument:
    """Judge the stored result NEW against BASE: FASTER, SLOWER, SAME, UNCLEAR or INVALID.

    BASE and NEW are folders or JSON documents that `edgekit bench` wrote. Entries of the same
    conditions are compared; other machines, boundaries or scenarios are refused. What was not
    measured in turns holds the machine's drift as well: `edgekit bench --against` is sharper.
    """
    from edgekit import api

    return api.compare(base, new, **rest)
