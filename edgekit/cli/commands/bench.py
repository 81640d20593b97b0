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
        "edgekit bench my.bundle@int8 --target ov --boundary latency.e2e --json",
        "edgekit bench model.onnx --target openvino:cpu --scenario offline",
        "edgekit bench model.onnx --target ort --sweep batch=1,4 --sweep threads=1,2",
    ),
)
@options.model
@options.targets()
@options.computes(default="fp32")
@options.scenario
@options.boundary
@options.sweep
@options.batch
@options.shapes
@options.threads
@options.streams
@options.concurrency
@options.data(help="Images for latency.e2e; without it, generated ones.")
@options.time
@options.timeout
@options.allow_fallback
@options.trust_code
@options.output(metavar="DIR", help="Folder for the result and the raw samples.")
@options.resume
@options.seed
@options.require_valid
@reporting
def command(*, model: str, **rest: Any) -> BenchDocument:
    """Measure latency, throughput and memory of MODEL, the targets taking turns.

    A sweep measures cell after cell instead, each in a process of its own.

    MODEL is an ONNX file, a folder of graphs, a bundle, or BUNDLE@VARIANT.
    """
    from edgekit import api

    return api.bench(model, **rest)
