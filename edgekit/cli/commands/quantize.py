"""`edgekit quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import QuantizeDocument

__all__ = ["command"]


@click.command(
    "quantize",
    epilog=examples(
        "edgekit quantize model.onnx --data images",
        "edgekit quantize m.onnx --from m.main.quantization.json --dialect s8s8",
        "edgekit quantize model.onnx --precision fp16 -o model.fp16.onnx",
    ),
)
@options.model
@options.output(help="File to write; default: NAME.int8-DIALECT.onnx beside the model.")
@options.data(help="Labelled or plain images; their calibration part is used.")
@options.calibration
@click.option(
    "--from",
    "decisions",
    metavar="FILE",
    type=click.Path(path_type=Path),
    multiple=True,
    help="quantization.json of an earlier calibration: no images are needed; repeatable.",
)
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp16"]),
    default="int8",
    show_default=True,
    help="Precision to write.",
)
@click.option(
    "--dialect",
    type=click.Choice(["u8s8", "s8s8"]),
    default="u8s8",
    show_default=True,
    help="For int8: how Q/DQ is written, u8s8 for CPU engines, s8s8 for TensorRT.",
)
@options.card
@options.card_options
@options.min_parity("by precision: 30 fp16, 10 int8")
@options.seed
@options.force
@reporting
def command(*, model: str, output: Path | None, **rest: Any) -> QuantizeDocument:
    """Write an int8 (explicit Q/DQ) or fp16 (cast in the graph) variant of MODEL.

    MODEL is an ONNX file, or a folder of one ONNX file a role.
    """
    from edgekit import api

    return api.quantize(model, output, **rest)
