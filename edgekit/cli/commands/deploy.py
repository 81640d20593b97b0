"""`edgekit deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.recipe import config
from edgekit.cli.reporting import reporting
from edgekit.cli.types import StreamSize

if TYPE_CHECKING:
    from edgekit.core.documents import DeployDocument, PlanDocument

__all__ = ["command"]


@click.command(
    "deploy",
    epilog=examples(
        "edgekit deploy edgekit:digits --data digits \\\n    --target openvino:cpu -o my.bundle",
        "edgekit deploy model.pt2 --data images --target onnxruntime:cpu \\\n"
        "    --target openvino:cpu --max-drop 0.5 -o my.bundle",
        "edgekit deploy model.onnx --target openvino:cpu -o my.bundle --dry-run",
        "edgekit deploy --config my.bundle/recipe.yaml -o again.bundle",
    ),
)
@options.source
@options.output(required=True, metavar="BUNDLE", help="The bundle's folder.")
@options.targets(help="Where it shall run, or all; default: the GPU's engines, else the CPU's.")
@options.data(help="Labelled data; without it the verdict is UNVERIFIED.")
@options.calibration
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8", "int8-u8s8", "int8-s8s8"]),
    multiple=True,
    help="Precision of a variant; repeatable; int8 is in the target's own dialect; fp16 is "
    "simulated where the target computes wider. Default: all that the target runs.",
)
@options.computes(default="all that the target has")
@options.limits
@options.allow_fallback
@options.provider_options
@options.arch
@options.card
@options.card_options
@options.inputs
@options.opset
@options.bake
@click.option(
    "--stream",
    type=StreamSize(),
    help="Fit the network input to frames of this size, so that none of it is padding.",
)
@options.threads
@options.time(help="Longest measurement of each entry.")
@click.option(
    "--remeasure",
    is_flag=True,
    help="Measure although latencies of an equal environment are cached.",
)
@click.option(
    "--golden",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Images to keep in the bundle as golden inputs; without it they are generated.",
)
@click.option(
    "--report-images",
    is_flag=True,
    help="Show the images that differ most in the bundle's report.html; else it holds none.",
)
@click.option(
    "--sign",
    metavar="KEY",
    type=click.Path(path_type=Path),
    help="Sign the manifest with this Ed25519 private key.",
)
@options.trust_code
@options.trust_pickle
@options.seed
@options.force
@click.option(
    "--dry-run", is_flag=True, help="Show the stages, their sizes and times; make nothing."
)
@options.require_verified
@options.require_valid
@config
@reporting
def command(
    *,
    source: str,
    output: Path,
    max_drop: float | None,
    min_agreement: float | None,
    max_shift: float | None,
    min_parity: float | None,
    require_proven: bool,
    allow_fallback: bool,
    **rest: Any,
) -> DeployDocument | PlanDocument:
    """Export, quantize, compile, score, measure and certify SOURCE; write a bundle.

    SOURCE is a .pt2 or .onnx file, a .pth or .safetensors file with --arch, edgekit:NAME, or
    ultralytics:FILE.pt.
    """
    from edgekit import api
    from edgekit.core.certificate import Limits

    budget = {
        "max_drop": max_drop,
        "min_agreement": min_agreement,
        "max_shift": max_shift,
        "min_parity": min_parity,
    }
    limits = Limits(
        require_proven=require_proven,
        allow_fallback=allow_fallback,
        **{name: value for name, value in budget.items() if value is not None},
    )
    return api.deploy(source, output, limits=limits, **rest)
