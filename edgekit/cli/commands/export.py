"""`edgekit export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import ExportDocument

__all__ = ["command"]


@click.command(
    "export",
    epilog=examples(
        "edgekit export edgekit:digits -o digits.onnx",
        "edgekit export model.pt2 -o model.onnx --data images --bake preprocess",
        "edgekit export weights.pth --arch nets.py:small --trust-code \\\n"
        "    --input x=batch,3,224,224 -o small.onnx",
    ),
)
@options.source
@options.output(required=True, help="The .onnx file; a folder for a model of several graphs.")
@options.arch
@options.card
@options.card_options
@options.inputs
@options.data(help="Images to check parity on; without it, generated inputs.")
@options.opset
@options.bake
@options.trust_code
@options.trust_pickle
@options.min_parity("80")
@options.seed
@options.force
@reporting
def command(*, source: str, output: Path, **rest: Any) -> ExportDocument:
    """Export SOURCE to ONNX, with its card inside, checked against PyTorch.

    SOURCE is a .pt2 or .onnx file, a .pth or .safetensors file with --arch, edgekit:NAME, or
    ultralytics:FILE.pt.
    """
    from edgekit import api

    return api.export(source, output, **rest)
