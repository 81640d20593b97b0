"""`edgekit bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import BenchDocument

__all__ = ["command"]


@click.command(
    "bench",
    epilog=examples(
        "edgekit bench model.onnx --target onnxruntime:cpu --target openvino:cpu",
        "edgekit bench my.bundle@int8 --target openvino:cpu --compute bf16 --json",
    ),
)
@options.model
@options.targets()
@options.computes(default="fp32")
@options.scenario
@options.batch
@options.shapes
@options.threads
@options.time
@options.allow_fallback
@options.output(metavar="DIR", help="Folder for the result and the raw samples.")
@options.seed
@options.require_valid
@reporting
def command(*, model: str, **rest: Any) -> BenchDocument:
    """Measure latency, throughput and memory of MODEL, the targets taking turns.

    MODEL is an ONNX file, a folder of graphs, a bundle, or BUNDLE@VARIANT.
    """
    from edgekit import api

    return api.bench(model, **rest)
