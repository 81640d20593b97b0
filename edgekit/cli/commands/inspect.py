"""`edgekit inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completing, options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import DiffDocument, InspectDocument

__all__ = ["command"]


@click.command(
    "inspect",
    epilog=examples(
        "edgekit inspect model.onnx --nodes 20",
        "edgekit inspect --diff before.onnx after.onnx",
        "edgekit inspect my.bundle@int8-u8s8 --json",
        "edgekit inspect engines --nodes 20",
    ),
)
@options.model
@click.option(
    "--diff",
    "before",
    metavar="MODEL",
    shell_complete=completing.models,
    help="Show instead how MODEL differs from this one: --diff BEFORE AFTER.",
)
@click.option(
    "--nodes",
    "top",
    metavar="N",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Rows of each table of nodes; --json holds all.",
)
@reporting
def command(
    *, model: str, before: str | None, top: int, **_options: Any
) -> InspectDocument | DiffDocument:
    """Show card, work, limits and int8 round trips of MODEL.

    MODEL is an ONNX file, a folder of graphs, a bundle, BUNDLE@VARIANT, a folder of engines
    (compile -o), or a plan file of TensorRT, which is not opened.
    """
    from edgekit import api

    if before is not None:
        return api.inspect_diff(before, model, top=top)
    return api.inspect(model, top=top)
