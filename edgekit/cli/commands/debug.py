"""`edgekit debug parity`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completing, options
from edgekit.cli.examples import examples
from edgekit.cli.group import Group
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import DebugParityDocument

__all__ = ["command"]


@click.group(
    "debug",
    cls=Group,
    epilog=examples(
        "edgekit debug parity my.bundle@int8 --target openvino:cpu",
    ),
)
def command() -> None:
    """Find out why a check failed."""


@command.command(
    "parity",
    epilog=examples(
        "edgekit debug parity my.bundle@int8 --target openvino:cpu",
        "edgekit debug parity new.onnx --against old.onnx --target onnxruntime:cpu",
    ),
)
@options.model
@options.target()
@options.compute
@click.option(
    "--against",
    metavar="MODEL",
    shell_complete=completing.models,
    help="What MODEL is compared with; default: its bundle's fp32 variant, else MODEL as written.",
)
@options.data(
    help="Images to compare on; default: the bundle's golden inputs, else generated ones."
)
@options.threads
@options.provider_options
@options.min_parity()
@options.seed
@reporting
def parity(*, model: str, **rest: Any) -> DebugParityDocument:
    """Name the first node of MODEL whose output leaves the limit of parity.

    MODEL is BUNDLE@VARIANT, an ONNX file, or a folder of graphs. Inner tensors are compared with
    those of the fp32 graph, a few in each round. Exit status 1 where an output is out of the
    limit.
    """
    from edgekit import api

    return api.debug_parity(model, **rest)
